//! `cuecard eval`

use std::sync::Arc;

use cuecard_actors::engine::Plan;
use cuecard_actors::engine::evaluation::{Evaluation, Report, read_conversations};
use indicatif::ProgressBar;

use super::knowledge;
use crate::cli::EvalArgs;
use crate::exit::ExitCode;
use crate::logging;
use crate::settings::{Auto, ToolSettings};

/// Measures ranking and silence and prints the figures.
pub fn run(arguments: &EvalArgs) -> anyhow::Result<ExitCode> {
    logging::start(logging::TOOL);
    let seeking = read_conversations(&arguments.conversations)?;
    let quiet = arguments.quiet.as_deref().map(read_conversations).transpose()?.unwrap_or_default();
    let ToolSettings { buffer, mut profile, .. } = ToolSettings::of_environment()?;
    profile.ranker = Auto(arguments.ranker.or(profile.ranker.0));
    profile.window = arguments.window.unwrap_or(profile.window);
    let plan = Arc::new(profile.index_plan());
    let open = knowledge::engine(&arguments.knowledge)?;
    let bar = ProgressBar::new((seeking.len() + quiet.len()) as u64);
    let limits = buffer.window_limits();
    let evaluation = Evaluation { engine: &open.engine, plan: &plan, limits, progress: &|| bar.inc(1) };
    let report = knowledge::block_on(evaluation.run(&seeking, &quiet))??;
    bar.finish_and_clear();
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print_plan(&plan);
        print_table(&report);
    }
    Ok(ExitCode::Success)
}

fn print_plan(plan: &Plan) {
    let silence = plan.silence.map_or_else(
        || "never silent".to_owned(),
        |rule| format!("silent below a cosine of {} (CUECARD__PROFILE__MIN_COSINE)", rule.min_cosine),
    );
    println!("ranker {}, window {}, {silence}", plan.ranker, plan.window);
}

fn print_table(report: &Report) {
    let left_out = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.4}"));
    println!("conversations         {:>8}", report.conversations);
    println!("mrr@5                 {:>8.4}", report.mrr_at_5);
    println!("recall@1              {:>8.4}", report.recall_at_1);
    println!("recall@5              {:>8.4}", report.recall_at_5);
    println!("shown                 {:>8.4}   of the conversations", report.shown_rate);
    println!("false pushes          {:>8}   of the quiet ones", left_out(report.false_push_rate));
    println!("precision when shown  {:>8}   first card right", left_out(report.precision_when_shown));
    println!("p50                   {:>8.1} ms", report.p50_ms);
    println!("p95                   {:>8.1} ms", report.p95_ms);
}

//! `cuecard eval`

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use cuecard_actors::engine::Plan;
use cuecard_actors::engine::evaluation::{Comparison, Evaluation, Judged, Report, TurnReport, compare};
use cuecard_actors::engine::ranking::SilenceRule;
use cuecard_actors::tenant::read_model;

use super::progress::Progress;
use super::{knowledge, train};
use crate::cli::EvalArgs;
use crate::exit::ExitCode;
use crate::logging;
use crate::settings::{Auto, ToolSettings};

/// Measures ranking and silence and prints the figures.
pub fn run(arguments: &EvalArgs) -> anyhow::Result<ExitCode> {
    logging::start_for_tool();
    match (arguments.compare.as_slice(), &arguments.conversations) {
        ([before, after], _) => compared(before, after, arguments.json),
        (_, Some(conversations)) => evaluated(arguments, conversations),
        (_, None) => anyhow::bail!("give --conversations FILE or --compare BEFORE AFTER"),
    }
}

fn evaluated(arguments: &EvalArgs, conversations: &Path) -> anyhow::Result<ExitCode> {
    let (seeking, quiet) = knowledge::conversations(conversations, arguments.quiet.as_deref())?;
    let ToolSettings { buffer, mut profile, .. } = ToolSettings::of_environment()?;
    profile.ranker = Auto(arguments.ranker.or(profile.ranker.0));
    profile.window = arguments.window.unwrap_or(profile.window);
    let plan = Arc::new(profile.index_plan());
    let open = knowledge::engine(&arguments.knowledge)?;
    if let Some(model) = &arguments.model {
        let model = read_model(model, &open.engine.encoder().model().identity())?;
        open.engine.use_model(Some(Arc::new(model)));
    }
    let conversations = seeking.len() + quiet.len();
    let asked = ("asking", conversations);
    let bar = match arguments.folds {
        None => Progress::counting([asked, ("judging", conversations)]),
        Some(folds) => {
            Progress::counting([asked, ("taking lessons", conversations), ("learning and judging", folds.into())])
        }
    };
    let (limits, every_turn, effort) = (buffer.window_limits(), arguments.every_turn, arguments.effort);
    let progress = &|| bar.step();
    let evaluation = Evaluation { engine: &open.engine, plan: &plan, effort, limits, every_turn, progress };
    let judged = match arguments.folds {
        Some(folds) => knowledge::block_on(train::folded(&evaluation, &plan, &seeking, &quiet, folds.into()))??,
        None => knowledge::block_on(evaluation.run(&seeking, &quiet))??,
    };
    drop(bar);
    if let Some(out) = &arguments.out {
        write(&judged, out).with_context(|| format!("the lines can't be written to {}", out.display()))?;
    }
    let report = Report::new(&judged, arguments.at_shown);
    if arguments.json {
        say!("{}", serde_json::to_string(&report)?);
    } else {
        print_plan(&plan);
        print_report(&report);
    }
    Ok(ExitCode::Success)
}

fn write(judged: &[Judged], out: &Path) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(out)?);
    for judged in judged {
        serde_json::to_writer(&mut file, judged)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}

fn read(path: &Path) -> anyhow::Result<Vec<Judged>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    let line = |(number, line): (usize, &str)| {
        let place = || format!("{}:{}: this is no line that `cuecard eval --out` wrote", path.display(), number + 1);
        serde_json::from_str(line).with_context(place)
    };
    text.lines().enumerate().map(line).collect()
}

fn compared(before: &Path, after: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let comparison = compare(&read(before)?, &read(after)?)?;
    if as_json {
        say!("{}", serde_json::to_string(&comparison)?);
    } else {
        print_comparison(&comparison);
    }
    Ok(ExitCode::Success)
}

fn print_plan(plan: &Plan) {
    let silence = match plan.silence {
        None => "never silent".to_owned(),
        Some(SilenceRule::Selectivity(selectivity)) => {
            format!("selectivity {selectivity} (CUECARD__PROFILE__SELECTIVITY)")
        }
        Some(SilenceRule::Precision(precision)) => format!("precision {precision} (CUECARD__PROFILE__PRECISION)"),
        Some(SilenceRule::MinCosine(least)) => {
            format!("silent below a cosine of {least} (CUECARD__PROFILE__MIN_COSINE)")
        }
    };
    say!("ranker {}, window {}, {silence}", plan.ranker, plan.window);
}

fn print_report(report: &Report) {
    let left_out = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.4}"));
    say!("conversations         {:>8}", report.conversations);
    say!("mrr@5                 {:>8.4}", report.mrr_at_5);
    say!("recall@1              {:>8.4}", report.recall_at_1);
    say!("recall@5              {:>8.4}", report.recall_at_5);
    say!("shown                 {:>8.4}   of the conversations", report.shown_rate);
    say!("false pushes          {:>8}   of the quiet ones", left_out(report.false_push_rate));
    say!("precision when shown  {:>8}   first card right", left_out(report.precision_when_shown));
    if let Some(error) = report.calibration_error {
        say!("calibration error     {error:>8.4}   of the probability that a card is right");
    }
    if let Some(at) = report.at_shown {
        say!(
            "false pushes          {:>8.4}   of the quiet ones, where {:.4} are shown",
            at.false_push_rate,
            at.shown_rate
        );
    }
    say!("p50                   {:>8.1} ms", report.p50_ms);
    say!("p95                   {:>8.1} ms", report.p95_ms);
    if let Some(turns) = &report.every_turn {
        print_turns(turns);
    }
}

fn print_turns(report: &TurnReport) {
    let turns = &report.tally;
    say!("\nevery turn of {} conversations", report.conversations);
    say!("  a card was wanted   {:>8}", turns.wanted());
    say!("    right             {:>8}   the right card came", turns.right);
    say!("    still right       {:>8}   it stands on the screen", turns.still_right);
    say!("    wrong             {:>8}   another came", turns.wrong);
    say!("    missed            {:>8}   none came", turns.missed);
    say!("  none was wanted     {:>8}", turns.noise + turns.rightly_silent);
    say!("    noise             {:>8}   one came", turns.noise);
    say!("    rightly silent    {:>8}   none came", turns.rightly_silent);
    say!("helpful share         {:>8.4}   of the pushes", report.helpful_share);
    say!("right at the question {:>8.4}   came or stood", report.right_at_question);
    say!("pushes                {:>8.4}   for each conversation", report.pushes_per_conversation);
    say!("wrong or noise        {:>8.4}   for each conversation", report.unhelpful_per_conversation);
    say!("replaced              {:>8}   right cards, by wrong ones or noise", turns.replaced);
}

fn print_comparison(comparison: &Comparison) {
    let Comparison { conversations, dialogues, left_out, .. } = comparison;
    say!("{conversations} conversations of {dialogues} dialogues in both, {left_out} left out");
    say!("{:<27} {:>8} {:>8} {:>8}   95 % of the gain   no gain", "", "before", "after", "gain");
    for gain in &comparison.gains {
        let [low, high] = gain.interval;
        let difference = gain.after - gain.before;
        say!(
            "{:<27} {:>8.4} {:>8.4} {difference:>+8.4}   {low:>+7.4} {high:>+7.4}   {:>7.4}",
            gain.measure,
            gain.before,
            gain.after,
            gain.not_above
        );
    }
}

//! `cuecard train`: from labelled conversations, or from what agents did with their cards, to a model.

mod feedback;
mod labelled;

use std::path::Path;

use anyhow::Context as _;
use cuecard_actors::engine::ranking::model::{Model, Trained};
use cuecard_actors::tenant::read_model;
use serde::Serialize;

pub use self::feedback::LedgerPlace;
pub use self::labelled::folded;
use super::knowledge;
use crate::cli::TrainArgs;
use crate::exit::ExitCode;
use crate::logging;

/// One conversation in so many, the newest, is held back to tell what a model is worth.
const HELD_BACK: usize = 5;

/// Articles that are named where some are missing.
const NAMED: usize = 5;

/// The first of these, and how many there are beside them.
fn first_of(articles: &[String]) -> String {
    let named = articles[..articles.len().min(NAMED)].join(", ");
    match articles.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}, and {more} more"),
    }
}

/// Learns a model and tells what it is worth.
pub fn run(arguments: &TrainArgs) -> anyhow::Result<ExitCode> {
    logging::start_for_tool();
    let open = knowledge::engine(&arguments.knowledge)?;
    let encoder = open.engine.encoder().model().identity();
    let against = arguments.against.as_deref().map(|path| read_model(path, &encoder)).transpose()?;
    let model = match (&arguments.conversations, &arguments.feedback) {
        (Some(conversations), _) => labelled::learn(arguments, conversations, &open, against)?,
        (None, Some(ledger)) => feedback::learn(arguments, ledger, &open, against.as_ref())?,
        (None, None) => anyhow::bail!("give --conversations FILE or --feedback LEDGER"),
    };
    write(&model, &arguments.out)?;
    report(&model, arguments)?;
    Ok(ExitCode::Success)
}

fn write(model: &Model, path: &Path) -> anyhow::Result<()> {
    let unfinished = path.with_extension("new");
    let written = model.written()?;
    std::fs::write(&unfinished, written)
        .and_then(|()| std::fs::rename(&unfinished, path))
        .with_context(|| format!("the model can't be written to {}", path.display()))
}

/// What was learned, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a Path,
    version: &'a str,
    #[serde(flatten)]
    trained: &'a Trained,
}

fn report(model: &Model, arguments: &TrainArgs) -> anyhow::Result<()> {
    if arguments.json {
        let report = Report { model: &arguments.out, version: &model.version, trained: &model.trained };
        say!("{}", serde_json::to_string(&report)?);
        return Ok(());
    }
    say!("written to {}", arguments.out.display());
    print_model(model);
    Ok(())
}

/// How a model was learned, and what it gains.
pub fn print_model(model: &Model) {
    let trained = &model.trained;
    say!("model {}, learned at {}", model.version, trained.at);
    let (conversations, wanted, quiet) = (trained.conversations, trained.wanted_turns, trained.quiet_turns);
    say!(
        "from {conversations} conversations: {wanted} turns that want a card, {quiet} that want none ({})",
        trained.source
    );
    let gate = match (&trained.gate_of, &model.gate) {
        (Some(version), _) => format!("of model {version}"),
        (None, Some(_)) => "learned".to_owned(),
        (None, None) => "by hand".to_owned(),
    };
    let share = match trained.share {
        share if share < 1.0 => format!(", of which {share} counts beside the formula, for want of labels"),
        _ => String::new(),
    };
    say!("order learned{share}, gate {gate}");
    for part in &trained.left_out {
        say!("left out: {part}");
    }
    let with = trained.compared_with.as_ref().map_or("the formula".to_owned(), |version| format!("model {version}"));
    say!("\non the newest conversations, not seen in training, against {with}:");
    say!("{:<27} {:>8} {:>8} {:>8}   95 % of the gain", "", "before", "after", "gain");
    for gain in &trained.gains {
        let ([low, high], difference) = (gain.interval, gain.after - gain.before);
        let verdict = if gain.is_gain() { "better" } else { "not proven better" };
        say!(
            "{:<27} {:>8.4} {:>8.4} {difference:>+8.4}   {low:>+7.4} {high:>+7.4}   {verdict}",
            gain.measure,
            gain.before,
            gain.after
        );
    }
}

//! `cuecard index`

use super::knowledge;
use crate::cli::IndexArgs;
use crate::exit::ExitCode;
use crate::logging;

/// Builds or updates the index and says what changed.
pub fn run(arguments: &IndexArgs) -> anyhow::Result<ExitCode> {
    logging::start_for_tool();
    let encoder = knowledge::encoder()?;
    let updated = match (&arguments.articles, &arguments.chroma, &arguments.remove_source) {
        (Some(articles), _, _) => {
            knowledge::update(articles, arguments.source_name.as_deref(), &arguments.index, &encoder)?
        }
        (_, Some(server), _) => knowledge::import(server, &arguments.collection, &arguments.index, &encoder)?,
        (_, _, Some(source)) => knowledge::remove_source(source, &arguments.index, &encoder)?,
        (None, None, None) => anyhow::bail!("give --articles FILE, --chroma URL or --remove-source NAME"),
    };
    if arguments.json {
        say!("{}", serde_json::to_string(&updated)?);
        return Ok(ExitCode::Success);
    }
    let knowledge::Updated { report, skipped } = &updated;
    if let Some(reason) = &report.started_afresh {
        say!("started afresh: {reason}");
    }
    let what = if report.published { "is in service" } else { "stays in service, nothing changed" };
    say!("generation {} {what}: {} articles in {} chunks", report.generation, report.articles, report.chunks);
    say!(
        "{} added, {} changed, {} removed, {} unchanged, {skipped} skipped; {} texts embedded in {:.1} s",
        report.added,
        report.changed,
        report.removed,
        report.unchanged,
        report.embedded,
        report.duration_seconds
    );
    if let Some(half_phrased) = knowledge::half_phrased(report.phrased, report.articles) {
        say!("{half_phrased}");
    }
    Ok(ExitCode::Success)
}

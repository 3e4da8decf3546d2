//! `cuecard index`

use std::process::ExitCode;

use super::knowledge;
use crate::cli::IndexArgs;
use crate::logging;

/// Builds or updates the index and says what changed.
pub fn run(arguments: &IndexArgs) -> anyhow::Result<ExitCode> {
    logging::start(logging::TOOL);
    let encoder = knowledge::encoder()?;
    let report = match (&arguments.articles, &arguments.chroma) {
        (Some(articles), _) => {
            knowledge::update(articles, arguments.source_name.as_deref(), &arguments.index, &encoder)?
        }
        (None, Some(server)) => knowledge::import(server, &arguments.collection, &arguments.index, &encoder)?,
        (None, None) => anyhow::bail!("give --articles FILE or --chroma URL"),
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(reason) = &report.started_afresh {
        println!("started afresh: {reason}");
    }
    let what = if report.published { "is in service" } else { "stays in service, nothing changed" };
    println!("generation {} {what}: {} articles in {} chunks", report.generation, report.articles, report.chunks);
    println!(
        "{} added, {} changed, {} removed, {} unchanged; {} texts embedded in {:.1} s",
        report.added, report.changed, report.removed, report.unchanged, report.embedded, report.duration_seconds
    );
    Ok(ExitCode::SUCCESS)
}

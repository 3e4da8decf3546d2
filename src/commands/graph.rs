//! `cuecard graph load`

use anyhow::Context as _;
use cuecard_actors::engine::knowledge::graph::{EmbeddedGraph, GraphSettings, Neo4jGraph, Neo4jSettings, read_graph};

use super::knowledge::SHOWN_BAD_ROWS;
use super::progress::Progress;
use crate::cli::GraphLoadArgs;
use crate::exit::ExitCode;
use crate::logging;
use crate::service;
use crate::settings::ToolSettings;

/// Puts a graph file into a Neo4j database; what is there already is brought up to date.
pub fn load(arguments: &GraphLoadArgs) -> anyhow::Result<ExitCode> {
    logging::start_for_tool();
    let settings = ToolSettings::of_environment()?.profile;
    let uri = settings.neo4j_uri.trim();
    anyhow::ensure!(!uri.is_empty(), "no database is named; set NEO4J_URI, for example bolt://127.0.0.1:7687");
    let reading = Progress::waiting("reading the graph");
    let (file, report) = read_graph(&arguments.graph)?;
    drop(reading);
    for bad_row in report.file.bad_rows.iter().take(SHOWN_BAD_ROWS) {
        eprintln!("skipped {}", report.file.describe(bad_row));
    }
    if let Some(unreachable) = EmbeddedGraph::new(file.clone()).unreachable(&GraphSettings::default()) {
        eprintln!("{unreachable}; docs/knowledge.md says how articles are found");
    }
    let graph = Neo4jGraph::connect(&Neo4jSettings {
        uri: uri.to_owned(),
        user: settings.neo4j_user.clone(),
        password: settings.neo4j_password.clone(),
        timeout: arguments.timeout.into(),
    })?;
    let bar = Progress::waiting("loading the graph");
    let progress = |done, total| bar.at(done, total);
    let loaded = service::on_system(graph.load(&file, &progress))?;
    drop(bar);
    let loaded = loaded.with_context(|| format!("{} can't be put into {uri}", arguments.graph.display()))?;
    say!(
        "{} queries, {} articles and {} relations are in {uri}; {} bad rows were skipped",
        loaded.queries,
        loaded.articles,
        loaded.relations,
        report.file.bad_rows.len()
    );
    Ok(ExitCode::Success)
}

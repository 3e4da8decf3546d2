//! What the tools share: loading the encoder, building an index, opening an engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cuecard_actors::engine::encoder::{Encoder, EncoderSettings};
use cuecard_actors::engine::evaluation::{Conversation, read_conversations};
use cuecard_actors::engine::knowledge::chroma::{self, ChromaCollection, ChromaSettings};
use cuecard_actors::engine::knowledge::{
    BuildReport, Completeness, IndexHandle, ModelIdentity, TextEncoder, Update, build, read_articles,
};
use cuecard_actors::engine::{BulkEncoder, Engine, SearchPool};
use secrecy::ExposeSecret;
use serde::Serialize;
use tempfile::TempDir;

use url::Url;

use super::progress::Progress;
use crate::cli::KnowledgeArgs;
use crate::service;
use crate::settings::ToolSettings;

/// One page of a collection may take this long.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(30);
/// Bad rows that are shown one by one; the rest is counted.
pub const SHOWN_BAD_ROWS: usize = 20;

/// What an update of an index did.
#[derive(Debug, Serialize)]
pub struct Updated {
    #[serde(flatten)]
    pub report: BuildReport,
    /// Rows of the file, or records of the collection, that are no articles.
    pub skipped: usize,
}

/// An engine, and the directory that must live as long where it was made for this call only.
pub struct OpenEngine {
    pub engine: Engine,
    pub index: Arc<IndexHandle>,
    _made_for_this_call: Option<TempDir>,
}

/// Loads the model with every core, unless the environment says otherwise.
pub fn encoder() -> anyhow::Result<Encoder> {
    load_encoder(&ToolSettings::of_environment()?.encoder.settings(None, |cores| cores))
}

/// Loads a model.
pub fn load_encoder(settings: &EncoderSettings) -> anyhow::Result<Encoder> {
    let _progress = Progress::waiting("loading the model");
    Encoder::load(settings).context("the encoder can't be loaded")
}

/// Opens the index, or indexes the articles for this call.
pub fn engine(arguments: &KnowledgeArgs) -> anyhow::Result<OpenEngine> {
    engine_with(encoder()?, arguments)
}

/// The same with a model that is loaded.
pub fn engine_with(encoder: Encoder, arguments: &KnowledgeArgs) -> anyhow::Result<OpenEngine> {
    let (directory, made): (PathBuf, _) = match (&arguments.index, &arguments.articles) {
        (Some(index), _) => (index.clone(), None),
        (None, Some(articles)) => {
            let made = TempDir::with_prefix("cuecard-index-")
                .context("no directory for the index can be made; point TMPDIR to one that can be written")?;
            update(articles, None, made.path(), &encoder)?;
            (made.path().to_owned(), Some(made))
        }
        (None, None) => anyhow::bail!("give --index DIR or --articles FILE"),
    };
    let pool = SearchPool::new(1)?;
    let index = open(&encoder, &directory)?;
    let engine = Engine::of_index(encoder, pool, Arc::clone(&index));
    Ok(OpenEngine { engine, index, _made_for_this_call: made })
}

/// Conversations that want a card, and those that want none.
pub fn conversations(seeking: &Path, quiet: Option<&Path>) -> anyhow::Result<(Vec<Conversation>, Vec<Conversation>)> {
    let _progress = Progress::waiting("reading the conversations");
    let seeking = read_conversations(seeking)?;
    Ok((seeking, quiet.map(read_conversations).transpose()?.unwrap_or_default()))
}

/// Opens an index that the encoder's model made.
fn open(encoder: &Encoder, directory: &Path) -> anyhow::Result<Arc<IndexHandle>> {
    let _progress = Progress::waiting("opening the index");
    let identity = ModelIdentity::of(&BulkEncoder::new(encoder.clone()));
    let index = IndexHandle::open(directory, Some(identity))
        .with_context(|| format!("the index {} can't be used", directory.display()))?;
    Ok(Arc::new(index))
}

/// Waits on this thread for the engine, or for a ledger.
pub fn block_on<F: Future>(work: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.context("no runtime can be started; allow this user more open files (ulimit -n)")?.block_on(work))
}

/// Brings an index up to date with a file; bad rows go to stderr.
pub fn update(
    articles: &Path,
    source_name: Option<&str>,
    directory: &Path,
    encoder: &Encoder,
) -> anyhow::Result<Updated> {
    let reading = Progress::waiting("reading the articles");
    let file = read_articles(articles)?;
    drop(reading);
    for bad_row in file.report.bad_rows.iter().take(SHOWN_BAD_ROWS) {
        eprintln!("skipped {}", file.report.describe(bad_row));
    }
    let skipped = file.report.bad_rows.len();
    if skipped > 0 {
        eprintln!("skipped {skipped} bad rows in all; mend them and index the file again");
    }
    if file.report.repaired_rows > 0 {
        let repaired = file.report.repaired_rows;
        eprintln!(
            "{repaired} rows have bytes that are not UTF-8, or halves of characters; each of them is shown as \u{fffd}"
        );
    }
    let source = source_name.map_or_else(|| source_of(articles), str::to_owned);
    let update = Update { source, articles: file.articles, completeness: Completeness::Full };
    let report = publish(directory, update, &BulkEncoder::new(encoder.clone()))?;
    Ok(Updated { report, skipped })
}

/// Takes out of an index what a source brought; articles that another source holds as well stay.
pub fn remove_source(source: &str, directory: &Path, encoder: &Encoder) -> anyhow::Result<Updated> {
    let sources = open(encoder, directory)?.current().manifest().sources.clone();
    if !sources.contains_key(source) {
        let known: Vec<_> = sources.keys().map(|name| format!("`{name}`")).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        anyhow::bail!(
            "the index {} holds no source `{source}`; it holds {known}: name one of them with --remove-source",
            directory.display()
        );
    }
    let update = Update { source: source.to_owned(), articles: Vec::new(), completeness: Completeness::Full };
    let report = publish(directory, update, &BulkEncoder::new(encoder.clone()))?;
    Ok(Updated { report, skipped: 0 })
}

/// A file is the same source whether it is compressed or not.
fn source_of(articles: &Path) -> String {
    let name = articles.file_name().unwrap_or(articles.as_os_str()).to_string_lossy();
    format!("file:{}", name.strip_suffix(".gz").unwrap_or(&name))
}

/// Brings an index up to date with a collection of a Chroma server.
pub fn import(server: &Url, collection: &str, directory: &Path, encoder: &Encoder) -> anyhow::Result<Updated> {
    let profile = ToolSettings::of_environment()?.profile;
    let settings = ChromaSettings {
        url: server.clone(),
        tenant: profile.chroma_tenant,
        database: profile.chroma_database,
        collection: collection.to_owned(),
        token: Some(profile.chroma_token).filter(|token| !token.expose_secret().is_empty()),
        timeout: IMPORT_TIMEOUT,
    };
    let bulk = BulkEncoder::new(encoder.clone());
    let reading = Progress::waiting("reading the collection");
    let read = service::on_system(async {
        let opened = ChromaCollection::open_for_import(&settings).await?;
        opened.read_all().await
    })?;
    drop(reading);
    let records = read.with_context(|| format!("the collection {collection} of {server} can't be read"))?;
    let (update, taken_over, import) = chroma::update(records, &bulk)?;
    for record in &import.unreadable.named {
        eprintln!("skipped {record}");
    }
    eprintln!("{} of {} vectors are taken over", import.taken_over, import.records);
    if let Some(reason) = &import.not_taken_over {
        eprintln!("none is taken over: {reason}");
    }
    let mut report = publish(directory, update, &taken_over)?;
    report.embedded = report.embedded.saturating_sub(taken_over.answered());
    Ok(Updated { report, skipped: import.without_text + import.unreadable.count })
}

/// What is wrong where some articles say how customers ask for them and others don't.
pub fn half_phrased(phrased: usize, articles: usize) -> Option<String> {
    let unphrased = articles.checked_sub(phrased).filter(|unphrased| *unphrased > 0 && phrased > 0)?;
    Some(format!(
        "{unphrased} of {articles} articles have no `asked_as`, and are harder to find than those that have; give it to all"
    ))
}

fn publish(directory: &Path, update: Update, encoder: &dyn TextEncoder) -> anyhow::Result<BuildReport> {
    let progress = Progress::waiting("building the index");
    build(directory, update, encoder, &progress)
        .with_context(|| format!("the index {} can't be built", directory.display()))
}

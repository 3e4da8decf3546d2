//! Builds the next generation of an index from what one source answered.
//!
//! Input are the articles of a source and an encoder; output is a published generation and a report, or neither: until
//! `CURRENT` is replaced in the last step, an error leaves the index as it was. What didn't change costs nothing: its
//! vectors, its place in the lexical index and the base of the vectors are taken over. An index that is damaged or of another
//! format is built from nothing, one of another model from the articles that it holds.

mod embed;
mod plan;
mod report;
mod rows;
mod start;
mod write;

use std::collections::HashSet;
use std::num::NonZero;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Instant;

pub(crate) use embed::embed_checked;
pub use report::{BuildPhase, BuildProgress, BuildReport};

use crate::article::Article;
use crate::build::embed::fresh_entries;
use crate::build::plan::{Plan, plan};
use crate::build::rows::arrange;
use crate::build::start::{Before, Start};
use crate::build::write::NewGeneration;
use crate::encoder::{ModelIdentity, TextEncoder};
use crate::error::IndexError;
use crate::store::durable::create_directory;
use crate::store::embeddings::Embeddings;
use crate::store::entries::Entry;
use crate::store::layout::Layout;
use crate::store::lock::WriterLock;

/// Whether an update is all that its source holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// What the source held before and is not in the update is removed.
    Full,
    /// Nothing is removed.
    Partial,
}

/// What a source answered. Of several articles with one id the last counts.
#[derive(Debug, Clone)]
pub struct Update {
    /// `file:<name>`, `cxone:<profile>`, `chroma:<collection>`.
    pub source: String,
    pub articles: Vec<Article>,
    pub completeness: Completeness,
}

/// How an index is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSettings {
    /// From this many passages on the vectors get a graph; below, scanning all of them is faster.
    pub exact_below: usize,
    /// Threads that build the graph.
    pub graph_threads: usize,
}

impl Default for BuildSettings {
    /// 50,000 is where instant-distance overtakes the exact scan on one core; half of the cores stay free for the
    /// service that may run beside the build.
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        Self { exact_below: 50_000, graph_threads: (cores / 2).max(1) }
    }
}

/// Builds with the default settings, see [`build_with`].
pub fn build(
    directory: &Path,
    update: Update,
    encoder: &dyn TextEncoder,
    progress: &dyn BuildProgress,
) -> Result<BuildReport, IndexError> {
    build_with(directory, update, encoder, &BuildSettings::default(), progress)
}

/// Brings the index in `directory` up to date with `update`, making it if there is none. Blocks until the new
/// generation is in service. One writer at a time: a second one gets [`IndexError::Locked`].
pub fn build_with(
    directory: &Path,
    update: Update,
    encoder: &dyn TextEncoder,
    settings: &BuildSettings,
    progress: &dyn BuildProgress,
) -> Result<BuildReport, IndexError> {
    if update.source.trim().is_empty() {
        return Err(IndexError::NoSourceName);
    }
    let started = Instant::now();
    let layout = Layout::new(directory);
    create_directory(&layout.generations())?;
    let _lock = WriterLock::take(&layout)?;
    progress.phase(BuildPhase::Comparing);
    let start = Start::read(&layout, &ModelIdentity::of(encoder), update.completeness)?;
    let mut report = BuildReport { started_afresh: start.afresh, ..BuildReport::default() };
    let mut plan = plan(start.entries, update);
    report.count(&plan);
    match start.before {
        Some(before) if plan.is_unchanged() => {
            report.finish(&plan.kept, before.generation.manifest.generation, started);
        }
        before => {
            if before.is_none() {
                plan.renew_all();
            }
            let writer = Writer { layout: &layout, encoder, settings, progress };
            let (number, entries) = writer.publish(before.as_ref(), plan, &mut report)?;
            report.published = true;
            report.finish(&entries, number, started);
        }
    }
    Ok(report)
}

/// What every step of writing a generation needs.
struct Writer<'a> {
    layout: &'a Layout,
    encoder: &'a dyn TextEncoder,
    settings: &'a BuildSettings,
    progress: &'a dyn BuildProgress,
}

impl Writer<'_> {
    /// Writes the generation that `plan` describes and puts it in service; gives its number and its articles.
    fn publish(
        &self,
        before: Option<&Before>,
        plan: Plan,
        report: &mut BuildReport,
    ) -> Result<(u64, Vec<Entry>), IndexError> {
        let embeddings = Embeddings::open(&self.layout.embeddings())?;
        let first_document = before.map_or(1, |before| before.generation.manifest.next_document);
        let fresh = fresh_entries(plan.fresh, first_document, self.encoder, &embeddings, self.progress)?;
        report.embedded = fresh.embedded;
        let (mut kept, mut added) = (plan.kept, fresh.entries);
        let arranged = arrange(before, &mut kept, &mut added, fresh.matrix, self.settings.exact_below);
        let new = NewGeneration {
            number: self.layout.next_number()?,
            identity: ModelIdentity::of(self.encoder),
            new_documents: first_document..first_document + added.len() as u64,
            removed: plan.gone.iter().map(|entry| entry.document).collect(),
            entries: in_order(kept, added),
            arranged,
        };
        self.write(before, &new)?.publish(self.layout)?;
        self.layout.sweep(Some(new.number))?;
        let passages = new.entries.iter().flat_map(|entry| &entry.passages);
        embeddings.prune(&passages.map(|passage| passage.key).collect::<HashSet<_>>())?;
        Ok((new.number, new.entries))
    }
}

fn in_order(mut entries: Vec<Entry>, added: Vec<Entry>) -> Vec<Entry> {
    entries.extend(added);
    entries.sort_by(|a, b| a.order().cmp(&b.order()));
    entries
}

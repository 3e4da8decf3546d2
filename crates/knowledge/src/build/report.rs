//! What a build says while it runs and when it is done.

use std::time::Instant;

use serde::Serialize;

use crate::build::plan::Plan;
use crate::store::entries::Entry;

/// The steps of a build, in their order; a step without work is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildPhase {
    /// Reading the generation before and comparing the articles with it.
    Comparing,
    Embedding,
    Lexical,
    /// Writing vectors and articles.
    Vectors,
    /// Building the graph over a new base.
    Graph,
    /// Flushing to disk and replacing `CURRENT`.
    Publishing,
}

/// Watches a build; called from the thread that builds.
pub trait BuildProgress: Sync {
    fn phase(&self, phase: BuildPhase);

    /// `done` of `total` texts are embedded; texts whose vectors were known are in neither.
    fn embedded(&self, done: usize, total: usize);
}

/// Nobody watches.
impl BuildProgress for () {
    fn phase(&self, _: BuildPhase) {}

    fn embedded(&self, _: usize, _: usize) {}
}

/// The outcome of a build. Added, changed, removed and unchanged count the articles of the update's source.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct BuildReport {
    /// The generation in service afterwards.
    pub generation: u64,
    /// Whether it is a new one; `false` when nothing had changed.
    pub published: bool,
    /// Articles in the index, of all sources.
    pub articles: usize,
    pub added: usize,
    pub changed: usize,
    pub removed: usize,
    pub unchanged: usize,
    /// Passages in the index.
    pub chunks: usize,
    /// Texts that the encoder was asked for.
    pub embedded: usize,
    /// Why nothing of the generation before could be taken over; for people.
    pub started_afresh: Option<String>,
    pub duration_seconds: f64,
}

impl BuildReport {
    pub(super) fn count(&mut self, plan: &Plan) {
        self.added = plan.added;
        self.changed = plan.changed;
        self.removed = plan.removed;
        self.unchanged = plan.unchanged;
    }

    pub(super) fn finish(&mut self, entries: &[Entry], generation: u64, started: Instant) {
        self.generation = generation;
        self.articles = entries.len();
        self.chunks = entries.iter().map(|entry| entry.passages.len()).sum();
        self.duration_seconds = started.elapsed().as_secs_f64();
    }
}

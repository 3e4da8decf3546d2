//! What a build takes in, how it goes about it, and what it says while it runs and when it is done.

use std::num::NonZero;
use std::thread::available_parallelism;

use serde::Serialize;

use crate::article::Article;

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
    /// From this many passages on the vectors get a nearest-neighbour graph; below, scanning all of them is faster.
    pub exact_below: usize,
    /// Threads that build the graph.
    pub neighbour_threads: usize,
}

impl Default for BuildSettings {
    /// 50,000 is where instant-distance overtakes the exact scan on one core; half of the cores stay free for the
    /// service that may run beside the build.
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        Self { exact_below: 50_000, neighbour_threads: (cores / 2).max(1) }
    }
}

/// The steps of a build, in their order; a step without work is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildPhase {
    /// Reading the generation before and comparing the articles with it.
    Comparing,
    /// Cutting articles into passages.
    Cutting,
    /// Embedding passages.
    Embedding,
    /// Embedding sentences.
    Sentences,
    /// Embedding names.
    Names,
    /// Embedding titles without the names in them.
    Titles,
    Lexical,
    /// Writing vectors and articles.
    Vectors,
    /// Flushing to disk and replacing `CURRENT`.
    Publishing,
    /// Building the nearest-neighbour graph over a new base, which is then written as another generation.
    Neighbours,
}

/// Watches a build; called from the thread that builds.
pub trait BuildProgress: Sync {
    fn phase(&self, phase: BuildPhase);

    /// `done` of `total` articles are cut, or texts embedded; texts whose vectors were known are in neither.
    fn done(&self, done: usize, total: usize);
}

/// Nobody watches.
impl BuildProgress for () {
    fn phase(&self, _: BuildPhase) {}

    fn done(&self, _: usize, _: usize) {}
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
    /// Those of them that say how customers ask for them.
    pub phrased: usize,
    pub added: usize,
    pub changed: usize,
    pub removed: usize,
    pub unchanged: usize,
    /// Passages in the index.
    pub chunks: usize,
    /// Passages that the encoder was asked for.
    pub embedded: usize,
    /// Why nothing of the generation before could be taken over; for people.
    pub started_afresh: Option<String>,
    pub duration_seconds: f64,
}

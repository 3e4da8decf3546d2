//! How an index is built.

use std::num::NonZero;
use std::thread::available_parallelism;

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

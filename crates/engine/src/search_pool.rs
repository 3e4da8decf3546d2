//! The bounded pool on which indexes are searched.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A fixed number of threads for work that takes milliseconds of CPU. Cheap to clone.
#[derive(Clone)]
pub struct SearchPool {
    pool: Arc<rayon::ThreadPool>,
}

/// The pool's threads could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {threads} search threads: {reason}; set search.threads lower")]
pub struct SearchPoolError {
    threads: usize,
    reason: rayon::ThreadPoolBuildError,
}

impl SearchPool {
    /// Starts a pool of this many threads.
    pub fn new(threads: usize) -> Result<Self, SearchPoolError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("search-{number}"))
            .build()
            .map_err(|reason| SearchPoolError { threads, reason })?;
        Ok(Self { pool: Arc::new(pool) })
    }

    /// Runs a job on the pool. A job that panics costs only what it holds: rayon would end the process.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        self.pool.spawn(move || {
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a search panicked");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_panicking_job_leaves_the_pool_at_work() {
        let pool = SearchPool::new(1).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        pool.spawn(|| panic!("injected"));
        pool.spawn(move || sender.send(7).unwrap());
        assert_eq!(receiver.recv(), Ok(7));
    }
}

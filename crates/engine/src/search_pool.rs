//! The bounded pool on which indexes are searched.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;

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

    /// Runs a job on the pool and waits for what it gives. A job that panics costs only what it holds: rayon would end
    /// the process.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, JobPanicked> {
        let (sender, receiver) = oneshot::channel();
        self.pool.spawn(move || {
            if let Ok(done) = catch_unwind(AssertUnwindSafe(job)) {
                // Whoever waited may have given up.
                drop(sender.send(done));
            } else {
                tracing::error!("a search panicked");
            }
        });
        receiver.await.map_err(|_| JobPanicked)
    }
}

/// What was to be computed panicked; the log says where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a search panicked")]
pub struct JobPanicked;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_panicking_job_leaves_the_pool_at_work() {
        let pool = SearchPool::new(1).unwrap();
        let panicked: Result<(), _> = pool.run(|| panic!("injected")).await;
        assert_eq!((panicked, pool.run(|| 7).await), (Err(JobPanicked), Ok(7)));
    }
}

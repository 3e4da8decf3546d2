//! The bounded pool on which indexes are searched.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use cuecard_encoder::{Lane, Turns};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads for work that takes milliseconds of CPU. Cheap to clone.
#[derive(Clone)]
pub struct SearchPool {
    pool: Arc<rayon::ThreadPool>,
    waiting: Arc<Mutex<Turns<Job>>>,
    /// Whose work this handle's is.
    lane: Lane,
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
        Ok(Self { pool: Arc::new(pool), waiting: Arc::default(), lane: Lane::own() })
    }

    /// A handle whose work waits in a lane of its own: served turn by turn with the others, whatever those ask for.
    #[must_use]
    pub fn with_own_lane(&self) -> Self {
        Self { lane: Lane::own(), ..self.clone() }
    }

    /// Runs a job on the pool and waits for what it gives. A job that panics costs only what it holds: rayon would end
    /// the process.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, JobPanicked> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move || {
            if let Ok(done) = catch_unwind(AssertUnwindSafe(job)) {
                // Whoever waited may have given up.
                drop(sender.send(done));
            } else {
                tracing::error!("a search panicked");
            }
        });
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(self.lane, job);
        let waiting = Arc::clone(&self.waiting);
        // As many looks as jobs: each takes the one whose turn it is then.
        self.pool.spawn(move || {
            let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
            if let Some(job) = job {
                job();
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

    #[tokio::test]
    async fn one_job_of_a_lane_waits_for_one_of_the_many_of_another() {
        let pool = SearchPool::new(1).unwrap();
        let (much, little) = (pool.with_own_lane(), pool.with_own_lane());
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |what: &'static str| {
            let order = Arc::clone(&order);
            move || order.lock().unwrap().push(what)
        };
        let first = much.run(move || gate.recv().unwrap());
        let many = futures_util::future::join_all((0..5).map(|_| much.run(note("much"))));
        let one = little.run(note("little"));
        let opened = async {
            tokio::task::yield_now().await;
            open.send(()).unwrap();
        };
        let (first, many, one, ()) = tokio::join!(first, many, one, opened);
        assert!(first.is_ok() && one.is_ok() && many.iter().all(Result::is_ok));
        let place = order.lock().unwrap().iter().position(|what| *what == "little").unwrap();
        assert!(place <= 1, "{place}: {:?}", order.lock().unwrap());
    }
}

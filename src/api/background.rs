//! What goes on when its caller hangs up: submissions of rankings, and callbacks. A stop waits for it; whoever still
//! waits for somebody else when the grace is over is told to write down what there is and end.

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks that a stop waits for. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Background {
    runtime: Handle,
    tasks: TaskTracker,
    grace_over: CancellationToken,
}

impl Background {
    /// No tasks yet; they run on the runtime that this is called in.
    pub(super) fn new() -> Self {
        Self { runtime: Handle::current(), tasks: TaskTracker::new(), grace_over: CancellationToken::new() }
    }

    pub(super) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.tasks.spawn_on(task, &self.runtime)
    }

    /// Waits for somebody else; `None` when the grace of a stop is over first.
    pub(super) async fn within_grace<T>(&self, waiting: impl Future<Output = T>) -> Option<T> {
        self.grace_over.run_until_cancelled(waiting).await
    }

    /// Whether nobody else is waited for any more.
    pub(super) fn is_grace_over(&self) -> bool {
        self.grace_over.is_cancelled()
    }

    /// From now on nobody else is waited for.
    pub(super) fn end_grace(&self) {
        self.grace_over.cancel();
    }

    /// Waits until every task has ended.
    pub(super) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

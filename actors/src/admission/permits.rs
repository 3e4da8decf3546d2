//! Who may be on the way through the stages: so many questions in all, and of those that only this process works on no
//! more than it has threads for. More of them would be done no sooner; they would wait within the stages, where nobody's
//! turn counts, before the questions of others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// All permits. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Permits {
    shared: Arc<Shared>,
}

struct Shared {
    num: usize,
    for_own_work: usize,
    free: Arc<Semaphore>,
    own_work: AtomicUsize,
    changed: Arc<Notify>,
}

impl Permits {
    /// So many in all, and of those so many at most for questions that wait for nobody outside. `changed` is told when one is
    /// given back.
    pub fn new(num: usize, for_own_work: usize, changed: Arc<Notify>) -> Self {
        let (free, own_work) = (Arc::new(Semaphore::new(num)), AtomicUsize::new(0));
        Self { shared: Arc::new(Shared { num, for_own_work, free, own_work, changed }) }
    }

    /// Whether one more question may have one as soon as one is free.
    pub(super) fn is_within_bound(&self, waits_outside: bool) -> bool {
        waits_outside || self.shared.own_work.load(Ordering::Acquire) < self.shared.for_own_work
    }

    /// Waits until one is free; it goes back with what holds it.
    pub(crate) async fn one_free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.shared.free).acquire_owned().await.ok()
    }

    /// Gives a free one to a question.
    pub(crate) fn take(&self, free: OwnedSemaphorePermit, waits_outside: bool) -> Permit {
        if !waits_outside {
            self.shared.own_work.fetch_add(1, Ordering::AcqRel);
        }
        Permit { free: Some(free), waits_outside, permits: self.clone() }
    }

    /// Waits until nobody has one.
    pub(super) async fn all_back(&self) -> Option<impl Drop + use<>> {
        let all = u32::try_from(self.shared.num).unwrap_or(u32::MAX);
        Arc::clone(&self.shared.free).acquire_many_owned(all).await.ok()
    }

    /// How many could still be taken.
    pub fn num_free(&self) -> usize {
        self.shared.free.available_permits()
    }

    /// How many are taken.
    pub fn num_taken(&self) -> usize {
        self.shared.num - self.num_free()
    }
}

/// One question on its way.
pub struct Permit {
    free: Option<OwnedSemaphorePermit>,
    waits_outside: bool,
    permits: Permits,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.waits_outside {
            self.permits.shared.own_work.fetch_sub(1, Ordering::AcqRel);
        }
        // Free before somebody looks.
        self.free = None;
        self.permits.shared.changed.notify_one();
    }
}

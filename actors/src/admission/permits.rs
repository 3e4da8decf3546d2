//! Who may be on the way through the stages: so many questions of all profiles, and of a profile whose questions only this
//! process works on no more than it has threads for. More of them would be done no sooner; they would wait within the
//! stages, where nobody's turn counts, before the questions of others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::messages::ProfileName;

/// All permits. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Permits {
    shared: Arc<Shared>,
}

struct Shared {
    num: usize,
    for_own_work: usize,
    free: Arc<Semaphore>,
    taken: Mutex<HashMap<ProfileName, usize>>,
    changed: Arc<Notify>,
}

impl Permits {
    /// So many in all, and of those so many at most for one profile's questions that wait for nobody outside. `changed` is
    /// told when one is given back.
    pub fn new(num: usize, for_own_work: usize, changed: Arc<Notify>) -> Self {
        let (free, taken) = (Arc::new(Semaphore::new(num)), Mutex::default());
        Self { shared: Arc::new(Shared { num, for_own_work, free, taken, changed }) }
    }

    /// Whether a profile may have one more as soon as one is free.
    pub(super) fn is_within_bound(&self, profile: &ProfileName, waits_outside: bool) -> bool {
        waits_outside || self.taken().get(profile).copied().unwrap_or(0) < self.shared.for_own_work
    }

    /// Waits until one is free; it goes back with what holds it.
    pub(crate) async fn one_free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.shared.free).acquire_owned().await.ok()
    }

    /// Gives a free one to a profile.
    pub(crate) fn take(&self, free: OwnedSemaphorePermit, profile: &ProfileName) -> Permit {
        *self.taken().entry(profile.clone()).or_default() += 1;
        Permit { free: Some(free), profile: profile.clone(), permits: self.clone() }
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

    fn taken(&self) -> MutexGuard<'_, HashMap<ProfileName, usize>> {
        // Nothing panics while it is held.
        self.shared.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One question on its way.
pub struct Permit {
    free: Option<OwnedSemaphorePermit>,
    profile: ProfileName,
    permits: Permits,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.permits.taken();
        if let Some(number) = taken.get_mut(&self.profile) {
            *number -= 1;
            if *number == 0 {
                taken.remove(&self.profile);
            }
        }
        drop(taken);
        // Free before somebody looks.
        self.free = None;
        self.permits.shared.changed.notify_one();
    }
}

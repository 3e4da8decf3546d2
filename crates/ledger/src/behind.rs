//! What is written behind somebody's back: records for which nobody waits.
//!
//! They wait in bounded memory, in their order, for as long as the ledger can't be written. Where there is no room left for a
//! kind, the new record is refused, and whoever has it counts it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strum::EnumCount;
use tokio::sync::Notify;

use crate::writes::Write;

/// What may wait of each kind in memory.
const MOST: usize = 20_000;
/// What the decisions among them may take.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// A kind of record that is written behind somebody's back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumCount, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum BehindKind {
    /// What agents did with cards.
    Feedback,
    /// What was shown.
    Deliveries,
    /// What was decided.
    Decisions,
}

impl BehindKind {
    pub fn name(self) -> &'static str {
        self.into()
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Behind {
    waiting: Arc<Mutex<Waiting>>,
    came: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Waiting {
    writes: VecDeque<Write>,
    counts: [usize; BehindKind::COUNT],
    num_bytes: usize,
}

impl Behind {
    /// Whether there was room.
    pub(crate) fn add(&self, kind: BehindKind, write: Write) -> bool {
        let mut waiting = self.lock();
        let num_bytes = write.num_bytes();
        if waiting.counts[kind as usize] >= MOST || num_bytes > 0 && waiting.num_bytes + num_bytes > MOST_BYTES {
            return false;
        }
        waiting.counts[kind as usize] += 1;
        waiting.num_bytes += num_bytes;
        waiting.writes.push_back(write);
        drop(waiting);
        self.came.notify_one();
        true
    }

    /// The oldest, at most so many. They count as waiting until they are [done](Self::done).
    pub(crate) fn take(&self, most: usize) -> Vec<Write> {
        let mut waiting = self.lock();
        let most = most.min(waiting.writes.len());
        waiting.writes.drain(..most).collect()
    }

    /// Puts back what could not be written, before what came meanwhile.
    pub(crate) fn put_back(&self, writes: Vec<Write>) {
        let mut waiting = self.lock();
        writes.into_iter().rev().for_each(|write| waiting.writes.push_front(write));
        drop(waiting);
        self.came.notify_one();
    }

    /// Forgets what waits of an interaction, of one profile or of all; gives how many.
    pub(crate) fn erase(&self, interaction: &str, profile: Option<&str>) -> usize {
        let mut waiting = self.lock();
        let Waiting { writes, counts, num_bytes } = &mut *waiting;
        let before = writes.len();
        writes.retain(|write| {
            let is_of = |whose: &str, of: &str| of == interaction && profile.is_none_or(|profile| profile == whose);
            let Some(kind) = write.behind_kind().filter(|_| write.whose().is_some_and(|(of, call)| is_of(of, call)))
            else {
                return true;
            };
            counts[kind as usize] -= 1;
            *num_bytes -= write.num_bytes();
            false
        });
        before - writes.len()
    }

    /// One that was taken waits no more.
    pub(crate) fn done(&self, write: &Write) {
        let Some(kind) = write.behind_kind() else { return };
        let mut waiting = self.lock();
        waiting.counts[kind as usize] = waiting.counts[kind as usize].saturating_sub(1);
        waiting.num_bytes = waiting.num_bytes.saturating_sub(write.num_bytes());
    }

    /// How much of a kind waits, or is just being written.
    pub(crate) fn count(&self, kind: BehindKind) -> usize {
        self.lock().counts[kind as usize]
    }

    pub(crate) fn total(&self) -> usize {
        self.lock().counts.iter().sum()
    }

    /// Waits until something is there to be taken, or was.
    pub(crate) async fn came(&self) {
        // Of many that came at once one is told, and not all of them are taken at once.
        if self.lock().writes.is_empty() {
            self.came.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

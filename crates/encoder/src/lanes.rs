//! The two queues in front of the encoder's threads.
//!
//! Live work is bounded and refused when the bound is reached, or waits for its place if the
//! caller may wait; bulk work always waits. A thread that asks for work gets live work first.
//! Closing drops what still waits, and with it the channels on which its callers listen.
//!
//! Nothing is half done when a thread panics with the lock held (each change is one push or one
//! pop), so a poisoned lock is used on.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The live lane as admission sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LiveQueue {
    /// Texts that no thread has taken yet.
    pub waiting: usize,
    /// How long the oldest of them has waited.
    pub oldest_wait: Duration,
}

/// What a thread does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Work<L, B> {
    Live(Vec<L>),
    Bulk(B),
}

/// Why live work was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

/// How much each lane holds and hands out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) live_capacity: usize,
    /// Bulk batches that wait; one more than the threads take keeps them busy and memory small.
    pub(crate) bulk_capacity: usize,
    pub(crate) max_batch: usize,
    pub(crate) threads: usize,
}

pub(crate) struct Lanes<L, B> {
    limits: Limits,
    queues: Mutex<Queues<L, B>>,
    work_arrived: Condvar,
    place_freed: Condvar,
}

struct Queues<L, B> {
    live: VecDeque<(Instant, L)>,
    bulk: VecDeque<B>,
    closed: bool,
}

impl<L, B> Lanes<L, B> {
    pub(crate) fn new(limits: Limits) -> Self {
        let queues = Queues { live: VecDeque::new(), bulk: VecDeque::new(), closed: false };
        Self { limits, queues: Mutex::new(queues), work_arrived: Condvar::new(), place_freed: Condvar::new() }
    }

    /// Refuses at once when the live lane is full.
    pub(crate) fn try_push_live(&self, job: L) -> Result<(), Refused> {
        let mut queues = self.lock();
        if queues.closed {
            return Err(Refused::Closed);
        }
        if queues.live.len() >= self.limits.live_capacity {
            return Err(Refused::Full);
        }
        queues.live.push_back((Instant::now(), job));
        drop(queues);
        self.work_arrived.notify_one();
        Ok(())
    }

    /// Waits for a place in the live lane; false when the lanes were closed.
    pub(crate) fn push_live(&self, job: L) -> bool {
        let capacity = self.limits.live_capacity;
        self.push_when(|queues| queues.live.len() < capacity, |queues| queues.live.push_back((Instant::now(), job)))
    }

    /// Waits for a place in the bulk lane; false when the lanes were closed.
    pub(crate) fn push_bulk(&self, job: B) -> bool {
        let capacity = self.limits.bulk_capacity;
        self.push_when(|queues| queues.bulk.len() < capacity, |queues| queues.bulk.push_back(job))
    }

    fn push_when(&self, has_place: impl Fn(&Queues<L, B>) -> bool, push: impl FnOnce(&mut Queues<L, B>)) -> bool {
        let mut queues = self
            .place_freed
            .wait_while(self.lock(), |queues| !queues.closed && !has_place(queues))
            .unwrap_or_else(PoisonError::into_inner);
        if queues.closed {
            return false;
        }
        push(&mut queues);
        drop(queues);
        self.work_arrived.notify_one();
        true
    }

    /// Waits for work, live before bulk; `None` once the lanes are closed.
    pub(crate) fn next(&self) -> Option<Work<L, B>> {
        let mut queues = self
            .work_arrived
            .wait_while(self.lock(), |queues| !queues.closed && queues.live.is_empty() && queues.bulk.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        if queues.closed {
            return None;
        }
        let work = match self.pop_live(&mut queues) {
            Some(jobs) => Work::Live(jobs),
            None => Work::Bulk(queues.bulk.pop_front()?),
        };
        drop(queues);
        self.place_freed.notify_all();
        Some(work)
    }

    /// Live work if there is any: what a thread asks in the middle of bulk work.
    pub(crate) fn take_live(&self) -> Option<Vec<L>> {
        let jobs = self.pop_live(&mut self.lock())?;
        self.place_freed.notify_all();
        Some(jobs)
    }

    /// A share of what waits: with several threads, one that took all would leave the next idle.
    fn pop_live(&self, queues: &mut Queues<L, B>) -> Option<Vec<L>> {
        let count = queues.live.len().div_ceil(self.limits.threads).min(self.limits.max_batch);
        (count > 0).then(|| queues.live.drain(..count).map(|(_, job)| job).collect())
    }

    pub(crate) fn live_queue(&self) -> LiveQueue {
        let queues = self.lock();
        LiveQueue {
            waiting: queues.live.len(),
            oldest_wait: queues.live.front().map_or(Duration::ZERO, |(since, _)| since.elapsed()),
        }
    }

    /// Ends the threads and drops what waits.
    pub(crate) fn close(&self) {
        let mut queues = self.lock();
        queues.closed = true;
        let waiting = (std::mem::take(&mut queues.live), std::mem::take(&mut queues.bulk));
        drop(queues);
        drop(waiting);
        self.work_arrived.notify_all();
        self.place_freed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queues<L, B>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::thread;

    use super::*;

    fn lanes(live_capacity: usize, max_batch: usize, threads: usize) -> Lanes<u32, &'static str> {
        Lanes::new(Limits { live_capacity, bulk_capacity: 1, max_batch, threads })
    }

    #[test]
    fn live_goes_before_bulk_whatever_came_first() {
        let lanes = lanes(8, 2, 1);
        assert!(lanes.push_bulk("index"));
        for text in 1..=3 {
            lanes.try_push_live(text).unwrap();
        }
        assert_eq!(lanes.next(), Some(Work::Live(vec![1, 2])));
        assert_eq!(lanes.take_live(), Some(vec![3]));
        assert_eq!(lanes.take_live(), None);
        assert_eq!(lanes.next(), Some(Work::Bulk("index")));
    }

    #[test]
    fn threads_share_what_waits() {
        let lanes = lanes(8, 8, 2);
        for text in 1..=5 {
            lanes.try_push_live(text).unwrap();
        }
        assert_eq!(lanes.take_live(), Some(vec![1, 2, 3]));
        assert_eq!(lanes.take_live(), Some(vec![4]));
        assert_eq!(lanes.take_live(), Some(vec![5]));
    }

    #[test]
    fn a_full_live_lane_refuses_and_reports() {
        let lanes = lanes(2, 8, 1);
        assert_eq!(lanes.live_queue(), LiveQueue::default());
        lanes.try_push_live(1).unwrap();
        lanes.try_push_live(2).unwrap();
        assert_eq!(lanes.try_push_live(3), Err(Refused::Full));
        assert_eq!(lanes.live_queue().waiting, 2);
        assert!(lanes.live_queue().oldest_wait > Duration::ZERO);
        assert_eq!(lanes.take_live(), Some(vec![1, 2]));
        assert_eq!(lanes.try_push_live(3), Ok(()));
    }

    #[test]
    fn who_may_wait_gets_the_place_that_becomes_free() {
        let lanes = lanes(1, 1, 1);
        lanes.try_push_live(1).unwrap();
        assert!(lanes.push_bulk("first"));
        thread::scope(|scope| {
            let live = scope.spawn(|| lanes.push_live(2));
            let bulk = scope.spawn(|| lanes.push_bulk("second"));
            let mut taken = Vec::new();
            while taken.len() < 4 {
                taken.push(lanes.next().unwrap());
            }
            assert!(live.join().unwrap() && bulk.join().unwrap());
            for work in [Work::Live(vec![1]), Work::Live(vec![2]), Work::Bulk("first"), Work::Bulk("second")] {
                assert!(taken.contains(&work), "{work:?} is missing in {taken:?}");
            }
        });
    }

    #[test]
    fn closing_ends_every_wait() {
        let lanes = lanes(1, 1, 1);
        lanes.try_push_live(1).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| lanes.push_live(2));
            lanes.close();
            assert!(!waiting.join().unwrap());
        });
        assert_eq!(lanes.next(), None);
        assert_eq!(lanes.try_push_live(3), Err(Refused::Closed));
        assert!(!lanes.push_bulk("late"));
        assert_eq!(lanes.live_queue().waiting, 0);
    }
}

//! What waits for the encoder's threads, and which texts go through the model together.
//!
//! Live work is bounded and refused when the bound is reached, or waits for its place if the caller may wait; bulk work
//! always waits. A thread that asks for work gets live work first, of each lane in its turn. Closing drops what still waits, and with it the
//! channels on which its callers listen. A batch shares the weights that it pulls into the processor's cache, and makes
//! whoever comes next wait.
//!
//! Nothing is half done when a thread panics with the lock held (each change is one push or one pop), so a poisoned lock
//! is used on.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    time::{Duration, Instant},
};

use crate::{
    EncoderError,
    hand::LiveReply,
    turns::{Lane, Turns},
};

/// Bulk texts in one batch at most.
pub(crate) const BULK_MAX_TEXTS: usize = 8;

/// Word pieces in one bulk batch at most, unless one text alone is longer. A live text waits for
/// half a layer of it, so small batches keep that wait below a live text's own time.
pub(crate) const BULK_MAX_PIECES: usize = 128;

/// Word pieces in one live batch at most, unless one text alone is longer: eight utterances of usual
/// length. Longer texts gain nothing from each other's company.
pub(crate) const LIVE_MAX_PIECES: usize = 288;

/// A text from a conversation.
pub(crate) struct LiveJob {
    pub(crate) text: String,
    /// Its beginning was left out already.
    pub(crate) cut: bool,
    pub(crate) reply: Arc<LiveReply>,
}

/// A batch of texts to embed.
pub(crate) struct BulkJob {
    pub(crate) texts: Vec<Vec<i64>>,
    /// What the answer is labelled with: the first text's place in the caller's list.
    pub(crate) first: usize,
    pub(crate) reply: mpsc::Sender<BulkAnswer>,
}

pub(crate) type BulkAnswer = (usize, Result<Vec<Vec<f32>>, EncoderError>);

pub(crate) type EncoderQueue = WorkQueue<LiveJob, BulkJob>;

/// What a thread does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Work<L, B> {
    Live(Share<L>),
    Bulk(B),
}

/// Live texts that go through the model together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Share<L> {
    pub(crate) jobs: Vec<L>,
    /// Whose they are, where all are of one lane.
    pub(crate) lane: Option<Lane>,
}

/// Why live work was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

/// How much of each kind waits and is handed out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) live_capacity: usize,
    /// Bulk batches that wait; one more than the threads take keeps them busy and memory small.
    pub(crate) bulk_capacity: usize,
    pub(crate) max_batch: usize,
    pub(crate) threads: usize,
}

pub(crate) struct WorkQueue<L, B> {
    limits: Limits,
    waiting: Mutex<Waiting<L, B>>,
    work_arrived: Condvar,
    place_freed: Condvar,
}

struct Waiting<L, B> {
    live: Turns<(Instant, L)>,
    bulk: VecDeque<B>,
    closed: bool,
}

impl<L, B> Waiting<L, B> {
    /// Whether a lane has no place left. One that has less than its share of them gets one all the same: nobody is kept out by
    /// what others send.
    fn is_full_for(&self, lane: Lane, capacity: usize) -> bool {
        let others = self.live.num_lanes() - usize::from(self.live.len_of(lane) > 0);
        self.live.len() >= capacity && self.live.len_of(lane) >= capacity / (others + 1)
    }
}

impl<L, B> WorkQueue<L, B> {
    pub(crate) fn new(limits: Limits) -> Self {
        let waiting = Waiting { live: Turns::default(), bulk: VecDeque::new(), closed: false };
        Self { limits, waiting: Mutex::new(waiting), work_arrived: Condvar::new(), place_freed: Condvar::new() }
    }

    /// Refuses at once when too many live texts wait.
    pub(crate) fn try_push_live(&self, lane: Lane, job: L) -> Result<(), Refused> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(Refused::Closed);
        }
        if waiting.is_full_for(lane, self.limits.live_capacity) {
            return Err(Refused::Full);
        }
        waiting.live.push(lane, (Instant::now(), job));
        drop(waiting);
        self.work_arrived.notify_one();
        Ok(())
    }

    /// Waits for a place among the live texts; false when the queue was closed.
    pub(crate) fn push_live(&self, lane: Lane, job: L) -> bool {
        let capacity = self.limits.live_capacity;
        self.push_when(
            |waiting| waiting.live.len() < capacity,
            |waiting| waiting.live.push(lane, (Instant::now(), job)),
        )
    }

    /// Waits for a place among the bulk batches; false when the queue was closed.
    pub(crate) fn push_bulk(&self, job: B) -> bool {
        let capacity = self.limits.bulk_capacity;
        self.push_when(|waiting| waiting.bulk.len() < capacity, |waiting| waiting.bulk.push_back(job))
    }

    fn push_when(&self, has_place: impl Fn(&Waiting<L, B>) -> bool, push: impl FnOnce(&mut Waiting<L, B>)) -> bool {
        let mut waiting = self
            .place_freed
            .wait_while(self.lock(), |waiting| !waiting.closed && !has_place(waiting))
            .unwrap_or_else(PoisonError::into_inner);
        if waiting.closed {
            return false;
        }
        push(&mut waiting);
        drop(waiting);
        self.work_arrived.notify_one();
        true
    }

    /// Waits for work, live before bulk; `None` once the queue is closed.
    pub(crate) fn next(&self) -> Option<Work<L, B>> {
        let mut waiting = self
            .work_arrived
            .wait_while(self.lock(), |waiting| !waiting.closed && waiting.live.is_empty() && waiting.bulk.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        if waiting.closed {
            return None;
        }
        let work = match self.pop_live(&mut waiting) {
            Some(share) => Work::Live(share),
            None => Work::Bulk(waiting.bulk.pop_front()?),
        };
        drop(waiting);
        self.place_freed.notify_all();
        Some(work)
    }

    /// Live work if there is any: what a thread asks in the middle of bulk work.
    pub(crate) fn take_live(&self) -> Option<Share<L>> {
        let share = self.pop_live(&mut self.lock())?;
        self.place_freed.notify_all();
        Some(share)
    }

    /// A text of each other lane if there are any: what a thread asks in the middle of one lane's texts.
    pub(crate) fn take_others(&self, lane: Lane) -> Option<Share<L>> {
        let mut waiting = self.lock();
        let lanes = waiting.live.num_lanes() - usize::from(waiting.live.len_of(lane) > 0);
        let others = (0..lanes.min(self.limits.max_batch)).map_while(|_| waiting.live.pop_other(lane));
        let jobs: Vec<L> = others.map(|(_, job)| job).collect();
        drop(waiting);
        self.place_freed.notify_all();
        (!jobs.is_empty()).then_some(Share { jobs, lane: None })
    }

    /// A share of what waits: with several threads, one that took all would leave the next idle. Where several lanes wait, one
    /// text of each: who sends one text does not wait for the many of another.
    fn pop_live(&self, waiting: &mut Waiting<L, B>) -> Option<Share<L>> {
        let lane = waiting.live.next_lane()?;
        let lanes = waiting.live.num_lanes();
        let most = if lanes == 1 { waiting.live.len() } else { lanes };
        let count = most.div_ceil(self.limits.threads).min(self.limits.max_batch);
        let jobs = (0..count).map_while(|_| waiting.live.pop()).map(|(_, job)| job).collect();
        Some(Share { jobs, lane: (lanes == 1).then_some(lane) })
    }

    /// How long the oldest text of a lane has waited.
    pub(crate) fn longest_wait(&self, lane: Lane) -> Duration {
        self.lock().live.oldest(lane).map_or(Duration::ZERO, |(since, _)| since.elapsed())
    }

    /// Ends the threads and drops what waits.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        let dropped = (std::mem::take(&mut waiting.live), std::mem::take(&mut waiting.bulk));
        drop(waiting);
        drop(dropped);
        self.work_arrived.notify_all();
        self.place_freed.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<L, B>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts `lengths` into runs of at most `max_texts` texts and, unless it is a single text,
/// `max_pieces` pieces.
pub(crate) fn batches(lengths: &[usize], max_texts: usize, max_pieces: usize) -> Vec<Range<usize>> {
    let mut planned: Vec<Range<usize>> = Vec::new();
    let mut pieces = 0;
    for (position, &length) in lengths.iter().enumerate() {
        match planned.last_mut() {
            Some(batch) if batch.len() < max_texts && pieces + length <= max_pieces => {
                batch.end += 1;
                pieces += length;
            }
            _ => {
                planned.push(position..position + 1);
                pieces = length;
            }
        }
    }
    planned
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::thread;

    use super::*;

    fn queue(live_capacity: usize, max_batch: usize, threads: usize) -> WorkQueue<u32, &'static str> {
        WorkQueue::new(Limits { live_capacity, bulk_capacity: 1, max_batch, threads })
    }

    fn of(jobs: &[u32], lane: Option<Lane>) -> Share<u32> {
        Share { jobs: jobs.to_vec(), lane }
    }

    #[test]
    fn live_goes_before_bulk_whatever_came_first() {
        let (queue, lane) = (queue(8, 2, 1), Lane::own());
        assert!(queue.push_bulk("index"));
        for text in 1..=3 {
            queue.try_push_live(lane, text).unwrap();
        }
        assert_eq!(queue.next(), Some(Work::Live(of(&[1, 2], Some(lane)))));
        assert_eq!(queue.take_live(), Some(of(&[3], Some(lane))));
        assert_eq!(queue.take_live(), None);
        assert_eq!(queue.next(), Some(Work::Bulk("index")));
    }

    #[test]
    fn threads_share_what_waits() {
        let (queue, lane) = (queue(8, 8, 2), Lane::own());
        for text in 1..=5 {
            queue.try_push_live(lane, text).unwrap();
        }
        assert_eq!(queue.take_live(), Some(of(&[1, 2, 3], Some(lane))));
        assert_eq!(queue.take_live(), Some(of(&[4], Some(lane))));
        assert_eq!(queue.take_live(), Some(of(&[5], Some(lane))));
    }

    #[test]
    fn one_text_of_each_lane_goes_together_and_many_of_one_alone() {
        let (queue, much, little, other) = (queue(8, 8, 1), Lane::own(), Lane::own(), Lane::own());
        for text in 1..=5 {
            queue.try_push_live(much, text).unwrap();
        }
        queue.try_push_live(little, 10).unwrap();
        assert_eq!(queue.take_live(), Some(of(&[1, 10], None)));
        queue.try_push_live(little, 11).unwrap();
        queue.try_push_live(other, 20).unwrap();
        assert_eq!(queue.take_others(much), Some(of(&[11, 20], None)), "in the middle of what one lane sent");
        assert_eq!(queue.take_others(much), None);
        assert_eq!(queue.take_live(), Some(of(&[2, 3, 4, 5], Some(much))));
    }

    #[test]
    fn what_one_lane_sends_takes_no_place_of_another_and_no_time_of_its_wait() {
        let (queue, much, little) = (queue(4, 8, 1), Lane::own(), Lane::own());
        for text in 1..=4 {
            queue.try_push_live(much, text).unwrap();
        }
        assert_eq!(queue.try_push_live(much, 5), Err(Refused::Full));
        assert_eq!(queue.longest_wait(little), Duration::ZERO);
        assert_eq!([queue.try_push_live(little, 10), queue.try_push_live(little, 11)], [Ok(()), Ok(())]);
        assert_eq!(queue.try_push_live(little, 12), Err(Refused::Full), "its share");
        assert!(queue.longest_wait(much) >= queue.longest_wait(little));
    }

    #[test]
    fn a_full_queue_refuses_live_texts_and_reports() {
        let (queue, lane) = (queue(2, 8, 1), Lane::own());
        assert_eq!(queue.longest_wait(lane), Duration::ZERO);
        queue.try_push_live(lane, 1).unwrap();
        queue.try_push_live(lane, 2).unwrap();
        assert_eq!(queue.try_push_live(lane, 3), Err(Refused::Full));
        assert!(queue.longest_wait(lane) > Duration::ZERO);
        assert_eq!(queue.take_live(), Some(of(&[1, 2], Some(lane))));
        assert_eq!(queue.try_push_live(lane, 3), Ok(()));
    }

    #[test]
    fn who_may_wait_gets_the_place_that_becomes_free() {
        let (queue, lane) = (queue(1, 1, 1), Lane::own());
        queue.try_push_live(lane, 1).unwrap();
        assert!(queue.push_bulk("first"));
        thread::scope(|scope| {
            let live = scope.spawn(|| queue.push_live(lane, 2));
            let bulk = scope.spawn(|| queue.push_bulk("second"));
            let mut taken = Vec::new();
            while taken.len() < 4 {
                taken.push(queue.next().unwrap());
            }
            assert!(live.join().unwrap() && bulk.join().unwrap());
            for work in [
                Work::Live(of(&[1], Some(lane))),
                Work::Live(of(&[2], Some(lane))),
                Work::Bulk("first"),
                Work::Bulk("second"),
            ] {
                assert!(taken.contains(&work), "{work:?} is missing in {taken:?}");
            }
        });
    }

    #[test]
    fn closing_ends_every_wait() {
        let (queue, lane) = (queue(1, 1, 1), Lane::own());
        queue.try_push_live(lane, 1).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.push_live(lane, 2));
            queue.close();
            assert!(!waiting.join().unwrap());
        });
        assert_eq!(queue.next(), None);
        assert_eq!(queue.try_push_live(lane, 3), Err(Refused::Closed));
        assert!(!queue.push_bulk("late"));
        assert_eq!(queue.longest_wait(lane), Duration::ZERO, "nothing waits");
    }

    #[test]
    #[allow(clippy::single_range_in_vec_init, reason = "a batch is a range of positions")]
    fn plans() {
        type Case<'a> = (&'a [usize], usize, usize, &'a [Range<usize>]);
        let cases: [Case<'_>; 6] = [
            (&[], 8, 128, &[]),
            (&[5], 8, 128, &[0..1]),
            (&[30, 3, 31, 4], 8, 64, &[0..3, 3..4]),
            (&[4, 4, 4, 4, 4], 2, 128, &[0..2, 2..4, 4..5]),
            (&[256, 256, 10], 8, 128, &[0..1, 1..2, 2..3]),
            (&[32, 32, 32, 32, 32], 8, 128, &[0..4, 4..5]),
        ];
        for (lengths, max_texts, max_pieces, expected) in cases {
            assert_eq!(batches(lengths, max_texts, max_pieces), expected, "{lengths:?}");
        }
    }
}

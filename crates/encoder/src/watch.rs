//! The watch over the encoder's threads.
//!
//! It hears of each thread that leaves, and looks again and again at what each has in hand. A thread on which something panicked
//! is replaced. One that shows no sign of life for [`EncoderSettings::hang_timeout`](crate::EncoderSettings::hang_timeout) while
//! it has something in hand is given up: its callers are answered, and another one takes its place. It can't be ended, so it
//! keeps its core until it comes back by itself, if ever.

use std::{
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::{
    EncoderError,
    bert::Forward,
    hand::Hand,
    threads::{Left, Starter},
    work_queue::EncoderQueue,
    worker::Leaving,
};

/// A thread that shows no life is looked at so many times before it is given up. Looks are counted, not time: a process
/// that was stopped for a while has not hung.
pub(crate) const LOOKS: u32 = 10;

/// How the threads are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EncoderHealth {
    /// Threads that take work.
    pub threads: usize,
    /// Threads that were replaced because something panicked on them.
    pub panicked: u64,
    /// Threads that were given up and replaced because they hung.
    pub hung: u64,
    /// Those of them that still hang.
    pub away: u64,
}

/// The place of one thread.
struct Slot {
    hand: Arc<Hand>,
    /// None while none could be started.
    thread: Option<JoinHandle<()>>,
    progress: Option<u64>,
    /// Looks in a row at which it had the same in hand and had shown no life.
    silent: u32,
}

impl Slot {
    fn of((hand, thread): (Arc<Hand>, JoinHandle<()>)) -> Self {
        Self { hand, thread: Some(thread), progress: None, silent: 0 }
    }

    /// Whether the thread has hung for long enough to be given up.
    fn hangs(&mut self) -> bool {
        let progress = self.hand.progress();
        self.silent = if progress.is_some() && progress == self.progress { self.silent + 1 } else { 0 };
        self.progress = progress;
        self.silent >= LOOKS
    }
}

/// See the module.
pub(crate) struct Watch<F> {
    starter: Starter<F>,
    slots: Vec<Slot>,
    leaving: mpsc::Receiver<Left>,
    queue: Arc<EncoderQueue>,
    pause: Duration,
    told: watch::Sender<EncoderHealth>,
}

impl<F: Forward + Clone + Send + 'static> Watch<F> {
    /// A watch that looks so often.
    pub(crate) fn new(
        starter: Starter<F>,
        leaving: mpsc::Receiver<Left>,
        queue: Arc<EncoderQueue>,
        pause: Duration,
        told: watch::Sender<EncoderHealth>,
    ) -> Self {
        Self { starter, slots: Vec::new(), leaving, queue, pause, told }
    }

    /// Starts the first threads; what comes out of trying the model is heard of each.
    pub(crate) fn start_all(
        &mut self,
        threads: usize,
    ) -> Result<mpsc::Receiver<Result<(), EncoderError>>, EncoderError> {
        let (ready, readiness) = mpsc::channel();
        for _ in 0..threads {
            let started = self.starter.start(Some(ready.clone()));
            self.slots.push(Slot::of(started.map_err(|error| EncoderError::Thread(error.to_string()))?));
        }
        self.tell(|_| ());
        Ok(readiness)
    }

    /// Watches until every thread has ended or was given up.
    pub(crate) fn run(mut self) {
        let mut next_look = Instant::now() + self.pause;
        while !self.slots.is_empty() {
            if let Ok(left) = self.leaving.recv_timeout(next_look.saturating_duration_since(Instant::now())) {
                self.let_go(&left);
            } else {
                self.look();
                next_look = Instant::now() + self.pause;
            }
        }
    }

    fn let_go(&mut self, left: &Left) {
        let Some(place) = self.slots.iter().position(|slot| Arc::ptr_eq(&slot.hand, &left.hand)) else {
            // One that was given up has no slot any more.
            tracing::warn!("an encoder thread that hung and was given up has come back, and has ended");
            return self.tell(|health| health.away = health.away.saturating_sub(1));
        };
        if let Some(thread) = self.slots[place].thread.take() {
            // It has caught its panics.
            let _ = thread.join();
        }
        if left.leaving == Leaving::Closed {
            self.slots.remove(place);
        } else {
            tracing::error!("an encoder thread panicked; another one takes its place");
            self.replace(place);
            self.tell(|health| health.panicked += 1);
        }
    }

    fn look(&mut self) {
        // From the last one on, since a slot may go.
        for place in (0..self.slots.len()).rev() {
            let slot = &mut self.slots[place];
            if slot.hangs() {
                tracing::error!("an encoder thread hangs; its callers are answered, and another one takes its place");
                slot.hand.abandon();
                self.replace(place);
                self.tell(|health| {
                    health.hung += 1;
                    health.away += 1;
                });
            } else if slot.thread.is_none() {
                self.replace(place);
                self.tell(|_| ());
            }
        }
    }

    /// Starts another thread in a slot, at the next look where none can be started now. Where nothing more is to be done the
    /// slot goes.
    fn replace(&mut self, place: usize) {
        if self.queue.is_closed() {
            self.slots.remove(place);
            return;
        }
        self.slots[place] = match self.starter.start(None) {
            Ok(started) => Slot::of(started),
            Err(error) => {
                tracing::error!(%error, "an encoder thread can't be started; it is tried again");
                Slot { hand: Arc::default(), thread: None, progress: None, silent: 0 }
            }
        };
    }

    fn tell(&self, change: impl FnOnce(&mut EncoderHealth)) {
        let threads = self.slots.iter().filter(|slot| slot.thread.is_some()).count();
        self.told.send_modify(|health| {
            change(health);
            health.threads = threads;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand::Owed;

    struct Unanswered;

    impl Owed for Unanswered {
        fn fail(&self, _: EncoderError) {}
    }

    #[test]
    fn a_thread_hangs_when_it_has_shown_no_life_at_many_looks_while_it_has_something_in_hand() {
        let hand = Arc::<Hand>::default();
        let mut slot = Slot { hand: Arc::clone(&hand), thread: None, progress: None, silent: 0 };
        let mut looks = |count| (0..count).map(|_| slot.hangs()).collect::<Vec<_>>();
        assert!(!looks(100).contains(&true), "with nothing in hand it waits for work");
        let in_hand = hand.take_up([Arc::new(Unanswered) as Arc<dyn Owed>]);
        for _ in 0..100 {
            hand.show_life();
            assert_eq!(looks(1), [false], "slow, but alive");
        }
        assert!(!looks(LOOKS - 1).contains(&true));
        assert_eq!(looks(1), [true]);
        hand.show_life();
        assert_eq!(looks(1), [false]);
        drop(in_hand);
        assert!(!looks(100).contains(&true));
    }
}

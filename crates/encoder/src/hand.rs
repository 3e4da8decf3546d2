//! What a thread of the encoder has in hand: the answers that it owes, kept where the watch can give them in its place.
//!
//! A thread notes what it takes up, and shows signs of life while it computes. Whoever answers a caller first, thread or
//! watch, has answered; what comes later goes nowhere.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
    mpsc,
};

use tokio::sync::oneshot;

use crate::{EncoderError, encoding::Encoding, work_queue::BulkAnswer};

/// An answer that somebody waits for.
pub(crate) trait Owed: Send + Sync {
    /// Answers with this error, unless an answer was given.
    fn fail(&self, error: EncoderError);
}

/// The way back to the caller of a live text.
pub(crate) struct LiveReply(Mutex<Option<oneshot::Sender<Result<Encoding, EncoderError>>>>);

impl LiveReply {
    pub(crate) fn new(caller: oneshot::Sender<Result<Encoding, EncoderError>>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(caller))))
    }

    /// A caller that dropped its future meanwhile wants no answer.
    pub(crate) fn answer(&self, encoding: Result<Encoding, EncoderError>) {
        if let Some(caller) = lock(&self.0).take() {
            let _ = caller.send(encoding);
        }
    }

    /// Whether nobody waits any more.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.0).as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

impl Owed for LiveReply {
    fn fail(&self, error: EncoderError) {
        self.answer(Err(error));
    }
}

/// The way back to the caller of a bulk batch.
pub(crate) struct BulkReply {
    first: usize,
    caller: Mutex<Option<mpsc::Sender<BulkAnswer>>>,
}

impl BulkReply {
    /// `first` labels the answer.
    pub(crate) fn new(first: usize, caller: mpsc::Sender<BulkAnswer>) -> Arc<Self> {
        Arc::new(Self { first, caller: Mutex::new(Some(caller)) })
    }

    /// A caller that has given up after another batch's error no longer listens.
    pub(crate) fn answer(&self, embeddings: Result<Vec<Vec<f32>>, EncoderError>) {
        if let Some(caller) = lock(&self.caller).take() {
            let _ = caller.send((self.first, embeddings));
        }
    }
}

impl Owed for BulkReply {
    fn fail(&self, error: EncoderError) {
        self.answer(Err(error));
    }
}

/// One thread's hand.
#[derive(Default)]
pub(crate) struct Hand {
    /// Bulk work below, and above it the live work that it let in.
    owed: Mutex<Vec<Arc<dyn Owed>>>,
    signs_of_life: AtomicU64,
    is_abandoned: AtomicBool,
}

impl Hand {
    /// Notes what is taken up, until the guard is dropped.
    pub(crate) fn take_up(&self, owed: impl IntoIterator<Item = Arc<dyn Owed>>) -> InHand<'_> {
        let mut all = lock(&self.owed);
        let below = all.len();
        all.extend(owed);
        drop(all);
        self.show_life();
        InHand { hand: self, below }
    }

    /// Says that the thread is not stuck.
    pub(crate) fn show_life(&self) {
        self.signs_of_life.fetch_add(1, Ordering::Relaxed);
    }

    /// What changes while the thread makes progress with something in hand; `None` while it has nothing.
    pub(crate) fn progress(&self) -> Option<u64> {
        let has_work = !lock(&self.owed).is_empty();
        has_work.then(|| self.signs_of_life.load(Ordering::Relaxed))
    }

    /// Answers everything in the thread's place, which shall take up nothing more.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
        let owed = std::mem::take(&mut *lock(&self.owed));
        for owed in &owed {
            owed.fail(EncoderError::Hung);
        }
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Relaxed)
    }
}

/// Work in hand; dropped, what has no answer is answered, since only a panic leaves anything without.
pub(crate) struct InHand<'a> {
    hand: &'a Hand,
    below: usize,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let mut all = lock(&self.hand.owed);
        // The watch may have taken it.
        let below = self.below.min(all.len());
        let done = all.split_off(below);
        drop(all);
        for owed in &done {
            owed.fail(EncoderError::Panicked);
        }
        self.hand.show_life();
    }
}

/// Nothing is half changed where a panic hits while it is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

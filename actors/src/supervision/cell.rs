//! What is known of one actor, in atomics that anybody may read without asking the actor.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// Where an actor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    /// Made, not yet polled.
    Starting = 0,
    /// At work.
    Running = 1,
    /// Waiting out a backoff after a panic.
    Restarting = 2,
    /// Ended in order.
    Stopped = 3,
    /// Gave up; the service is shutting down because of it.
    Failed = 4,
}

impl ActorState {
    fn from_u8(state: u8) -> Self {
        match state {
            0 => Self::Starting,
            1 => Self::Running,
            2 => Self::Restarting,
            3 => Self::Stopped,
            _ => Self::Failed,
        }
    }
}

/// The published state of one actor. Times are kept as nanoseconds since the cell was made.
pub struct ActorCell {
    name: String,
    made: Instant,
    state: AtomicU8,
    restarts: AtomicU64,
    panics: AtomicU64,
    in_flight: AtomicUsize,
    busy_ns: AtomicU64,
    /// 0 while the actor is not being polled.
    in_poll_since_ns: AtomicU64,
    last_progress_ns: AtomicU64,
    last_error: Mutex<Option<String>>,
    queues: Mutex<Vec<Box<dyn Fn() -> usize + Send + Sync>>>,
}

/// A reading of a cell.
#[derive(Debug, Clone, Serialize)]
pub struct ActorReport {
    /// The actor's name.
    pub name: String,
    /// Where it stands.
    pub state: ActorState,
    /// Restarts after panics.
    pub restarts: u64,
    /// Panics caught.
    pub panics: u64,
    /// Where the last panic was.
    pub last_error: Option<String>,
    /// Items waiting in its inbox, and behind it for their turn.
    pub queue_depth: usize,
    /// Pieces of work that run outside the actor and report back to it.
    pub in_flight: usize,
    /// Time spent in its handlers.
    pub busy_seconds: f64,
    /// How long the handler that runs now has been running; beyond milliseconds it blocks its thread.
    pub in_handler_seconds: Option<f64>,
    /// Time since it last finished a poll.
    pub idle_seconds: f64,
}

impl ActorCell {
    /// A cell for an actor that is about to start.
    pub fn new(name: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            made: Instant::now(),
            state: AtomicU8::new(ActorState::Starting as u8),
            restarts: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            busy_ns: AtomicU64::new(0),
            in_poll_since_ns: AtomicU64::new(0),
            last_progress_ns: AtomicU64::new(0),
            last_error: Mutex::new(None),
            queues: Mutex::default(),
        })
    }

    /// The actor's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the actor stands.
    pub fn state(&self) -> ActorState {
        ActorState::from_u8(self.state.load(Relaxed))
    }

    /// Panics caught so far.
    pub fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }

    /// Restarts so far.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Relaxed)
    }

    /// Says how a queue of the actor is measured: its inbox, and where it keeps work waiting behind that.
    pub fn measure_queue(&self, depth: impl Fn() -> usize + Send + Sync + 'static) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(depth));
    }

    /// Counts a piece of work as in flight until the guard is dropped. Where the work runs in a task of its own, a
    /// panic of that task counts as one of the actor.
    pub fn in_flight(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight { cell: Arc::clone(self) }
    }

    /// Everything at once.
    pub fn report(&self) -> ActorReport {
        let now = self.elapsed_ns();
        let in_poll_since = self.in_poll_since_ns.load(Relaxed);
        ActorReport {
            name: self.name.clone(),
            state: self.state(),
            restarts: self.restarts(),
            panics: self.panics(),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            queue_depth: self.queue_depth(),
            in_flight: self.in_flight.load(Relaxed),
            busy_seconds: seconds(self.busy_ns.load(Relaxed)),
            in_handler_seconds: (in_poll_since > 0).then(|| seconds(now.saturating_sub(in_poll_since))),
            idle_seconds: seconds(now.saturating_sub(self.last_progress_ns.load(Relaxed))),
        }
    }

    fn queue_depth(&self) -> usize {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|depth| depth()).sum()
    }

    pub(super) fn set_state(&self, state: ActorState) {
        self.state.store(state as u8, Relaxed);
    }

    pub(super) fn enter_poll(&self) {
        self.in_poll_since_ns.store(self.elapsed_ns(), Relaxed);
    }

    pub(super) fn leave_poll(&self) {
        let now = self.elapsed_ns();
        let since = self.in_poll_since_ns.swap(0, Relaxed);
        self.busy_ns.fetch_add(now.saturating_sub(since), Relaxed);
        self.last_progress_ns.store(now, Relaxed);
    }

    pub(super) fn note_panic(&self, message: &str) {
        self.panics.fetch_add(1, Relaxed);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.to_owned());
    }

    pub(super) fn note_restart(&self) {
        self.restarts.fetch_add(1, Relaxed);
    }

    fn elapsed_ns(&self) -> u64 {
        // 1 at least: 0 stands for "not being polled".
        u64::try_from(self.made.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

fn seconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64()
}

/// Counts a piece of work as in flight while it lives. Made by a handler after its last step that may panic, since
/// the supervisor counts panics of the handler itself.
pub struct InFlight {
    cell: Arc<ActorCell>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The runtime swallows the panic of a task; without this nobody would see it.
            self.cell.note_panic("a piece of work outside the actor panicked");
        }
        self.cell.in_flight.fetch_sub(1, Relaxed);
    }
}

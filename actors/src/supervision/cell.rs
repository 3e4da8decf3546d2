//! What is known of one actor, in atomics that anybody may read without asking the actor.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use Ordering::Relaxed;
use futures_util::task::AtomicWaker;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::activity::{Activity, Signs};
use super::panics::last_panic_place;

/// Where an actor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
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
    made_at: Timestamp,
    state: AtomicU8,
    state_since_ns: AtomicU64,
    restarts: AtomicU64,
    panics: AtomicU64,
    handled: AtomicU64,
    in_flight: AtomicUsize,
    busy_ns: AtomicU64,
    /// 0 while the actor is not being polled.
    in_poll_since_ns: AtomicU64,
    last_progress_ns: AtomicU64,
    last_error: Mutex<Option<String>>,
    queues: Mutex<Vec<Queue>>,
    is_held: Mutex<Option<Box<dyn Fn() -> bool + Send + Sync>>>,
    last_look: Mutex<Look>,
    is_restart_asked: AtomicBool,
    /// Wakes the supervisor.
    supervisor: AtomicWaker,
}

/// A queue of an actor, seen from outside.
struct Queue {
    bound: usize,
    depth: Box<dyn Fn() -> usize + Send + Sync>,
}

/// What was seen when somebody looked last.
#[derive(Default)]
struct Look {
    at_ns: u64,
    busy_ns: u64,
    handled: u64,
    standing_since_ns: Option<u64>,
    busy_ratio: f64,
}

/// A reading of a cell.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ActorReport {
    /// The actor's name.
    pub name: String,
    /// Where it stands.
    pub state: ActorState,
    /// Since when it stands there.
    pub since: Timestamp,
    /// What it is doing.
    pub activity: Activity,
    /// Restarts, after panics and by hand.
    pub restarts: u64,
    /// Panics caught.
    pub panics: u64,
    /// Where the last panic was, or why the actor gave up; never what a panic said, which may be a customer's words.
    pub last_error: Option<String>,
    /// Items waiting in its inbox, and behind it for their turn.
    pub queue_depth: usize,
    /// How many may wait; 0 where it has no inbox.
    pub queue_bound: usize,
    /// For how long what waits has not moved although nobody is awaited.
    pub standing_seconds: Option<f64>,
    /// Pieces of work that run outside the actor and report back to it.
    pub in_flight: usize,
    /// What it has taken from its inbox, or was asked for where it has none.
    pub handled: u64,
    /// Time spent in its handlers.
    pub busy_seconds: f64,
    /// The share of the last second or so that was spent in its handlers.
    pub busy_ratio: f64,
    /// How long the handler that runs now has been running; beyond milliseconds it blocks its thread.
    pub in_handler_seconds: Option<f64>,
    /// Time since it last finished a poll.
    pub idle_seconds: f64,
}

/// Why an actor can't be restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRestart {
    /// The supervisor has let go of it.
    #[error("it gave up, and the service is shutting down because of it")]
    GaveUp,
    /// Its stage is drained.
    #[error("it has ended in order, since the service is shutting down")]
    Ended,
}

impl ActorCell {
    /// A cell for an actor that is about to start.
    pub fn new(name: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            made: Instant::now(),
            made_at: Timestamp::now(),
            state: AtomicU8::new(ActorState::Starting as u8),
            state_since_ns: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            busy_ns: AtomicU64::new(0),
            in_poll_since_ns: AtomicU64::new(0),
            last_progress_ns: AtomicU64::new(0),
            last_error: Mutex::new(None),
            queues: Mutex::default(),
            is_held: Mutex::default(),
            last_look: Mutex::default(),
            is_restart_asked: AtomicBool::new(false),
            supervisor: AtomicWaker::new(),
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

    /// Says how a queue of the actor is measured, and how much it holds: its inbox, and where it keeps work waiting behind
    /// that.
    pub fn measure_queue(&self, bound: usize, depth: impl Fn() -> usize + Send + Sync + 'static) {
        lock(&self.queues).push(Queue { bound, depth: Box::new(depth) });
    }

    /// Says how it is seen that the actor takes nothing because those behind it are full.
    pub fn is_held_while(&self, is_held: impl Fn() -> bool + Send + Sync + 'static) {
        *lock(&self.is_held) = Some(Box::new(is_held));
    }

    /// Counts something that the actor takes in hand.
    pub fn note_handled(&self) {
        self.handled.fetch_add(1, Relaxed);
    }

    /// Counts a piece of work as in flight until the guard is dropped. Where the work runs in a task of its own, a
    /// panic of that task counts as one of the actor.
    pub fn in_flight(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight { cell: Arc::clone(self) }
    }

    /// Has the actor restarted in place as soon as it is in no handler: its address, what waits for it and what is in
    /// flight stay. Returns at once.
    pub fn ask_restart(&self) -> Result<(), NoRestart> {
        match self.state() {
            ActorState::Failed => return Err(NoRestart::GaveUp),
            ActorState::Stopped => return Err(NoRestart::Ended),
            ActorState::Starting | ActorState::Running | ActorState::Restarting => {}
        }
        self.is_restart_asked.store(true, Ordering::Release);
        self.supervisor.wake();
        Ok(())
    }

    /// Everything at once.
    pub fn report(&self) -> ActorReport {
        let (now, signs) = (self.elapsed_ns(), self.signs());
        let since = SignedDuration::from_nanos(self.state_since_ns.load(Relaxed).try_into().unwrap_or(i64::MAX));
        ActorReport {
            name: self.name.clone(),
            state: self.state(),
            since: self.made_at.saturating_add(since).unwrap_or(self.made_at),
            activity: signs.activity(),
            restarts: self.restarts(),
            panics: self.panics(),
            last_error: lock(&self.last_error).clone(),
            queue_depth: signs.queue_depth,
            queue_bound: lock(&self.queues).iter().map(|queue| queue.bound).sum(),
            standing_seconds: signs.standing.map(|standing| standing.as_secs_f64()),
            in_flight: signs.in_flight,
            handled: self.handled.load(Relaxed),
            busy_seconds: seconds(self.busy_ns.load(Relaxed)),
            busy_ratio: lock(&self.last_look).busy_ratio,
            in_handler_seconds: signs.in_handler.map(|in_handler| in_handler.as_secs_f64()),
            idle_seconds: seconds(now.saturating_sub(self.last_progress_ns.load(Relaxed))),
        }
    }

    /// What the actor is doing.
    pub fn activity(&self) -> Activity {
        self.signs().activity()
    }

    pub(super) fn signs(&self) -> Signs {
        let now = self.elapsed_ns();
        let ago = |since: u64| Duration::from_nanos(now.saturating_sub(since));
        let in_poll_since = self.in_poll_since_ns.load(Relaxed);
        Signs {
            in_handler: (in_poll_since > 0).then(|| ago(in_poll_since)),
            standing: lock(&self.last_look).standing_since_ns.map(ago),
            queue_depth: lock(&self.queues).iter().map(|queue| (queue.depth)()).sum(),
            in_flight: self.in_flight.load(Relaxed),
            is_held: lock(&self.is_held).as_ref().is_some_and(|is_held| is_held()),
        }
    }

    /// Compares with what was seen last; `is_blocked` where another actor keeps the thread.
    pub(super) fn look(&self, is_blocked: bool) {
        let (now, signs) = (self.elapsed_ns(), self.signs());
        let in_handler = signs.in_handler.map_or(0, |it| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX));
        let busy_ns = self.busy_ns.load(Relaxed).saturating_add(in_handler);
        let handled = self.handled.load(Relaxed);
        let mut last = lock(&self.last_look);
        let moves = handled != last.handled || is_blocked || signs.has_reason_to_stand(self.state());
        let passed_ns = now.saturating_sub(last.at_ns).max(1);
        *last = Look {
            at_ns: now,
            busy_ns,
            handled,
            standing_since_ns: if moves { None } else { last.standing_since_ns.or(Some(now)) },
            busy_ratio: (busy_ns.saturating_sub(last.busy_ns) as f64 / passed_ns as f64).min(1.0),
        };
    }

    pub(super) fn set_state(&self, state: ActorState) {
        if self.state.swap(state as u8, Relaxed) != state as u8 {
            self.state_since_ns.store(self.elapsed_ns(), Relaxed);
        }
    }

    /// Whom to wake when a restart is asked for.
    pub(super) fn supervised_by(&self, supervisor: &Waker) {
        self.supervisor.register(supervisor);
    }

    /// Whether a restart was asked for; forgotten by that.
    pub(super) fn take_restart(&self) -> bool {
        self.is_restart_asked.swap(false, Ordering::Acquire)
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
        self.note_error(message);
    }

    /// Says what is wrong without counting a panic.
    pub(super) fn note_error(&self, message: &str) {
        *lock(&self.last_error) = Some(message.to_owned());
    }

    pub(super) fn note_restart(&self) {
        self.restarts.fetch_add(1, Relaxed);
    }

    fn elapsed_ns(&self) -> u64 {
        // 1 at least: 0 stands for "not being polled".
        u64::try_from(self.made.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

/// A panic while it is held leaves nothing half changed.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
            self.cell.note_panic(&format!("a panic of a piece of its work at {}", last_panic_place()));
        }
        self.cell.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervision::look_at;

    struct Watched {
        cell: Arc<ActorCell>,
        waiting: Arc<AtomicUsize>,
        is_held: Arc<AtomicBool>,
    }

    /// A running actor with one item in its queue.
    fn watched() -> Watched {
        let cell = ActorCell::new("extractor");
        let (waiting, is_held) = (Arc::new(AtomicUsize::new(1)), Arc::new(AtomicBool::new(false)));
        let (depth, held) = (Arc::clone(&waiting), Arc::clone(&is_held));
        cell.measure_queue(4, move || depth.load(Relaxed));
        cell.is_held_while(move || held.load(Relaxed));
        cell.set_state(ActorState::Running);
        Watched { cell, waiting, is_held }
    }

    impl Watched {
        /// Whether its queue stands still after one more look.
        fn stands(&self) -> bool {
            look_at(std::slice::from_ref(&self.cell));
            self.cell.report().standing_seconds.is_some()
        }
    }

    #[test]
    fn a_queue_stands_still_until_something_is_taken_or_somebody_is_awaited() {
        let it = watched();
        assert!(it.stands(), "nothing was taken");
        let since = it.cell.report().standing_seconds;
        assert!(it.stands() && it.cell.report().standing_seconds >= since, "still the same stand");
        it.cell.note_handled();
        assert!(!it.stands(), "something was taken");
        assert!(it.stands());
        let work = it.cell.in_flight();
        assert!(!it.stands(), "its own work is awaited");
        drop(work);
        assert!(it.stands());
        it.is_held.store(true, Relaxed);
        assert!(!it.stands(), "those behind it are full");
        it.is_held.store(false, Relaxed);
        assert!(it.stands());
        it.cell.set_state(ActorState::Restarting);
        assert!(!it.stands(), "a backoff is waited out");
        it.cell.set_state(ActorState::Running);
        assert!(it.stands());
        it.waiting.store(0, Relaxed);
        assert!(!it.stands(), "nothing waits");
    }

    #[test]
    fn whoever_blocks_the_thread_keeps_the_others_from_being_blamed() {
        let (it, other) = (watched(), ActorCell::new("ranker"));
        other.enter_poll();
        std::thread::sleep(Duration::from_millis(500));
        look_at(&[Arc::clone(&it.cell), Arc::clone(&other)]);
        assert_eq!(it.cell.report().standing_seconds, None);
        assert!(other.report().busy_ratio > 0.9, "{:?}", other.report());
        other.leave_poll();
        look_at(&[Arc::clone(&it.cell), other]);
        assert!(it.cell.report().standing_seconds.is_some());
    }

    #[test]
    fn a_state_is_told_with_the_time_since_when_it_lasts() {
        let it = watched();
        let since = it.cell.report().since;
        it.cell.set_state(ActorState::Running);
        assert_eq!(it.cell.report().since, since, "no change");
        it.cell.set_state(ActorState::Restarting);
        assert!(it.cell.report().since > since);
    }
}

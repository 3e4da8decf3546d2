#![allow(clippy::unwrap_used)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{ActorContext, ActorFutureExt, Handler, MailboxError, Message, ResponseActFuture, StreamHandler};
use async_channel::Sender;
use tokio::time::pause;

use super::*;
use crate::inbox::{Inbox, bounded};
use crate::supervision::{Escalations, Timer, escalations};
use crate::testing::{soon, until};

const TICK: Duration = Duration::from_mins(1);

/// What happened, in order.
type Log = Rc<RefCell<Vec<String>>>;

/// An actor with everything that a panic may hit: a mailbox, a data channel, a timer, futures of its own.
struct Probe {
    log: Log,
    inbox: Inbox<u32>,
    timer: Option<Timer>,
    /// So many calls of `restarting` panic.
    bad_restarts: Rc<Cell<u32>>,
    /// Whether `started` panics.
    bad_start: bool,
}

#[derive(Message)]
#[rtype(result = "u32")]
struct Echo(u32);

#[derive(Message)]
#[rtype(result = "()")]
struct Explode(&'static str);

#[derive(Message)]
#[rtype(result = "u32")]
struct ExplodeLater;

#[derive(Message)]
#[rtype(result = "()")]
struct ExplodeByTimer;

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

#[derive(Message)]
#[rtype(result = "Option<f64>")]
struct InHandler(Arc<ActorCell>);

impl Probe {
    fn note(&self, what: impl Into<String>) {
        self.log.borrow_mut().push(what.into());
    }

    fn tick(&mut self, _: &mut Context<Self>) {
        self.note("tick");
    }
}

impl Actor for Probe {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.note("started");
        assert!(!self.bad_start, "injected into started");
        Self::add_stream(self.inbox.stream(), context);
        self.timer = Some(Timer::start(TICK, context, Self::tick));
    }
}

impl actix::Supervised for Probe {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.note("restarting");
        if let Some(left) = self.bad_restarts.get().checked_sub(1) {
            self.bad_restarts.set(left);
            panic!("injected into restarting");
        }
    }
}

impl Handler<Echo> for Probe {
    type Result = u32;

    fn handle(&mut self, Echo(number): Echo, _: &mut Self::Context) -> u32 {
        self.note(format!("echo {number}"));
        number
    }
}

impl Handler<Explode> for Probe {
    type Result = ();

    fn handle(&mut self, Explode(text): Explode, _: &mut Self::Context) {
        panic!("{text}");
    }
}

impl Handler<ExplodeLater> for Probe {
    type Result = ResponseActFuture<Self, u32>;

    fn handle(&mut self, _: ExplodeLater, _: &mut Self::Context) -> Self::Result {
        let waiting = wrap_future::<_, Self>(tokio::time::sleep(Duration::from_millis(5)));
        Box::pin(waiting.map(|(), _, _| panic!("injected into a future of the actor")))
    }
}

impl Handler<ExplodeByTimer> for Probe {
    type Result = ();

    fn handle(&mut self, _: ExplodeByTimer, context: &mut Self::Context) {
        self.timer = Some(Timer::start(Duration::from_secs(1), context, |_, _| panic!("injected into a timer")));
    }
}

impl Handler<Stop> for Probe {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        context.stop();
    }
}

impl Handler<InHandler> for Probe {
    type Result = Option<f64>;

    fn handle(&mut self, InHandler(cell): InHandler, _: &mut Self::Context) -> Option<f64> {
        // So that the time spent shows on any clock.
        std::thread::sleep(Duration::from_millis(2));
        cell.report().in_handler_seconds
    }
}

impl StreamHandler<u32> for Probe {
    fn handle(&mut self, item: u32, _: &mut Self::Context) {
        assert_ne!(item, 13, "injected into a stream handler");
        self.note(format!("item {item}"));
    }
}

struct Running {
    address: Addr<Probe>,
    cell: Arc<ActorCell>,
    log: Log,
    items: Sender<u32>,
    bad_restarts: Rc<Cell<u32>>,
    escalations: Escalations,
}

impl Running {
    fn start(policy: RestartPolicy) -> Self {
        Self::start_as(policy, false)
    }

    fn start_as(policy: RestartPolicy, bad_start: bool) -> Self {
        let (items, inbox) = bounded(16);
        let (escalation, escalations) = escalations();
        let (log, cell, bad_restarts) = (Log::default(), ActorCell::new("probe"), Rc::<Cell<u32>>::default());
        let depth = inbox.depth();
        cell.measure_queue(depth);
        let probe =
            Probe { log: Rc::clone(&log), inbox, timer: None, bad_restarts: Rc::clone(&bad_restarts), bad_start };
        let address = supervise(Arc::clone(&cell), policy, escalation, |_| probe);
        Self { address, cell, log, items, bad_restarts, escalations }
    }

    fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    async fn echo(&self, number: u32) -> u32 {
        soon("an echo", self.address.send(Echo(number))).await.unwrap()
    }

    async fn explode(&self) {
        assert!(matches!(self.address.send(Explode("injected")).await, Err(MailboxError::Closed)));
    }
}

#[actix::test]
async fn a_panic_in_a_handler_costs_its_message_and_no_other() {
    pause();
    let running = Running::start(RestartPolicy::default());
    assert_eq!(running.echo(1).await, 1);
    let address = &running.address;
    let (bad, second, third) =
        tokio::join!(address.send(Explode("injected text")), address.send(Echo(2)), address.send(Echo(3)));
    assert!(matches!(bad, Err(MailboxError::Closed)), "only the bad message's caller is told");
    assert_eq!((second.unwrap(), third.unwrap()), (2, 3));
    assert_eq!(running.log(), ["started", "echo 1", "restarting", "started", "echo 2", "echo 3"]);
    let report = running.cell.report();
    assert_eq!((report.panics, report.restarts, report.state), (1, 1, ActorState::Running));
    let told = report.last_error.unwrap();
    assert!(told.starts_with("a panic at") && !told.contains("injected"), "its words may be a customer's: {told}");
    assert!(address.connected());
}

#[actix::test]
async fn a_panic_over_an_item_leaves_the_items_behind_it_in_the_data_channel() {
    pause();
    let running = Running::start(RestartPolicy::default());
    for item in [12, 13, 14, 15] {
        running.items.send(item).await.unwrap();
    }
    assert_eq!(running.cell.report().queue_depth, 4);
    until("the items behind the bad one are handled", || running.log().len() == 6).await;
    assert_eq!(running.log(), ["started", "item 12", "restarting", "started", "item 14", "item 15"]);
    assert_eq!((running.cell.panics(), running.cell.report().queue_depth), (1, 0));
    running.items.send(16).await.unwrap();
    until("the channel still leads to the actor", || running.log().last().unwrap() == "item 16").await;
}

#[actix::test]
async fn a_panic_in_a_future_of_the_actor_is_caught_like_any_other() {
    pause();
    let running = Running::start(RestartPolicy::default());
    assert!(matches!(running.address.send(ExplodeLater).await, Err(MailboxError::Closed)));
    assert_eq!(running.echo(1).await, 1);
    assert_eq!((running.cell.panics(), running.cell.restarts()), (1, 1));
    assert!(running.cell.report().last_error.is_some());
}

#[actix::test]
async fn a_timer_may_panic_and_is_armed_again_by_started() {
    pause();
    let running = Running::start(RestartPolicy::default());
    running.address.send(ExplodeByTimer).await.unwrap();
    until("the timer panicked", || running.cell.restarts() == 1).await;
    assert!(!running.log().contains(&"tick".to_owned()));
    tokio::time::sleep(TICK).await;
    assert_eq!(running.log(), ["started", "restarting", "started", "tick"]);
    assert_eq!(running.cell.panics(), 1);
}

/// With actix's own `cancel_future` the replaced timer's number would take away a timer that is armed after the
/// restart, since the cancellation is carried out only after the panic.
#[actix::test]
async fn a_timer_replaced_just_before_a_panic_takes_no_other_away() {
    pause();
    let running = Running::start(RestartPolicy::default());
    assert_eq!(running.echo(1).await, 1);
    running.address.do_send(ExplodeByTimer);
    running.address.do_send(Explode("injected"));
    until("it restarted", || running.cell.restarts() == 1).await;
    tokio::time::sleep(TICK).await;
    assert_eq!(running.log().last().unwrap(), "tick");
    assert_eq!(running.cell.panics(), 1, "the timer from before the restart is gone");
}

#[actix::test]
async fn the_backoff_doubles_and_messages_wait_for_it() {
    pause();
    let running = Running::start(RestartPolicy { longest_backoff: Duration::from_millis(30), ..Default::default() });
    for (restart, wait_ms) in [(1, 10), (2, 20), (3, 30), (4, 30)] {
        running.explode().await;
        assert_eq!(running.cell.state(), ActorState::Restarting);
        let since = Instant::now();
        assert_eq!(running.echo(restart).await, restart);
        let waited_ms = since.elapsed().as_millis();
        // The runtime's timers round up to a millisecond.
        assert!(waited_ms == wait_ms || waited_ms == wait_ms + 1, "restart {restart} after {waited_ms} ms");
        assert_eq!((running.cell.restarts(), running.cell.state()), (u64::from(restart), ActorState::Running));
    }
}

#[actix::test]
async fn too_many_panics_end_the_actor_and_escalate() {
    pause();
    let mut running = Running::start(RestartPolicy { max_restarts: 2, ..Default::default() });
    for restart in 1..=2 {
        running.explode().await;
        assert_eq!(running.echo(restart).await, restart);
    }
    let early = tokio::time::timeout(Duration::from_secs(1), running.escalations.next()).await;
    assert!(early.is_err(), "two are within the policy");
    running.address.do_send(Explode("the last straw"));
    let waiting = running.address.send(Echo(3));
    let reason = soon("an escalation", running.escalations.next()).await;
    assert!(reason.starts_with("probe: too many panics"), "{reason}");
    assert_eq!((running.cell.state(), running.cell.panics(), running.cell.restarts()), (ActorState::Failed, 3, 2));
    until("the address is dead", || !running.address.connected()).await;
    assert!(waiting.await.is_err(), "whoever still waits is told");
    assert_eq!(running.cell.state(), ActorState::Failed, "it stays so");
    until("whoever sends to it sees that", || running.items.is_closed()).await;
}

#[actix::test]
async fn an_actor_that_can_not_start_escalates_at_once() {
    pause();
    let mut running = Running::start_as(RestartPolicy::default(), true);
    let waiting = running.address.send(Echo(1));
    let reason = soon("an escalation", running.escalations.next()).await;
    assert!(reason.starts_with("probe: ") && reason.ends_with("while it started"), "{reason}");
    assert!(waiting.await.is_err(), "whoever waits is told");
    assert_eq!((running.cell.state(), running.cell.panics(), running.cell.restarts()), (ActorState::Failed, 1, 0));
    assert_eq!(running.log(), ["started"]);
}

/// The first message is handled in the poll in which the actor starts.
#[actix::test]
async fn a_panic_over_the_first_message_is_none_of_the_start() {
    pause();
    let running = Running::start(RestartPolicy::default());
    running.address.do_send(Explode("injected"));
    assert_eq!(running.echo(1).await, 1);
    assert_eq!((running.cell.panics(), running.cell.restarts()), (1, 1));
}

#[actix::test]
async fn panics_far_apart_never_escalate() {
    pause();
    let policy = RestartPolicy { max_restarts: 1, ..Default::default() };
    let running = Running::start(policy);
    for restart in 1..=5 {
        running.explode().await;
        assert_eq!(running.echo(restart).await, restart);
        tokio::time::sleep(policy.window).await;
    }
    assert_eq!(running.cell.panics(), 5);
}

#[actix::test]
async fn a_panic_while_restarting_counts_and_is_tried_again() {
    pause();
    let running = Running::start(RestartPolicy::default());
    running.bad_restarts.set(1);
    running.explode().await;
    assert_eq!(running.echo(1).await, 1);
    assert_eq!((running.cell.panics(), running.cell.restarts()), (2, 1));
    assert_eq!(running.log(), ["started", "restarting", "restarting", "started", "echo 1"]);
}

#[actix::test]
async fn an_actor_that_can_never_restart_fails() {
    pause();
    let mut running = Running::start(RestartPolicy { max_restarts: 3, ..Default::default() });
    running.bad_restarts.set(u32::MAX);
    running.explode().await;
    assert!(soon("an escalation", running.escalations.next()).await.contains("too many panics"));
    assert_eq!((running.cell.state(), running.cell.panics(), running.cell.restarts()), (ActorState::Failed, 4, 0));
}

#[actix::test]
async fn an_actor_that_stops_has_not_failed() {
    pause();
    let running = Running::start(RestartPolicy::default());
    assert_eq!(running.cell.state(), ActorState::Starting);
    running.address.send(Stop).await.unwrap();
    until("it has stopped", || running.cell.state() == ActorState::Stopped).await;
    assert_eq!(running.cell.panics(), 0);
}

#[actix::test]
async fn the_cell_tells_from_outside_what_the_actor_does() {
    let running = Running::start(RestartPolicy::default());
    let inside = running.address.send(InHandler(Arc::clone(&running.cell))).await.unwrap();
    assert!(inside.is_some_and(|seconds| seconds >= 0.002), "{inside:?}");
    let report = running.cell.report();
    assert!(report.busy_seconds >= 0.002, "{report:?}");
    assert_eq!(report.in_handler_seconds, None, "nobody polls it now");
    assert!(report.idle_seconds >= 0.0);
    let work = running.cell.in_flight();
    let more = running.cell.in_flight();
    assert_eq!(running.cell.report().in_flight, 2);
    drop((work, more));
    assert_eq!(running.cell.report().in_flight, 0);
}

#[actix::test]
async fn a_panic_of_a_piece_of_work_counts_as_one_of_its_actor() {
    let running = Running::start(RestartPolicy::default());
    let work = running.cell.in_flight();
    let task = actix_rt::spawn(async move {
        tokio::task::yield_now().await;
        let _work = work;
        panic!("injected into a task");
    });
    assert!(task.await.unwrap_err().is_panic());
    let report = running.cell.report();
    assert_eq!((report.panics, report.restarts, report.in_flight), (1, 0, 0));
    assert!(report.last_error.is_some());
}

#![allow(clippy::unwrap_used)]

mod by_hand;
mod giving_up;
mod restarts;

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
        let inbox = inbox.shown_in(&cell);
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

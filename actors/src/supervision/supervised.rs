//! The future that runs one actor and restarts it in place.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use actix::dev::{ContextFut, channel};
use actix::fut::{ActorFutureExt, wrap_future};
use actix::{Actor, Addr, AsyncContext, Context};
use tokio::time::{Instant, Sleep, sleep};

use super::panics::last_panic_place;
use super::policy::PanicHistory;
use super::{ActorCell, ActorState, Escalation, RestartPolicy};

/// Messages that may wait in a mailbox. Only control messages go there: data has a channel of its own.
const MAILBOX: usize = 64;

/// An actor that can be put back in order after a panic. actix calls `restarting` on the same
/// instance; it must give up whatever the panic may have left half changed.
pub trait Restartable: Actor<Context = Context<Self>> + actix::Supervised {}

impl<A: Actor<Context = Context<A>> + actix::Supervised> Restartable for A {}

/// Starts an actor on the current arbiter under supervision; `build` gets the address it will have. An actor whose
/// first `started` panics is not tried again: it escalates, since nothing has shown yet that it can work.
pub fn supervise<A: Restartable>(
    cell: Arc<ActorCell>,
    policy: RestartPolicy,
    escalation: Escalation,
    build: impl FnOnce(&Addr<A>) -> A,
) -> Addr<A> {
    let (sender, receiver) = channel::channel(MAILBOX);
    let address = Addr::new(sender);
    let actor = build(&address);
    let mut context = Context::with_receiver(receiver);
    let has_started = note_start(&mut context);
    actix_rt::spawn(Supervised {
        context: context.into_future(actor),
        has_started,
        cell,
        policy,
        escalation,
        history: PanicHistory::default(),
        backoff: None,
        _keeps_mailbox_open: address.clone(),
    });
    address
}

/// Tells whether the actor got through its `started`: what a context waits for is polled after that and before any
/// message.
fn note_start<A: Restartable>(context: &mut Context<A>) -> Rc<Cell<bool>> {
    let has_started = Rc::new(Cell::new(false));
    let noted = Rc::clone(&has_started);
    context.wait(wrap_future::<_, A>(std::future::ready(())).map(move |(), _, _| noted.set(true)));
    has_started
}

struct Supervised<A: Restartable> {
    context: ContextFut<A, Context<A>>,
    has_started: Rc<Cell<bool>>,
    cell: Arc<ActorCell>,
    policy: RestartPolicy,
    escalation: Escalation,
    history: PanicHistory,
    backoff: Option<Pin<Box<Sleep>>>,
    /// Without a living address `ContextFut::restart` refuses.
    _keeps_mailbox_open: Addr<A>,
}

impl<A: Restartable> Future for Supervised<A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.cell.supervised_by(task.waker());
        loop {
            if this.cell.state() == ActorState::Failed {
                return Poll::Ready(());
            }
            if this.cell.take_restart() && this.is_at_work() {
                this.restart_by_hand();
                continue;
            }
            if let Some(backoff) = &mut this.backoff {
                ready!(backoff.as_mut().poll(task));
                this.backoff = None;
                if !this.restart() {
                    continue;
                }
            }
            match this.poll_actor(task) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(())) => {
                    this.cell.set_state(ActorState::Stopped);
                    return Poll::Ready(());
                }
                Err(_) => this.after_panic(),
            }
        }
    }
}

impl<A: Restartable> Supervised<A> {
    fn poll_actor(&mut self, task: &mut TaskContext<'_>) -> Result<Poll<()>, Box<dyn Any + Send>> {
        if self.cell.state() == ActorState::Starting {
            self.cell.set_state(ActorState::Running);
        }
        self.cell.enter_poll();
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.context).poll(task)));
        self.cell.leave_poll();
        polled
    }

    /// An actor that has not started, or that waits out its backoff, is about to start anyway.
    fn is_at_work(&self) -> bool {
        self.has_started.get() && self.backoff.is_none()
    }

    /// No panic, so it counts for none.
    fn restart_by_hand(&mut self) {
        if self.restart() {
            tracing::info!(actor = self.cell.name(), "an actor was restarted by hand");
        }
    }

    /// Whether the actor runs again; a panic in its `restarting` counts as one more.
    fn restart(&mut self) -> bool {
        let restarted = catch_unwind(AssertUnwindSafe(|| self.context.restart())).is_ok();
        if restarted {
            self.cell.note_restart();
            self.cell.set_state(ActorState::Running);
        } else {
            self.after_panic();
        }
        restarted
    }

    fn after_panic(&mut self) {
        let place = last_panic_place();
        self.cell.note_panic(&format!("a panic at {place}"));
        tracing::error!(actor = self.cell.name(), place, "an actor panicked");
        if !self.has_started.get() {
            return self.give_up(&format!("it panicked at {place} while it started"));
        }
        if let Some(wait) = self.history.note(Instant::now(), &self.policy) {
            self.cell.set_state(ActorState::Restarting);
            self.backoff = Some(Box::pin(sleep(wait)));
        } else {
            self.give_up(&format!("too many panics, the last at {place}"));
        }
    }

    fn give_up(&self, reason: &str) {
        self.cell.note_error(reason);
        self.cell.set_state(ActorState::Failed);
        self.escalation.escalate(self.cell.name(), reason);
    }
}

#[cfg(test)]
mod tests;

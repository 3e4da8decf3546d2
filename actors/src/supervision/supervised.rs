//! The future that runs one actor and restarts it in place.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use actix::dev::{ContextFut, channel};
use actix::{Actor, Addr, Context};
use tokio::time::{Instant, Sleep, sleep};

use super::policy::PanicHistory;
use super::{ActorCell, ActorState, Escalation, RestartPolicy};

/// Messages that may wait in a mailbox. Only control messages go there: data has a channel of its own.
const MAILBOX: usize = 64;

/// An actor that can be put back in order after a panic. actix calls `restarting` on the same
/// instance; it must give up whatever the panic may have left half changed.
pub trait Restartable: Actor<Context = Context<Self>> + actix::Supervised {}

impl<A: Actor<Context = Context<A>> + actix::Supervised> Restartable for A {}

/// Starts an actor on the current arbiter under supervision; `build` gets the address it will have.
pub fn supervise<A: Restartable>(
    cell: Arc<ActorCell>,
    policy: RestartPolicy,
    escalation: Escalation,
    build: impl FnOnce(&Addr<A>) -> A,
) -> Addr<A> {
    let (sender, receiver) = channel::channel(MAILBOX);
    let address = Addr::new(sender);
    let actor = build(&address);
    let context = Context::with_receiver(receiver).into_future(actor);
    actix_rt::spawn(Supervised {
        context,
        cell,
        policy,
        escalation,
        history: PanicHistory::default(),
        backoff: None,
        _keeps_mailbox_open: address.clone(),
    });
    address
}

struct Supervised<A: Restartable> {
    context: ContextFut<A, Context<A>>,
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
        loop {
            if this.cell.state() == ActorState::Failed {
                return Poll::Ready(());
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
                Err(panic) => this.after_panic(panic.as_ref()),
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

    /// Whether the actor runs again; a panic in its `restarting` counts as one more.
    fn restart(&mut self) -> bool {
        match catch_unwind(AssertUnwindSafe(|| self.context.restart())) {
            Ok(_) => {
                self.cell.note_restart();
                self.cell.set_state(ActorState::Running);
                true
            }
            Err(panic) => {
                self.after_panic(panic.as_ref());
                false
            }
        }
    }

    fn after_panic(&mut self, panic: &(dyn Any + Send)) {
        let message = panic_message(panic);
        self.cell.note_panic(&message);
        tracing::error!(actor = self.cell.name(), panic = message, "an actor panicked");
        if let Some(wait) = self.history.note(Instant::now(), &self.policy) {
            self.cell.set_state(ActorState::Restarting);
            self.backoff = Some(Box::pin(sleep(wait)));
        } else {
            self.cell.set_state(ActorState::Failed);
            self.escalation.escalate(self.cell.name(), &format!("too many panics, the last: {message}"));
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests;

//! The data channels between stages: bounded, cloneable, and outliving the panic of the actor that reads them.

use std::sync::{Arc, Weak};

use async_channel::{Receiver, Sender, TrySendError};
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use crate::messages::{Delivery, Extracted, Failure, Outcome, Rankable, Stage, Ticket, WorkItem};
use crate::supervision::ActorCell;

/// Something on its way that carries the duty to end.
pub trait Ticketed {
    /// The question.
    fn item(&self) -> &WorkItem;
    /// Gives the ticket up, to end it.
    fn into_ticket(self) -> Ticket;
}

macro_rules! ticketed {
    ($($message:ty),+) => {$(
        impl Ticketed for $message {
            fn item(&self) -> &WorkItem {
                &self.item
            }

            fn into_ticket(self) -> Ticket {
                self.ticket
            }
        }
    )+};
}

ticketed!(Extracted, Rankable, Delivery);

/// The way into a stage's inbox.
pub struct NextStage<M> {
    sender: Sender<M>,
}

impl<M> Clone for NextStage<M> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone() }
    }
}

/// What waits for an actor. It lives in the actor's dependencies and hands out streams, so that a restart, which
/// drops the stream, loses nothing.
pub struct Inbox<M> {
    /// Shared, so that whoever only measures it does not keep the channel open.
    receiver: Arc<Receiver<M>>,
    /// Where it is counted what is taken.
    cell: Option<Arc<ActorCell>>,
}

impl<M> Clone for Inbox<M> {
    fn clone(&self) -> Self {
        Self { receiver: Arc::clone(&self.receiver), cell: self.cell.clone() }
    }
}

impl<M: 'static> Inbox<M> {
    /// What waits, then what comes; ends when the senders are gone or the channel is closed.
    pub fn stream(&self) -> impl Stream<Item = M> + use<M> {
        let cell = self.cell.clone();
        Receiver::clone(&self.receiver).inspect(move |_| {
            if let Some(cell) = &cell {
                cell.note_handled();
            }
        })
    }

    /// The same inbox, whose actor's cell shows how much waits, how much may, and how much was taken.
    #[must_use]
    pub fn shown_in(self, cell: &Arc<ActorCell>) -> Self
    where
        M: Send,
    {
        cell.measure_queue(self.receiver.capacity().unwrap_or(usize::MAX), self.depth());
        Self { cell: Some(Arc::clone(cell)), ..self }
    }

    /// Measures how much waits, for whoever watches; nothing once the inbox is gone. Not by async-channel's own weak
    /// receiver, which sees nothing in a channel that is closed and still read.
    pub fn depth(&self) -> impl Fn() -> usize + Send + Sync + use<M>
    where
        M: Send,
    {
        let receiver = Arc::downgrade(&self.receiver);
        move || Weak::upgrade(&receiver).map_or(0, |receiver| receiver.len())
    }
}

/// A bounded inbox and the way into it, for senders that wait while it is full.
pub fn bounded<M>(capacity: usize) -> (Sender<M>, Inbox<M>) {
    let (sender, receiver) = async_channel::bounded(capacity.max(1));
    (sender, Inbox { receiver: Arc::new(receiver), cell: None })
}

/// An inbox with room for every permit, and the way into it.
pub fn stage<M>(permits: usize) -> (NextStage<M>, Inbox<M>) {
    let (sender, inbox) = bounded(permits);
    (NextStage { sender }, inbox)
}

impl<M: Ticketed> NextStage<M> {
    /// Hands a message on from the stage that is done with it; work that is too late ends here. Whether the next stage
    /// has it.
    pub fn hand_on(&self, message: M, done: Stage) -> bool {
        let (message, outcome) = if message.item().is_expired(Instant::now()) {
            (message, Outcome::Expired(done))
        } else {
            match self.sender.try_send(message) {
                Ok(()) => return true,
                Err(TrySendError::Full(message)) => {
                    let stage = done.name();
                    tracing::error!(stage, "the inbox behind this stage is full although permits bound it");
                    (message, Outcome::Failed(Failure::InboxFull))
                }
                Err(TrySendError::Closed(message)) => (message, Outcome::Failed(Failure::Stopping)),
            }
        };
        message.into_ticket().finish(outcome);
        false
    }

    /// Lets nothing more in; what is there is still read.
    pub fn close(&self) {
        self.sender.close();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::pin::pin;
    use std::time::Duration;

    use futures_util::StreamExt;
    use tokio::time::advance;

    use super::*;
    use crate::testing::{Recorder, extracted, item};

    #[tokio::test(start_paused = true)]
    async fn what_is_late_full_or_closed_ends_its_ticket_and_says_why() {
        let (next, inbox) = stage(1);
        let recorder = Recorder::new();
        let items = ["a", "b", "c", "d"].map(|interaction| item("acme", interaction, 1));
        for (item, is_taken) in items[..2].iter().zip([true, false]) {
            assert_eq!(next.hand_on(extracted(item, &recorder), Stage::Extract), is_taken);
        }
        advance(Duration::from_secs(4)).await;
        assert!(!next.hand_on(extracted(&items[2], &recorder), Stage::Extract));
        next.close();
        let fresh = item("acme", "e", 1);
        assert!(!next.hand_on(extracted(&fresh, &recorder), Stage::Extract));
        let outcomes = [&items[1], &items[2], &fresh].map(|item| recorder.outcome_of(item).unwrap());
        let expected =
            [Outcome::Failed(Failure::InboxFull), Outcome::Expired(Stage::Extract), Outcome::Failed(Failure::Stopping)];
        assert_eq!(outcomes, expected);
        let left: Vec<_> = pin!(inbox.stream()).collect().await;
        assert_eq!(left.len(), 1, "what is there is still read");
    }

    #[tokio::test]
    async fn what_waits_is_measured_until_it_is_read_and_measuring_keeps_no_channel_open() {
        let (sender, inbox) = bounded(4);
        let depth = inbox.depth();
        sender.send(1).await.unwrap();
        sender.close();
        assert_eq!(depth(), 1, "closed and not read yet");
        drop((sender, inbox));
        assert_eq!(depth(), 0);
        let (sender, inbox) = bounded::<u32>(4);
        let _depth = inbox.depth();
        drop(inbox);
        assert!(sender.is_closed(), "a sender sees that nobody reads any more");
    }

    #[tokio::test]
    async fn a_stream_that_is_dropped_leaves_what_waits_to_the_next() {
        let (sender, inbox) = bounded(4);
        for number in 0..3 {
            sender.send(number).await.unwrap();
        }
        assert_eq!(pin!(inbox.stream()).next().await, Some(0));
        assert_eq!(inbox.depth()(), 2);
        assert_eq!(pin!(inbox.stream()).next().await, Some(1));
    }
}

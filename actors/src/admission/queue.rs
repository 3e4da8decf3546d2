//! A queue in which an interaction has one place.

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;
use uuid::Uuid;

use crate::messages::{InteractionKey, Ticket, WorkItem};

/// Whose place in the queue it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum QueueKey {
    /// An interaction's: a newer utterance takes it over.
    Interaction(InteractionKey),
    /// A caller's own.
    Caller(Uuid),
}

/// An item that waits.
pub(super) struct Queued {
    pub(super) item: WorkItem,
    pub(super) ticket: Ticket,
    /// When it came; its place may have been taken by the one that it replaced.
    pub(super) since: Instant,
}

/// First in, first out, with one item per key.
#[derive(Default)]
pub(super) struct Queue {
    order: VecDeque<(QueueKey, Instant)>,
    items: HashMap<QueueKey, Queued>,
}

impl Queue {
    /// Puts an item in; the one of the same key that waited is returned, its place is kept.
    pub(super) fn push(&mut self, key: QueueKey, item: WorkItem, ticket: Ticket) -> Option<Queued> {
        let since = Instant::now();
        let replaced = self.items.insert(key.clone(), Queued { item, ticket, since });
        if replaced.is_none() {
            self.order.push_back((key, since));
        }
        replaced
    }

    /// Takes the item out whose place is the oldest.
    pub(super) fn pop(&mut self) -> Option<Queued> {
        let (key, _) = self.order.pop_front()?;
        self.items.remove(&key)
    }

    /// Takes the oldest item out for which nobody waits.
    pub(super) fn pop_heard(&mut self) -> Option<Queued> {
        let oldest = self.order.iter().position(|(key, _)| matches!(key, QueueKey::Interaction(_)))?;
        let (key, _) = self.order.remove(oldest)?;
        self.items.remove(&key)
    }

    pub(super) fn contains(&self, key: &QueueKey) -> bool {
        self.items.contains_key(key)
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// When the oldest place was taken.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.order.front().map(|(_, queued)| *queued)
    }
}

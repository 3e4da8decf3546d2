//! What one stage hands to the next. Every inbox of these has room for all permits.

use std::fmt;

use cuecard_engine::{Candidates, Effort, Query, Ranked};

use super::{InteractionKey, Ticket, WorkItem};

/// Admission to Extractor.
pub struct Admitted {
    /// The question.
    pub item: WorkItem,
    /// Its ticket, with a permit.
    pub ticket: Ticket,
    /// How much work it is given.
    pub effort: Effort,
}

/// Extractor to Retriever.
pub struct Extracted {
    /// The question.
    pub item: WorkItem,
    /// Its ticket.
    pub ticket: Ticket,
    /// What to look for.
    pub query: Query,
}

/// Retriever to Ranker.
pub struct Retrieved {
    /// The question.
    pub item: WorkItem,
    /// Its ticket.
    pub ticket: Ticket,
    /// What was found.
    pub candidates: Candidates,
}

/// Ranker to Injector.
pub struct Delivery {
    /// The question.
    pub item: WorkItem,
    /// Its ticket.
    pub ticket: Ticket,
    /// What to show, best first; never empty.
    pub cards: Vec<Ranked>,
}

/// Injector to Ranker: these cards never reached the screen, they may be shown again.
#[derive(Debug, Clone, actix::Message)]
#[rtype(result = "()")]
pub struct NotShown {
    /// Whose agent did not see them.
    pub key: InteractionKey,
    /// The articles.
    pub article_ids: Vec<String>,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Delivery({}, {} cards)", self.item.decision, self.cards.len())
    }
}

//! What one stage hands to the next. Every inbox of these has room for all permits.

use std::fmt;
use std::sync::Arc;

use cuecard_cxone::ranking::RankingSubmission;
use cuecard_engine::{Effort, Order, Query, Ranking};

use super::{InteractionKey, Ticket, WorkItem};

/// Admission to Extractor.
pub struct AdmittedItem {
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

/// Retriever to Ranker; from the Extractor where the question brought what is to be ordered.
pub struct Rankable {
    /// The question.
    pub item: WorkItem,
    /// Its ticket.
    pub ticket: Ticket,
    /// What was found, best first; `None` where the question brought what is to be ordered.
    pub order: Option<Order>,
}

/// Ranker to Injector.
pub struct Delivery {
    /// The question.
    pub item: WorkItem,
    /// Its ticket.
    pub ticket: Ticket,
    /// What to push.
    pub content: Content,
}

/// What is pushed.
pub enum Content {
    /// Cards to show; there is at least one.
    Cards(Arc<Ranking>),
    /// The order of the snippets that a caller gave.
    Order(RankingSubmission),
}

/// `FeedbackLogger` to Ranker: an agent did not want to see this card.
#[derive(Debug, Clone, actix::Message)]
#[rtype(result = "()")]
pub struct CardRejected {
    /// Whose agent.
    pub key: InteractionKey,
    /// The card's article.
    pub article_id: String,
}

/// Injector to Ranker: these cards never reached the screen, the first one may be shown again.
#[derive(Debug, Clone, actix::Message)]
#[rtype(result = "()")]
pub struct NotShown {
    /// Whose agent did not see them.
    pub key: InteractionKey,
    /// The utterance that brought them.
    pub utterance_number: u64,
    /// The first card's article.
    pub article_id: String,
}

impl NotShown {
    /// What is to be said where this delivery comes to nothing; nothing where it brings snippets of a caller's.
    pub fn of(delivery: &Delivery) -> Option<Self> {
        let Content::Cards(ranking) = &delivery.content else { return None };
        Some(Self {
            key: delivery.item.key.clone(),
            utterance_number: delivery.item.utterance_number,
            article_id: ranking.cards().first()?.article().id.clone(),
        })
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Cards(ranking) => {
                write!(formatter, "Delivery({}, {} cards)", self.item.decision, ranking.cards().len())
            }
            Content::Order(order) => {
                write!(formatter, "Delivery({}, {} snippets)", self.item.decision, order.snippets.len())
            }
        }
    }
}

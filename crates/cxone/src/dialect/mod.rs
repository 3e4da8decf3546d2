//! From cards to the push that shows them, for every dialect.
//!
//! Input: an interaction and its cards in order. Output: path, method, scope and body of one call. Pure; text of any
//! kind reaches CXone as JSON text, and a score that is no number as 0.

mod insights;

use std::fmt;

use actix_http::Method;
use serde::{Deserialize, Serialize};

use crate::interaction_id::InteractionId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// 003: a list of insights, shown as cards.
    Insights,
}

/// One article as the agent shall see it.
#[derive(Clone, PartialEq)]
pub struct Card {
    pub article_id: String,
    pub title: String,
    pub url: Option<String>,
    pub body: String,
    /// The score that ordered the cards.
    pub score: f64,
}

/// The body of a push, ready for serde.
#[derive(Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PushBody {
    Insights(insights::InsightsPush),
}

impl Dialect {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Insights => "insights",
        }
    }

    pub const fn method(self) -> Method {
        match self {
            Self::Insights => Method::POST,
        }
    }

    /// Below the base URL; the id needs no escape.
    pub fn path(self, _interaction: &InteractionId) -> String {
        match self {
            Self::Insights => insights::PATH.to_owned(),
        }
    }

    pub const fn required_scope(self) -> &'static str {
        match self {
            Self::Insights => "agentassist:write",
        }
    }

    /// What a 403 means, for people.
    pub fn forbidden_reason(self) -> String {
        let scope = self.required_scope();
        match self {
            Self::Insights => {
                format!("the client lacks the scope {scope}, or the interaction belongs to another client")
            }
        }
    }

    /// Each article once, where it stands first; priority is the place in that order.
    pub fn body(self, interaction: &InteractionId, cards: &[Card]) -> PushBody {
        match self {
            Self::Insights => PushBody::Insights(insights::InsightsPush::new(interaction, cards)),
        }
    }

    /// The id that CXone gave the push; no JSON, or no id in it, is none.
    pub fn returned_id(self, answer: &[u8]) -> Option<String> {
        let answer: serde_json::Value = serde_json::from_slice(answer).ok()?;
        match self {
            Self::Insights => match answer.get("id")? {
                serde_json::Value::String(id) if !id.is_empty() => Some(id.clone()),
                serde_json::Value::Number(id) => Some(id.to_string()),
                _ => None,
            },
        }
    }
}

impl PushBody {
    /// How many cards it shows; none is nothing to push.
    pub fn num_cards(&self) -> usize {
        match self {
            Self::Insights(push) => push.num_insights(),
        }
    }

    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

impl fmt::Debug for Card {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Card")
            .field("article_id", &self.article_id)
            .field("score", &self.score)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PushBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insights(_) => formatter.debug_tuple("Insights").field(&self.num_cards()).finish(),
        }
    }
}

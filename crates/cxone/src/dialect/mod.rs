//! From cards to the push that shows them, for every dialect.
//!
//! Input: an interaction and its cards in order, or a caller's ranking. Output: path, scopes, headers and body of one POST.
//! Pure and total; text of any kind reaches CXone as JSON text, and a score that is no number as 0.
//!
//! | dialect | one card for each | score | what it lacks |
//! |---|---|---|---|
//! | rag | passage | none | source: the URL, else the id, else `unknown` |
//! | snippets | article | to 4 places | title: `Unknown` |
//! | graph | article | none | title: `Unknown`; URL: empty; summary: empty for a node of the graph, else the body's first 200 characters |
//! | insights | article | as it is | URL: empty |
//! | ranking | article | 0 to 1, to 4 places | boost: 1; metadata: none |

mod card;
mod graph;
mod insights;
mod rag;
mod ranking;
mod snippets;

use std::collections::HashSet;
use std::fmt;

use cuecard_text::MAX_ID_BYTES;
use cuecard_text::json;
use serde::Serialize;
use serde_json::Value;
use strum::{Display, EnumString, VariantArray};

pub use card::{Card, MatchedBy, PushContent, PushTarget, shown_text};

use crate::answers::CallKind;
use crate::interaction_id::InteractionId;
use crate::names::UnknownName;
use crate::ranking::{SESSION_SCOPE, session_path};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, VariantArray)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownName, parse_err_fn = unknown)]
pub enum Dialect {
    /// 000: passages as one text of context.
    Rag,
    /// 001: a list of messages, shown as cards.
    Snippets,
    /// 002: a list of articles, shown as cards.
    Graph,
    /// 003: a list of insights, shown as cards.
    Insights,
    /// 004: the order of a session's snippets.
    Ranking,
}

impl Dialect {
    /// Below the base URL; the id needs no escape.
    pub fn path(self, interaction: &InteractionId) -> String {
        match self {
            Self::Rag => "/api/v2/assist/agentassists".to_owned(),
            Self::Snippets => format!("/api/v2/interactions/{interaction}/assist"),
            Self::Graph => format!("/api/v2/agentassist/interactions/{interaction}/content"),
            Self::Insights => "/api/v2/agentassist/insights".to_owned(),
            Self::Ranking => format!("{}/snippets/ranking", session_path(interaction)),
        }
    }

    /// All that the documents ask for.
    pub const fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Rag => &["agentassists:write"],
            Self::Snippets => &["assist:write"],
            Self::Graph => &["agentassist:interactions:write", "agentassist:read"],
            Self::Insights => &["agentassist:write"],
            Self::Ranking => &[SESSION_SCOPE, "agentassist:snippet:write"],
        }
    }

    /// What a 403 means, for people.
    pub const fn forbidden_reason(self) -> &'static str {
        match self {
            Self::Rag => "Missing agentassists:write scope",
            Self::Snippets => "Missing assist:write scope",
            Self::Graph => "Missing agentassist:interactions:write scope",
            Self::Insights => "Missing agentassist:write scope, or the interaction belongs to another client",
            Self::Ranking => "Missing agentassist:session:write or agentassist:snippet:write scope",
        }
    }

    /// By which rules its answers are read.
    pub const fn call_kind(self) -> CallKind {
        match self {
            Self::Rag | Self::Snippets | Self::Graph | Self::Insights => CallKind::Push,
            Self::Ranking => CallKind::Ranking,
        }
    }

    /// What its calls carry beside the headers that every call has.
    pub const fn extra_headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rag | Self::Snippets | Self::Graph | Self::Insights => &[],
            Self::Ranking => &[("X-CXone-Client-Version", env!("CARGO_PKG_VERSION"))],
        }
    }

    pub fn body(self, to: &PushTarget<'_>, content: &PushContent) -> PushBody {
        match (self, content) {
            (Self::Rag, _) => PushBody::Rag(rag::RagPush::new(to, &content.to_cards())),
            (Self::Snippets, _) => PushBody::Snippets(snippets::SnippetsPush::new(&content.to_cards())),
            (Self::Graph, _) => PushBody::Graph(graph::GraphPush::new(&content.to_cards())),
            (Self::Insights, _) => PushBody::Insights(insights::InsightsPush::new(to.interaction, &content.to_cards())),
            (Self::Ranking, PushContent::Ranking(submission)) => {
                PushBody::Ranking(ranking::RankingPush::new(to.interaction, submission))
            }
            (Self::Ranking, PushContent::Cards(cards)) => {
                PushBody::Ranking(ranking::RankingPush::of_cards(to.interaction, cards))
            }
        }
    }

    /// The id that CXone gave the push; no JSON, or no id in it, is none. One that is too long to be kept is an error.
    pub fn returned_id(self, answer: &[u8]) -> Result<Option<String>, LongReturnedId> {
        let Ok(answer) = json::parse::<Value>(answer) else { return Ok(None) };
        let field = if self == Self::Graph { "contentId" } else { "id" };
        let id = match answer.value.get(field) {
            Some(Value::String(id)) if !id.is_empty() => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => return Ok(None),
        };
        if id.len() > MAX_ID_BYTES { Err(LongReturnedId { bytes: id.len() }) } else { Ok(Some(id)) }
    }
}

/// CXone gave a push an id that nobody would keep. Never repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("CXone gave the push an id of {bytes} bytes; one has at most {MAX_ID_BYTES}")]
pub struct LongReturnedId {
    /// Its length.
    pub bytes: usize,
}

fn unknown(name: &str) -> UnknownName {
    UnknownName::of::<Dialect>("dialect", name)
}

/// The body of a push, ready to be written.
#[derive(Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PushBody {
    Rag(rag::RagPush),
    Snippets(snippets::SnippetsPush),
    Graph(graph::GraphPush),
    Insights(insights::InsightsPush),
    Ranking(ranking::RankingPush),
}

impl PushBody {
    /// How many cards it shows; none is nothing to push.
    pub fn num_cards(&self) -> usize {
        match self {
            Self::Rag(push) => push.num_passages(),
            Self::Snippets(push) => push.num_messages(),
            Self::Graph(push) => push.num_articles(),
            Self::Insights(push) => push.num_insights(),
            Self::Ranking(push) => push.num_snippets(),
        }
    }

    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    const fn dialect(&self) -> &'static str {
        match self {
            Self::Rag(_) => "Rag",
            Self::Snippets(_) => "Snippets",
            Self::Graph(_) => "Graph",
            Self::Insights(_) => "Insights",
            Self::Ranking(_) => "Ranking",
        }
    }
}

impl fmt::Debug for PushBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple(self.dialect()).field(&self.num_cards()).finish()
    }
}

/// Each article once, where it stands first.
fn first_of_each(cards: &[Card]) -> impl Iterator<Item = &Card> {
    let mut seen = HashSet::new();
    cards.iter().filter(move |card| seen.insert(card.article_id.as_str()))
}

#[cfg(test)]
mod tests;

//! Which of the decisions that are kept are about questions that found no good article.

use std::collections::{HashMap, HashSet};

use cuecard_actors::engine::ranking::SilenceReason;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// An utterance later than this is about something else: a card that comes then says nothing of the one before.
const SOON: u64 = 2;

/// A decision as it is kept, as far as gaps are read from it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Kept {
    pub(super) id: Uuid,
    pub(super) profile: String,
    pub(super) interaction: String,
    pub(super) utterance_number: u64,
    pub(super) heard_at: Timestamp,
    outcome: KeptOutcome,
    #[serde(default)]
    ranking: Option<KeptRanking>,
    /// Masked, oldest first; none where the profile keeps none.
    #[serde(default)]
    words: Option<Vec<Said>>,
}

#[derive(Debug, Clone, Deserialize)]
struct KeptOutcome {
    kind: String,
    #[serde(default)]
    detail: Value,
}

#[derive(Debug, Clone, Deserialize)]
struct KeptRanking {
    #[serde(default)]
    candidates: Vec<Article>,
    /// `{"cards": [place, …]}` or `{"silent": reason}`.
    verdict: Value,
}

#[derive(Debug, Clone, Deserialize)]
struct Said {
    speaker: String,
    text: String,
}

/// An article by its names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub(super) struct Article {
    pub(super) id: String,
    #[serde(default)]
    pub(super) title: String,
}

/// How a question came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// No article was good enough.
    Silent,
    /// The agent rejected the card, or the best article had been rejected before.
    Rejected,
    /// Another card took its place a moment later.
    Replaced,
}

/// A question that found no good article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question<'a> {
    pub(super) kind: Kind,
    pub(super) decision: Uuid,
    pub(super) at: Timestamp,
    /// The newest customer turn, masked, where words are kept.
    pub(super) text: Option<&'a str>,
    /// The article that was shown, or came nearest.
    pub(super) nearest: Option<&'a Article>,
}

impl Kept {
    /// From its JSON; nothing where another version wrote it in another form.
    pub(super) fn read(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    fn shown(&self) -> Option<&Article> {
        let ranking = self.ranking.as_ref()?;
        let first = ranking.verdict["cards"][0].as_u64().filter(|_| self.outcome.kind == "delivered")?;
        ranking.candidates.get(usize::try_from(first).ok()?)
    }

    fn nearest(&self) -> Option<&Article> {
        self.shown().or_else(|| self.ranking.as_ref()?.candidates.first())
    }

    fn newest_customer_turn(&self) -> Option<&str> {
        let said = self.words.as_deref()?.iter().rev().find(|said| said.speaker == "customer")?;
        Some(said.text.trim()).filter(|text| !text.is_empty())
    }

    /// Whether nothing was good enough; that no card was wanted, or stood there already, is no gap.
    fn silent_kind(&self) -> Option<Kind> {
        let of = |reason: SilenceReason| self.outcome.detail.as_str() == Some(reason.name());
        if self.outcome.kind != "silent" {
            return None;
        }
        if of(SilenceReason::Rejected) {
            return Some(Kind::Rejected);
        }
        (of(SilenceReason::NothingFound) || of(SilenceReason::Unsure)).then_some(Kind::Silent)
    }
}

/// The questions among decisions, oldest first, that found no good article.
pub(super) fn unanswered<'a>(decisions: &'a [Kept], rejected: &HashSet<Uuid>) -> Vec<Question<'a>> {
    let mut next_shown: HashMap<(&str, &str), (u64, &str)> = HashMap::new();
    let mut questions = Vec::new();
    for decision in decisions.iter().rev() {
        let call = (decision.profile.as_str(), decision.interaction.as_str());
        let shown = decision.shown();
        let is_replaced = |article: &Article| {
            next_shown.get(&call).is_some_and(|(number, later)| {
                *later != article.id && number.saturating_sub(decision.utterance_number) <= SOON
            })
        };
        let kind = match shown {
            Some(_) if rejected.contains(&decision.id) => Some(Kind::Rejected),
            Some(article) => is_replaced(article).then_some(Kind::Replaced),
            None => decision.silent_kind(),
        };
        if let Some(article) = shown {
            next_shown.insert(call, (decision.utterance_number, article.id.as_str()));
        }
        questions.extend(kind.map(|kind| Question {
            kind,
            decision: decision.id,
            at: decision.heard_at,
            text: decision.newest_customer_turn(),
            nearest: decision.nearest(),
        }));
    }
    questions.reverse();
    questions
}

//! Which of the decisions that are kept are about questions that found no good article.

use std::collections::{HashMap, HashSet};

use cuecard_actors::decisions::KeptDecision;
use cuecard_actors::engine::Ranked;
use cuecard_actors::engine::ranking::SilenceReason;
use cuecard_actors::messages::{Decision, Outcome};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// An utterance later than this is about something else: a card that comes then says nothing of the one before.
const SOON: u64 = 2;

/// A decision as it is kept, as far as gaps are read from it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) id: Uuid,
    pub(super) profile: String,
    pub(super) interaction: String,
    pub(super) utterance_number: u64,
    pub(super) heard_at: Timestamp,
    /// How it came to nothing, whatever came of the call later.
    silent: Option<Kind>,
    /// The first card, where it reached the agent.
    shown: Option<Article>,
    /// What was found first.
    best: Option<Article>,
    /// The newest customer turn, masked; none where the profile keeps no words.
    text: Option<String>,
}

/// An article by its names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, ToSchema)]
pub(super) struct Article {
    pub(super) id: String,
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
        let kept = KeptDecision::read(json).ok()?;
        let text = kept.newest_customer_turn().map(str::to_owned);
        let Decision { id, profile, interaction, utterance_number, heard_at, outcome, ranking, .. } = kept.decision;
        let ranking = ranking.as_deref();
        let is_shown = matches!(outcome, Outcome::Delivered(_));
        Some(Self {
            id,
            profile: profile.to_string(),
            interaction: interaction.to_string(),
            utterance_number,
            heard_at,
            silent: silent_kind(&outcome),
            shown: ranking
                .filter(|_| is_shown)
                .and_then(|ranking| ranking.cards().first().map(|card| Article::of(card))),
            best: ranking.and_then(|ranking| ranking.order.ranked.first()).map(Article::of),
            text,
        })
    }

    fn nearest(&self) -> Option<&Article> {
        self.shown.as_ref().or(self.best.as_ref())
    }
}

impl Article {
    fn of(ranked: &Ranked) -> Self {
        Self { id: ranked.article().id.clone(), title: ranked.article().title.clone() }
    }
}

/// Whether nothing was good enough; that no card was wanted, or stood there already, is no gap.
fn silent_kind(outcome: &Outcome) -> Option<Kind> {
    match outcome {
        Outcome::Silent(SilenceReason::Rejected) => Some(Kind::Rejected),
        Outcome::Silent(SilenceReason::NothingFound | SilenceReason::Unsure) => Some(Kind::Silent),
        _ => None,
    }
}

/// The questions among decisions, oldest first, that found no good article.
pub(super) fn unanswered<'a>(decisions: &'a [Kept], rejected: &HashSet<Uuid>) -> Vec<Question<'a>> {
    let mut next_shown: HashMap<(&str, &str), (u64, &str)> = HashMap::new();
    let mut questions = Vec::new();
    for decision in decisions.iter().rev() {
        let call = (decision.profile.as_str(), decision.interaction.as_str());
        let shown = decision.shown.as_ref();
        let is_replaced = |article: &Article| {
            next_shown.get(&call).is_some_and(|(number, later)| {
                // A call that came back under the same id counts anew: what has a smaller number is not later.
                let apart = number.checked_sub(decision.utterance_number);
                *later != article.id && apart.is_some_and(|apart| apart <= SOON)
            })
        };
        let kind = match shown {
            Some(_) if rejected.contains(&decision.id) => Some(Kind::Rejected),
            Some(article) => is_replaced(article).then_some(Kind::Replaced),
            None => decision.silent,
        };
        if let Some(article) = shown {
            next_shown.insert(call, (decision.utterance_number, article.id.as_str()));
        }
        questions.extend(kind.map(|kind| Question {
            kind,
            decision: decision.id,
            at: decision.heard_at,
            text: decision.text.as_deref(),
            nearest: decision.nearest(),
        }));
    }
    questions.reverse();
    questions
}

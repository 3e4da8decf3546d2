//! A decision in one line of the console's list. All of it is told by `/explain/{decision}`.

use cuecard_actors::decisions::{KeptDecision, ending};
use cuecard_actors::engine::{Ranking, Verdict};
use cuecard_actors::messages::Outcome;
use serde::Serialize;
use utoipa::ToSchema;

/// A decision in one line.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Summary {
    id: uuid::Uuid,
    profile: String,
    interaction: String,
    utterance: u64,
    at: jiff::Timestamp,
    pub(super) outcome: &'static str,
    /// Why nothing was shown, where the service chose to be silent.
    silence: Option<&'static str>,
    /// How it ended, in a sentence.
    ending: String,
    latency_ms: f64,
    pub(super) live: Answered,
    /// What a second ranker would have shown, where one is watched and had the time.
    pub(super) shadow: Option<Answered>,
}

/// What a ranker came to.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Answered {
    /// The titles of the cards, the first on top.
    pub(super) cards: Vec<String>,
    /// Why there are none.
    pub(super) silence: Option<&'static str>,
    /// The title of what was found first, whether or not it was shown.
    best: Option<String>,
}

/// Of a decision as it is kept; nothing of one that another version wrote in another form.
pub(super) fn summary(json: &str) -> Option<Summary> {
    let KeptDecision { decision, .. } = KeptDecision::read(json).ok()?;
    Some(Summary {
        id: decision.id,
        profile: decision.profile.to_string(),
        interaction: decision.interaction.to_string(),
        utterance: decision.utterance_number,
        at: decision.heard_at,
        outcome: decision.outcome.label(),
        silence: match decision.outcome {
            Outcome::Silent(reason) => Some(reason.name()),
            _ => None,
        },
        ending: ending(&decision),
        latency_ms: decision.latency.as_secs_f64() * 1000.0,
        live: decision.ranking.as_deref().map(answered).unwrap_or_default(),
        shadow: decision.shadow.as_deref().map(answered),
    })
}

fn answered(ranking: &Ranking) -> Answered {
    let title = |article: &cuecard_actors::engine::Ranked| article.article().title.clone();
    Answered {
        cards: ranking.cards().into_iter().map(title).collect(),
        silence: match &ranking.verdict {
            Verdict::Silent(reason) => Some(reason.name()),
            Verdict::Cards(_) => None,
        },
        best: ranking.order.ranked.first().map(title),
    }
}

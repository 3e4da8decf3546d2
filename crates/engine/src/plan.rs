//! How a profile's questions are answered, decided once from contract and settings. No stage asks which
//! contract it serves; each reads its part of the plan.

use std::time::Duration;

use cuecard_knowledge::{ArticleFilter, ContentHash};
use cuecard_ranking::{Formula, Lookup, SilenceRule};
use serde::{Deserialize, Serialize};
use strum::VariantNames;

use crate::backends::BackendName;
use crate::conversation::TurnWindow;
use crate::rules::Boosts;

/// The plan of one profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Where candidates come from; each is asked, and what they find is merged.
    pub backends: Vec<BackendName>,
    /// Which articles are shown.
    pub filter: ArticleFilter,
    /// The formula that orders candidates.
    pub ranker: Formula,
    /// The turns that a question reads.
    pub window: TurnWindow,
    /// Candidates taken from each backend.
    pub candidates: usize,
    /// How close a keyword of the graph must be to a question that names none.
    pub min_keyword_cosine: f32,
    /// Cards shown at most.
    pub cards: usize,
    /// What a card shows of its article.
    pub excerpt: Excerpt,
    /// When nothing is shown; `None` where somebody asked and always gets what was found.
    pub silence: Option<SilenceRule>,
    /// How long a card is taken to stand on the screen, where it is not pushed again; 0 pushes it every time.
    pub screen_time: Duration,
    /// How long an article that the agent rejected is not shown again in the same call.
    pub rejection_cooldown: Duration,
    /// What is added to the scores of articles.
    pub boosts: Boosts,
    /// How long after its flush a card is still worth showing.
    pub deadline: Duration,
}

impl Plan {
    /// A plan that asks the index alone, is never silent and holds nothing back; a profile says the rest by its settings.
    pub fn of_index(ranker: Formula) -> Self {
        Self {
            backends: vec![BackendName::Index],
            filter: ArticleFilter::default(),
            ranker,
            window: TurnWindow::Last(3),
            candidates: 20,
            min_keyword_cosine: 0.7,
            cards: 5,
            excerpt: Excerpt::Answer,
            silence: None,
            screen_time: Duration::ZERO,
            rejection_cooldown: Duration::ZERO,
            boosts: Boosts::default(),
            deadline: Duration::from_mins(1),
        }
    }

    /// Whether candidates are taken from this backend.
    pub fn asks(&self, backend: BackendName) -> bool {
        self.backends.contains(&backend)
    }

    /// A short name for exactly this plan: two decisions that carry the same were answered alike. Hexadecimal, 8 digits.
    pub fn version(&self) -> String {
        let written = serde_json::to_vec(self).unwrap_or_default();
        ContentHash::of_bytes(&written).to_string()[..8].to_owned()
    }

    /// Whether an answer waits for somebody outside this process.
    pub fn waits_outside(&self) -> bool {
        self.backends.iter().any(|backend| *backend != BackendName::Index)
    }

    /// Whether anything reads the question's embedding or its key phrases; without a reader nothing is embedded.
    pub fn reads_embeddings(&self) -> bool {
        let is_looked_up = self.asks(BackendName::Index) && self.ranker.lookups().contains(&Lookup::Vector);
        let is_compared = !self.backends.is_empty() && (self.ranker.reads_cosines() || self.silence.is_some());
        is_looked_up || self.asks_by_window() || is_compared
    }

    /// Whether a backend is asked by the embedding of the window.
    pub fn asks_by_window(&self) -> bool {
        self.asks(BackendName::Chroma) || self.asks(BackendName::Graph)
    }

    /// The same plan for somebody who asked: never silent, nothing held back as repeated.
    #[must_use]
    pub fn answering(mut self) -> Self {
        self.silence = None;
        self.screen_time = Duration::ZERO;
        self.rejection_cooldown = Duration::ZERO;
        self
    }
}

/// What a card shows of its article, as far as the contract has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::EnumString, strum::VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", parse_err_ty = UnknownExcerpt, parse_err_fn = unknown_excerpt)]
pub enum Excerpt {
    /// The first letters of the body, as the contracts have it.
    Start,
    /// The passage that answers, from the sentence on that answers best.
    Answer,
}

/// A name that no excerpt has.
#[derive(Debug, thiserror::Error)]
#[error("there is no snippet `{name}`; there are {}", Excerpt::VARIANTS.join(", "))]
pub struct UnknownExcerpt {
    name: String,
}

fn unknown_excerpt(name: &str) -> UnknownExcerpt {
    UnknownExcerpt { name: name.to_owned() }
}

/// How much work a question is given; less when the service is behind.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", parse_err_ty = UnknownEffort, parse_err_fn = unknown_effort)]
pub enum Effort {
    /// Everything the plan asks for.
    Full,
    /// Only the newest customer turn is embedded, not the turns around it.
    NewestTurn,
    /// Nothing is embedded; BM25 alone finds candidates.
    LexicalOnly,
}

/// A name that no effort has.
#[derive(Debug, thiserror::Error)]
#[error("there is no effort `{name}`; there are {}", Effort::VARIANTS.join(", "))]
pub struct UnknownEffort {
    name: String,
}

fn unknown_effort(name: &str) -> UnknownEffort {
    UnknownEffort { name: name.to_owned() }
}

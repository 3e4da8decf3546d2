//! How a profile's questions are answered, decided once from contract and settings. No stage asks which
//! contract it serves; each reads its part of the plan.

use std::time::Duration;

use cuecard_ranking::{Backend, Ranker, SilenceRule};
use serde::{Deserialize, Serialize};

use crate::conversation::TurnWindow;

/// The plan of one profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The formula that orders candidates.
    pub ranker: Ranker,
    /// The turns that a question reads.
    pub window: TurnWindow,
    /// Candidates taken from each backend.
    pub candidates: usize,
    /// Cards shown at most.
    pub cards: usize,
    /// When nothing is shown; `None` where somebody asked and always gets what was found.
    pub silence: Option<SilenceRule>,
    /// Utterances after which a shown article may be shown again; 0 shows it every time.
    pub repeat_after: u64,
    /// How long after its flush a card is still worth showing.
    pub deadline: Duration,
}

impl Plan {
    /// Where candidates come from.
    pub fn backends(&self) -> &'static [Backend] {
        self.ranker.backends()
    }

    /// The same plan for somebody who asked: never silent, nothing held back as repeated.
    #[must_use]
    pub fn answering(mut self) -> Self {
        self.silence = None;
        self.repeat_after = 0;
        self
    }
}

/// How much work a question is given; less when the service is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// Everything the plan asks for.
    Full,
    /// Only the newest customer turn is embedded, not the turns around it.
    NewestTurn,
    /// Nothing is embedded; BM25 alone finds candidates.
    LexicalOnly,
}

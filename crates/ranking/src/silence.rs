//! When no card is better than a card.

use serde::{Deserialize, Serialize};
use strum::VariantArray;

/// Why nothing is shown.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SilenceReason {
    /// No backend found anything.
    NothingFound,
    /// The newest customer turn is not close enough to anything in the index.
    Unsure,
    /// The best article was the first of a card a moment ago.
    AlreadyShown,
}

impl SilenceReason {
    /// Every reason; metrics start each at 0.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The reason's name in metrics and explanations.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Stays silent unless the newest customer turn is close to something in the index. The turn alone is judged,
/// not the window: thanks and small talk after a question are close to its articles as long as the question stands
/// in the window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SilenceRule {
    /// The smallest cosine between the newest customer turn and its nearest passage that justifies a card.
    pub min_cosine: f64,
}

impl SilenceRule {
    /// Judges by the newest turn's best cosine; `None` (no vectors) never silences, because BM25 has no
    /// scale that carries from one question to the next.
    pub fn judge(&self, newest_turn_cosine: Option<f64>) -> Option<SilenceReason> {
        newest_turn_cosine.filter(|cosine| *cosine < self.min_cosine).map(|_| SilenceReason::Unsure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_distant_turn_silences() {
        let rule = SilenceRule { min_cosine: 0.4 };
        assert_eq!(rule.judge(Some(0.39)), Some(SilenceReason::Unsure));
        assert_eq!(rule.judge(Some(0.4)), None);
        assert_eq!(rule.judge(None), None);
    }

    #[test]
    fn names_are_those_that_serde_writes() {
        for reason in SilenceReason::ALL {
            assert_eq!(serde_json::to_value(reason).ok(), Some(reason.name().into()));
        }
    }
}

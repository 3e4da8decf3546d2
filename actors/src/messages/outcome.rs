//! How a question can end. Metrics, explanations and the account "heard = sum of outcomes" come from it.

use cuecard_engine::ranking::SilenceReason;

use super::Stage;

/// The end of a work item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// CXone took the cards.
    Delivered {
        /// The id that CXone gave them, where it gave one.
        cxone_id: Option<String>,
    },
    /// Nothing was worth showing.
    Silent(SilenceReason),
    /// A card would have come too late.
    Expired(Stage),
    /// A newer utterance of the same interaction took its place.
    Replaced,
    /// The service had too much to do.
    Shed,
    /// CXone would not take the cards.
    Refused {
        /// What CXone said, in words for an operator.
        reason: String,
    },
    /// The service itself failed.
    Failed(Failure),
}

/// What went wrong inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The item was dropped unfinished: a handler or a task panicked.
    Panicked,
    /// An inbox had no room although a permit guarantees it: a bug.
    InboxFull,
    /// CXone could not be reached or answered with its own failure until the end.
    Unreachable,
    /// The service is shutting down.
    Stopping,
}

impl Outcome {
    /// Every label that [`Outcome::label`] gives; metrics start each at 0.
    pub const LABELS: [&'static str; 7] = ["delivered", "silent", "expired", "replaced", "shed", "refused", "failed"];

    /// The outcome's name in metrics and on the admin pages.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Silent(_) => "silent",
            Self::Expired(_) => "expired",
            Self::Replaced => "replaced",
            Self::Shed => "shed",
            Self::Refused { .. } => "refused",
            Self::Failed(_) => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_label_of_its_own_in_the_closed_set() {
        let outcomes = [
            Outcome::Delivered { cxone_id: None },
            Outcome::Silent(SilenceReason::Unsure),
            Outcome::Expired(Stage::Rank),
            Outcome::Replaced,
            Outcome::Shed,
            Outcome::Refused { reason: "why".to_owned() },
            Outcome::Failed(Failure::Panicked),
        ];
        assert_eq!(outcomes.each_ref().map(Outcome::label), Outcome::LABELS);
    }
}

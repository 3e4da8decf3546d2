//! What an agent makes of a card, as the desktop's page says it and as an event of contract 003 carries it.

use serde::{Deserialize, Serialize};

/// Why an agent rejects a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// It is about something else.
    WrongTopic,
    /// It is about another product than the customer's.
    WrongProduct,
    /// What it says is not so any more.
    Outdated,
    /// It fits, and the agent needs no card for it.
    KnewIt,
    /// It fits, and comes when the agent has no use for it.
    NotNow,
}

/// What an agent makes of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentVerdict {
    /// The card helps.
    Accepted,
    /// It does not, for this reason where the agent names one.
    Rejected(Option<RejectReason>),
}

impl AgentVerdict {
    /// Whether the card is accepted.
    pub(crate) fn is_accepted(self) -> bool {
        self == Self::Accepted
    }

    /// The reason of a rejection.
    pub(crate) fn reason(self) -> Option<RejectReason> {
        match self {
            Self::Accepted => None,
            Self::Rejected(reason) => reason,
        }
    }

    /// The event's `action`. The contract lets it be any text and hands it on as it is; the verdict stands in front, so that
    /// whoever knows only that reads it still.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Accepted => "ACCEPTED",
            Self::Rejected(None) => "REJECTED",
            Self::Rejected(Some(RejectReason::WrongTopic)) => "REJECTED_WRONG_TOPIC",
            Self::Rejected(Some(RejectReason::WrongProduct)) => "REJECTED_WRONG_PRODUCT",
            Self::Rejected(Some(RejectReason::Outdated)) => "REJECTED_OUTDATED",
            Self::Rejected(Some(RejectReason::KnewIt)) => "REJECTED_KNEW_IT",
            Self::Rejected(Some(RejectReason::NotNow)) => "REJECTED_NOT_NOW",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use strum::VariantArray;

    use super::*;

    #[test]
    fn an_action_is_the_verdict_and_the_reason_s_name() {
        for reason in RejectReason::VARIANTS {
            let name = serde_json::to_value(reason).unwrap().as_str().unwrap().to_uppercase();
            assert_eq!(AgentVerdict::Rejected(Some(*reason)).action(), format!("REJECTED_{name}"));
        }
    }
}

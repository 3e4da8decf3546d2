//! How a question can end. Metrics, explanations and the account "heard = sum of outcomes" come from it, and so does
//! what an HTTP caller is told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cuecard_cxone::answers::GiveUpReason;
use cuecard_cxone::ranking::RankedSnippet;
use cuecard_engine::ranking::SilenceReason;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use super::Stage;

/// The end of a work item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "detail")]
pub enum Outcome {
    /// CXone took what was pushed.
    Delivered(Receipt),
    /// Nothing was worth showing.
    Silent(SilenceReason),
    /// There were cards, and the profile's settings don't push any.
    Withheld,
    /// A card would have come too late.
    Expired(Stage),
    /// CXone asked to wait for longer than the card is worth showing.
    HeldOff(Refusal),
    /// A newer utterance of the same interaction took its place.
    Replaced,
    /// The service had too much to do.
    Shed,
    /// CXone would not take what was pushed.
    Refused(Refusal),
    /// The service itself failed, or CXone did.
    Failed(Failure),
}

/// What CXone gave for a push. `Debug` shows no body: it may repeat what a customer said.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The id that CXone gave, where it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cxone_id: Option<String>,
    /// How many cards or snippets it took.
    pub count: usize,
    /// The order in which it took a caller's own snippets; none where cards were pushed.
    #[serde(skip)]
    pub order: Option<Arc<[RankedSnippet]>>,
    /// The whole answer as it came. It is not written down: it may repeat what a customer said.
    #[serde(skip)]
    pub answer: Bytes,
}

/// What CXone said instead of taking a push. `Debug` shows no body: it may repeat what a customer said.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Who refused what.
    pub cause: RefusalCause,
    /// In words for an operator, without those of a customer.
    pub reason: String,
    /// Why the call was given up, where it was; `reason` says so too. Only whoever waits for the answer reads it.
    #[serde(skip)]
    pub given_up: Option<GiveUpReason>,
    /// The answer's body as it came. It is not written down: it may repeat what a customer said.
    #[serde(skip)]
    pub answer: Bytes,
    /// How long CXone asked to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

impl fmt::Debug for Receipt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cxone_id, count, order: _, answer } = self;
        let mut shown = formatter.debug_struct("Receipt");
        shown.field("cxone_id", cxone_id).field("count", count).field("answer_bytes", &answer.len()).finish()
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cause, reason, given_up: _, answer, retry_after } = self;
        let mut shown = formatter.debug_struct("Refusal");
        shown.field("cause", cause).field("reason", reason).field("answer_bytes", &answer.len());
        shown.field("retry_after", retry_after).finish()
    }
}

/// Who refused what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCause {
    /// The token endpoint refused the client credentials.
    Credentials,
    /// The last attempt was answered with this status.
    Status(u16),
}

/// What went wrong, in words for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The item was dropped unfinished: a handler or a task panicked.
    #[error("a handler or a task panicked")]
    Panicked,
    /// An inbox had no room although a permit guarantees it: a bug.
    #[error("an inbox had no room, which is a bug")]
    InboxFull,
    /// The service is shutting down.
    #[error("the service is shutting down")]
    Stopping,
    /// CXone could not be reached until the end, or its circuit is open.
    #[error("CXone can't be reached")]
    Unreachable,
    /// CXone did not answer in time.
    #[error("CXone did not answer in time")]
    TimedOut,
    /// CXone answered with its own failure until the end.
    #[error("{}", .0.reason)]
    CxoneFailed(Refusal),
    /// None of the profile's backends answered.
    #[error("{reason}")]
    NoBackend {
        /// What each of them said.
        reason: String,
        /// Whether one may well answer in a moment, since only this service has too much to do.
        is_overload: bool,
    },
    /// The message names a profile that the settings do not know.
    #[error("there is no profile {profile}")]
    UnknownProfile {
        /// Which.
        profile: String,
    },
    /// The push can't be written: a bug.
    #[error("the push can't be written, which is a bug: {reason}")]
    Unwritable {
        /// Why.
        reason: String,
    },
}

/// The ends that metrics and admin pages tell apart.
#[derive(Clone, Copy, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
enum OutcomeLabel {
    Delivered,
    Silent,
    Withheld,
    Expired,
    Replaced,
    Shed,
    Refused,
    Failed,
}

impl Outcome {
    /// Every label that [`Outcome::label`] gives; metrics start each at 0.
    pub const LABELS: &'static [&'static str] = OutcomeLabel::VARIANTS;

    /// The outcome's name in metrics and on the admin pages.
    pub fn label(&self) -> &'static str {
        let label = match self {
            Self::Delivered(_) => OutcomeLabel::Delivered,
            Self::Silent(_) => OutcomeLabel::Silent,
            Self::Withheld => OutcomeLabel::Withheld,
            Self::Expired(_) | Self::HeldOff(_) => OutcomeLabel::Expired,
            Self::Replaced => OutcomeLabel::Replaced,
            Self::Shed => OutcomeLabel::Shed,
            Self::Refused(_) => OutcomeLabel::Refused,
            Self::Failed(_) => OutcomeLabel::Failed,
        };
        label.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Refusal {
        let cause = RefusalCause::Status(429);
        Refusal { cause, reason: "why".to_owned(), given_up: None, answer: Bytes::new(), retry_after: None }
    }

    #[test]
    fn no_body_is_shown_by_debug() {
        let answer = Bytes::from_static(b"what Bello's owner said");
        let refusal = Refusal { answer: answer.clone(), ..refusal() };
        let outcomes = [
            Outcome::Delivered(Receipt { answer, ..Receipt::default() }),
            Outcome::Refused(refusal.clone()),
            Outcome::Failed(Failure::CxoneFailed(refusal)),
        ];
        for outcome in outcomes {
            let shown = format!("{outcome:?}");
            assert!(!shown.contains("Bello") && shown.contains("answer_bytes: 23"), "{shown}");
        }
    }

    #[test]
    fn every_outcome_has_a_label_of_the_closed_set() {
        let outcomes = [
            Outcome::Delivered(Receipt::default()),
            Outcome::Silent(SilenceReason::Unsure),
            Outcome::Withheld,
            Outcome::Expired(Stage::Rank),
            Outcome::Replaced,
            Outcome::Shed,
            Outcome::Refused(refusal()),
            Outcome::Failed(Failure::Panicked),
        ];
        assert_eq!(outcomes.each_ref().map(Outcome::label), Outcome::LABELS);
        assert_eq!(Outcome::HeldOff(refusal()).label(), "expired");
    }
}

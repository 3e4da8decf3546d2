//! What an answer of CXone means: one policy for every call.
//!
//! Input: how one attempt ended ([`Attempt`]), with the time left and a random fraction given. Output: the [`NextStep`].
//! Pure; it neither waits nor counts. The rules are the table "What every call to CXone does" of the wire contracts, and
//! those of the reading, feedback and token endpoints where they differ:
//!
//! | outcome | push, ranking | read | feedback | token |
//! |---|---|---|---|---|
//! | 2xx | done | done | done | done |
//! | 304 | give up | done | retry | retry |
//! | 401 | fresh token, once more, then give up | as a push | fresh token, without end | credentials refused |
//! | 400 | give up | give up | give up | credentials refused |
//! | 403 | give up | give up | retry | credentials refused |
//! | 409 | ranking: await the unlocked session; push: give up | give up | retry | retry |
//! | 429 | retry, hold the endpoint | as a push | as a push | as a push |
//! | 404, 422 | give up | give up | give up | retry |
//! | any other status | give up | give up | retry | retry |
//! | 5xx | retry; a ranking's last one names the setting `normalise` | retry | retry | retry |
//! | no answer | retry; ambiguous ones only where `retry_ambiguous` allows it | retry | retry | retry |
//! | 2xx with a web page | give up | give up | retry | retry |
//! | 2xx, body too large | push: done; ranking, whose answer its caller gets: give up | give up | done | retry |
//!
//! A retry that would come after the deadline gives up as late, one beyond `max_attempts` as exhausted. A feedback given
//! up is set aside by the caller, not lost.

mod policy;
#[cfg(test)]
mod tests;

use std::time::Duration;

use cuecard_text::json;
use serde_json::Value;
use strum::{IntoStaticStr, VariantNames};

pub use policy::RetryPolicy;

use crate::transport::{TransportError, TransportFailure};

/// How often a locked session is asked for its state, as the contract has it.
pub const UNLOCK_POLL: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// A card for the agent's desktop.
    Push,
    /// The new order of a session's snippets.
    Ranking,
    /// Articles, a search, or the state of a session.
    Read,
    /// An agent's verdict for the training endpoint.
    Feedback,
    /// A request for a token.
    Token,
}

/// How one attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    Answered(u16),
    /// A 2xx that is none: a web page, or a body without what the call needs.
    Unusable,
    Failed(TransportFailure),
}

/// Everything that the next step depends on.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    pub kind: CallKind,
    pub outcome: CallOutcome,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// How many attempts there were, this one included.
    pub number: u32,
    /// How many fresh tokens this call was already given because of a 401.
    pub num_renewals: u32,
    /// How many attempts the call may have in all, those that only cost a token not counted; none for a call that goes
    /// on until its deadline.
    pub max_attempts: Option<u32>,
    /// Until the call's deadline; none for a call without one.
    pub time_left: Option<Duration>,
    /// Drawn from 0 to 1 by the caller.
    pub jitter: f64,
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    Done,
    /// Drop the token that was used, and try again with a fresh one after `wait`.
    RenewToken {
        wait: Duration,
    },
    RetryAfter {
        wait: Duration,
        /// Nothing else may be sent to this endpoint before that either.
        holds_endpoint: bool,
        /// The peer may have acted already: the repetition is counted as redelivered.
        ambiguous: bool,
    },
    /// Ask for the session every [`UNLOCK_POLL`] while [`session_is_locked`], then try again. A session that is not
    /// locked has refused the ranking itself, as one with a repeated snippet: the 409 is then the end.
    AwaitUnlock,
    /// Tell everyone who waits for a token; ask again after `wait`.
    CredentialsRefused {
        wait: Duration,
    },
    GiveUp(GiveUpReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum GiveUpReason {
    #[error("the next attempt would come after the deadline")]
    Late,
    #[error("CXone did not take the call in as many attempts as it may have")]
    Exhausted,
    #[error("CXone refused a fresh token too; see that the client belongs to this tenant and is not locked")]
    Unauthorised,
    #[error("CXone forbids the call")]
    Forbidden,
    #[error("CXone does not know the interaction, or it has ended")]
    NotFound,
    #[error("CXone calls the request bad")]
    BadRequest,
    #[error("CXone rejected the request with {0}")]
    Rejected(u16),
    #[error("CXone answered {0}, which no contract knows")]
    Unexpected(u16),
    #[error(
        "a web page answered instead of CXone: a login's, or a proxy's between; see that base_url is that of a tenant"
    )]
    WebPage,
    #[error(
        "CXone's last answer to the ranking was {0}; it fails so where boosts put the scores too far apart: lower them, or \
         switch the setting normalise on"
    )]
    RankingFailed(u16),
    #[error(
        "the answer is larger than its limit; raise cxone.max_answer_bytes, for a list of articles \
         cxone.max_articles_bytes"
    )]
    TooLarge,
    #[error("the call may have succeeded, and retry_ambiguous is off")]
    Ambiguous,
    #[error("the request can't be sent")]
    NotSendable,
}

/// How calls end, as metrics tell it apart.
#[derive(Clone, Copy, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
enum OutcomeLabel {
    #[strum(serialize = "2xx")]
    Success,
    #[strum(serialize = "3xx")]
    Redirect,
    #[strum(serialize = "400")]
    BadRequest,
    #[strum(serialize = "401")]
    Unauthorised,
    #[strum(serialize = "403")]
    Forbidden,
    #[strum(serialize = "404")]
    NotFound,
    #[strum(serialize = "409")]
    Conflict,
    #[strum(serialize = "429")]
    TooManyRequests,
    #[strum(serialize = "4xx")]
    ClientError,
    #[strum(serialize = "5xx")]
    ServerError,
    Other,
    Unusable,
    Refused,
    Tls,
    Cut,
    TimedOut,
    Garbled,
    NotSendable,
}

impl CallOutcome {
    /// The closed set of [`CallOutcome::label`].
    pub const LABELS: &'static [&'static str] = OutcomeLabel::VARIANTS;

    /// For the `status` label of a metric.
    pub fn label(self) -> &'static str {
        self.kind().into()
    }

    const fn kind(self) -> OutcomeLabel {
        match self {
            Self::Answered(status) | Self::Failed(TransportFailure::BodyTooLarge { status }) => kind_of_status(status),
            Self::Unusable => OutcomeLabel::Unusable,
            Self::Failed(TransportFailure::Refused) => OutcomeLabel::Refused,
            Self::Failed(TransportFailure::Tls) => OutcomeLabel::Tls,
            Self::Failed(TransportFailure::Cut) => OutcomeLabel::Cut,
            Self::Failed(TransportFailure::TimedOut) => OutcomeLabel::TimedOut,
            Self::Failed(TransportFailure::Garbled) => OutcomeLabel::Garbled,
            Self::Failed(TransportFailure::NotSendable) => OutcomeLabel::NotSendable,
        }
    }
}

const fn kind_of_status(status: u16) -> OutcomeLabel {
    match status {
        200..=299 => OutcomeLabel::Success,
        300..=399 => OutcomeLabel::Redirect,
        400 => OutcomeLabel::BadRequest,
        401 => OutcomeLabel::Unauthorised,
        403 => OutcomeLabel::Forbidden,
        404 => OutcomeLabel::NotFound,
        409 => OutcomeLabel::Conflict,
        429 => OutcomeLabel::TooManyRequests,
        402..=499 => OutcomeLabel::ClientError,
        500..=599 => OutcomeLabel::ServerError,
        _ => OutcomeLabel::Other,
    }
}

impl From<&TransportError> for CallOutcome {
    fn from(error: &TransportError) -> Self {
        Self::Failed(error.failure)
    }
}

/// Reads the answer of the session endpoint. Anything but `{"state":"locked"}` is not locked.
pub fn session_is_locked(answer: &[u8]) -> bool {
    json::parse::<Value>(answer).is_ok_and(|session| session.value["state"] == "locked")
}

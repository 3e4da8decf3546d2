//! From an attempt to the next step: what its outcome means for its kind of call, which is the table of the module above,
//! how long to wait, and when waiting is in vain.

use std::time::Duration;

use super::{Attempt, CallKind, CallOutcome, GiveUpReason, NextStep};
use crate::backoff::Backoff;
use crate::transport::TransportFailure;

/// How long to wait between attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Pushes and reads, and the token endpoint while it is overloaded or silent. Default 1 s doubling, with full
    /// jitter, up to 10 s, which is also the longest pause of a circuit.
    pub calls: Backoff,
    /// Default 0.5 s doubling to 30 s, with full jitter.
    pub feedback: Backoff,
    /// Refused credentials; nobody else hammers with them, so without jitter. Default 1 s doubling to 60 s.
    pub refused_credentials: Backoff,
    /// Whether a push is repeated that may be on the screen already. Default true; false for a hub that ignores the
    /// idempotency key.
    pub retry_ambiguous: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            calls: Backoff::new(Duration::from_secs(1), Duration::from_secs(10)),
            feedback: Backoff::new(Duration::from_millis(500), Duration::from_secs(30)),
            refused_credentials: Backoff::new(Duration::from_secs(1), Duration::from_mins(1)),
            retry_ambiguous: true,
        }
    }
}

impl RetryPolicy {
    pub fn next_step(&self, attempt: &Attempt) -> NextStep {
        match self.meaning(attempt) {
            Meaning::Done => NextStep::Done,
            Meaning::GiveUp(reason) => NextStep::GiveUp(reason),
            Meaning::Renew => self.renew(attempt),
            Meaning::AwaitUnlock => before_deadline(attempt, Duration::ZERO, |_| NextStep::AwaitUnlock),
            Meaning::Retry { holds_endpoint, ambiguous } => self.retry(attempt, holds_endpoint, ambiguous),
            Meaning::CredentialsRefused => {
                let wait = asked(attempt).unwrap_or_default().max(self.refused_credentials.step(attempt.number));
                NextStep::CredentialsRefused { wait }
            }
        }
    }

    fn meaning(&self, attempt: &Attempt) -> Meaning {
        match attempt.outcome {
            CallOutcome::Failed(TransportFailure::BodyTooLarge { status }) => {
                meaning_of_too_large(attempt.kind, status, attempt.num_renewals)
            }
            CallOutcome::Answered(status) => meaning_of_status(attempt.kind, status, attempt.num_renewals),
            CallOutcome::Unusable => meaning_of_unusable(attempt.kind),
            CallOutcome::Failed(TransportFailure::NotSendable) => Meaning::GiveUp(GiveUpReason::NotSendable),
            CallOutcome::Failed(failure) => {
                meaning_of_failure(attempt.kind, failure.is_ambiguous(), self.retry_ambiguous)
            }
        }
    }

    /// The first fresh token is tried at once, any further one is waited for.
    fn renew(&self, attempt: &Attempt) -> NextStep {
        let wait = if attempt.num_renewals == 0 { Duration::ZERO } else { self.wait(attempt) };
        before_deadline(attempt, wait, |wait| NextStep::RenewToken { wait })
    }

    fn retry(&self, attempt: &Attempt, holds_endpoint: bool, ambiguous: bool) -> NextStep {
        let counted = attempt.number.saturating_sub(attempt.num_renewals);
        if attempt.max_attempts.is_some_and(|most| counted >= most) {
            return NextStep::GiveUp(last_reason(attempt, GiveUpReason::Exhausted));
        }
        let wait = self.wait(attempt);
        before_deadline(attempt, wait, |wait| NextStep::RetryAfter { wait, holds_endpoint, ambiguous })
    }

    /// What the server asks for, never less; else the backoff of this kind of call. A server that asks for no wait at
    /// all does not turn the backoff off.
    fn wait(&self, attempt: &Attempt) -> Duration {
        let backoff = match attempt.kind {
            CallKind::Push | CallKind::Ranking | CallKind::Read | CallKind::Token => &self.calls,
            CallKind::Feedback => &self.feedback,
        };
        asked(attempt).unwrap_or_else(|| backoff.jittered(attempt.number, attempt.jitter))
    }
}

fn asked(attempt: &Attempt) -> Option<Duration> {
    attempt.retry_after.filter(|wait| !wait.is_zero())
}

fn before_deadline(attempt: &Attempt, wait: Duration, then: impl FnOnce(Duration) -> NextStep) -> NextStep {
    match attempt.time_left {
        Some(left) if left <= wait => NextStep::GiveUp(last_reason(attempt, GiveUpReason::Late)),
        _ => then(wait),
    }
}

/// A ranking that ends on a 5xx says what may be wrong with it, whatever ended the trying.
fn last_reason(attempt: &Attempt, reason: GiveUpReason) -> GiveUpReason {
    match (attempt.kind, attempt.outcome) {
        (CallKind::Ranking, CallOutcome::Answered(status @ 500..=599)) => GiveUpReason::RankingFailed(status),
        _ => reason,
    }
}

/// What an outcome means before any clock is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Done,
    Renew,
    Retry { holds_endpoint: bool, ambiguous: bool },
    AwaitUnlock,
    CredentialsRefused,
    GiveUp(GiveUpReason),
}

impl Meaning {
    const RETRY: Self = Self::Retry { holds_endpoint: false, ambiguous: false };
    const HOLD: Self = Self::Retry { holds_endpoint: true, ambiguous: false };
}

fn meaning_of_status(kind: CallKind, status: u16, num_renewals: u32) -> Meaning {
    match kind {
        CallKind::Ranking if status == 409 => Meaning::AwaitUnlock,
        CallKind::Read if status == 304 => Meaning::Done,
        CallKind::Push | CallKind::Ranking | CallKind::Read => meaning_for_push(status, num_renewals),
        CallKind::Feedback => meaning_for_feedback(status),
        CallKind::Token => meaning_for_token(status),
    }
}

/// Of a card and of a verdict the status says it all; elsewhere the body was what was asked for.
fn meaning_of_too_large(kind: CallKind, status: u16, num_renewals: u32) -> Meaning {
    match (kind, status) {
        (CallKind::Token, 200..=299) => Meaning::RETRY,
        (CallKind::Read | CallKind::Ranking, 200..=299) => Meaning::GiveUp(GiveUpReason::TooLarge),
        (kind, status) => meaning_of_status(kind, status, num_renewals),
    }
}

/// A page that takes the place of CXone does so the next time too; what must not be lost is tried on.
const fn meaning_of_unusable(kind: CallKind) -> Meaning {
    match kind {
        CallKind::Push | CallKind::Ranking | CallKind::Read => Meaning::GiveUp(GiveUpReason::WebPage),
        CallKind::Feedback | CallKind::Token => Meaning::RETRY,
    }
}

/// Asking twice changes nothing, so no failure of a read is ambiguous.
fn meaning_of_failure(kind: CallKind, ambiguous: bool, retry_ambiguous: bool) -> Meaning {
    match kind {
        CallKind::Read => Meaning::RETRY,
        CallKind::Push | CallKind::Ranking if ambiguous && !retry_ambiguous => Meaning::GiveUp(GiveUpReason::Ambiguous),
        _ => Meaning::Retry { holds_endpoint: false, ambiguous },
    }
}

fn meaning_for_push(status: u16, num_renewals: u32) -> Meaning {
    match status {
        200..=299 => Meaning::Done,
        401 if num_renewals == 0 => Meaning::Renew,
        429 => Meaning::HOLD,
        500..=599 => Meaning::RETRY,
        _ => Meaning::GiveUp(reason_of(status)),
    }
}

/// An agent's verdict is not lost over an answer that a proxy may have given: only what says that CXone will never take
/// this event ends the trying.
fn meaning_for_feedback(status: u16) -> Meaning {
    match status {
        200..=299 => Meaning::Done,
        400 | 404 | 422 => Meaning::GiveUp(reason_of(status)),
        401 => Meaning::Renew,
        429 => Meaning::HOLD,
        _ => Meaning::RETRY,
    }
}

/// Without a token nothing works, so no answer ends the asking.
fn meaning_for_token(status: u16) -> Meaning {
    match status {
        200..=299 => Meaning::Done,
        400 | 401 | 403 => Meaning::CredentialsRefused,
        429 => Meaning::HOLD,
        _ => Meaning::RETRY,
    }
}

fn reason_of(status: u16) -> GiveUpReason {
    match status {
        400 => GiveUpReason::BadRequest,
        401 => GiveUpReason::Unauthorised,
        403 => GiveUpReason::Forbidden,
        404 => GiveUpReason::NotFound,
        402..=499 => GiveUpReason::Rejected(status),
        _ => GiveUpReason::Unexpected(status),
    }
}

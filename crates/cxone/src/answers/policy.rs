//! From an attempt to a decision: how long to wait, and when waiting is in vain.

use std::time::Duration;

use super::meanings::{Meaning, meaning_of_failure, meaning_of_status, meaning_of_too_large};
use super::{Attempt, CallKind, CallOutcome, Decision, GiveUpReason};
use crate::backoff::Backoff;
use crate::retry_after;
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
    pub fn decide(&self, attempt: &Attempt<'_>) -> Decision {
        match self.meaning(attempt) {
            Meaning::Done => Decision::Done,
            Meaning::GiveUp(reason) => Decision::GiveUp(reason),
            Meaning::Renew => self.renew(attempt),
            Meaning::AwaitUnlock => before_deadline(attempt, Duration::ZERO, |_| Decision::AwaitUnlock),
            Meaning::Retry { hold_profile, ambiguous } => self.retry(attempt, hold_profile, ambiguous),
            Meaning::CredentialsRefused => {
                let wait = asked(attempt).unwrap_or_default().max(self.refused_credentials.step(attempt.number));
                Decision::CredentialsRefused { wait }
            }
        }
    }

    fn meaning(&self, attempt: &Attempt<'_>) -> Meaning {
        match attempt.outcome {
            CallOutcome::Failed(TransportFailure::BodyTooLarge { status }) => {
                meaning_of_too_large(attempt.kind, status, attempt.num_renewals)
            }
            CallOutcome::Answered(status) => meaning_of_status(attempt.kind, status, attempt.num_renewals),
            CallOutcome::Unusable => Meaning::RETRY,
            CallOutcome::Failed(TransportFailure::NotSendable) => Meaning::GiveUp(GiveUpReason::NotSendable),
            CallOutcome::Failed(failure) => {
                meaning_of_failure(attempt.kind, failure.is_ambiguous(), self.retry_ambiguous)
            }
        }
    }

    /// The first fresh token is tried at once, any further one is waited for.
    fn renew(&self, attempt: &Attempt<'_>) -> Decision {
        let wait = if attempt.num_renewals == 0 { Duration::ZERO } else { self.wait(attempt) };
        before_deadline(attempt, wait, |wait| Decision::RenewToken { wait })
    }

    fn retry(&self, attempt: &Attempt<'_>, hold_profile: bool, ambiguous: bool) -> Decision {
        let counted = attempt.number.saturating_sub(attempt.num_renewals);
        if attempt.max_attempts.is_some_and(|most| counted >= most) {
            return Decision::GiveUp(last_reason(attempt, GiveUpReason::Exhausted));
        }
        let wait = self.wait(attempt);
        before_deadline(attempt, wait, |wait| Decision::RetryAfter { wait, hold_profile, ambiguous })
    }

    /// What the server asks for, never less; else the backoff of this kind of call. A server that asks for no wait at
    /// all does not turn the backoff off.
    fn wait(&self, attempt: &Attempt<'_>) -> Duration {
        let backoff = match attempt.kind {
            CallKind::Push | CallKind::Ranking | CallKind::Read | CallKind::Token => &self.calls,
            CallKind::Feedback => &self.feedback,
        };
        asked(attempt).unwrap_or_else(|| backoff.jittered(attempt.number, attempt.jitter))
    }
}

fn asked(attempt: &Attempt<'_>) -> Option<Duration> {
    retry_after::parse(attempt.retry_after?, attempt.wall_clock).filter(|wait| !wait.is_zero())
}

fn before_deadline(attempt: &Attempt<'_>, wait: Duration, then: impl FnOnce(Duration) -> Decision) -> Decision {
    match attempt.time_left {
        Some(left) if left <= wait => Decision::GiveUp(last_reason(attempt, GiveUpReason::Late)),
        _ => then(wait),
    }
}

/// A ranking that ends on a 5xx says what may be wrong with it, whatever ended the trying.
fn last_reason(attempt: &Attempt<'_>, reason: GiveUpReason) -> GiveUpReason {
    match (attempt.kind, attempt.outcome) {
        (CallKind::Ranking, CallOutcome::Answered(status @ 500..=599)) => GiveUpReason::RankingFailed(status),
        _ => reason,
    }
}

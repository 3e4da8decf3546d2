//! What an answer of CXone means: one policy for every call.
//!
//! Input: how one attempt ended ([`Attempt`]), with the clock, the time left and a random fraction given. Output: a
//! [`Decision`]. Pure; it neither waits nor counts. The rules are the table "What every call to CXone does" of the wire
//! contracts, and those of the feedback and token endpoints where they differ:
//!
//! | outcome | push | feedback | token |
//! |---|---|---|---|
//! | 2xx | done | done | done |
//! | 401 | fresh token, once more, then give up | fresh token, without end | credentials refused |
//! | 400 | give up | give up | credentials refused |
//! | 403 | give up | retry | credentials refused |
//! | 429 | retry, hold the profile | retry, hold the profile | retry |
//! | other 4xx | give up | give up | retry |
//! | 5xx, no answer | retry | retry | retry |
//!
//! A feedback given up is set aside by the caller, not lost.

use std::time::{Duration, SystemTime};

use crate::backoff::Backoff;
use crate::retry_after;
use crate::transport::{TransportError, TransportFailure};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// A card for the agent's desktop.
    Push,
    /// An agent's verdict for the training endpoint.
    Feedback,
    /// A request for a token.
    Token,
}

/// How one attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    Answered(u16),
    /// A 2xx whose body is not what the call needs.
    Unusable,
    Failed(TransportFailure),
}

/// Everything a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    pub kind: CallKind,
    pub outcome: CallOutcome,
    /// The header as it came.
    pub retry_after: Option<&'a str>,
    /// How many attempts there were, this one included.
    pub number: u32,
    /// How many fresh tokens this call was already given because of a 401.
    pub num_renewals: u32,
    /// Until the call's deadline; none for a call without one.
    pub time_left: Option<Duration>,
    /// Only for reading a `Retry-After` that is a date.
    pub wall_clock: SystemTime,
    /// Drawn from 0 to 1 by the caller.
    pub jitter: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Done,
    /// Drop the token that was used, and try again with a fresh one after `wait`.
    RenewToken {
        wait: Duration,
    },
    RetryAfter {
        wait: Duration,
        /// Nothing else of this profile may be sent before that either.
        hold_profile: bool,
        /// The peer may have acted already: the repetition is counted as redelivered.
        ambiguous: bool,
    },
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
    #[error("CXone refused a fresh token too")]
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
    #[error("the call may have succeeded, and retry_ambiguous is off")]
    Ambiguous,
    #[error("the request can't be sent")]
    NotSendable,
}

/// How long to wait between attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Pushes, and the token endpoint while it is overloaded or silent. Default 1 s doubling, with full jitter, up to
    /// 10 s, which is also the longest pause of a circuit.
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

/// What an outcome means for a kind of call, before any clock is looked at.
enum Meaning {
    Done,
    Renew,
    Retry { hold_profile: bool, ambiguous: bool },
    CredentialsRefused,
    GiveUp(GiveUpReason),
}

const RETRY: Meaning = Meaning::Retry { hold_profile: false, ambiguous: false };
const HOLD: Meaning = Meaning::Retry { hold_profile: true, ambiguous: false };

impl RetryPolicy {
    pub fn decide(&self, attempt: &Attempt<'_>) -> Decision {
        match self.meaning(attempt) {
            Meaning::Done => Decision::Done,
            Meaning::GiveUp(reason) => Decision::GiveUp(reason),
            Meaning::Renew if attempt.num_renewals == 0 => {
                before_deadline(attempt, Duration::ZERO, |wait| Decision::RenewToken { wait })
            }
            Meaning::Renew => before_deadline(attempt, self.wait(attempt), |wait| Decision::RenewToken { wait }),
            Meaning::Retry { hold_profile, ambiguous } => before_deadline(attempt, self.wait(attempt), |wait| {
                Decision::RetryAfter { wait, hold_profile, ambiguous }
            }),
            Meaning::CredentialsRefused => {
                let wait = asked(attempt).unwrap_or_default().max(self.refused_credentials.step(attempt.number));
                Decision::CredentialsRefused { wait }
            }
        }
    }

    fn meaning(&self, attempt: &Attempt<'_>) -> Meaning {
        match attempt.outcome {
            CallOutcome::Failed(TransportFailure::BodyTooLarge { status }) => match (attempt.kind, status) {
                // Elsewhere the status says it all; here the body was what was asked for.
                (CallKind::Token, 200..=299) => RETRY,
                (kind, status) => meaning_of_status(kind, status, attempt.num_renewals),
            },
            CallOutcome::Answered(status) => meaning_of_status(attempt.kind, status, attempt.num_renewals),
            CallOutcome::Unusable => RETRY,
            CallOutcome::Failed(TransportFailure::NotSendable) => Meaning::GiveUp(GiveUpReason::NotSendable),
            CallOutcome::Failed(failure) => self.meaning_of_failure(attempt.kind, failure.is_ambiguous()),
        }
    }

    fn meaning_of_failure(&self, kind: CallKind, ambiguous: bool) -> Meaning {
        if ambiguous && kind == CallKind::Push && !self.retry_ambiguous {
            return Meaning::GiveUp(GiveUpReason::Ambiguous);
        }
        Meaning::Retry { hold_profile: false, ambiguous }
    }

    /// What the server asks for, never less; else the backoff of this kind of call. A server that asks for no wait at
    /// all does not turn the backoff off.
    fn wait(&self, attempt: &Attempt<'_>) -> Duration {
        let backoff = match attempt.kind {
            CallKind::Push | CallKind::Token => &self.calls,
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
        Some(left) if left <= wait => Decision::GiveUp(GiveUpReason::Late),
        _ => then(wait),
    }
}

fn meaning_of_status(kind: CallKind, status: u16, num_renewals: u32) -> Meaning {
    match kind {
        CallKind::Push => meaning_for_push(status, num_renewals),
        CallKind::Feedback => meaning_for_feedback(status),
        CallKind::Token => meaning_for_token(status),
    }
}

fn meaning_for_push(status: u16, num_renewals: u32) -> Meaning {
    match status {
        200..=299 => Meaning::Done,
        401 if num_renewals == 0 => Meaning::Renew,
        429 => HOLD,
        500..=599 => RETRY,
        _ => Meaning::GiveUp(reason_of(status)),
    }
}

fn meaning_for_feedback(status: u16) -> Meaning {
    match status {
        200..=299 => Meaning::Done,
        401 => Meaning::Renew,
        429 => HOLD,
        403 | 500..=599 => RETRY,
        _ => Meaning::GiveUp(reason_of(status)),
    }
}

/// Without a token nothing works, so no answer ends the asking.
fn meaning_for_token(status: u16) -> Meaning {
    match status {
        200..=299 => Meaning::Done,
        400 | 401 | 403 => Meaning::CredentialsRefused,
        _ => RETRY,
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

impl CallOutcome {
    /// The closed set of [`CallOutcome::label`].
    pub const LABELS: [&'static str; 18] = [
        "2xx",
        "3xx",
        "400",
        "401",
        "403",
        "404",
        "409",
        "429",
        "4xx",
        "5xx",
        "other",
        "unusable",
        "refused",
        "tls",
        "cut",
        "timed_out",
        "garbled",
        "not_sendable",
    ];

    /// For the `status` label of a metric.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Answered(status) | Self::Failed(TransportFailure::BodyTooLarge { status }) => status_label(status),
            Self::Unusable => "unusable",
            Self::Failed(failure) => failure.label(),
        }
    }
}

const fn status_label(status: u16) -> &'static str {
    match status {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        409 => "409",
        429 => "429",
        402..=499 => "4xx",
        500..=599 => "5xx",
        _ => "other",
    }
}

impl From<&TransportError> for CallOutcome {
    fn from(error: &TransportError) -> Self {
        Self::Failed(error.failure)
    }
}

impl GiveUpReason {
    pub const LABELS: [&'static str; 9] = [
        "late",
        "unauthorised",
        "forbidden",
        "not_found",
        "bad_request",
        "rejected",
        "unexpected",
        "ambiguous",
        "not_sendable",
    ];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Unauthorised => "unauthorised",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::BadRequest => "bad_request",
            Self::Rejected(_) => "rejected",
            Self::Unexpected(_) => "unexpected",
            Self::Ambiguous => "ambiguous",
            Self::NotSendable => "not_sendable",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::CallKind::{Feedback, Push, Token};
    use super::CallOutcome::{Answered, Failed, Unusable};
    use super::*;

    const FOUR_SECONDS: Option<Duration> = Some(Duration::from_secs(4));

    /// Jitter of one half, a push's deadline, the first attempt.
    fn attempt(kind: CallKind, outcome: CallOutcome) -> Attempt<'static> {
        Attempt {
            kind,
            outcome,
            retry_after: None,
            number: 1,
            num_renewals: 0,
            time_left: if kind == Push { FOUR_SECONDS } else { None },
            wall_clock: httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap(),
            jitter: 0.5,
        }
    }

    fn decide(attempt: Attempt<'_>) -> Decision {
        RetryPolicy::default().decide(&attempt)
    }

    fn retry(milliseconds: u64) -> Decision {
        Decision::RetryAfter { wait: Duration::from_millis(milliseconds), hold_profile: false, ambiguous: false }
    }

    fn hold(milliseconds: u64) -> Decision {
        Decision::RetryAfter { wait: Duration::from_millis(milliseconds), hold_profile: true, ambiguous: false }
    }

    fn repeat(milliseconds: u64) -> Decision {
        Decision::RetryAfter { wait: Duration::from_millis(milliseconds), hold_profile: false, ambiguous: true }
    }

    fn refused(milliseconds: u64) -> Decision {
        Decision::CredentialsRefused { wait: Duration::from_millis(milliseconds) }
    }

    const RENEW_AT_ONCE: Decision = Decision::RenewToken { wait: Duration::ZERO };
    const LATE: Decision = Decision::GiveUp(GiveUpReason::Late);

    /// What every outcome means at the first attempt, for every kind of call.
    #[test]
    fn the_table_of_answers() {
        use GiveUpReason as R;
        let give_up = Decision::GiveUp;
        let too_large = |status| Failed(TransportFailure::BodyTooLarge { status });
        let done = Decision::Done;
        let table = [
            // outcome, push, feedback, token
            (Answered(200), done, done, done),
            (Answered(201), done, done, done),
            (Answered(202), done, done, done),
            (Answered(204), done, done, done),
            (Answered(302), give_up(R::Unexpected(302)), give_up(R::Unexpected(302)), retry(500)),
            (Answered(400), give_up(R::BadRequest), give_up(R::BadRequest), refused(1000)),
            (Answered(401), RENEW_AT_ONCE, RENEW_AT_ONCE, refused(1000)),
            (Answered(403), give_up(R::Forbidden), retry(250), refused(1000)),
            (Answered(404), give_up(R::NotFound), give_up(R::NotFound), retry(500)),
            (Answered(408), give_up(R::Rejected(408)), give_up(R::Rejected(408)), retry(500)),
            (Answered(409), give_up(R::Rejected(409)), give_up(R::Rejected(409)), retry(500)),
            (Answered(422), give_up(R::Rejected(422)), give_up(R::Rejected(422)), retry(500)),
            (Answered(429), hold(500), hold(250), retry(500)),
            (Answered(500), retry(500), retry(250), retry(500)),
            (Answered(503), retry(500), retry(250), retry(500)),
            (Answered(599), retry(500), retry(250), retry(500)),
            (Answered(999), give_up(R::Unexpected(999)), give_up(R::Unexpected(999)), retry(500)),
            (Unusable, retry(500), retry(250), retry(500)),
            (Failed(TransportFailure::Refused), retry(500), retry(250), retry(500)),
            (Failed(TransportFailure::Tls), retry(500), retry(250), retry(500)),
            (Failed(TransportFailure::Cut), repeat(500), repeat(250), repeat(500)),
            (Failed(TransportFailure::TimedOut), repeat(500), repeat(250), repeat(500)),
            (Failed(TransportFailure::Garbled), repeat(500), repeat(250), repeat(500)),
            (
                Failed(TransportFailure::NotSendable),
                give_up(R::NotSendable),
                give_up(R::NotSendable),
                give_up(R::NotSendable),
            ),
            (too_large(200), done, done, retry(500)),
            (too_large(404), give_up(R::NotFound), give_up(R::NotFound), retry(500)),
            (too_large(500), retry(500), retry(250), retry(500)),
        ];
        for (outcome, push, feedback, token) in table {
            for (kind, expected) in [(Push, push), (Feedback, feedback), (Token, token)] {
                assert_eq!(decide(attempt(kind, outcome)), expected, "{kind:?} {outcome:?}");
            }
            assert!(CallOutcome::LABELS.contains(&outcome.label()), "{outcome:?}");
        }
    }

    #[test]
    fn a_second_401_ends_a_push_and_slows_a_feedback_down() {
        let second = |kind| Attempt { num_renewals: 1, number: 2, ..attempt(kind, Answered(401)) };
        assert_eq!(decide(second(Push)), Decision::GiveUp(GiveUpReason::Unauthorised));
        assert_eq!(decide(second(Feedback)), Decision::RenewToken { wait: Duration::from_millis(500) });
        let tenth = Attempt { num_renewals: 9, number: 10, jitter: 1.0, ..attempt(Feedback, Answered(401)) };
        assert_eq!(decide(tenth), Decision::RenewToken { wait: Duration::from_secs(30) });
    }

    #[test]
    fn waits_double_with_full_jitter() {
        let push = |number, jitter| decide(Attempt { number, jitter, time_left: None, ..attempt(Push, Answered(500)) });
        assert_eq!([push(1, 1.0), push(2, 1.0), push(3, 1.0)], [retry(1000), retry(2000), retry(4000)]);
        assert_eq!([push(1, 0.0), push(2, 0.25), push(9, 1.0)], [retry(0), retry(500), retry(10_000)]);
        let feedback = |number| decide(Attempt { number, jitter: 1.0, ..attempt(Feedback, Answered(500)) });
        assert_eq!(
            [feedback(1), feedback(2), feedback(7), feedback(99)],
            [retry(500), retry(1000), retry(30_000), retry(30_000)]
        );
        let credentials = |number| decide(Attempt { number, ..attempt(Token, Answered(401)) });
        assert_eq!(
            [credentials(1), credentials(2), credentials(7), credentials(99)],
            [refused(1000), refused(2000), refused(60_000), refused(60_000)]
        );
    }

    #[test]
    fn retry_after_is_kept_to_the_millisecond_and_never_shortened() {
        let asked = |kind, status, header| {
            decide(Attempt { retry_after: Some(header), jitter: 0.0, ..attempt(kind, Answered(status)) })
        };
        let date = "Wed, 21 Oct 2026 07:28:03 GMT";
        for (header, milliseconds) in [("2", 2000), (date, 3000), ("soon", 0), ("0", 0), ("-5", 0)] {
            assert_eq!(asked(Push, 429, header), hold(milliseconds), "{header}");
            assert_eq!(asked(Push, 503, header), retry(milliseconds), "{header}");
            assert_eq!(asked(Feedback, 429, header), hold(milliseconds), "{header}");
            assert_eq!(asked(Token, 429, header), retry(milliseconds), "{header}");
        }
        assert_eq!(asked(Feedback, 429, "7200"), hold(7_200_000));
        assert_eq!(asked(Token, 403, "90"), refused(90_000));
        assert_eq!(asked(Token, 403, "0"), refused(1000));
        let zero = Attempt { retry_after: Some("0"), ..attempt(Push, Answered(429)) };
        assert_eq!(decide(zero), hold(500), "no wait asked for still backs off");
    }

    #[test]
    fn a_wait_that_reaches_the_deadline_is_not_begun() {
        let left = |milliseconds| Some(Duration::from_millis(milliseconds));
        let base = Attempt { retry_after: Some("4"), ..attempt(Push, Answered(429)) };
        assert_eq!(decide(Attempt { time_left: left(4000), ..base }), LATE);
        assert_eq!(decide(Attempt { time_left: left(4001), ..base }), hold(4000));
        assert_eq!(decide(Attempt { time_left: None, ..base }), hold(4000));
        let base = attempt(Push, Failed(TransportFailure::Refused));
        assert_eq!(decide(Attempt { time_left: left(500), ..base }), LATE);
        assert_eq!(decide(Attempt { time_left: left(501), ..base }), retry(500));
        let base = attempt(Push, Answered(401));
        assert_eq!(decide(Attempt { time_left: left(0), ..base }), LATE);
        let base = attempt(Push, Answered(200));
        assert_eq!(decide(Attempt { time_left: left(0), ..base }), Decision::Done);
    }

    #[test]
    fn what_may_have_succeeded_is_repeated_only_where_that_is_allowed() {
        let strict = RetryPolicy { retry_ambiguous: false, ..RetryPolicy::default() };
        for failure in [TransportFailure::Cut, TransportFailure::TimedOut, TransportFailure::Garbled] {
            let push = attempt(Push, Failed(failure));
            assert_eq!(strict.decide(&push), Decision::GiveUp(GiveUpReason::Ambiguous), "{failure:?}");
            let feedback = attempt(Feedback, Failed(failure));
            assert_eq!(strict.decide(&feedback), repeat(250), "a verdict is never lost: {failure:?}");
        }
        for outcome in [Failed(TransportFailure::Refused), Answered(500)] {
            assert_eq!(strict.decide(&attempt(Push, outcome)), retry(500), "{outcome:?}");
        }
    }

    #[test]
    fn labels_are_a_closed_set_for_every_status() {
        for status in 0..=1000 {
            assert!(CallOutcome::LABELS.contains(&Answered(status).label()), "{status}");
            assert!(GiveUpReason::LABELS.contains(&reason_of(status).label()), "{status}");
        }
    }
}

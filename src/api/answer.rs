//! From the outcome of a question to what its caller is told: the rows that all contracts share. What a contract words
//! for itself stands beside its handler.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::StatusCode;
use cuecard_actors::messages::{Failure, Outcome, Receipt, Refusal, RefusalCause, WorkItem};
use tokio::sync::oneshot;
use tokio::time::timeout_at;
use utoipa::IntoResponses;
use utoipa::openapi::{RefOr, Response};

use super::Api;
use super::problem::Problem;
use crate::openapi::refusals;

/// A queue that was full, or a peer that was not there, may be well again after this time.
const COME_BACK: Duration = Duration::from_secs(1);
/// A question that ends at its deadline says so itself; only one that hangs is given up beside it.
const GRACE: Duration = Duration::from_millis(500);

/// How a contract words what CXone refused.
pub(super) type Wording = fn(u16, &Refusal) -> Problem;

/// What a caller whose question goes to CXone may be told instead of an answer, for the document of the port: what all
/// contracts have in common. A contract's own rows stand after it and replace these.
pub(super) struct FailureAnswers;

impl IntoResponses for FailureAnswers {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&[
            ("401", "CXone refused two tokens"),
            ("403", "CXone's own 403: the client lacks a scope"),
            ("404", "no profile has the contract, or several have it: they are named; or CXone's own 404"),
            ("415", "the body is not announced as JSON"),
            ("422", "the body is no JSON, or a field is missing, mistyped or out of its range"),
            ("500", "the knowledge does not answer, or the service failed on this question"),
            ("502", "CXone refused the client credentials, or a proxy answered for it"),
            (
                "503",
                "too much waits, CXone can't be reached, or it asks to wait for longer than the answer is worth; or the service stops",
            ),
            ("504", "no answer in time"),
            ("default", "any other status of CXone's, as it came, with its text"),
        ])
    }
}

/// What CXone's own 429 comes to, where a contract hands it on.
pub(super) struct TooManyForCxone;

impl IntoResponses for TooManyForCxone {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&[("429", "CXone's own 429")])
    }
}

impl Api {
    /// Lets a question in and waits for its end; `None` when it hangs beyond its deadline, or beyond the grace of a stop.
    pub(super) async fn outcome(&self, item: WorkItem) -> Option<Outcome> {
        let give_up = item.deadline + GRACE;
        self.background.within_grace(outcome(self.admission.ask(item), give_up)).await.flatten()
    }
}

/// Waits for the end of a question that was let in.
pub(super) async fn outcome(asked: oneshot::Receiver<Outcome>, give_up: tokio::time::Instant) -> Option<Outcome> {
    timeout_at(give_up, asked).await.ok()?.ok()
}

/// What CXone gave; `Ok(None)` where nothing was found; else what the caller is told.
pub(super) fn delivered(outcome: Option<Outcome>, wording: Wording) -> Result<Option<Receipt>, Problem> {
    match outcome {
        Some(Outcome::Delivered(receipt)) => Ok(Some(receipt)),
        Some(Outcome::Silent(_) | Outcome::Withheld) => Ok(None),
        Some(Outcome::Refused(refusal) | Outcome::HeldOff(refusal)) => Err(refused(&refusal, wording)),
        Some(Outcome::Failed(failure)) => Err(failed(failure, wording)),
        Some(Outcome::Shed) => Err(Problem::busy("too many questions are waiting", COME_BACK)),
        Some(Outcome::Expired(_) | Outcome::Replaced) | None => {
            Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "no answer in time"))
        }
    }
}

fn refused(refusal: &Refusal, wording: Wording) -> Problem {
    match refusal.cause {
        RefusalCause::Credentials => Problem::new(StatusCode::BAD_GATEWAY, "CXone refused the client credentials"),
        RefusalCause::Status(status) => {
            let problem = wording(status, refusal);
            Problem { retry_after: refusal.retry_after.or(problem.retry_after), ..problem }
        }
    }
}

fn failed(failure: Failure, wording: Wording) -> Problem {
    let broken = |detail: &str| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail);
    match failure {
        Failure::CxoneFailed(refusal) => refused(&refusal, wording),
        Failure::Unreachable | Failure::Stopping | Failure::NoBackend { is_overload: true, .. } => {
            Problem::busy(failure.to_string(), COME_BACK)
        }
        Failure::TimedOut => Problem::new(StatusCode::GATEWAY_TIMEOUT, failure.to_string()),
        Failure::NoBackend { is_overload: false, .. } => broken(&failure.to_string()),
        Failure::UnknownProfile { .. } | Failure::Panicked | Failure::InboxFull | Failure::Unwritable { .. } => {
            broken("the service failed on this question; its log says why")
        }
    }
}

/// CXone's status with CXone's own text. A status that carries no text would leave the caller's connection out of step.
pub(super) fn as_it_came(status: u16, refusal: &Refusal) -> Problem {
    let carries_text = !matches!(status, 0..=199 | 204 | 205 | 304);
    let status = StatusCode::from_u16(status).ok().filter(|_| carries_text).unwrap_or(StatusCode::BAD_GATEWAY);
    Problem::new(status, own_words(refusal).unwrap_or_else(|| refusal.reason.clone()))
}

/// What CXone itself said, where it said anything.
pub(super) fn own_words(refusal: &Refusal) -> Option<String> {
    let text = String::from_utf8_lossy(&refusal.answer);
    (!text.trim().is_empty()).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_carries_no_text_becomes_a_bad_gateway() {
        let told = |status, answer: &'static str| {
            let (cause, reason) = (RefusalCause::Status(status), "why".to_owned());
            let refusal = Refusal { cause, reason, given_up: None, answer: answer.into(), retry_after: None };
            let problem = as_it_came(status, &refusal);
            (problem.status.as_u16(), problem.detail)
        };
        for status in [100, 101, 103, 204, 205, 304, 0, 1000] {
            assert_eq!(told(status, ""), (502, "why".to_owned()), "{status}");
        }
        for status in [302, 400, 418, 503, 999] {
            assert_eq!(told(status, "busy"), (status, "busy".to_owned()));
        }
    }
}

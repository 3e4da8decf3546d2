//! What an answer is to the policy, and in words.

use std::time::SystemTime;

use bytes::Bytes;
use cuecard_cxone::answers::{Attempt, CallKind, CallOutcome};
use cuecard_cxone::http::Answer;
use cuecard_cxone::transport::TransportError;
use tokio::time::Instant;

use super::masking::masked;
use crate::messages::{Refusal, RefusalCause};

/// An answer, or why there is none.
pub(super) type Answered = Result<Answer, TransportError>;

pub(super) fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

pub(super) fn outcome(answer: &Answered) -> CallOutcome {
    match answer {
        Ok(answer) => CallOutcome::Answered(answer.status),
        Err(error) => CallOutcome::from(error),
    }
}

pub(super) fn attempt(kind: CallKind, answer: &Answered, number: u32, deadline: Option<Instant>) -> Attempt<'_> {
    Attempt {
        kind,
        outcome: outcome(answer),
        retry_after: answer.as_ref().ok().and_then(|answer| answer.retry_after.as_deref()),
        number,
        num_renewals: 0,
        max_attempts: None,
        time_left: deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())),
        wall_clock: SystemTime::now(),
        jitter: rand::random(),
    }
}

/// An answer that takes nothing, with what an operator is told of it; one that can't be kept stands for a bad gateway.
pub(super) fn refusal(answer: &Answered, reason: String) -> Refusal {
    let (status, body) = answer.as_ref().map_or((502, Bytes::new()), |answer| (answer.status, answer.body.clone()));
    Refusal { cause: RefusalCause::Status(status), reason, answer: body, retry_after: None }
}

/// What CXone said, for people; what a customer may have said is masked.
pub(super) fn describe(answer: &Answered) -> String {
    match answer {
        Ok(answer) => format!("status {}: {}", answer.status, masked(&answer.body)),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_masked_beside_its_status() {
        let answer = Ok(Answer { status: 400, body: "card 4711 of Bello".into(), ..Answer::default() });
        assert_eq!(describe(&answer), "status 400: card #### of *");
    }
}

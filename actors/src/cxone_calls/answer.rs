//! What an answer is to the policy, and in words.

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
        Ok(answer) if answer.is_page && is_success(answer.status) => CallOutcome::Unusable,
        Ok(answer) => CallOutcome::Answered(answer.status),
        Err(error) => CallOutcome::from(error),
    }
}

pub(super) fn attempt(kind: CallKind, answer: &Answered, number: u32, deadline: Option<Instant>) -> Attempt {
    Attempt {
        kind,
        outcome: outcome(answer),
        retry_after: answer.as_ref().ok().and_then(|answer| Some(answer.retry_after.as_ref()?.wait())),
        number,
        num_renewals: 0,
        max_attempts: None,
        time_left: deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())),
        jitter: rand::random(),
    }
}

/// An answer that takes nothing, with what an operator is told of it; one that can't be kept, or is none of CXone's,
/// stands for a bad gateway.
pub(super) fn refusal(answer: &Answered, reason: String) -> Refusal {
    let outcome = outcome(answer);
    let (status, body) = match answer {
        Ok(answer) if outcome != CallOutcome::Unusable => (answer.status, answer.body.clone()),
        _ => (502, Bytes::new()),
    };
    Refusal { cause: RefusalCause::Status(status), reason, given_up: None, answer: body, retry_after: None }
}

/// What CXone said, for people; what a customer may have said is masked.
pub(super) fn describe(answer: &Answered) -> String {
    match answer {
        Ok(Answer { status, location: Some(place), .. }) => format!("status {status}, which leads to {place}"),
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
        let sent_on = Answer { status: 301, location: Some("https://new.example/".to_owned()), ..Answer::default() };
        assert_eq!(describe(&Ok(sent_on)), "status 301, which leads to https://new.example/");
    }
}

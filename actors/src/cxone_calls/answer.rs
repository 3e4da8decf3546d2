//! What an answer is to the policy, and in words.

use std::time::SystemTime;

use bytes::Bytes;
use cuecard_cxone::answers::{Attempt, CallKind, CallOutcome};
use cuecard_cxone::http::Answer;
use cuecard_cxone::transport::TransportError;
use tokio::time::Instant;

use crate::messages::{Refusal, RefusalCause};

/// Characters of an answer's body that are told to people.
const SHOWN_OF_BODY: usize = 200;

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

/// An answer that takes nothing, with what an operator is told of it.
pub(super) fn refusal(answer: &Answered, reason: String) -> Refusal {
    let (status, body) = answer.as_ref().map_or((0, Bytes::new()), |answer| (answer.status, answer.body.clone()));
    Refusal { cause: RefusalCause::Status(status), reason, answer: body, retry_after: None }
}

/// What CXone said, for people: digits are masked, since a body may repeat what it was sent.
pub(super) fn describe(answer: &Answered) -> String {
    match answer {
        Ok(answer) => {
            let body = String::from_utf8_lossy(&answer.body);
            let masked: String = body
                .chars()
                .take(SHOWN_OF_BODY)
                .map(|c| if c.is_ascii_digit() || c.is_control() { '#' } else { c })
                .collect();
            format!("status {}: {masked}", answer.status)
        }
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_cut_and_its_digits_are_masked() {
        let body = format!("card 4711 of\nca\u{301}ller {}", "x".repeat(300));
        let answer = Ok(Answer { status: 400, retry_after: None, last_modified: None, body: body.into() });
        let said = describe(&answer);
        assert!(said.starts_with("status 400: card #### of#ca\u{301}ller xxx"), "{said}");
        assert_eq!(said.chars().count(), "status 400: ".len() + SHOWN_OF_BODY);
    }
}

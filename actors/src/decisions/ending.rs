//! How a question ended, in one sentence for whoever asks why an agent saw what.

use std::time::Duration;

use crate::messages::{Asked, Decision, Failure, Outcome, Refusal, RefusalCause};

/// The sentence; it holds no word of a customer's.
pub fn ending(decision: &Decision) -> String {
    let after = after(decision.latency);
    match &decision.outcome {
        Outcome::Delivered(_) => match decision.asked {
            Asked::Cards(_) => "Shown: CXone took the push.".to_owned(),
            Asked::Order { .. } => "Answered: CXone took the order.".to_owned(),
        },
        Outcome::Silent(_) => "Nothing was shown.".to_owned(),
        Outcome::Withheld => "Not shown: the profile's `push` is off, so its cards are held back.".to_owned(),
        Outcome::Expired(stage) => {
            format!("Let go: it was still at {} {after}, when a card comes too late.", stage.name())
        }
        Outcome::HeldOff(refusal) => {
            format!("Let go {after}: CXone asks to wait for longer than a card is worth showing ({}).", refusal.reason)
        }
        Outcome::Replaced => {
            format!("Let go {after}: a newer utterance of the same conversation took its place while it waited.")
        }
        Outcome::Shed => format!("Let go: it waited until {after}, and more was asked than the service can answer."),
        Outcome::Refused(refusal) => format!("Not shown: {}.", refused(refusal)),
        Outcome::Failed(failure) => format!("Failed {after}: {}.", failed(failure)),
    }
}

/// Time since the customer's last word, as a clause.
fn after(latency: Duration) -> String {
    format!("{:.1} s after the last word", latency.as_secs_f64())
}

fn refused(Refusal { cause, reason, .. }: &Refusal) -> String {
    match cause {
        RefusalCause::Credentials => format!("CXone gives no token ({reason})"),
        RefusalCause::Status(status) => format!("CXone answered {status} ({reason})"),
    }
}

fn failed(failure: &Failure) -> String {
    match failure {
        Failure::CxoneFailed(refusal) => refused(refusal),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use cuecard_engine::ranking::SilenceReason;

    use super::*;
    use crate::messages::{Receipt, Stage, Versions};
    use crate::testing::item;

    fn told(outcome: Outcome) -> String {
        let latency = Duration::from_millis(2_140);
        let opened = Decision::opened(&item("acme", "c-1", 3), Arc::new(Versions::default()));
        ending(&Decision { outcome, latency, ..opened })
    }

    #[test]
    fn a_decision_of_each_outcome_says_what_became_of_its_card() {
        let refusal = |cause, reason: &str| Refusal {
            cause,
            reason: reason.to_owned(),
            given_up: None,
            answer: Bytes::new(),
            retry_after: None,
        };
        let status = |status, reason| refusal(RefusalCause::Status(status), reason);
        let table = [
            (Outcome::Delivered(Receipt::default()), "Shown: CXone took the push."),
            (Outcome::Silent(SilenceReason::Unsure), "Nothing was shown."),
            (Outcome::Withheld, "Not shown: the profile's `push` is off, so its cards are held back."),
            (
                Outcome::Expired(Stage::Rank),
                "Let go: it was still at rank 2.1 s after the last word, when a card comes too late.",
            ),
            (
                Outcome::HeldOff(status(429, "status 429")),
                "Let go 2.1 s after the last word: CXone asks to wait for longer than a card is worth showing (status 429).",
            ),
            (
                Outcome::Replaced,
                "Let go 2.1 s after the last word: a newer utterance of the same conversation took its place while it waited.",
            ),
            (
                Outcome::Shed,
                "Let go: it waited until 2.1 s after the last word, and more was asked than the service can answer.",
            ),
            (
                Outcome::Refused(status(403, "final: insufficient scope")),
                "Not shown: CXone answered 403 (final: insufficient scope).",
            ),
            (
                Outcome::Refused(refusal(RefusalCause::Credentials, "invalid_client")),
                "Not shown: CXone gives no token (invalid_client).",
            ),
            (
                Outcome::Failed(Failure::CxoneFailed(status(503, "status 503"))),
                "Failed 2.1 s after the last word: CXone answered 503 (status 503).",
            ),
            (Outcome::Failed(Failure::TimedOut), "Failed 2.1 s after the last word: CXone did not answer in time."),
        ];
        for (outcome, sentence) in table {
            assert_eq!(told(outcome.clone()), sentence, "{outcome:?}");
        }
    }
}

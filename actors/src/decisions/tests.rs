#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cuecard_engine::ranking::SilenceReason;
use strum::VariantArray;

use super::*;
use crate::messages::{Failure, ProfileName, Receipt, Refusal, RefusalCause, Stage, Versions, WorkItem};
use crate::testing::{Logged, item};

fn question() -> WorkItem {
    item("acme", "0196a3f2-7d1c-7000-8000-000000000000", 12)
}

fn line_of(outcome: Outcome) -> String {
    let item = question();
    let latency = Duration::from_micros(2_812_345);
    let decision = Decision { outcome, latency, ..Decision::opened(&item, Arc::new(Versions::default())) };
    let logged = Logged::start();
    log(&decision);
    let lines = logged.lines();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    for id in [item.decision.to_string(), item.key.interaction.to_string()] {
        assert_eq!((id.len(), line.matches(&id).count()), (36, 1), "{id} in {line}");
    }
    line.clone()
}

#[test]
fn a_decision_is_one_short_line_that_says_nothing_twice() {
    let silences = SilenceReason::ALL.iter().map(|reason| (Outcome::Silent(*reason), reason.name()));
    let expiries = Stage::VARIANTS.iter().map(|stage| (Outcome::Expired(*stage), stage.name()));
    for (outcome, why) in silences.chain(expiries) {
        let line = line_of(outcome);
        assert!(line.len() < 250 && line.contains(&format!(r#""why":"{why}""#)), "{} bytes: {line}", line.len());
    }
    for outcome in [Outcome::Delivered(Receipt::default()), Outcome::Replaced, Outcome::Shed] {
        let said = format!(r#""message":"{}""#, outcome.label());
        let line = line_of(outcome);
        assert!(line.len() < 250 && line.contains(&said), "{} bytes: {line}", line.len());
    }
}

/// What CXone or a backend says may be of any length, and of characters that take more room in a line than they have.
#[test]
fn a_reason_in_words_is_cut_in_the_line_whatever_it_is_made_of() {
    for character in ["x", "\"", "\n", "\u{1f4a1}"] {
        let reason = character.repeat(5000);
        let (cause, given_up, retry_after) = (RefusalCause::Status(429), None, None);
        let refusal = Refusal { cause, reason: reason.clone(), given_up, answer: Bytes::new(), retry_after };
        let outcomes = [
            Outcome::Refused(refusal.clone()),
            Outcome::HeldOff(refusal.clone()),
            Outcome::Failed(Failure::CxoneFailed(refusal)),
            Outcome::Failed(Failure::NoBackend { reason: reason.clone(), is_overload: false }),
            Outcome::Failed(Failure::UnknownProfile { profile: reason.clone() }),
            Outcome::Failed(Failure::Unwritable { reason }),
        ];
        for outcome in outcomes {
            let line = line_of(outcome);
            assert!(line.len() < 250 + FREE_TEXT_BYTES && line.contains('\u{2026}'), "{} bytes: {line}", line.len());
        }
    }
    let whole = line_of(Outcome::Failed(Failure::Stopping));
    assert!(whole.contains(r#""why":"the service is shutting down""#), "{whole}");
}

#[test]
fn a_tap_that_nobody_empties_drops_decisions_and_counts_them() {
    let metrics = Metrics::new(&[ProfileName::new("acme")], Vec::new()).unwrap();
    let (decisions, tap) = Decisions::new(metrics.clone());
    let versions = Arc::new(Versions::default());
    for _ in 0..TAP + 3 {
        let decision = Decision::opened(&question(), Arc::clone(&versions));
        decisions.ended(Box::new(Decision { outcome: Outcome::Shed, ..decision }));
    }
    assert_eq!(tap.len(), TAP);
    let text = metrics.render(0.0).unwrap();
    assert!(text.contains(r#"cuecard_dropped_total{actor="decisions",reason="tap_full"} 3"#), "{text}");
    assert!(text.contains(&format!(r#"cuecard_cards_total{{outcome="shed",profile="acme"}} {}"#, TAP + 3)), "{text}");
}

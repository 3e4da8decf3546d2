#![allow(clippy::unwrap_used)]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cuecard_engine::ranking::SilenceReason;
use tracing::Level;

use super::*;
use crate::messages::{Failure, Receipt, Stage, Versions, WorkItem};
use crate::testing::item;

/// What was logged, as a service logs where nobody reads along.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(work: impl FnOnce()) -> Vec<String> {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_target(false)
        .with_max_level(Level::INFO)
        .with_writer(move || writer.clone());
    tracing::subscriber::with_default(subscriber.finish(), work);
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

fn question() -> WorkItem {
    item("acme", "0196a3f2-7d1c-7000-8000-000000000000", 12)
}

#[test]
fn a_decision_is_one_short_line_that_says_nothing_twice() {
    for (outcome, said) in [
        (Outcome::Delivered(Receipt::default()), r#""message":"delivered""#),
        (Outcome::Silent(SilenceReason::AlreadyShown), r#""why":"already_shown""#),
        (Outcome::Expired(Stage::Retrieve), r#""why":"retrieve""#),
        (Outcome::Replaced, r#""message":"replaced""#),
        (Outcome::Failed(Failure::Stopping), r#""why":"the service is shutting down""#),
    ] {
        let item = question();
        let latency = Duration::from_micros(2_812_345);
        let decision = Decision { outcome, latency, ..Decision::opened(&item, Arc::new(Versions::default())) };
        let lines = logged(|| log(&decision));
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(line.len() < 270, "{} bytes: {line}", line.len());
        assert!(line.contains(said), "{line}");
        for id in [item.decision.to_string(), item.key.interaction.to_string()] {
            assert_eq!(line.matches(&id).count(), 1, "{id} in {line}");
        }
    }
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
    assert!(text.contains(r#"cuecard_dropped_total{actor="decisions",reason="not_kept"} 3"#), "{text}");
    assert!(text.contains(&format!(r#"cuecard_cards_total{{outcome="shed",profile="acme"}} {}"#, TAP + 3)), "{text}");
}

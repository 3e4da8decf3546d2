//! From a decision to its spans: one for the question, from its last word to its end, and one for each stage beneath it.

use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use crate::decisions::why;
use crate::messages::{Decision, Outcome};

/// The spans of a decision, the question's own first. No word of the conversation is in them.
pub(super) fn of(decision: &Decision) -> Vec<Span> {
    let trace_id = decision.id.as_bytes().to_vec();
    let root = span_id(&trace_id, 0);
    let heard = nanoseconds(decision.heard_at);
    let ended = heard.saturating_add(in_nanoseconds(decision.latency));
    let mut spans = Vec::with_capacity(decision.stages.len() + 2);
    spans.push(Span {
        trace_id: trace_id.clone(),
        span_id: root.clone(),
        name: "question".to_owned(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: heard,
        end_time_unix_nano: ended,
        attributes: attributes(decision),
        status: Some(status(&decision.outcome)),
        ..Span::default()
    });
    // The words waited for the end of their turn before the first stage.
    let entered = heard.saturating_add(in_nanoseconds(decision.buffered));
    let buffer = (!decision.buffered.is_zero()).then_some(("buffer", decision.buffered));
    let stages = decision.stages.iter().map(|stage| (stage.stage.name(), stage.took));
    let mut begins = if buffer.is_some() { heard } else { entered };
    for (place, (name, took)) in (1u8..).zip(buffer.into_iter().chain(stages)) {
        let ends = begins.saturating_add(in_nanoseconds(took));
        spans.push(Span {
            trace_id: trace_id.clone(),
            span_id: span_id(&trace_id, place),
            parent_span_id: root.clone(),
            name: name.to_owned(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: begins,
            end_time_unix_nano: ends,
            ..Span::default()
        });
        begins = ends;
    }
    spans
}

/// The last bytes of the trace's id, which are drawn by chance, and the span's place in the trace.
fn span_id(trace_id: &[u8], place: u8) -> Vec<u8> {
    let mut id = trace_id[trace_id.len() / 2..].to_vec();
    if let Some(last) = id.last_mut() {
        *last ^= place;
    }
    id
}

fn attributes(decision: &Decision) -> Vec<KeyValue> {
    let outcome = &decision.outcome;
    let mut attributes = vec![
        text("cuecard.decision", decision.id.to_string()),
        text("cuecard.profile", decision.profile.to_string()),
        text("cuecard.interaction", decision.interaction.to_string()),
        attribute("cuecard.utterance", Value::IntValue(i64::try_from(decision.utterance_number).unwrap_or(i64::MAX))),
        text("cuecard.outcome", outcome.label().to_owned()),
        text("cuecard.ranker", decision.versions.ranker.clone()),
        text("cuecard.plan", decision.versions.plan.clone()),
    ];
    let why = why(outcome);
    if !why.is_empty() {
        attributes.push(text("cuecard.why", why));
    }
    if let Some(ranking) = &decision.ranking {
        attributes.push(attribute(
            "cuecard.cards",
            Value::IntValue(i64::try_from(ranking.cards().len()).unwrap_or(i64::MAX)),
        ));
    }
    attributes
}

fn status(outcome: &Outcome) -> Status {
    let code = match outcome {
        Outcome::Failed(_) | Outcome::Refused(_) => StatusCode::Error,
        _ => StatusCode::Unset,
    };
    Status { code: code.into(), ..Status::default() }
}

fn text(name: &str, value: String) -> KeyValue {
    attribute(name, Value::StringValue(value))
}

pub(super) fn attribute(name: &str, value: Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or_default()
}

fn in_nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;
    use std::sync::Arc;
    use std::time::Duration;

    use cuecard_engine::conversation::Utterance;
    use cuecard_engine::ranking::SilenceReason;

    use super::*;
    use crate::messages::{Ask, Failure, Stage, StageTime, WorkItem};
    use crate::testing::item;

    const SAID: &str = "quokkaberry";

    fn decision(outcome: Outcome) -> Decision {
        let ask = Ask::Cards(Arc::new(Utterance::question(SAID)));
        let took = |stage, milliseconds| StageTime { stage, took: Duration::from_millis(milliseconds) };
        Decision {
            outcome,
            heard_at: "2026-01-02T03:04:05Z".parse().unwrap(),
            buffered: Duration::from_millis(100),
            latency: Duration::from_millis(130),
            stages: vec![took(Stage::Admission, 5), took(Stage::Extract, 20)],
            ..Decision::opened(&WorkItem { ask, ..item("acme", "c-1", 3) }, Arc::default())
        }
    }

    #[test]
    fn a_question_is_one_trace_with_a_span_for_each_stage_one_behind_the_other() {
        let decision = decision(Outcome::Silent(SilenceReason::Unsure));
        let spans = of(&decision);
        let (root, stages) = spans.split_first().unwrap();
        assert!(spans.iter().all(|span| span.trace_id == decision.id.as_bytes() && span.span_id.len() == 8));
        assert_eq!(spans.iter().map(|span| &span.span_id).collect::<HashSet<_>>().len(), spans.len());
        assert!(root.parent_span_id.is_empty() && stages.iter().all(|span| span.parent_span_id == root.span_id));
        let start = 1_767_323_045_000_000_000;
        let times =
            |span: &Span| [span.start_time_unix_nano, span.end_time_unix_nano].map(|time| (time - start) / 1_000_000);
        let seen: Vec<_> = spans.iter().map(|span| (span.name.as_str(), times(span))).collect();
        let expected =
            [("question", [0, 130]), ("buffer", [0, 100]), ("admission", [100, 105]), ("extract", [105, 125])];
        assert_eq!(seen, expected);
        assert!(!format!("{spans:?}").contains(SAID));
    }

    #[test]
    fn what_went_wrong_is_an_error_and_silence_is_none() {
        for (outcome, code, why) in [
            (Outcome::Silent(SilenceReason::Unsure), StatusCode::Unset, "unsure"),
            (Outcome::Failed(Failure::Stopping), StatusCode::Error, "the service is shutting down"),
        ] {
            let spans = of(&decision(outcome));
            assert_eq!(spans[0].status.as_ref().unwrap().code, i32::from(code));
            assert!(spans[0].attributes.contains(&text("cuecard.why", why.to_owned())), "{:?}", spans[0].attributes);
        }
    }
}

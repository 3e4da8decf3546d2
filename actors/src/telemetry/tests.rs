#![allow(clippy::unwrap_used)]

use cuecard_ledger::{BehindKind, Judged, LedgerHealth};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cuecard_cxone::Dialect;
use cuecard_cxone::answers::CallOutcome;
use cuecard_engine::encoder::EncoderHealth;
use cuecard_engine::ranking::SilenceReason;
use jiff::Timestamp;
use strum::VariantArray;
use tokio::time::Instant;

use super::*;
use crate::messages::{
    Decision, Failure, Outcome, ProfileName, Receipt, Refusal, RefusalCause, Stage, StageTime, Versions,
};
use crate::supervision::ActorCell;
use crate::testing::{Recorder, item};

/// Label sets that metrics may have; ids and addresses are in none.
const LABELS: [&str; 22] = [
    "profile", "actor", "stage", "outcome", "reason", "action", "fate", "result", "endpoint", "status", "state",
    "version", "model", "ranker", "backend", "route", "source", "repair", "kind", "port", "dialect", "rank",
];

fn metrics() -> Metrics {
    let cells = ["buffer", "ranker"].map(ActorCell::new).to_vec();
    Metrics::new(&["acme", "other"].map(ProfileName::new), cells).unwrap()
}

fn names<T: Copy>(values: &[T], name: fn(T) -> &'static str) -> Vec<&'static str> {
    values.iter().map(|value| name(*value)).collect()
}

/// Every series with its value.
fn series(metrics: &Metrics) -> BTreeMap<String, String> {
    let text = metrics.render(1.5).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn every_series_of_the_closed_sets_is_there_from_the_start_with_0() {
    let series = series(&metrics());
    let mut expected = Vec::new();
    for profile in ["acme", "other"] {
        for name in [
            "utterances_total",
            "redelivered_total",
            "feedback_pending",
            "callbacks_pending",
            "shedding_level",
            "encoder_wait_seconds",
            "graph_constraint_failures",
            "card_latency_seconds_count",
            "conversation_pushes_count",
        ] {
            expected.push(format!(r#"cuecard_{name}{{profile="{profile}"}}"#));
        }
        let of_profile = |name: &str, label: &str, values: Vec<&str>| {
            let one = |value: &str| {
                let mut labels = [format!(r#"{label}="{value}""#), format!(r#"profile="{profile}""#)];
                labels.sort();
                format!("cuecard_{name}{{{}}}", labels.join(","))
            };
            values.into_iter().map(one).collect::<Vec<_>>()
        };
        expected.extend(of_profile("cards_total", "outcome", Outcome::LABELS.to_vec()));
        let reasons = names(SilenceReason::ALL, SilenceReason::name);
        expected.extend(of_profile("silences_total", "reason", reasons));
        let results = vec!["same", "different", "only_live", "only_shadow", "both_silent"];
        expected.extend(of_profile("shadow_total", "result", results));
        let reasons = vec!["overload", "queue_full", "encoder_failed"];
        expected.extend(of_profile("queries_without_vectors_total", "reason", reasons));
        expected.extend(of_profile("cxone_hold_seconds", "endpoint", names(Endpoint::VARIANTS, Endpoint::name)));
        let endpoints = names(Endpoint::VARIANTS, Endpoint::name);
        expected.extend(of_profile("cxone_failed_requests_total", "endpoint", endpoints));
        expected.extend(of_profile("circuit_open", "endpoint", names(Endpoint::VARIANTS, Endpoint::name)));
        expected.extend(of_profile("stream_frames_total", "fate", names(FrameFate::VARIANTS, FrameFate::name)));
        expected.extend(of_profile("profile_state", "state", names(ProfileState::VARIANTS, ProfileState::name)));
        expected.extend(of_profile("feedback_total", "action", vec!["accepted", "rejected"]));
        let results = FeedbackStage::forwarding().map(FeedbackStage::name).collect();
        expected.extend(of_profile("feedback_forwarding_total", "result", results));
    }
    for stage in Stage::VARIANTS {
        expected.push(format!(r#"cuecard_stage_seconds_count{{stage="{}"}}"#, stage.name()));
    }
    for endpoint in Endpoint::VARIANTS {
        for status in CallOutcome::LABELS {
            let endpoint = endpoint.name();
            expected.push(format!(r#"cuecard_cxone_requests_total{{endpoint="{endpoint}",status="{status}"}}"#));
        }
    }
    for source in ["frame", "articles", "search", "request"] {
        for repair in ["byte_order_mark", "invalid_utf8", "lone_surrogate", "non_number"] {
            expected.push(format!(r#"cuecard_json_repairs_total{{repair="{repair}",source="{source}"}}"#));
        }
    }
    for reason in DropReason::VARIANTS {
        let (actor, reason) = (reason.actor(), reason.name());
        expected.push(format!(r#"cuecard_dropped_total{{actor="{actor}",reason="{reason}"}}"#));
    }
    for port in ["api", "admin"] {
        for reason in ["no_key", "wrong_key", "no_right", "other_profile", "too_many", "foreign_page"] {
            expected.push(format!(r#"cuecard_refused_callers_total{{port="{port}",reason="{reason}"}}"#));
        }
    }
    for actor in ["buffer", "ranker"] {
        for name in [
            "actor_up",
            "actor_restarts_total",
            "actor_panics_total",
            "actor_busy_seconds",
            "actor_hanging",
            "actor_handled_total",
            "actor_in_flight",
            "queue_depth",
            "queue_bound",
        ] {
            expected.push(format!(r#"cuecard_{name}{{actor="{actor}"}}"#));
        }
    }
    for reason in ["panicked", "hung"] {
        expected.push(format!(r#"cuecard_encoder_threads_replaced_total{{reason="{reason}"}}"#));
    }
    expected.extend(["cuecard_admission_queued", "cuecard_admission_in_flight"].map(str::to_owned));
    for name in expected {
        assert_eq!(series.get(&name).map(String::as_str), Some("0"), "{name}");
    }
    assert_eq!(series["cuecard_uptime_seconds"], "1.5");
}

#[test]
fn times_are_logged_to_hundredths_of_a_millisecond() {
    for (nanos, expected) in [(268_890, 0.27), (2_812_344_999, 2812.34), (0, 0.0)] {
        assert_eq!(milliseconds(Duration::from_nanos(nanos)), expected);
    }
}

#[test]
fn what_does_not_exist_yet_is_left_out() {
    let metrics = metrics();
    let absent = ["acceptance_ratio", "index_age_seconds", "index_articles", "shedding_ratio", "stream_up"];
    for name in absent.map(|name| format!("cuecard_{name}{{")) {
        assert!(!metrics.render(0.0).unwrap().contains(&name), "{name}");
    }
    metrics.set_acceptance(None);
    assert!(!metrics.render(0.0).unwrap().contains("cuecard_acceptance_ratio"));
    metrics.set_acceptance(Some(0.25));
    metrics.set_index(&ProfileName::new("acme"), 80, 12.5);
    metrics.set_constraint_failures(&ProfileName::new("acme"), 2);
    let series = series(&metrics);
    assert_eq!(series["cuecard_acceptance_ratio"], "0.25");
    assert_eq!(series[r#"cuecard_index_age_seconds{profile="acme"}"#], "12.5");
    assert_eq!(series[r#"cuecard_graph_constraint_failures{profile="acme"}"#], "2");
}

#[test]
fn every_metric_has_the_prefix_help_a_unit_and_labels_of_the_closed_sets() {
    let metrics = metrics();
    metrics.set_acceptance(Some(0.5));
    metrics.set_build("1.0", "model", "snippets");
    metrics.set_index(&ProfileName::new("acme"), 80, 12.5);
    metrics.set_constraint_failures(&ProfileName::new("acme"), 2);
    metrics.set_shedding_level(&ProfileName::new("acme"), 1);
    metrics.set_ledger(&LedgerHealth::default(), [(BehindKind::Feedback, 0)].into_iter());
    metrics.set_shedding_ratio(&ProfileName::new("acme"), Some(0.5));
    metrics.set_stream_up(&ProfileName::new("acme"), true);
    metrics.set_judged(&ProfileName::new("acme"), Dialect::Insights, &[]);
    metrics.set_ledger_size(4096);
    metrics.set_certificate(Port::Admin, Timestamp::UNIX_EPOCH);
    let text = metrics.render(0.0).unwrap();
    let names = |kind: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(kind));
        lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let (with_type, with_help) = (names("# TYPE "), names("# HELP "));
    assert_eq!(with_type, with_help);
    let (of_process, ours): (BTreeSet<_>, BTreeSet<_>) =
        with_type.iter().partition(|name| name.starts_with("process_"));
    assert_eq!((ours.len(), of_process.len()), (57, 7), "one line for each metric: {with_type:?}");
    for line in text.lines().filter(|line| line.starts_with('#')) {
        let mut words = line.splitn(4, ' ');
        let (kind, name, rest) = (words.nth(1).unwrap(), words.next().unwrap(), words.next().unwrap());
        assert!(name.starts_with("cuecard_") || name.starts_with("process_"), "{line}");
        assert!(rest.len() > 4, "{line}");
        assert!(kind != "TYPE" || (rest == "counter") == name.ends_with("_total"), "{line}");
    }
    for name in series(&metrics).keys().filter(|name| name.contains('{')) {
        for label in name.split_once('{').unwrap().1.split("\",") {
            let label = label.split('=').next().unwrap();
            assert!(LABELS.contains(&label) || label == "le", "{name}");
        }
    }
}

#[test]
fn the_ends_of_all_questions_add_up_to_what_was_heard() {
    let recorder = Recorder::new();
    let cause = RefusalCause::Status(400);
    let refusal = Refusal { cause, reason: "why".to_owned(), given_up: None, answer: Bytes::new(), retry_after: None };
    let outcomes = [
        Outcome::Delivered(Receipt::default()),
        Outcome::Silent(SilenceReason::Unsure),
        Outcome::Withheld,
        Outcome::Expired(Stage::Rank),
        Outcome::Replaced,
        Outcome::Shed,
        Outcome::Refused(refusal),
        Outcome::Failed(Failure::InboxFull),
    ];
    for outcome in outcomes {
        recorder.ticket(&item("acme", "a", 1)).finish(outcome);
    }
    drop(recorder.ticket(&item("acme", "a", 1)));
    let series = series(&recorder.metrics());
    assert_eq!(series[r#"cuecard_utterances_total{profile="acme"}"#], "9");
    let end = |label: &&str| {
        series[&format!(r#"cuecard_cards_total{{outcome="{label}",profile="acme"}}"#)].parse::<u64>().unwrap()
    };
    let ends: Vec<_> = Outcome::LABELS.iter().map(end).collect();
    assert_eq!(ends, [1, 1, 1, 1, 1, 1, 1, 2]);
    assert_eq!(series[r#"cuecard_silences_total{profile="acme",reason="unsure"}"#], "1");
    assert_eq!(series[r#"cuecard_card_latency_seconds_count{profile="acme"}"#], "1", "only cards have one");
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_measured_by_what_is_left_of_it() {
    let metrics = metrics();
    let (profile, until) = (ProfileName::new("acme"), Instant::now() + Duration::from_secs(5));
    EndpointHeld { profile: &profile, endpoint: Endpoint::Push, until }.emit(&metrics);
    for (seconds, left) in [(2, "3"), (2, "1"), (2, "0")] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        let series = series(&metrics);
        assert_eq!(series[r#"cuecard_cxone_hold_seconds{endpoint="push",profile="acme"}"#], left);
        assert_eq!(series[r#"cuecard_cxone_hold_seconds{endpoint="search",profile="acme"}"#], "0");
    }
}

#[test]
fn a_stage_is_measured_by_what_the_decision_says_of_it() {
    let metrics = metrics();
    let question = item("acme", "a", 1);
    let took = |stage, milliseconds| StageTime { stage, took: Duration::from_millis(milliseconds) };
    metrics.count_decision(&Decision {
        latency: Duration::from_secs(3),
        stages: vec![took(Stage::Extract, 500), took(Stage::Rank, 250)],
        outcome: Outcome::Delivered(Receipt::default()),
        ..Decision::opened(&question, Arc::new(Versions::default()))
    });
    let series = series(&metrics);
    assert_eq!(series[r#"cuecard_stage_seconds_sum{stage="extract"}"#], "0.5");
    assert_eq!(series[r#"cuecard_stage_seconds_sum{stage="rank"}"#], "0.25");
    assert_eq!(series[r#"cuecard_card_latency_seconds_sum{profile="acme"}"#], "3");
}

#[test]
fn replaced_threads_of_the_encoder_are_counted() {
    let metrics = metrics();
    for (panicked, hung) in [(1, 0), (2, 1)] {
        metrics.set_encoder(&EncoderHealth { threads: 3, panicked, hung, away: 0 });
    }
    let series = series(&metrics);
    for (name, expected) in [
        ("encoder_threads", "3"),
        (r#"encoder_threads_replaced_total{reason="panicked"}"#, "2"),
        (r#"encoder_threads_replaced_total{reason="hung"}"#, "1"),
    ] {
        assert_eq!(series[&format!("cuecard_{name}")], expected, "{name}");
    }
}

#[test]
fn an_actors_cell_is_read_when_the_metrics_are() {
    let cell = ActorCell::new("buffer");
    cell.measure_queue(9, || 7);
    let metrics = Metrics::new(&[], vec![Arc::clone(&cell)]).unwrap();
    std::thread::scope(|scope| {
        let in_flight = cell.in_flight();
        let panicking = scope.spawn(move || {
            let _in_flight = in_flight;
            panic!("injected");
        });
        assert!(panicking.join().is_err());
    });
    for _ in 0..2 {
        let series = series(&metrics);
        assert_eq!(series[r#"cuecard_queue_depth{actor="buffer"}"#], "7");
        assert_eq!(series[r#"cuecard_actor_panics_total{actor="buffer"}"#], "1", "read twice, counted once");
    }
}

#[test]
fn verdicts_are_counted_by_dialect_and_rank_and_those_far_down_together() {
    let (metrics, acme) = (metrics(), ProfileName::new("acme"));
    let judged = |rank, accepted, verdicts| Judged { rank, accepted, verdicts };
    let told = [judged(1, true, 5), judged(1, false, 2), judged(4, true, 1), judged(9, true, 2)];
    for _ in 0..2 {
        metrics.set_judged(&acme, Dialect::Insights, &told);
    }
    let series = series(&metrics);
    for (rank, action, verdicts) in [
        ("1", "accepted", "5"),
        ("1", "rejected", "2"),
        ("2", "accepted", "0"),
        ("3", "rejected", "0"),
        ("further", "accepted", "3"),
        ("further", "rejected", "0"),
    ] {
        let labels = format!(r#"action="{action}",dialect="insights",profile="acme",rank="{rank}""#);
        assert_eq!(series[&format!("cuecard_judged_cards_total{{{labels}}}")], verdicts, "told twice, counted once");
    }
}

#[test]
fn a_ratio_of_nothing_goes_away_again() {
    let (metrics, acme) = (metrics(), ProfileName::new("acme"));
    for ratio in [Some(0.8), None, None] {
        metrics.set_shedding_ratio(&acme, ratio);
        let shown = series(&metrics).get(r#"cuecard_shedding_ratio{profile="acme"}"#).cloned();
        assert_eq!(shown, ratio.map(|ratio| ratio.to_string()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_conversation_was_pushed_is_measured_when_it_is_over() {
    let recorder = Recorder::new();
    let metrics = recorder.metrics();
    for (call, cards) in [("none", 0), ("two", 2)] {
        drop(recorder.ticket(&item("acme", call, 1)));
        for utterance in 0..cards {
            recorder.ticket(&item("acme", call, utterance + 2)).finish(Outcome::Delivered(Receipt::default()));
        }
        metrics.conversation_ended(&item("acme", call, 1).key);
    }
    let (reply, _answer) = tokio::sync::oneshot::channel();
    let asked = recorder.ticket_for(&item("acme", "asked", 1), Some(reply));
    asked.finish(Outcome::Delivered(Receipt::default()));
    let measured =
        |name: &str| series(&metrics)[&format!(r#"cuecard_conversation_pushes_{name}{{profile="acme"}}"#)].clone();
    metrics.close_conversations(Duration::from_hours(1));
    assert_eq!(measured("count"), "0", "a push may be under way");
    tokio::time::advance(Duration::from_secs(10)).await;
    for _ in 0..2 {
        metrics.close_conversations(Duration::from_hours(1));
        assert_eq!((measured("count"), measured("sum")), ("2".to_owned(), "2".to_owned()));
    }
}

/// A scrape's size depends on the settings alone.
#[test]
fn series_do_not_grow_with_interactions_and_are_few() {
    let profiles: Vec<_> = (0..10).map(|number| ProfileName::new(&format!("tenant-{number}"))).collect();
    let cells = (0..40).map(|number| ActorCell::new(format!("actor-{number}"))).collect();
    let metrics = Metrics::new(&profiles, cells).unwrap();
    let seen = |metrics: &Metrics| {
        for profile in &profiles {
            metrics.set_index(profile, 80, 12.5);
            metrics.set_stream_up(profile, true);
            metrics.set_shedding_ratio(profile, Some(0.0));
            metrics.set_judged(profile, Dialect::Insights, &[]);
        }
        series(metrics).into_keys().collect::<BTreeSet<_>>()
    };
    let before = seen(&metrics);
    for number in 0..1_000 {
        let question = item("tenant-3", &format!("call-{number}"), 1);
        metrics.count_utterance(&question.key.profile);
        metrics.conversation_heard(&question.key);
        let outcome = if number % 2 == 0 { Outcome::Shed } else { Outcome::Delivered(Receipt::default()) };
        metrics.count_decision(&Decision { outcome, ..Decision::opened(&question, Arc::new(Versions::default())) });
        metrics.conversation_ended(&question.key);
    }
    assert_eq!(seen(&metrics), before);
    assert!(before.len() <= 2_000, "{} series of ten tenants", before.len());
}

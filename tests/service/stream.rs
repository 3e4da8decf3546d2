//! The stream under everything that a hub and a network do to it: what is said afterwards is still heard.

use std::time::Duration;

use cuecard_simulator::{Fault, FaultKind, Frame, Route, RunningSimulator, StreamEnd};
use serde_json::{Value, json};

use crate::support::{Service, first_article, say, send, simulator, until, until_shown};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";

/// The wait before another attempt where a fresh token did not help.
const WITHOUT_FRESH_TOKEN: Duration = Duration::from_secs(30);

fn handshakes(simulator: &RunningSimulator) -> usize {
    simulator.received_on(Route::Stream).len()
}

fn refuse_handshakes(simulator: &RunningSimulator, times: u32, status: u16) {
    simulator.inject(Fault { route: Route::Stream, times, fault: FaultKind::status(status) });
}

fn fragment(interaction: &str, text: &str) -> Value {
    json!({"type": "TRANSCRIPT_FRAGMENT", "text": text, "interactionId": interaction, "participant": "CUSTOMER"})
}

#[actix_rt::test]
async fn a_lost_stream_is_opened_again_and_its_conversations_go_on() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    for (number, how) in [(1, StreamEnd::Close), (2, StreamEnd::Cut)] {
        let call = format!("call-{number}");
        send(&simulator, fragment(&call, "Can I take my dog on board,")).await;
        let heard = [("fate", "used")];
        let frames = f64::from(number * 3 - 2);
        service.admin.until("heard", |metrics| metrics.sum("cuecard_stream_frames_total", &heard) == frames).await;
        refuse_handshakes(&simulator, u32::MAX, 503);
        simulator.end_streams(how).await;
        let profile = service
            .admin
            .until_profile("the loss", |status, profile| status == 200 && profile["state"] == "degraded")
            .await;
        assert!(profile["reason"].as_str().unwrap().contains("the stream"), "{profile}");
        simulator.clear_faults();
        until(&simulator, "a new handshake", |simulator| simulator.num_streams() == 1).await;
        // What was said before the loss belongs to what is said after it.
        say(&simulator, &call, "and does he need a cabin?").await;
        let cards = until_shown(&simulator, number as usize).await;
        assert_eq!(first_article(cards.last().unwrap()), (call.as_str(), "pets"));
        service.admin.until_profile("ready again", |_, profile| profile["state"] == "ready").await;
    }
    assert_eq!(simulator.received_on(Route::Token).len(), 1, "a connection takes the token that is valid");
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_token_refused_at_the_handshake_is_renewed_at_once() {
    let simulator = simulator();
    refuse_handshakes(&simulator, 1, 401);
    let service = Service::start(&simulator, &[]).await;
    until(&simulator, "two handshakes", |simulator| handshakes(simulator) == 2).await;
    assert_eq!(simulator.received_on(Route::Token).len(), 2);
    let tries = simulator.received_on(Route::Stream);
    let between = tries[1].at.duration_since(tries[0].at);
    assert!(between < WITHOUT_FRESH_TOKEN / 2, "{between:?}");
    // The same for a token that ended while the stream stood.
    simulator.expire_tokens();
    simulator.end_streams(StreamEnd::Cut).await;
    until(&simulator, "a new handshake", |simulator| simulator.num_streams() == 1).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    assert_eq!(simulator.received_on(Route::Token).len(), 3);
    let metrics = service.admin.metrics().await;
    let answered =
        |status: &str| metrics.sum("cuecard_cxone_requests_total", &[("endpoint", "stream"), ("status", status)]);
    assert_eq!((answered("2xx"), answered("401")), (2.0, 2.0));
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_stream_that_refuses_for_good_names_the_scope() {
    // (answers, status, handshakes)
    for (times, status, tried) in [(1, 403, 1), (2, 401, 2)] {
        let simulator = simulator();
        refuse_handshakes(&simulator, times, status);
        let service = Service::launch(&simulator.base_url(), &[]);
        let profile = service
            .admin
            .until_profile("a refusal", |_, profile| {
                profile["reason"].as_str().is_some_and(|reason| reason.contains("scope"))
            })
            .await;
        assert_eq!(profile["state"], "waiting", "{profile}");
        assert!(profile["reason"].as_str().unwrap().contains("agentassist:read"), "{profile}");
        assert_eq!(service.admin.get("/readyz").await.status, 503);
        assert_eq!(handshakes(&simulator), tried);
        // The half minute until the next attempt does not hold the stop up.
        service.finish(&simulator).await;
    }
}

#[actix_rt::test]
async fn frames_that_are_no_use_are_counted_and_dropped() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    let text = |text: &str| Frame::Text(text.to_owned());
    let long_id = "x".repeat(201);
    let frames = [
        ("malformed", text("good morning")),
        ("malformed", text("[1, 2]")),
        ("malformed", text(r#"{"text": "no type"}"#)),
        ("malformed", text(r#"{"type": "TRANSCRIPT_FRAGMENT", "text": 7, "interactionId": "call-1"}"#)),
        ("malformed", text(r#"{"type": "INSIGHT_ACCEPTED", "interactionId": "call-1"}"#)),
        ("malformed", text(r#"{"type": "INSIGHT_REJECTED", "insightId": "pets"}"#)),
        ("binary", Frame::Binary(vec![0, 159, 146, 150])),
        ("bad_id", Frame::Text(fragment("call 1/../2", "hello").to_string())),
        ("bad_id", Frame::Text(fragment(&long_id, "hello").to_string())),
        ("bad_id", Frame::Text(fragment("", "hello").to_string())),
        ("ignored", text(r#"{"type": "SENTIMENT", "score": 0.5}"#)),
        ("ignored", text(r#"{"type": "DIALOG_STATE", "state": "ON_HOLD", "interactionId": "call-1"}"#)),
    ];
    for (_, frame) in frames.clone() {
        simulator.send(frame).await.unwrap();
    }
    let limit = 1024 * 1024;
    simulator.send(Frame::Text(fragment("call-1", &"x".repeat(limit)).to_string())).await.unwrap();
    until(&simulator, "a new handshake", |simulator| handshakes(simulator) == 2).await;
    // One message in five frames, with a cut inside a word.
    let whole = fragment("call-1", DOG).to_string();
    let fifth = whole.len() / 5;
    let (ends, starts) =
        ([fifth, 2 * fifth, 3 * fifth, 4 * fifth, whole.len()], [0, fifth, 2 * fifth, 3 * fifth, 4 * fifth]);
    let parts = starts.into_iter().zip(ends).map(|(start, end)| whole[start..end].to_owned()).collect();
    simulator.send(Frame::Fragmented(parts)).await.unwrap();
    send(&simulator, json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": "call-1"})).await;
    let cards = until_shown(&simulator, 1).await;
    assert_eq!(first_article(&cards[0]), ("call-1", "pets"));
    let metrics = service.admin.metrics().await;
    let counted = |fate: &str| metrics.sum("cuecard_stream_frames_total", &[("fate", fate)]);
    for fate in ["malformed", "binary", "bad_id", "ignored"] {
        let sent = frames.iter().filter(|(expected, _)| *expected == fate).count();
        assert_eq!(counted(fate), sent as f64, "{fate}");
    }
    assert_eq!((counted("too_large"), counted("used")), (1.0, 2.0));
    service.finish(&simulator).await;
}

/// Each piece of the question comes in another way that JSON does not have: in bytes that are not text, behind a byte order
/// mark, with half an emoji, with no number where nobody reads one, and of an interaction whose id is a number.
#[actix_rt::test]
async fn frames_that_are_not_quite_json_are_heard() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    let call = 104_857_600_123_u64;
    simulator.open_interaction(&call.to_string());
    let piece = |text: &str| {
        format!(r#"{{"type": "TRANSCRIPT_FRAGMENT", "interactionId": {call}, "text": "{text}", "confidence": NaN}}"#)
    };
    let latin = piece("Can I take my dog on board, ?").into_bytes().into_iter();
    let latin = latin.map(|byte| if byte == b'?' { 0xe9 } else { byte }).collect();
    let frames = [
        Frame::Binary(latin),
        Frame::Text(format!("\u{feff}{}", piece("and does he"))),
        Frame::Text(piece(r"need a cabin? \ud83d")),
    ];
    for frame in frames {
        simulator.send(frame).await.unwrap();
    }
    send(&simulator, json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": call})).await;
    let cards = until_shown(&simulator, 1).await;
    assert_eq!(first_article(&cards[0]), (call.to_string().as_str(), "pets"));
    let metrics = service.admin.metrics().await;
    let repaired = |repair: &str| metrics.sum("cuecard_json_repairs_total", &[("source", "frame"), ("repair", repair)]);
    let kinds = ["byte_order_mark", "invalid_utf8", "lone_surrogate", "non_number"];
    assert_eq!(kinds.map(repaired), [1.0, 1.0, 1.0, 3.0]);
    assert_eq!(metrics.sum("cuecard_stream_frames_total", &[("fate", "used")]), 4.0);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn what_a_machine_says_brings_no_card() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[("CUECARD__PROFILE__CONTEXT_ROLES", "ivr, partner")]).await;
    for role in ["IVR", "Partner"] {
        let mut frame = fragment("call-1", DOG);
        frame["participant"] = role.into();
        send(&simulator, frame).await;
    }
    send(&simulator, json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": "call-1"})).await;
    say(&simulator, "call-2", DOG).await;
    let cards = until_shown(&simulator, 1).await;
    assert_eq!(first_article(&cards[0]), ("call-2", "pets"));
    assert_eq!(service.admin.metrics().await.sum("cuecard_utterances_total", &[]), 1.0);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_long_message_in_small_frames_is_refused_as_well() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[("CUECARD__CXONE__MAX_MESSAGE_BYTES", "1000")]).await;
    let whole = fragment("call-1", &"x".repeat(1000)).to_string();
    let parts = whole.as_bytes().chunks(100).map(|part| String::from_utf8(part.to_vec()).unwrap()).collect();
    simulator.send(Frame::Fragmented(parts)).await.unwrap();
    until(&simulator, "a new handshake", |simulator| handshakes(simulator) == 2).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    let too_large = [("fate", "too_large")];
    assert_eq!(service.admin.metrics().await.sum("cuecard_stream_frames_total", &too_large), 1.0);
    service.finish(&simulator).await;
}

//! Text as text: control characters and markup in articles, and ids that are no path segment.

use cuecard_simulator::{Frame, Received, Route, RunningSimulator};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Caller, Service, build_index, say, send, simulator, until};

/// A bell, an escape sequence, a form feed, markup, quotes, and a character outside the basic plane.
const TITLE: &str = "<b>Dogs</b> & \"cats\" \u{7}on\u{1b}[31m board \u{1F415}";
const BODY: &str = "<script>alert('dog')</script> A dog may\u{c} sail in a <i>pet cabin</i>\u{1} & eats \\ \"free\".";
/// What of it reaches CXone: markup is read, control characters are escaped.
const SHOWN_TITLE: &str = "Dogs & \"cats\" \u{7}on\u{1b}[31m board \u{1F415}";
const SHOWN_BODY: &str = "A dog may sail in a pet cabin\u{1} & eats \\ \"free\".";
const DOG: &str = "Can I take my dog on board, and does he need a pet cabin?";

/// An index of one article full of what is no plain text.
fn marked_up() -> (TempDir, String) {
    let place = TempDir::new().unwrap();
    let (articles, index) = (place.path().join("articles.jsonl"), place.path().join("index"));
    let row = json!({"id": "kb:<1>&\"a\"", "title": TITLE, "body": BODY, "url": "https://help.example/?a=1&b=<2>"});
    std::fs::write(&articles, row.to_string()).unwrap();
    build_index(&articles, &index);
    let index = index.to_str().unwrap().to_owned();
    (place, index)
}

/// The texts that a dialect shows of the article.
fn texts(dialect: &str, push: &Received) -> Vec<String> {
    let body = push.body.as_ref().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{dialect}: {body}")).to_owned();
    match dialect {
        "rag" => vec![text(&body["content"][0]["data"]["text"])],
        "snippets" => vec![text(&body["messages"][0]["content"]["body"])],
        "graph" => vec![text(&body["content"][0]["title"]), text(&body["content"][0]["description"])],
        "insights" => vec![text(&body["insights"][0]["title"]), text(&body["insights"][0]["snippet"])],
        _ => vec![text(&body["snippets"][0]["snippet_id"])],
    }
}

#[actix_rt::test]
async fn control_characters_and_markup_reach_cxone_as_text_in_every_dialect() {
    let (_place, index) = marked_up();
    let citation = "https://help.example/?a=1&b=<2>";
    // (dialect, route, what is shown)
    let table = [
        ("rag", Route::Rag, vec![format!("Reference Context:\n[{citation}] {SHOWN_BODY}")]),
        ("snippets", Route::Snippets, vec![format!("**{SHOWN_TITLE}**\n{SHOWN_BODY}...")]),
        ("graph", Route::Graph, vec![SHOWN_TITLE.to_owned(), SHOWN_BODY.to_owned()]),
        ("insights", Route::Insights, vec![SHOWN_TITLE.to_owned(), SHOWN_BODY.to_owned()]),
        ("ranking", Route::Ranking, vec!["kb:<1>&\"a\"".to_owned()]),
    ];
    for (dialect, route, expected) in table {
        let simulator = simulator();
        let overrides = [
            ("CUECARD_INDEX", index.as_str()),
            ("CUECARD_SILENCE", "off"),
            ("CUECARD__PROFILE__DIALECT", dialect),
            ("CUECARD__PROFILE__AGENT_ID", "agent-7"),
        ];
        let service = Service::start(&simulator, &overrides).await;
        say(&simulator, "call-1", DOG).await;
        until(&simulator, dialect, |simulator| !simulator.received_on(route).is_empty()).await;
        assert_eq!(texts(dialect, &simulator.received_on(route)[0]), expected, "{dialect}");
        service.finish(&simulator).await;
    }
}

/// A finished utterance in the frames of contract 001.
fn event(interaction: &str, transcript: &str) -> Value {
    let data = json!({"id": interaction, "state": "active", "channels": [{"transcript": transcript}]});
    json!({"type": "interaction", "data": data})
}

async fn snippets(simulator: &RunningSimulator, overrides: &[(&str, &str)]) -> Service {
    let own = [("CXONE_CONTRACT", "snippets"), ("CUECARD__PROFILE__SYNC", "off")];
    Service::start(simulator, &[&own, overrides].concat()).await
}

fn handshakes(simulator: &RunningSimulator) -> Vec<Received> {
    simulator.received_on(Route::Events)
}

#[actix_rt::test]
async fn an_utterance_in_five_frames_is_read_whole() {
    let simulator = simulator();
    let service = snippets(&simulator, &[]).await;
    let whole = event("call-1", DOG).to_string();
    let fifth = whole.len() / 5;
    let cuts = [0, fifth, 2 * fifth, 3 * fifth, 4 * fifth, whole.len()];
    let parts = cuts.windows(2).map(|cut| whole[cut[0]..cut[1]].to_owned()).collect();
    simulator.send(Frame::Fragmented(parts)).await.unwrap();
    until(&simulator, "its card", |simulator| !simulator.received_on(Route::Snippets).is_empty()).await;
    let push = &simulator.received_on(Route::Snippets)[0];
    assert!(texts("snippets", push)[0].starts_with("**Taking a dog or cat on board**"), "{push:?}");
    let used = [("fate", "used")];
    assert_eq!(service.admin.metrics().await.sum("cuecard_stream_frames_total", &used), 1.0);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_message_over_the_limit_costs_its_socket_and_another_is_opened() {
    let small = [("CUECARD__CXONE__MAX_MESSAGE_BYTES", "4000")];
    let too_long = event("call-1", &"x".repeat(4000)).to_string();
    let parts = too_long.as_bytes().chunks(1000).map(|part| String::from_utf8(part.to_vec()).unwrap()).collect();
    for frame in [Frame::Text(too_long), Frame::Fragmented(parts)] {
        let simulator = simulator();
        let service = snippets(&simulator, &small).await;
        simulator.send(frame).await.unwrap();
        until(&simulator, "a new handshake", |simulator| handshakes(simulator).len() == 2).await;
        until(&simulator, "the new stream alone", |simulator| simulator.num_streams() == 1).await;
        send(&simulator, event("call-1", DOG)).await;
        until(&simulator, "a card", |simulator| !simulator.received_on(Route::Snippets).is_empty()).await;
        let too_large = [("fate", "too_large")];
        assert_eq!(service.admin.metrics().await.sum("cuecard_stream_frames_total", &too_large), 1.0);
        service.finish(&simulator).await;
    }
}

#[actix_rt::test]
async fn ids_that_are_no_path_segment_are_counted_and_dropped() {
    let simulator = simulator();
    let service = snippets(&simulator, &[]).await;
    let ids = ["call 1", "call/1", "../admin", "call?1", "call%2F1", "c\u{e4}ll", "call\n1", "", &"x".repeat(201)];
    for id in ids {
        send(&simulator, event(id, DOG)).await;
    }
    // The longest that is allowed still asks.
    let longest = "x".repeat(200);
    send(&simulator, event(&longest, DOG)).await;
    until(&simulator, "its card", |simulator| !simulator.received_on(Route::Snippets).is_empty()).await;
    let bad = [("fate", "bad_id")];
    assert_eq!(service.admin.metrics().await.sum("cuecard_stream_frames_total", &bad), ids.len() as f64);
    let pushes = simulator.received_on(Route::Snippets);
    assert_eq!(
        pushes.iter().map(|push| push.path.as_str()).collect::<Vec<_>>(),
        [format!("/api/v2/interactions/{longest}/assist")]
    );
    assert_eq!(handshakes(&simulator).len(), 1, "none of them cost the connection");
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn markup_in_what_a_caller_asks_and_orders_stays_text() {
    let simulator = simulator();
    let token_url = format!("{}/api/v2/oauth/token", simulator.base_url());
    let (service, caller): (Service, Caller) =
        Service::asked("ranking", &simulator, &[("CXONE_OAUTH_URL", &token_url)]).await;
    let metadata = json!({"note": "<b>\u{1b}[0m</b>\u{7}"});
    let order = json!({"snippets": [{"snippet_id": "<kb>&1", "relevance_score": 0.5, "metadata": metadata}]});
    let answer = caller.post("/sessions/s-1/snippets/ranking", &order).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let push = simulator.received_on(Route::Ranking).remove(0).body.unwrap();
    let sent = &push["snippets"][0];
    assert_eq!((&sent["snippet_id"], &sent["metadata"]), (&"<kb>&1".into(), &metadata));
    service.finish(&simulator).await;
}

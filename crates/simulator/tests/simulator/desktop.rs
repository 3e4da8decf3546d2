//! The page and its live feed.

use crate::client::{Client, Dialect, PATIENCE, feedback_body, insights_body, say, start, with_one_turn};
use cuecard_simulator::{Conversation, Pace, Route, Turn};
use futures_util::StreamExt;
use serde_json::Value;
use strum::IntoEnumIterator;

/// Reads events from a feed until `wanted` is among them.
pub async fn read_until(client: &Client, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut response = client.http.get(format!("{}/_sim/feed", client.base)).send().await.unwrap();
    let mut text = String::new();
    loop {
        let chunk = tokio::time::timeout(PATIENCE, response.next()).await.unwrap().unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
        let events: Vec<Value> = whole
            .split("\n\n")
            .filter_map(|event| event.strip_prefix("data: "))
            .map(|event| serde_json::from_str(event).unwrap())
            .collect();
        if events.iter().any(&wanted) {
            return events;
        }
    }
}

#[actix_web::test]
async fn the_pages_are_whole_and_load_nothing_from_elsewhere() {
    let simulator = start();
    let client = Client::of(&simulator);
    for (path, calls) in [
        ("/", &["/_sim/base.css", "/_sim/feed", "/_sim/verdict", "/_sim/faults"][..]),
        ("/_sim/faults", &["/_sim/base.css", "/_sim/state", "/_sim/received", "/_sim/streams/send", "/_sim/articles"]),
        ("/_sim/base.css", &["--ground", "--side"]),
    ] {
        let mut response = client.http.get(client.url(path)).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let policy = response.headers().get("content-security-policy").unwrap().to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        let page = String::from_utf8(response.body().await.unwrap().to_vec()).unwrap();
        for call in calls {
            assert!(page.contains(call), "{path} {call}");
        }
        for forbidden in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "http://", "https://", "@import"]
        {
            assert!(!page.contains(forbidden), "{path} {forbidden}");
        }
    }
    assert_eq!(simulator.num_violations(), 0, "the simulator's own pages are no calls of the client");
}

#[actix_web::test]
async fn a_page_opened_in_the_middle_shows_what_is_on() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    client.push_insights(&token, "k", &insights_body("i", &["a", "b"])).await;
    let events = read_until(&client, |event| event["event"] == "snapshot").await;
    let shown = &events[0]["interactions"][0];
    assert_eq!(shown["bubbles"][0]["text"], "where is my parcel");
    assert_eq!(shown["bubbles"][0]["turn"], 1);
    let card = &shown["cards"][0];
    assert_eq!((card["turn"].as_u64(), card["suggestions"][1]["title"].as_str()), (Some(1), Some("About b")));
    assert!(card["after_ms"].is_f64());
    assert_eq!(events[0]["counts"]["cards"], 1);
}

#[actix_web::test]
async fn an_open_page_hears_of_every_change() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let acts = async {
        // The feed is open when it has told its snapshot; an event between is in the snapshot or follows it.
        say(&simulator, "i", "second turn").await;
        client.push_insights(&token, "k", &insights_body("i", &["a"])).await;
        simulator.judge_card("i", "a", true).await.unwrap();
        client.feedback(&token, &feedback_body("i")).await;
        simulator.end_interaction("i");
    };
    let learned =
        |card: &Value| card["suggestions"][0]["learned"] == true && card["suggestions"][0]["verdict"] == "ACCEPTED";
    let heard = read_until(&client, |event| {
        let ended = event["event"] == "ended";
        ended || event["interactions"][0]["ended"] == true
    });
    let (events, ()) = futures_util::future::join(heard, acts).await;
    let seen = events.iter().any(|event| learned(&event["card"]) || learned(&event["interactions"][0]["cards"][0]));
    assert!(seen, "{events:?}");
}

#[actix_web::test]
async fn a_conversation_that_was_played_is_shown_as_ended_and_still_takes_its_card() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let turn = Turn { speaker: "customer".to_owned(), text: "where is it".to_owned() };
    let played = simulator.play(vec![Conversation { id: "played".to_owned(), turns: vec![turn] }], Pace::instant());
    assert_eq!(played.interaction_ids(), ["played"]);
    played.finished().await;
    let events = read_until(&client, |event| event["event"] == "snapshot").await;
    let shown = |number: usize| {
        let interaction = &events[0]["interactions"][number];
        (interaction["id"].as_str().unwrap(), interaction["ended"].as_bool().unwrap())
    };
    assert_eq!([shown(0), shown(1)], [("i", false), ("played", true)]);
    assert_eq!(client.push_insights(&token, "k", &insights_body("played", &["a"])).await.0, 200);
    let pushed_at = simulator.received_on(Route::Insights).last().map(|push| push.at);
    assert_eq!(simulator.turns().last().map(|turn| turn.card_at), Some(pushed_at), "a card is found by its time");
}

#[actix_web::test]
async fn cards_of_every_dialect_lie_on_the_desk() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    for dialect in Dialect::iter() {
        client.push(dialect, &token, &format!("{dialect:?}"), "i", &dialect.body("i", &["a", "b"])).await;
    }
    let events = read_until(&client, |event| event["event"] == "snapshot").await;
    let cards = events[0]["interactions"][0]["cards"].as_array().unwrap();
    let seen: Vec<_> = cards.iter().map(|card| card["dialect"].as_str().unwrap()).collect();
    assert_eq!(seen, ["rag", "snippets", "graph", "insights", "ranking"]);
    assert!(cards.iter().all(|card| card["suggestions"][0]["title"].is_string()), "{cards:?}");
}

//! The page and its live feed.

use crate::client::{Client, PATIENCE, feedback_body, push_body, say, start, with_one_turn};
use futures_util::StreamExt;
use serde_json::Value;

/// Reads events from a feed until `wanted` is among them.
async fn read_until(client: &Client, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
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
async fn the_page_is_whole_and_loads_nothing_from_elsewhere() {
    let simulator = start();
    let client = Client::of(&simulator);
    let mut response = client.http.get(format!("{}/", client.base)).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let policy = response.headers().get("content-security-policy").unwrap().to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let page = String::from_utf8(response.body().await.unwrap().to_vec()).unwrap();
    assert!(page.contains("/_sim/feed") && page.contains("/_sim/verdict"));
    for forbidden in
        ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "http://", "https://", "@import"]
    {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert_eq!(simulator.num_violations(), 0, "the simulator's own page is no call of the client");
}

#[actix_web::test]
async fn a_page_opened_in_the_middle_shows_what_is_on() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    client.push(&token, "k", &push_body("i", &["a", "b"])).await;
    let events = read_until(&client, |event| event["event"] == "snapshot").await;
    let shown = &events[0]["interactions"][0];
    assert_eq!(shown["bubbles"][0]["text"], "where is my parcel");
    assert_eq!(shown["bubbles"][0]["turn"], 1);
    let card = &shown["cards"][0];
    assert_eq!((card["turn"].as_u64(), card["insights"][1]["title"].as_str()), (Some(1), Some("About b")));
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
        client.push(&token, "k", &push_body("i", &["a"])).await;
        simulator.judge_card("i", "a", true).await.unwrap();
        client.feedback(&token, &feedback_body("i")).await;
        simulator.end_interaction("i");
    };
    let learned = |card: &Value| card["insights"][0]["learned"] == true && card["insights"][0]["verdict"] == "ACCEPTED";
    let heard = read_until(&client, |event| {
        let ended = event["event"] == "ended";
        ended || event["interactions"][0]["ended"] == true
    });
    let (events, ()) = futures_util::future::join(heard, acts).await;
    let seen = events.iter().any(|event| learned(&event["card"]) || learned(&event["interactions"][0]["cards"][0]));
    assert!(seen, "{events:?}");
}

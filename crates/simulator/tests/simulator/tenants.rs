//! Two clients with the same interaction ids: frames, cards, keys and verdicts don't cross.

use crate::client::{Client, Dialect, next_json, start, turn, until_connected};
use crate::desktop::read_until;
use cuecard_simulator::{
    Audience, Client as Allowed, Conversation, Pace, RunningSimulator, Simulator, SimulatorSettings, StreamEnd,
    StreamKind, Verdict,
};
use serde_json::json;

fn two() -> RunningSimulator {
    let clients = vec![Allowed::with_all_scopes("a", "1"), Allowed::with_all_scopes("b", "2")];
    Simulator::start(SimulatorSettings { clients, ..SimulatorSettings::default() }).unwrap()
}

#[actix_web::test]
async fn a_frame_goes_to_all_or_to_one_client() {
    let simulator = two();
    let (a, b) = (Client::with(&simulator, "a", "1"), Client::with(&simulator, "b", "2"));
    let mut of_a = a.connect(&a.token().await).await.unwrap();
    let mut of_b = b.connect(&b.token().await).await.unwrap();
    until_connected(&simulator, 2).await;
    let [everybody, _] = turn("all", "hello");
    simulator.send(everybody).await.unwrap();
    let [only_b, _] = turn("own", "hello");
    simulator.send_to(&Audience::client("b"), only_b).await.unwrap();
    let [last, _] = turn("last", "hello");
    simulator.send(last).await.unwrap();
    let mut heard = Vec::new();
    for _ in 0..2 {
        heard.push(next_json(&mut of_a).await.unwrap()["interactionId"].as_str().unwrap().to_owned());
    }
    for _ in 0..3 {
        heard.push(next_json(&mut of_b).await.unwrap()["interactionId"].as_str().unwrap().to_owned());
    }
    assert_eq!(heard, ["all", "last", "all", "own", "last"]);
    simulator.end_streams_of(&Audience::client("a"), StreamEnd::Cut).await;
    assert_eq!(simulator.num_streams_of(&Audience::client("b")), 1);
    assert!(simulator.send_to(&Audience::client("a"), turn("x", "hello")[0].clone()).await.is_err());
}

#[actix_web::test]
async fn two_connections_of_one_client_are_one_tenant() {
    let simulator = start();
    let client = Client::of(&simulator);
    let token = client.token().await;
    let (_first, _second) = (client.connect(&token).await.unwrap(), client.connect(&token).await.unwrap());
    until_connected(&simulator, 2).await;
    for frame in turn("i", "hello") {
        simulator.send(frame).await.unwrap();
    }
    assert_eq!(simulator.num_turns(), 1);
    let desk = read_until(&client, |event| event["event"] == "snapshot").await;
    let bubbles = &desk[0]["interactions"][0]["bubbles"];
    assert_eq!(bubbles[0]["text"], "hello", "a frame that two sockets carry was said once");
}

#[actix_web::test]
async fn interactions_keys_and_turns_belong_to_their_client() {
    let simulator = two();
    let (a, b) = (Client::with(&simulator, "a", "1"), Client::with(&simulator, "b", "2"));
    let (token_a, token_b) = (a.token().await, b.token().await);
    let (_of_a, _of_b) = (a.connect(&token_a).await.unwrap(), b.connect(&token_b).await.unwrap());
    until_connected(&simulator, 2).await;
    for frame in turn("i", "hello") {
        simulator.send_to(&Audience::client("a"), frame).await.unwrap();
    }
    let body = |ids: &[&str]| Dialect::Insights.body("i", ids);
    assert_eq!(b.push_insights(&token_b, "k", &body(&["x"])).await.0, 403, "it belongs to another client");
    assert_eq!(b.push_insights(&token_b, "k", &Dialect::Insights.body("j", &["x"])).await.0, 404, "nobody knows it");
    let verdict = simulator.received().pop().unwrap().verdict;
    assert!(matches!(verdict, Verdict::Violation { .. }));
    for frame in turn("i", "hello") {
        simulator.send_to(&Audience::client("b"), frame).await.unwrap();
    }
    assert_eq!(a.push_insights(&token_a, "k", &body(&["x"])).await.0, 200);
    assert_eq!(b.push_insights(&token_b, "k", &body(&["y"])).await.0, 200, "the key of one is free for the other");
    let turns = simulator.turns();
    let seen: Vec<_> = turns.iter().map(|turn| (turn.client_id.as_str(), turn.card_after.is_some())).collect();
    assert_eq!(seen, [("a", true), ("b", true)]);
    assert_eq!((simulator.num_cards(), simulator.num_duplicates()), (2, 0));
    assert_eq!(a.control("interactions/i/end?client=a", json!({})).await.0, 204);
    assert_eq!(a.push_insights(&token_a, "l", &body(&["x"])).await.0, 404);
    assert_eq!(b.push_insights(&token_b, "l", &body(&["x"])).await.0, 200);
}

#[actix_web::test]
async fn a_verdict_reaches_the_clients_that_know_the_interaction() {
    let simulator = two();
    let (a, b) = (Client::with(&simulator, "a", "1"), Client::with(&simulator, "b", "2"));
    let mut of_a = a.connect(&a.token().await).await.unwrap();
    let mut of_b = b.connect(&b.token().await).await.unwrap();
    until_connected(&simulator, 2).await;
    simulator.send_to(&Audience::client("a"), turn("i", "hello")[0].clone()).await.unwrap();
    simulator.send_to(&Audience::client("b"), turn("j", "hello")[0].clone()).await.unwrap();
    simulator.judge_card("i", "x", true).await.unwrap();
    simulator.judge_card("j", "y", false).await.unwrap();
    for (socket, expected) in [(&mut of_a, "INSIGHT_ACCEPTED"), (&mut of_b, "INSIGHT_REJECTED")] {
        next_json(socket).await.unwrap();
        assert_eq!(next_json(socket).await.unwrap()["type"], expected);
    }
    assert!(simulator.judge_card("unknown", "x", true).await.is_err());
}

#[actix_web::test]
async fn a_conversation_can_be_played_to_one_client_on_one_kind_of_stream() {
    let simulator = two();
    let (a, b) = (Client::with(&simulator, "a", "1"), Client::with(&simulator, "b", "2"));
    let _of_a = a.connect(&a.token().await).await.unwrap();
    let token = b.token().await;
    let (_fragments, mut events) = (b.connect(&token).await.unwrap(), b.connect_events(&token).await.unwrap());
    until_connected(&simulator, 3).await;
    let conversation: Conversation =
        serde_json::from_value(json!({"id": "c", "turns": [{"speaker": "customer", "text": "hello"}]})).unwrap();
    let audience = Audience { kind: Some(StreamKind::Snippets), client_id: Some("b".to_owned()) };
    simulator.play_to(audience, vec![conversation], Pace::instant()).finished().await;
    assert_eq!(next_json(&mut events).await.unwrap()["data"]["id"], "c");
    let turns = simulator.turns();
    assert_eq!((turns.len(), turns[0].client_id.as_str()), (1, "b"));
}

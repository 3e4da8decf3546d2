//! The stream of contract 001: handshake, events of a played conversation, cards of any dialect.

use std::time::Duration;

use crate::client::{Client, Dialect, PATIENCE, answer, next_json, start, until_connected};
use cuecard_simulator::{
    Conversation, Frame, Pace, Route, RunningSimulator, Simulator, SimulatorSettings, StreamEnd, Transcripts,
};
use serde_json::{Value, json};
use strum::IntoEnumIterator;

fn conversation() -> Conversation {
    let turn = |speaker: &str, text: &str| json!({"speaker": speaker, "text": text});
    serde_json::from_value(json!({
        "id": "call",
        "turns": [
            turn("customer", "where is my parcel"),
            turn("agent", "one moment"),
            turn("customer", "it is late"),
        ],
    }))
    .unwrap()
}

fn event(id: &str, state: &str, transcripts: &[&str]) -> Frame {
    let channels: Vec<Value> = transcripts.iter().map(|text| json!({"transcript": text})).collect();
    Frame::Text(json!({"type": "interaction", "data": {"id": id, "state": state, "channels": channels}}).to_string())
}

async fn played(transcripts: Transcripts) -> (RunningSimulator, Vec<Value>) {
    let simulator = Simulator::start(SimulatorSettings { transcripts, ..SimulatorSettings::default() }).unwrap();
    let client = Client::of(&simulator);
    let mut socket = client.connect_events(&client.token().await).await.unwrap();
    let pace = Pace { linger: Duration::ZERO, ..Pace::instant() };
    simulator.play(vec![conversation()], pace).finished().await;
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(next_json(&mut socket).await.unwrap());
    }
    (simulator, heard)
}

#[actix_web::test]
async fn a_conversation_is_heard_as_finished_utterances_of_the_customer() {
    for (transcripts, second) in
        [(Transcripts::Whole, "where is my parcel it is late"), (Transcripts::New, "it is late")]
    {
        let (simulator, heard) = played(transcripts).await;
        let active = |transcript: &str| {
            json!({"type": "interaction", "data": {
                "id": "call", "state": "active", "channels": [{"transcript": transcript}],
            }})
        };
        let ended = json!({"type": "interaction", "data": {"id": "call", "state": "completed", "channels": []}});
        assert_eq!(heard, [active("where is my parcel"), active(second), ended], "{transcripts:?}");
        assert_eq!((simulator.num_turns(), simulator.num_violations()), (2, 0));
    }
}

#[actix_web::test]
async fn a_card_of_any_dialect_finds_its_turn_until_the_interaction_ends() {
    let simulator = start();
    let client = Client::of(&simulator);
    let token = client.token().await;
    let _socket = client.connect_events(&token).await.unwrap();
    until_connected(&simulator, 1).await;
    for (number, dialect) in Dialect::iter().enumerate() {
        simulator.send(event("i", "active", &["where is it", &format!("{number}")])).await.unwrap();
        let key = format!("{dialect:?}");
        assert_eq!(client.push(dialect, &token, &key, "i", &dialect.body("i", &["a"])).await.0, 200);
    }
    assert_eq!((simulator.num_turns(), simulator.num_cards(), simulator.num_unprompted()), (5, 5, 0));
    simulator.send(event("i", "active", &["where is it", "4"])).await.unwrap();
    assert_eq!(simulator.num_turns(), 5, "an event that adds nothing is no turn");
    simulator.send(event("i", "completed", &[])).await.unwrap();
    for dialect in Dialect::iter() {
        assert_eq!(client.push(dialect, &token, "late", "i", &dialect.body("i", &["a"])).await.0, 404, "{dialect:?}");
    }
    assert_eq!(simulator.num_violations(), 0, "nobody could know that it had ended");
}

#[actix_web::test]
async fn the_handshake_wants_its_headers() {
    let simulator = start();
    let client = Client::of(&simulator);
    let token = client.token().await;
    let url = client.url("/api/v2/interactions/events");
    let status = async |request: awc::ws::WebsocketsRequest| match request.connect().await {
        Ok(_) => 101,
        Err(awc::error::WsClientError::InvalidResponseStatus(status)) => status.as_u16(),
        Err(error) => panic!("{error}"),
    };
    let accept = ("accept", "application/json");
    let ws = |url: &str| client.http.ws(url).set_header(accept.0, accept.1);
    assert_eq!(status(ws(&url)).await, 401);
    assert_eq!(status(ws(&format!("{url}?access_token={token}"))).await, 401, "the token stands in the header");
    assert_eq!(status(ws(&format!("{url}?access_token={token}")).bearer_auth(&token)).await, 400);
    assert_eq!(status(ws(&url).bearer_auth("forged")).await, 401);
    assert_eq!(status(client.http.ws(&url).bearer_auth(&token)).await, 406);
    let plain = client.http.get(&url).bearer_auth(&token).insert_header(accept);
    assert_eq!(answer(plain.send().await.unwrap()).await.0, 400, "no upgrade");
    assert_eq!(simulator.num_violations(), 6);
    assert_eq!(status(ws(&url).bearer_auth(&token)).await, 101);
    assert_eq!(simulator.received_on(Route::Events).pop().unwrap().client_id, Some(client.id.clone()));
}

#[actix_web::test]
async fn both_streams_hear_the_same_conversation() {
    let simulator = start();
    let client = Client::of(&simulator);
    let token = client.token().await;
    let mut events = client.connect_events(&token).await.unwrap();
    let mut fragments = client.connect(&token).await.unwrap();
    until_connected(&simulator, 2).await;
    simulator.play(vec![conversation()], Pace::instant()).finished().await;
    let event = next_json(&mut events).await.unwrap();
    assert_eq!(event["data"]["channels"][0]["transcript"], "where is my parcel");
    assert_eq!(next_json(&mut fragments).await.unwrap()["text"], "where is my parcel");
    simulator.end_streams(StreamEnd::Cut).await;
    assert!(simulator.until(PATIENCE, |simulator| simulator.num_streams() == 0).await);
}

//! What a client hears on the stream of contract 003: frames, raw messages, pings, ends.

use std::time::{Duration, Instant};

use crate::client::{
    Client, PATIENCE, insights_body, next_frame, next_json, say, start, until_connected, with_one_turn,
};
use actix_ws::Item;
use awc::ws::{Frame as WsFrame, Message};
use cuecard_simulator::{Conversation, Frame, NotConnected, Pace, Route, StreamEnd};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;

fn conversation(text: &str) -> Conversation {
    serde_json::from_value(json!({
        "id": "demo 1",
        "turns": [{"speaker": "agent", "text": "Good morning."}, {"speaker": "customer", "text": text}],
        "gold": ["x"],
    }))
    .unwrap()
}

#[actix_web::test]
async fn a_conversation_is_heard_as_fragments_and_turn_ends() {
    let simulator = start();
    let playing = simulator.play(vec![conversation("one two three four five")], Pace::instant());
    let client = Client::of(&simulator);
    let mut socket = client.connect(&client.token().await).await.unwrap();
    let mut heard = Vec::new();
    for _ in 0..5 {
        let frame = next_json(&mut socket).await.unwrap();
        assert_eq!(frame["interactionId"], "demo-1");
        heard.push(format!(
            "{} {}",
            frame["participant"].as_str().unwrap_or("-"),
            frame["text"].as_str().unwrap_or("-")
        ));
        if frame["type"] == "TRANSCRIPT_FRAGMENT" {
            let timestamp: jiff::Timestamp = frame["timestamp"].as_str().unwrap().parse().unwrap();
            assert!(timestamp <= jiff::Timestamp::now());
        } else {
            assert_eq!(frame["state"], "TURN_END");
        }
    }
    assert_eq!(heard, ["AGENT Good morning.", "- -", "CUSTOMER one two three four", "CUSTOMER five", "- -"]);
    playing.finished().await;
    assert_eq!(simulator.num_turns(), 1);
    assert_eq!(simulator.num_violations(), 0);
}

#[actix_web::test]
async fn an_interaction_ends_some_time_after_its_last_turn() {
    let simulator = start();
    let pace = Pace { linger: Duration::from_millis(1), ..Pace::instant() };
    let playing = simulator.play(vec![conversation("hello")], pace);
    let client = Client::of(&simulator);
    let token = client.token().await;
    let _socket = client.connect(&token).await.unwrap();
    playing.finished().await;
    let mut status = 200;
    let started = Instant::now();
    for number in 0.. {
        status = client.push_insights(&token, &number.to_string(), &insights_body("demo-1", &["a"])).await.0;
        if status != 200 || started.elapsed() > PATIENCE {
            break;
        }
    }
    assert_eq!(status, 404);
}

#[actix_web::test]
async fn messages_arrive_as_they_were_put() {
    let simulator = start();
    let (_client, _token, mut socket) = with_one_turn(&simulator).await;
    for _ in 0..2 {
        next_json(&mut socket).await.unwrap();
    }
    let long = "x".repeat(2 * 1024 * 1024);
    let parts = ["{\"a\"", ":", "1}"].map(str::to_owned).to_vec();
    for frame in [
        Frame::Text("not json".into()),
        Frame::Binary(vec![0, 255]),
        Frame::Text(long.clone()),
        Frame::Fragmented(parts),
    ] {
        simulator.send(frame).await.unwrap();
    }
    let expected = [
        WsFrame::Text("not json".into()),
        WsFrame::Binary(vec![0, 255].into()),
        WsFrame::Text(long.into()),
        WsFrame::Continuation(Item::FirstText("{\"a\"".into())),
        WsFrame::Continuation(Item::Continue(":".into())),
        WsFrame::Continuation(Item::Last("1}".into())),
    ];
    for frame in expected {
        assert!(next_frame(&mut socket).await == Some(frame));
    }
}

#[actix_web::test]
async fn nothing_comes_between_the_parts_of_a_message() {
    /// Far more than the buffers on the way take, so that the parts wait for the client to read.
    const NUM_PARTS: usize = 300;
    let simulator = start();
    let (_client, _token, mut socket) = with_one_turn(&simulator).await;
    for _ in 0..2 {
        next_json(&mut socket).await.unwrap();
    }
    let parts = vec!["x".repeat(64 * 1024); NUM_PARTS];
    let read = async {
        let mut parts = 0;
        while let Some(WsFrame::Continuation(_)) = next_frame(&mut socket).await {
            parts += 1;
        }
        parts
    };
    let (in_parts, whole) = (simulator.send(Frame::Fragmented(parts)), simulator.send(Frame::Text("whole".into())));
    let (in_parts, whole, read) = tokio::join!(biased; in_parts, whole, read);
    assert!(in_parts.is_ok() && whole.is_ok());
    assert_eq!(read, NUM_PARTS, "the whole message came after the last part");
}

#[actix_web::test]
async fn pings_are_answered_and_data_is_not_welcome() {
    let simulator = start();
    let (_client, _token, mut socket) = with_one_turn(&simulator).await;
    socket.send(Message::Ping("now".into())).await.unwrap();
    let answered = loop {
        if let WsFrame::Pong(payload) = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
            break payload;
        }
    };
    assert_eq!(answered, "now");
    assert_eq!(simulator.num_violations(), 0);
    socket.send(Message::Text("hello".into())).await.unwrap();
    assert!(simulator.until(PATIENCE, |simulator| simulator.num_violations() == 1).await);
}

#[actix_web::test]
async fn streams_end_with_and_without_a_word() {
    let simulator = start();
    let client = Client::of(&simulator);
    let token = client.token().await;
    for (how, with_close) in [(StreamEnd::Close, true), (StreamEnd::Cut, false)] {
        let mut socket = client.connect(&token).await.unwrap();
        until_connected(&simulator, 1).await;
        simulator.end_streams(how).await;
        let last = next_frame(&mut socket).await;
        assert_eq!(matches!(last, Some(WsFrame::Close(_))), with_close, "{how:?}: {last:?}");
        assert_eq!(simulator.num_streams(), 0);
        assert_eq!(simulator.send(Frame::Text("{}".into())).await, Err(NotConnected));
    }
    let mut leaving = client.connect(&token).await.unwrap();
    until_connected(&simulator, 1).await;
    leaving.send(Message::Close(None)).await.unwrap();
    assert!(
        simulator.until(PATIENCE, |simulator| simulator.num_streams() == 0).await,
        "a client that leaves is forgotten"
    );
}

#[actix_web::test]
async fn a_silent_stream_stays_open_and_says_nothing() {
    let simulator = start();
    let (client, token, mut socket) = with_one_turn(&simulator).await;
    for _ in 0..2 {
        next_json(&mut socket).await.unwrap();
    }
    simulator.end_streams(StreamEnd::Silence).await;
    assert_eq!(simulator.num_streams(), 0, "it hears nothing");
    assert_eq!(simulator.send(Frame::Text("{}".into())).await, Err(NotConnected));
    socket.send(Message::Ping("anybody?".into())).await.unwrap();
    let mut fresh = client.connect(&token).await.unwrap();
    until_connected(&simulator, 1).await;
    say(&simulator, "i", "and now").await;
    assert_eq!(next_json(&mut fresh).await.unwrap()["text"], "and now");
    // What the hub wrote by now would have arrived: the frame on the other connection is younger.
    let silence = tokio::time::timeout(Duration::from_millis(50), socket.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    drop(socket);
    assert_eq!(simulator.num_violations(), 0);
}

#[actix_web::test]
async fn handshakes_are_checked_before_the_upgrade() {
    let simulator = start();
    let client = Client::of(&simulator);
    let token = client.token().await;
    assert_eq!(client.connect("forged").await.err(), Some(401));
    assert_eq!(client.connect(&format!("{token}&extra=1")).await.err(), Some(400));
    let plain = format!("{}/cxoneapi/v2/agentassist/stream", client.base);
    assert_eq!(client.http.get(&plain).send().await.unwrap().status().as_u16(), 401);
    let url = format!("{plain}?access_token={token}");
    assert_eq!(client.http.get(url).send().await.unwrap().status().as_u16(), 400, "no upgrade");
    assert_eq!(simulator.num_violations(), 4);
    assert!(simulator.received_on(Route::Stream).iter().all(|entry| !entry.path.contains(&token)));
}

#[actix_web::test]
async fn the_agent_s_verdict_reaches_the_client() {
    let simulator = start();
    let (client, token, mut socket) = with_one_turn(&simulator).await;
    client.push_insights(&token, "k", &insights_body("i", &["a"])).await;
    simulator.judge_card("i", "a", false).await.unwrap();
    let heard = loop {
        let frame = next_json(&mut socket).await.unwrap();
        if frame["type"] == "INSIGHT_REJECTED" {
            break frame;
        }
    };
    assert_eq!(
        heard,
        json!({"type": "INSIGHT_REJECTED", "interactionId": "i", "insightId": "a", "action": "REJECTED"})
    );
}

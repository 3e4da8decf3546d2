//! What a client hears: frames, raw messages, pings, ends; and what it meets when faults are scripted.

use std::time::{Duration, Instant};

use crate::client::{Client, PATIENCE, answer, feedback_body, next_frame, next_json, push_body, start, with_one_turn};
use actix_ws::Item;
use awc::ws::{Frame as WsFrame, Message};
use cuecard_simulator::{
    Conversation, CutMoment, Fault, FaultKind, Frame, NotConnected, Pace, RetryAfter, Route, StreamEnd, Verdict,
};
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
        status = client.push(&token, &number.to_string(), &push_body("demo-1", &["a"])).await.0;
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
        assert!(simulator.until(PATIENCE, |simulator| simulator.num_streams() == 1).await);
        simulator.end_streams(how).await;
        let last = next_frame(&mut socket).await;
        assert_eq!(matches!(last, Some(WsFrame::Close(_))), with_close, "{how:?}: {last:?}");
        assert_eq!(simulator.num_streams(), 0);
        assert_eq!(simulator.send(Frame::Text("{}".into())).await, Err(NotConnected));
    }
    let mut leaving = client.connect(&token).await.unwrap();
    assert!(simulator.until(PATIENCE, |simulator| simulator.num_streams() == 1).await);
    leaving.send(Message::Close(None)).await.unwrap();
    assert!(
        simulator.until(PATIENCE, |simulator| simulator.num_streams() == 0).await,
        "a client that leaves is forgotten"
    );
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
    client.push(&token, "k", &push_body("i", &["a"])).await;
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

fn fault(route: Route, times: u32, fault: FaultKind) -> Fault {
    Fault { route, times, fault }
}

#[actix_web::test]
async fn scripted_answers_come_first_and_run_out() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    simulator.inject(fault(Route::Insights, 2, FaultKind::status(503)));
    simulator.inject(fault(
        Route::Insights,
        1,
        FaultKind::Answer { status: 200, retry_after: None, body: Some("ok".into()) },
    ));
    simulator.inject(fault(Route::Stream, 1, FaultKind::status(429)));
    let body = push_body("i", &["a"]);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(client.push(&token, "k", &body).await.0);
    }
    assert_eq!(statuses, [503, 503, 200, 200]);
    let received = simulator.received_on(Route::Insights);
    let scripted = received.iter().filter(|entry| entry.verdict == Verdict::Scripted).count();
    assert_eq!((scripted, received[3].verdict.clone()), (3, Verdict::Accepted));
    assert!(received.iter().all(|entry| entry.body == Some(body.clone())), "bodies of refused attempts are kept");
    assert_eq!(client.connect(&token).await.err(), Some(429));
    assert!(client.connect(&token).await.is_ok());
    assert_eq!(simulator.num_violations(), 0);
}

#[actix_web::test]
async fn retry_after_in_seconds_as_a_date_and_as_it_stands() {
    let simulator = start();
    let client = Client::of(&simulator);
    let forms =
        [RetryAfter::Seconds(7), RetryAfter::DateIn(Duration::from_mins(1)), RetryAfter::Literal("soon".into())];
    let mut seen = Vec::new();
    for form in forms {
        simulator.inject(fault(
            Route::Token,
            1,
            FaultKind::Answer { status: 429, retry_after: Some(form), body: None },
        ));
        let response = client.http.post(format!("{}/oauth/token", client.base)).send().await.unwrap();
        seen.push(response.headers().get("retry-after").unwrap().to_str().unwrap().to_owned());
    }
    assert_eq!((seen[0].as_str(), seen[2].as_str()), ("7", "soon"));
    assert!(seen[1].ends_with(" GMT"), "{}", seen[1]);
}

#[actix_web::test]
async fn a_cut_before_has_no_effect_and_a_cut_after_has() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let body = push_body("i", &["a"]);
    for (moment, cards, then) in
        [(CutMoment::BeforeHandling, 0, Verdict::Scripted), (CutMoment::AfterHandling, 1, Verdict::Accepted)]
    {
        simulator.inject(fault(Route::Insights, 1, FaultKind::Cut { moment }));
        let request = client
            .http
            .post(format!("{}/api/v2/agentassist/insights", client.base))
            .bearer_auth(&token)
            .insert_header(("accept", "application/json"))
            .insert_header(("idempotency-key", "k"));
        assert!(request.send_json(&body).await.is_err(), "{moment:?}: no answer comes");
        assert_eq!(simulator.num_cards(), cards, "{moment:?}");
        let last = simulator.received_on(Route::Insights).pop().unwrap();
        assert_eq!((last.verdict, last.status), (then, None));
    }
    assert_eq!(client.push(&token, "k", &body).await.0, 200);
    assert_eq!((simulator.num_cards(), simulator.num_duplicates()), (1, 0), "the repetition is not shown again");
}

#[actix_web::test]
async fn a_delayed_request_is_handled_later() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let by = Duration::from_millis(120);
    simulator.inject(fault(Route::Feedback, 1, FaultKind::Delay { by }));
    let started = Instant::now();
    assert_eq!(client.feedback(&token, &feedback_body("i")).await.0, 204);
    assert!(started.elapsed() >= by);
}

#[actix_web::test]
async fn the_control_calls_steer_the_simulator() {
    let simulator = start();
    let (client, token, mut socket) = with_one_turn(&simulator).await;
    let post = async |path: &str, body: serde_json::Value| {
        let request = client.http.post(format!("{}/_sim/{path}", client.base));
        request.send_json(&body).await.unwrap().status().as_u16()
    };
    let status = json!({"route": "insights", "fault": {"kind": "answer", "status": 500}});
    assert_eq!(post("faults", status.clone()).await, 204);
    assert_eq!(client.push(&token, "k", &push_body("i", &["a"])).await.0, 500);
    assert_eq!(post("faults", status).await, 204);
    client.http.delete(format!("{}/_sim/faults", client.base)).send().await.unwrap();
    assert_eq!(client.push(&token, "k", &push_body("i", &["a"])).await.0, 200);
    assert_eq!(post("faults", json!({"route": "insights"})).await, 400);
    assert_eq!(post("streams/send", json!({"parts": ["{", "}"]})).await, 204);
    assert_eq!(post("streams/send", json!({"oversized": 200_000})).await, 204);
    while !matches!(next_frame(&mut socket).await, Some(WsFrame::Text(text)) if text.len() == 200_000) {}
    assert_eq!(post("verdict", json!({"interactionId": "i", "insightId": "a", "accepted": true})).await, 204);
    assert_eq!(next_json(&mut socket).await.unwrap()["type"], "INSIGHT_ACCEPTED");
    assert_eq!(post("verdict", json!({"interactionId": "nobody", "insightId": "a", "accepted": true})).await, 404);
    assert_eq!(post("interactions/i/end", json!({})).await, 204);
    assert_eq!(client.push(&token, "k2", &push_body("i", &["a"])).await.0, 404);
    assert_eq!(post("tokens/expire", json!({})).await, 204);
    assert_eq!(client.connect(&token).await.err(), Some(401));
    assert_eq!(post("streams/end", json!({"how": "cut"})).await, 204);
    assert_eq!(post("streams/send", json!({"text": "x"})).await, 409);
    let summary = answer(client.http.get(format!("{}/_sim/summary", client.base)).send().await.unwrap()).await;
    assert_eq!(summary.1, json!({"streams": 0, "turns": 1, "cards": 1, "duplicates": 0, "violations": 0}));
    let received = answer(client.http.get(format!("{}/_sim/received", client.base)).send().await.unwrap()).await;
    assert_eq!(received.1.as_array().unwrap().len(), simulator.received().len());
    assert_eq!(post("nothing", json!({})).await, 404);
}

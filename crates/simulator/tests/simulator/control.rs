//! The calls under `/_sim/`: everything that the library does, for programs in other languages.

use crate::client::{Dialect, answer, insights_body, next_frame, next_json, start, with_one_turn};
use awc::ws::Frame as WsFrame;
use serde_json::{Value, json};

#[actix_web::test]
async fn the_control_calls_steer_the_simulator() {
    let simulator = start();
    let (client, token, mut socket) = with_one_turn(&simulator).await;
    let post = async |path: &str, body: Value| client.control(path, body).await.0;
    let push = async |key: &str| client.push_insights(&token, key, &insights_body("i", &["a"])).await.0;
    let status = json!({"route": "insights", "fault": {"kind": "answer", "status": 500}});
    assert_eq!(post("faults", status.clone()).await, 204);
    assert_eq!(push("k").await, 500);
    assert_eq!(post("faults", status).await, 204);
    client.http.delete(client.url("/_sim/faults")).send().await.unwrap();
    assert_eq!(push("k").await, 200);
    assert_eq!(post("faults", json!({"route": "insights"})).await, 400);
    assert_eq!(post("faults", json!({"route": "unknown", "fault": {"kind": "no_answer"}})).await, 400);
    assert_eq!(post("streams/send", json!({"parts": ["{", "}"]})).await, 204);
    assert_eq!(post("streams/send", json!({"oversized": 200_000})).await, 204);
    while !matches!(next_frame(&mut socket).await, Some(WsFrame::Text(text)) if text.len() == 200_000) {}
    assert_eq!(post("streams/send?kind=snippets", json!({"text": "x"})).await, 409);
    assert_eq!(post("streams/send?client=nobody", json!({"text": "x"})).await, 409);
    assert_eq!(post("streams/send?kind=other", json!({"text": "x"})).await, 400);
    assert_eq!(post("streams/end?clients=nobody", json!({"how": "cut"})).await, 400);
    assert_eq!(post("verdict", json!({"interactionId": "i", "insightId": "a", "accepted": true})).await, 204);
    assert_eq!(next_json(&mut socket).await.unwrap()["type"], "INSIGHT_ACCEPTED");
    assert_eq!(post("verdict", json!({"interactionId": "nobody", "insightId": "a", "accepted": true})).await, 404);
    assert_eq!(post("interactions/i/end?kind=insights", json!({})).await, 400, "it ends on both kinds of stream");
    assert_eq!(post("interactions/i/end", json!({})).await, 204);
    assert_eq!(post("interactions/i/end", json!({})).await, 404);
    assert_eq!(push("k2").await, 404);
    assert_eq!(post("interactions/i", json!({})).await, 204);
    assert_eq!(push("k2").await, 200);
    assert_eq!(post("tokens/expire", json!({})).await, 204);
    assert_eq!(client.connect(&token).await.err(), Some(401));
    assert_eq!(post("streams/end", json!({"how": "cut"})).await, 204);
    assert_eq!(post("streams/send", json!({"text": "x"})).await, 409);
    let summary = answer(client.http.get(client.url("/_sim/summary")).send().await.unwrap()).await;
    assert_eq!(summary.1, json!({"streams": 0, "turns": 1, "cards": 1, "duplicates": 1, "violations": 0}));
    assert_eq!(post("nothing", json!({})).await, 404);
}

#[actix_web::test]
async fn a_session_s_script_can_be_read_back() {
    let simulator = start();
    let (client, _token, _socket) = with_one_turn(&simulator).await;
    let storm = json!({"route": "rag", "times": "always", "every": 2,
                       "fault": {"kind": "answer", "status": 429, "retry_after": {"seconds": 1}}});
    assert_eq!(client.control("faults", storm).await.0, 204);
    assert_eq!(
        client.control("faults", json!({"route": "graph", "fault": {"kind": "delay", "by": "1s"}})).await.0,
        204
    );
    client.control("sessions/s/lock", json!({})).await;
    client.control("streams/end", json!({"how": "silence"})).await;
    let state = async || answer(client.http.get(client.url("/_sim/state")).send().await.unwrap()).await.1;
    let now = state().await;
    assert_eq!(
        now["faults"][0],
        json!({"route": "rag", "left": null, "every": 2,
        "fault": {"kind": "answer", "status": 429, "retry_after": {"seconds": 1}, "body": null}})
    );
    assert_eq!((&now["faults"][1]["route"], &now["faults"][1]["left"]), (&json!("graph"), &json!(1)));
    assert_eq!(now["locked_sessions"], json!(["s"]));
    assert_eq!(now["streams"], json!([{"kind": "insights", "client_id": "cxone-sim-client", "silent": true}]));
    assert_eq!(now["clients"], json!(["cxone-sim-client"]));
    assert_eq!((&now["articles"]["count"], &now["articles"]["answer"]), (&json!(0), &json!("whole")));
    client.http.delete(client.url("/_sim/faults?route=rag")).send().await.unwrap();
    assert_eq!(state().await["faults"].as_array().unwrap().len(), 1);
    for wrong in ["route=rug", "rout=graph", "route=graph&all=true"] {
        let url = client.url(&format!("/_sim/faults?{wrong}"));
        let (status, body) = answer(client.http.delete(url).send().await.unwrap()).await;
        assert_eq!((status, body["message"].is_string()), (400, true), "{wrong}: {body}");
    }
    assert_eq!(state().await["faults"].as_array().unwrap().len(), 1, "nothing was cleared");
}

#[actix_web::test]
async fn what_arrived_can_be_asked_for_in_parts() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    client.push_insights(&token, "k", &insights_body("i", &["a"])).await;
    client.push_insights("forged", "k", &insights_body("i", &["a"])).await;
    client.push(Dialect::Rag, &token, "k2", "i", &json!({})).await;
    let received = async |query: &str| {
        let url = client.url(&format!("/_sim/received{query}"));
        let (_, body) = answer(client.http.get(url).send().await.unwrap()).await;
        body.as_array().unwrap().iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(received("").await, [0, 1, 2, 3, 4]);
    assert_eq!(received("?from=3").await, [3, 4]);
    assert_eq!(received("?limit=2").await, [3, 4]);
    assert_eq!(received("?route=insights").await, [2, 3]);
    assert_eq!(received("?refused=true").await, [3, 4]);
    assert_eq!(received("?from=1&limit=1&route=insights&refused=false").await, [3]);
}

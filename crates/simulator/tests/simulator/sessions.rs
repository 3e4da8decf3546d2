//! Sessions of contract 004: looked at, locked, unlocked.

use crate::client::{Client, Dialect, start};
use cuecard_simulator::{Route, Simulator, SimulatorSettings, Verdict};
use serde_json::json;

const SESSION: &str = "/api/v2/agentassist/sessions/s";

#[actix_web::test]
async fn a_locked_session_takes_no_ranking_until_it_is_unlocked() {
    let simulator = start();
    let client = Client::of(&simulator);
    let token = client.token().await;
    let body = Dialect::Ranking.body("s", &["a", "b"]);
    let push = async |key: &str| client.push(Dialect::Ranking, &token, key, "s", &body).await;
    assert_eq!(client.get(&token, SESSION).await.0, 404, "nobody has named it");
    assert_eq!(push("1").await.0, 200);
    assert_eq!(client.get(&token, SESSION).await, (200, json!({"id": "s", "state": "active"})));
    assert!(simulator.lock_session("s"));
    assert_eq!(client.get(&token, SESSION).await.1["state"], "locked");
    assert_eq!(push("2").await.0, 409);
    assert!(matches!(simulator.received_on(Route::Ranking)[1].verdict, Verdict::Refused { .. }));
    assert_eq!(push("1").await.0, 200, "what was taken before is answered as before");
    assert!(simulator.unlock_session("s") && !simulator.unlock_session("s"));
    assert_eq!(push("2").await.0, 200, "a refused ranking leaves its key free");
    simulator.end_interaction("s");
    assert_eq!(client.get(&token, SESSION).await.1["state"], "ended");
    assert_eq!(simulator.num_violations(), 1);
}

#[actix_web::test]
async fn a_session_can_be_locked_before_its_first_ranking() {
    let simulator = start();
    let client = Client::of(&simulator);
    let token = client.token().await;
    assert_eq!(client.control("sessions/s/lock", json!({})).await.0, 204);
    assert_eq!(client.get(&token, SESSION).await.1["state"], "locked");
    assert_eq!(client.push(Dialect::Ranking, &token, "k", "s", &Dialect::Ranking.body("s", &["a"])).await.0, 409);
    assert_eq!(client.control("sessions/s/unlock", json!({})).await.0, 204);
    assert_eq!(client.control("sessions/s/unlock", json!({})).await.0, 404);
    assert_eq!(client.push(Dialect::Ranking, &token, "k", "s", &Dialect::Ranking.body("s", &["a"])).await.0, 200);
}

#[actix_web::test]
async fn a_session_may_be_there_from_the_start() {
    let settings = SimulatorSettings { interactions: vec!["s".to_owned()], ..SimulatorSettings::default() };
    let simulator = Simulator::start(settings).unwrap();
    let client = Client::of(&simulator);
    let token = client.token().await;
    assert_eq!(client.get(&token, SESSION).await.1["state"], "active");
}

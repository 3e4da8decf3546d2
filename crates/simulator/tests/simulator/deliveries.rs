//! Tokens end, scopes differ, keys and duplicates are told apart, the search answers.

use std::time::Duration;

use crate::client::{Client, PATIENCE, answer, feedback_body, push_body, say, start, with_one_turn};
use cuecard_simulator::{Article, Route, Simulator, SimulatorSettings, Verdict};
use serde_json::Value;

fn with_scopes(scopes: &[&str]) -> SimulatorSettings {
    let mut settings = SimulatorSettings::default();
    settings.clients[0].scopes = scopes.iter().map(ToString::to_string).collect();
    settings
}

fn verdicts(simulator: &cuecard_simulator::RunningSimulator, route: Route) -> Vec<Verdict> {
    simulator.received_on(route).into_iter().map(|entry| entry.verdict).collect()
}

#[actix_web::test]
async fn each_route_demands_its_scope() {
    // (granted, status of stream, push, feedback, search); an interaction that is unknown shows that the token was good
    let table: &[(&[&str], [u16; 4])] = &[
        (&["agentassist:read"], [101, 403, 403, 403]),
        (&["agentassist:write"], [403, 404, 403, 403]),
        (&["ai:training:write"], [403, 403, 404, 403]),
        (&["knowledge:read"], [403, 403, 403, 200]),
        (&[], [403, 403, 403, 403]),
    ];
    for (scopes, expected) in table {
        let simulator = Simulator::start(with_scopes(scopes)).unwrap();
        let client = Client::of(&simulator);
        let token = client.token().await;
        let stream = client.connect(&token).await.map_or_else(|status| status, |_| 101);
        let push = client.push(&token, "k", &push_body("i", &["a"])).await;
        let feedback = client.feedback(&token, &feedback_body("i")).await;
        let search = search(&client, &token, "q=x&language=en-US&page=1&pageSize=5").await;
        assert_eq!([stream, push.0, feedback.0, search.0], *expected, "{scopes:?}");
        if push.0 == 403 {
            assert!(push.1["message"].as_str().unwrap().contains("agentassist:write"), "{}", push.1);
        }
    }
}

async fn search(client: &Client, token: &str, query: &str) -> (u16, Value) {
    let url = format!("{}/api/v2/knowledge/articles/search?{query}", client.base);
    answer(client.http.get(url).bearer_auth(token).send().await.unwrap()).await
}

#[actix_web::test]
async fn a_token_ends_with_its_lifetime_and_by_order() {
    let settings = SimulatorSettings { token_lifetime: Duration::ZERO, ..SimulatorSettings::default() };
    let simulator = Simulator::start(settings).unwrap();
    let client = Client::of(&simulator);
    let token = client.token().await;
    assert_eq!(client.connect(&token).await.err(), Some(401));
    assert_eq!(client.push(&token, "k", &push_body("i", &["a"])).await.0, 401);
    assert_eq!(simulator.num_violations(), 2, "a client knows how long its token lasts");

    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    simulator.expire_tokens();
    assert_eq!(client.push(&token, "k", &push_body("i", &["a"])).await.0, 401);
    assert_eq!(client.connect(&token).await.err(), Some(401));
    assert_eq!(simulator.num_violations(), 0, "a client can't know of a revoked token");
    let fresh = client.token().await;
    assert_eq!(client.push(&fresh, "k", &push_body("i", &["a"])).await.0, 200);
}

#[actix_web::test]
async fn a_repeated_key_is_answered_and_not_shown_again() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let body = push_body("i", &["a", "b"]);
    let first = client.push(&token, "k", &body).await;
    let second = client.push(&token, "k", &body).await;
    assert_eq!(first.0, 200);
    assert!(first.1["id"].is_string());
    assert_eq!(first, second);
    assert_eq!(verdicts(&simulator, Route::Insights), [Verdict::Accepted, Verdict::Repeated]);
    let (status, answered) = client.push(&token, "k", &push_body("i", &["b", "a"])).await;
    assert_eq!(status, 400, "{answered}");
    assert_eq!((simulator.num_cards(), simulator.num_duplicates(), simulator.num_violations()), (1, 0, 1));
    assert_eq!(simulator.received_on(Route::Insights)[0].idempotency_key.as_deref(), Some("k"));
}

#[actix_web::test]
async fn the_same_insights_under_a_new_key_are_a_duplicate() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let body = push_body("i", &["a"]);
    assert_eq!(client.push(&token, "1", &body).await.0, 200);
    assert_eq!(client.push(&token, "2", &body).await.0, 200);
    assert_eq!(verdicts(&simulator, Route::Insights), [Verdict::Accepted, Verdict::Duplicate]);
    say(&simulator, "i", "and the other one").await;
    assert_eq!(client.push(&token, "3", &body).await.0, 200);
    assert_eq!((simulator.num_turns(), simulator.num_cards(), simulator.num_duplicates()), (2, 2, 1));
    assert!(simulator.turns().iter().all(|turn| turn.card_after.is_some_and(|after| after < PATIENCE)));
}

#[actix_web::test]
async fn the_search_answers_from_the_articles() {
    let article = |id: &str, body: &str| Article { id: id.into(), title: "t".into(), body: body.into(), url: None };
    let articles = vec![article("a", "lost parcels"), article("b", "late parcels and lost ones")];
    let simulator = Simulator::start(SimulatorSettings { articles, ..SimulatorSettings::default() }).unwrap();
    let client = Client::of(&simulator);
    let token = client.token().await;
    let (status, page) = search(&client, &token, "q=late+parcels&language=en-US&page=1&pageSize=5").await;
    assert_eq!(status, 200);
    let ids: Vec<&str> = page["entities"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["b", "a"]);
    for wrong in ["q=x", "q=x&language=de&page=1&pageSize=5", "q=x&language=en-US&page=1&pageSize=5&sort=up"] {
        assert_eq!(search(&client, &token, wrong).await.0, 400, "{wrong}");
    }
    assert_eq!(simulator.num_violations(), 3);
}

#[actix_web::test]
async fn a_port_in_use_is_named() {
    let simulator = start();
    let settings = SimulatorSettings { address: simulator.address(), ..SimulatorSettings::default() };
    let error = Simulator::start(settings).err().unwrap().to_string();
    assert!(error.contains(&simulator.address().port().to_string()), "{error}");
    let address = simulator.address();
    simulator.stop();
    let settings = SimulatorSettings { address, ..SimulatorSettings::default() };
    assert!(Simulator::start(settings).is_ok(), "a stopped simulator frees its port");
}

//! The token endpoints: forms, scopes, lifetimes; and the scope that each route demands.

use std::time::Duration;

use crate::client::{Client, Dialect, answer, feedback_body, start, with_one_turn};
use cuecard_simulator::{
    DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Route, SCOPES, Simulator, SimulatorSettings, Verdict,
};
use serde_json::json;
use strum::IntoEnumIterator;

/// Names and values of a form.
type Form<'a> = &'a [(&'a str, &'a str)];

const PATHS: [&str; 3] = ["/oauth/token", "/oauth2/token", "/api/v2/oauth/token"];
const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const ID: (&str, &str) = ("client_id", DEFAULT_CLIENT_ID);
const SECRET: (&str, &str) = ("client_secret", DEFAULT_CLIENT_SECRET);

fn with_scopes(scopes: &[&str]) -> SimulatorSettings {
    let mut settings = SimulatorSettings::default();
    settings.clients[0].scopes = scopes.iter().map(ToString::to_string).collect();
    settings
}

#[actix_web::test]
async fn token_requests() {
    let table: &[(&str, Form<'_>, u16)] = &[
        ("good", &[GRANT, ID, SECRET], 200),
        ("one scope", &[GRANT, ID, SECRET, ("scope", "agentassists:write")], 200),
        ("three scopes", &[GRANT, ID, SECRET, ("scope", "interactions:read assist:write knowledge:read")], 200),
        ("a scope that nobody has", &[GRANT, ID, SECRET, ("scope", "admin")], 400),
        ("no scope in the field", &[GRANT, ID, SECRET, ("scope", "")], 400),
        ("scopes with commas", &[GRANT, ID, SECRET, ("scope", "knowledge:read,assist:write")], 400),
        ("another grant", &[("grant_type", "password"), ID, SECRET], 400),
        ("no grant", &[ID, SECRET], 400),
        ("no secret", &[GRANT, ID], 400),
        ("a field twice", &[GRANT, ID, SECRET, SECRET], 400),
        ("a renamed field", &[GRANT, ID, ("clientSecret", DEFAULT_CLIENT_SECRET)], 400),
        ("one more field", &[GRANT, ID, SECRET, ("audience", "x")], 400),
        ("a wrong secret", &[GRANT, ID, ("client_secret", "guess")], 401),
        ("an unknown client", &[GRANT, ("client_id", "nobody"), SECRET], 401),
    ];
    for path in PATHS {
        let simulator = start();
        let client = Client::of(&simulator);
        for (name, form, expected) in table {
            let (status, body) = client.ask_token(path, form).await;
            assert_eq!(status, *expected, "{path} {name}: {body}");
            assert_eq!(body["error"].is_string(), status != 200, "{path} {name}: {body}");
        }
        let wrong = table.iter().filter(|(_, _, expected)| *expected != 200).count() as u64;
        assert_eq!(simulator.num_violations(), wrong);
        let json = client.http.post(client.url(path)).send_json(&json!({})).await.unwrap();
        assert_eq!(json.status().as_u16(), 415);
        let kept = simulator.received_on(Route::Token).remove(0);
        let form = json!({"grant_type": "client_credentials", "client_id": DEFAULT_CLIENT_ID, "client_secret": "***"});
        assert_eq!((kept.body, kept.client_id.as_deref()), (Some(form), Some(DEFAULT_CLIENT_ID)));
    }
}

#[actix_web::test]
async fn a_token_is_granted_what_was_asked_for() {
    let simulator = start();
    let client = Client::of(&simulator);
    let (_, all) = client.ask_token("/oauth/token", &[GRANT, ID, SECRET]).await;
    assert_eq!((&all["token_type"], &all["expires_in"]), (&json!("Bearer"), &json!(3600)));
    assert_eq!(all["scope"], SCOPES.join(" "));
    let asked = "agentassists:write";
    let (_, some) = client.ask_token("/oauth/token", &[GRANT, ID, SECRET, ("scope", asked)]).await;
    assert_eq!(some["scope"], asked);
    let token = some["access_token"].as_str().unwrap();
    assert_eq!(client.push(Dialect::Rag, token, "k", "i", &Dialect::Rag.body("i", &["a"])).await.0, 200);
    let (status, body) = client.push(Dialect::Graph, token, "k", "i", &Dialect::Graph.body("i", &["a"])).await;
    assert_eq!(status, 403);
    assert!(body["message"].as_str().unwrap().contains("agentassist:interactions:write"), "{body}");
    assert_eq!(client.connect(token).await.err(), Some(403));
    let narrow = Simulator::start(with_scopes(&["knowledge:read"])).unwrap();
    let client = Client::of(&narrow);
    let (status, body) = client.ask_token("/oauth2/token", &[GRANT, ID, SECRET, ("scope", asked)]).await;
    assert_eq!(status, 400);
    assert!(body["message"].as_str().unwrap().contains(asked), "{body}");
}

/// What each place answers to a token: 404 for an unknown interaction shows that the token was good.
async fn answers(client: &Client, token: &str) -> Vec<(&'static [&'static str], u16)> {
    let mut answers: Vec<(&'static [&'static str], u16)> = Vec::new();
    for dialect in Dialect::iter() {
        let status = client.push(dialect, token, "k", "i", &dialect.body("i", &["a"])).await.0;
        answers.push((dialect.scopes(), status));
    }
    let stream = client.connect(token).await.map_or_else(|status| status, |_| 101);
    let events = client.connect_events(token).await.map_or_else(|status| status, |_| 101);
    let feedback = client.feedback(token, &feedback_body("nobody")).await.0;
    let search = client.get(token, "/api/v2/knowledge/articles/search?q=x&language=en-US&page=1&pageSize=5").await.0;
    let articles = client.get(token, "/api/v2/knowledge/articles").await.0;
    let session = client.get(token, "/api/v2/agentassist/sessions/nobody").await.0;
    answers.extend([
        (&["agentassist:read"][..], stream),
        (&["interactions:read"][..], events),
        (&["ai:training:write"][..], feedback),
        (&["knowledge:read"][..], search),
        (&["knowledge:read"][..], articles),
        (&["agentassist:session:write"][..], session),
    ]);
    answers
}

#[actix_web::test]
async fn each_route_demands_its_scopes() {
    for granted in SCOPES.iter().map(|scope| vec![*scope]).chain([SCOPES.to_vec(), vec![]]) {
        let simulator = Simulator::start(with_scopes(&granted)).unwrap();
        let client = Client::of(&simulator);
        let token = client.token().await;
        for (demanded, status) in answers(&client, &token).await {
            let may = demanded.iter().all(|scope| granted.contains(scope));
            assert_eq!(status != 403, may, "{granted:?} where {demanded:?} is demanded: {status}");
        }
    }
}

#[actix_web::test]
async fn a_token_ends_with_its_lifetime_and_by_order() {
    let settings = SimulatorSettings { token_lifetime: Duration::ZERO, ..SimulatorSettings::default() };
    let simulator = Simulator::start(settings).unwrap();
    let client = Client::of(&simulator);
    let token = client.token().await;
    let ended = answers(&client, &token).await;
    assert!(ended.iter().all(|(_, status)| *status == 401), "{ended:?}");
    assert_eq!(simulator.num_violations(), ended.len() as u64, "a client knows how long its token lasts");

    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    simulator.expire_tokens();
    let revoked = answers(&client, &token).await;
    assert!(revoked.iter().all(|(_, status)| *status == 401), "{revoked:?}");
    assert_eq!(simulator.num_violations(), 0, "a client can't know of a revoked token");
    let refused = |route| matches!(simulator.received_on(route).pop().unwrap().verdict, Verdict::Refused { .. });
    assert!(refused(Route::Rag) && refused(Route::Articles) && refused(Route::Events));
    let fresh = client.token().await;
    assert_eq!(client.push_insights(&fresh, "k", &Dialect::Insights.body("i", &["a"])).await.0, 200);
}

#[actix_web::test]
async fn without_a_token_nothing_opens() {
    let simulator = start();
    let client = Client::of(&simulator);
    for path in ["/api/v2/knowledge/articles", "/api/v2/agentassist/sessions/i", "/api/v2/interactions/events"] {
        let (status, _) = answer(client.http.get(client.url(path)).send().await.unwrap()).await;
        assert_eq!(status, 401, "{path}");
    }
}

#[actix_web::test]
async fn secrets_are_not_shown_wherever_a_client_knocks_with_them() {
    let simulator = start();
    let client = Client::of(&simulator);
    let token = client.token().await;
    assert_eq!(client.ask_token("/oauth/tokens", &[GRANT, ID, SECRET]).await.0, 404);
    let json = json!({"client_id": DEFAULT_CLIENT_ID, "client_secret": DEFAULT_CLIENT_SECRET});
    client.http.post(client.url("/oauth/token")).send_json(&json).await.unwrap();
    for path in ["/oauth/token", "/api/v2/ai/training/feedback"] {
        client.http.post(client.url(path)).send_json(&json!([{"a": json}])).await.unwrap();
    }
    for path in ["/cxoneapi/v2/agentassist/stream", "/cxoneapi/v2/agentassist/streams", "/api/v2/knowledge/articles"] {
        client.http.get(client.url(&format!("{path}?access_token={token}&page=1"))).send().await.unwrap();
    }
    let received = simulator.received_on(Route::Unknown);
    let form = json!({"grant_type": "client_credentials", "client_id": DEFAULT_CLIENT_ID, "client_secret": "***"});
    assert_eq!(received[0].body, Some(form));
    assert_eq!(received[1].query.as_deref(), Some("access_token=***&page=1"));
    let shown = client.http.get(client.url("/_sim/received")).send().await.unwrap().body().await.unwrap();
    let shown = String::from_utf8(shown.to_vec()).unwrap();
    assert!(!shown.contains(DEFAULT_CLIENT_SECRET) && !shown.contains(&token), "{shown}");
}

//! The page and its live feed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::client::{Client, Dialect, PATIENCE, feedback_body, insights_body, next_json, say, start, with_one_turn};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use cuecard_simulator::{AdminPlace, Article, Conversation, Pace, Route, Simulator, SimulatorSettings, Turn};
use futures_util::StreamExt;
use serde_json::{Value, json};
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
    let mut files = vec!["/".to_owned(), "/_sim/faults".to_owned()];
    let mut told = String::new();
    let mut seen = 0;
    while let Some(path) = files.get(seen).cloned() {
        seen += 1;
        let mut response = client.http.get(client.url(&path)).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{path}");
        let policy = response.headers().get("content-security-policy").unwrap().to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        let text = String::from_utf8(response.body().await.unwrap().to_vec()).unwrap();
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "//cdn",
            "https://",
            "@import url",
        ] {
            assert!(!text.contains(forbidden), "{path} {forbidden}");
        }
        let named = text.split(['"', '\'']).filter_map(|word| match word.strip_prefix("./") {
            Some(module) => Some(format!("/_sim/pages/{module}")),
            None => word.starts_with("/_sim/pages/").then(|| word.to_owned()),
        });
        for file in named {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        told += &text;
    }
    for call in ["/_sim/feed", "/_sim/verdict", "/_sim/why", "/_sim/articles", "/_sim/state", "/_sim/streams/send"] {
        assert!(told.contains(call), "{call}");
    }
    assert!(files.len() >= 15, "{files:?}");
    let missing = client.http.get(client.url("/_sim/pages/nothing.js")).send().await.unwrap();
    assert_eq!(missing.status().as_u16(), 404);
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
    let played = simulator.play(
        vec![Conversation { id: "played".to_owned(), title: Some("A parcel".to_owned()), turns: vec![turn] }],
        Pace::instant(),
    );
    assert_eq!(played.interaction_ids(), ["played"]);
    played.finished().await;
    let events = read_until(&client, |event| event["event"] == "snapshot").await;
    let shown = |number: usize| {
        let interaction = &events[0]["interactions"][number];
        (interaction["id"].as_str().unwrap(), interaction["ended"].as_bool().unwrap())
    };
    assert_eq!([shown(0), shown(1)], [("i", false), ("played", true)]);
    let titles = [0, 1].map(|number: usize| events[0]["interactions"][number]["title"].clone());
    assert_eq!(titles, [Value::Null, "A parcel".into()]);
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
    let article = |card: &Value| card["suggestions"][0]["article"].clone();
    let expected = [
        json!({"link": "a"}),
        json!({"title": "About a"}),
        json!({"link": "https://kb.example/a"}),
        json!({"id": "a"}),
        json!({"id": "a"}),
    ];
    assert_eq!(cards.iter().map(article).collect::<Vec<_>>(), expected);
}

#[actix_web::test]
async fn a_reason_of_a_rejection_travels_in_the_event_s_action() {
    let simulator = start();
    let (client, token, mut socket) = with_one_turn(&simulator).await;
    client.push_insights(&token, "k", &insights_body("i", &["a"])).await;
    let reject = |body: Value| client.http.post(client.url("/_sim/verdict")).send_json(&body);
    let pressed = |accepted: bool, reason: &str| {
        let (interaction, insight) = ("i", "a");
        json!({"interactionId": interaction, "insightId": insight, "accepted": accepted, "reason": reason})
    };
    for (body, status) in
        [(pressed(true, "knew_it"), 400), (pressed(false, "boring"), 400), (pressed(false, "wrong_product"), 204)]
    {
        assert_eq!(reject(body.clone()).await.unwrap().status().as_u16(), status, "{body}");
    }
    let frame = loop {
        let frame = next_json(&mut socket).await.unwrap();
        if frame["type"] == "INSIGHT_REJECTED" {
            break frame;
        }
    };
    assert_eq!((&frame["type"], &frame["action"]), (&"INSIGHT_REJECTED".into(), &"REJECTED_WRONG_PRODUCT".into()));
    let events = read_until(&client, |event| event["event"] == "snapshot").await;
    let suggestion = &events[0]["interactions"][0]["cards"][0]["suggestions"][0];
    assert_eq!((&suggestion["verdict"], &suggestion["reason"]), (&"REJECTED".into(), &"wrong_product".into()));
}

#[actix_web::test]
async fn the_article_behind_a_suggestion_is_found_by_what_its_card_tells() {
    let url = Some("https://help.example/a".to_owned());
    let article = Article { id: "a".into(), title: "About a".into(), body: "<b>all</b> of it".into(), url };
    let settings = SimulatorSettings { articles: vec![article], ..SimulatorSettings::default() };
    let simulator = Simulator::start(settings).unwrap();
    let client = Client::of(&simulator);
    for (query, found) in [
        ("id=a", 1),
        ("id=b", 0),
        ("link=https%3A%2F%2Fhelp.example%2Fa", 1),
        ("link=a", 1),
        ("title=About+a", 1),
        ("title=a", 0),
    ] {
        let (status, body) = get(&client, &format!("/_sim/articles?{query}")).await;
        assert_eq!((status, body["articles"].as_array().map(Vec::len)), (200, Some(found)), "{query}");
    }
    let (_, body) = get(&client, "/_sim/articles?id=a").await;
    assert_eq!(body["articles"][0]["body"], "<b>all</b> of it");
    assert_eq!(get(&client, "/_sim/articles").await.0, 400, "all of them are asked for by the contract's route");
}

#[actix_web::test]
async fn why_a_card_came_is_asked_of_the_service_by_the_push_s_key() {
    const DECISION: &str = "0196a3f2-7d1c-7000-8000-000000000000";
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    client.push_insights(&token, DECISION, &insights_body("i", &["a"])).await;
    client.push_insights(&token, "no decision", &insights_body("i", &["b"])).await;
    let events = read_until(&client, |event| event["event"] == "snapshot").await;
    let decisions = [0, 1].map(|card: usize| events[0]["interactions"][0]["cards"][card]["decision"].clone());
    assert_eq!(decisions, [DECISION.into(), Value::Null]);
    let path = format!("/_sim/why?decision={DECISION}");
    let (status, body) = get(&client, &path).await;
    assert!(status == 200 && body["missing"].as_str().unwrap().contains("--admin"), "{body}");
    assert_eq!(get(&client, "/_sim/why?decision=../metrics").await.0, 400, "nothing else is asked of the admin port");
    let service = explaining_service(DECISION);
    let admin = |key: &str| AdminPlace { base_url: service.clone(), key: Some(key.to_owned()) };
    simulator.explain_by(admin("right"));
    let told = json!({"why": ["Shown: “About a”."], "stages": [{"stage": "rank", "took_ms": 1.5}], "latency_ms": 7.0});
    assert_eq!(get(&client, &path).await, (200, told));
    simulator.explain_by(admin("wrong"));
    let (_, body) = get(&client, &path).await;
    assert_eq!(body["missing"], "The service answered 401: no valid API key.");
}

async fn get(client: &Client, path: &str) -> (u16, Value) {
    let mut response = client.http.get(client.url(path)).send().await.unwrap();
    let body = response.json().await.unwrap_or_default();
    (response.status().as_u16(), body)
}

/// A service that knows one decision, which it has only when it is asked a second time: decisions are written behind.
fn explaining_service(decision: &'static str) -> String {
    let looks = Arc::new(AtomicUsize::new(0));
    let server = HttpServer::new(move || {
        let looks = Arc::clone(&looks);
        let explain = move |request: HttpRequest| {
            let first = looks.fetch_add(1, Relaxed) == 0;
            let key = request.headers().get("authorization").and_then(|key| key.to_str().ok()).map(str::to_owned);
            async move {
                match key.as_deref() {
                    Some("Bearer right") if first => HttpResponse::NotFound().json(json!({"detail": "not kept"})),
                    Some("Bearer right") => HttpResponse::Ok().json(json!({
                        "id": decision, "why": ["Shown: “About a”."], "query": {"text": "[30 bytes]"},
                        "stages": [{"stage": "rank", "took_ms": 1.5}], "latency_ms": 7.0,
                    })),
                    _ => HttpResponse::Unauthorized().json(json!({"detail": "no valid API key"})),
                }
            }
        };
        App::new().route(&format!("/explain/{decision}"), web::get().to(explain))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    format!("http://{address}")
}

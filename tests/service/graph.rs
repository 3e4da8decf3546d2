//! Contract 002 over real sockets: an agent asks, the graph answers, and each answer of CXone becomes the one that the
//! contract has for it.

use std::time::Instant;

use cuecard::settings::Settings;
use cuecard_simulator::{Route, RunningSimulator};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Caller, Door, LOOK, PATIENCE, Service, environment, simulator};

const GRAPH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/graph.jsonl");
const PATH: &str = "/agent-assist/query";

fn question(query: &str) -> Value {
    json!({"interaction_id": "INT-987654321", "query": query, "agent_id": "agent-7"})
}

async fn service(simulator: &RunningSimulator) -> (Service, Caller) {
    Service::asked("graph", simulator, &[("CUECARD_GRAPH", GRAPH)]).await
}

fn pushed(simulator: &RunningSimulator) -> Value {
    simulator.received_on(Route::Graph).last().unwrap().body.clone().unwrap()
}

#[actix_rt::test]
async fn articles_come_by_priority_with_how_they_were_found() {
    let simulator = simulator();
    let (service, caller) = service(&simulator).await;
    // (query, matchedBy, titles)
    let dogs = vec!["Booking a pet cabin", "Taking a dog or cat on board", "Vaccination cards"];
    let table = [
        ("dog on board", "exact", dogs.clone()),
        ("  Dog on BOARD!", "normalised", dogs.clone()),
        ("we have a dog on board this time, what do we do", "phrase", dogs),
        ("my suitcases and bags have disappeared, my luggage is lost", "nearest", vec!["Lost luggage"]),
    ];
    for (query, matched_by, titles) in table {
        let answer = caller.post(PATH, &question(query)).await;
        assert_eq!(answer.json()["status"], "success", "{query}: {}", answer.text);
        let content = pushed(&simulator)["content"].as_array().unwrap().clone();
        let seen: Vec<_> = content.iter().map(|card| card["title"].as_str().unwrap()).collect();
        assert_eq!(seen, titles, "{query}");
        assert!(content.iter().all(|card| card["metadata"]["matchedBy"] == matched_by), "{query}: {content:?}");
    }
    let answer = caller.post(PATH, &question("dog on board")).await.json();
    assert_eq!(answer["cxone_response"]["interactionId"], "INT-987654321", "{answer}");
    let content = &pushed(&simulator)["content"];
    let expected = json!({
        "title": "Taking a dog or cat on board",
        "url": "https://help.kestrel.example/pets",
        "description": "Dogs and cats travel in a pet cabin or stay in your car.",
        "type": "article",
        "displayType": "card",
        "metadata": {
            "source": "neo4j_knowledge_graph", "priority": 4, "lastUpdated": "2026-03-01", "matchedBy": "exact",
        },
    });
    assert_eq!(content[1], expected);
    assert_eq!((&content[2]["url"], content[2]["metadata"].get("priority")), (&"".into(), None));
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn markup_in_an_article_reaches_cxone_as_text() {
    let simulator = simulator();
    let (service, caller) = service(&simulator).await;
    caller.post(PATH, &question("Lost Luggage")).await;
    assert_eq!(pushed(&simulator)["content"][0]["description"], "Ask at the purser's office.");
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn nothing_found_is_no_results() {
    let simulator = simulator();
    let (service, caller) = service(&simulator).await;
    let before = simulator.received_on(Route::Graph).len();
    for query in ["abandoned topic", "what is the meaning of 42"] {
        let answer = caller.post(PATH, &question(query)).await;
        let expected = json!({"status": "no_results", "message": "No related articles found in knowledge graph"});
        assert_eq!((answer.status, answer.json()), (200, expected), "{query}");
    }
    assert_eq!(simulator.received_on(Route::Graph).len(), before);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_graph_that_is_down_is_a_500_and_the_service_says_so() {
    let simulator = simulator();
    let nobody = Door::shut();
    let uri = format!("bolt://{}", nobody.addr());
    let variables = [("CXONE_CONTRACT", "graph"), ("CUECARD_API_ADDR", "127.0.0.1:0"), ("NEO4J_URI", uri.as_str())];
    let service = Service::launch(&simulator.base_url(), &variables);
    let caller = service.caller();
    let answer = caller.post(PATH, &question("dog on board")).await;
    assert_eq!((answer.status, answer.detail().as_str()), (500, "Knowledge graph traversal failed"));
    let is_told = |_: u16, profile: &Value| profile["reason"].as_str().is_some_and(|reason| reason.contains("graph"));
    let profile = service.admin.until_profile("the graph's trouble", is_told).await;
    assert_eq!(profile["state"], "waiting", "{profile}");
    assert_eq!(service.admin.metrics().await.sum("cuecard_backend_failures_total", &[("backend", "graph")]), 1.0);
    service.stop().await;
}

#[actix_rt::test]
async fn profiles_share_a_graph_that_they_name_alike_and_its_keywords_and_no_others() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let other = data.path().join("other.jsonl");
    std::fs::write(&other, std::fs::read_to_string(GRAPH).unwrap().replace("dog on board", "cat on board")).unwrap();
    let (file, base) = (data.path().join("cuecard.toml"), simulator.base_url());
    let sections = format!(
        "[profile]\ncontract = 'graph'\nbase_url = '{base}'\n[profiles.first]\ngraph = '{GRAPH}'\n\
         [profiles.second]\ngraph = '{GRAPH}'\n[profiles.third]\ngraph = '{}'\n",
        other.display()
    );
    std::fs::write(&file, sections).unwrap();
    let own = [("CXONE_CONTRACT", ""), ("CXONE_BASE_URL", ""), ("CUECARD_API_ADDR", "127.0.0.1:0")];
    let settings = Settings::load(Some(&file), environment("", data.path(), &own)).unwrap();
    let caches = data.path().to_owned();
    let service = Service::with(settings, data);
    let are_ready = |page: &Value| {
        let profiles = page["profiles"].as_array().unwrap();
        profiles.len() == 3 && profiles.iter().all(|profile| profile["state"] == "ready")
    };
    let start = Instant::now();
    while !are_ready(&service.admin.get("/readyz").await.json()) {
        assert!(start.elapsed() < PATIENCE, "{}", service.admin.get("/readyz").await.text);
        tokio::time::sleep(LOOK).await;
    }
    let entries = std::fs::read_dir(caches).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let caches: Vec<_> = entries.filter(|name| name.starts_with("keywords-")).collect();
    assert_eq!(caches.len(), 2, "one for each graph: {caches:?}");
    service.stop().await;
}

#[actix_rt::test]
async fn a_blank_query_or_interaction_is_a_400_and_an_unsafe_one_a_422() {
    let simulator = simulator();
    let (service, caller) = service(&simulator).await;
    // (field, value, status)
    let table = [
        ("query", " ", 400),
        ("interaction_id", "", 400),
        ("interaction_id", "../../admin", 422),
        ("interaction_id", "a/b", 422),
        ("interaction_id", "a?b=c", 422),
    ];
    for (field, value, status) in table {
        let mut body = question("dog on board");
        body[field] = value.into();
        let answer = caller.post(PATH, &body).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(answer.detail().contains(field), "{}", answer.text);
    }
    service.finish(&simulator).await;
}

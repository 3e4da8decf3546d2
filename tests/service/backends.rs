//! Where candidates come from beside the embedded index: CXone's own search, a Chroma collection, a Neo4j database.

use std::collections::BTreeSet;
use std::time::Duration;

use cuecard::service;
use cuecard::settings::Settings;
use cuecard_simulator::{
    Article, Fault, FaultKind, Received, RetryAfter, Route, RunningSimulator, Simulator, SimulatorSettings,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Chroma, Door, Service, address, environment, first_article, run, say, serve_chroma, simulator, unique, until_shown,
};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";
const VOUCHER: &str = "How long is my gift voucher valid?";

/// A tenant whose own search knows these articles.
fn searchable(articles: Vec<Article>) -> RunningSimulator {
    Simulator::start(SimulatorSettings { articles, ..SimulatorSettings::default() }).unwrap()
}

fn article(id: &str, title: &str, body: &str) -> Article {
    serde_json::from_value(json!({"id": id, "title": title, "body": body, "url": format!("https://kb/{id}")})).unwrap()
}

fn searches(simulator: &RunningSimulator) -> Vec<Received> {
    simulator.received_on(Route::Search)
}

fn shown_ids(push: &Received) -> Vec<String> {
    let insights = push.body.as_ref().unwrap()["insights"].as_array().unwrap();
    insights.iter().map(|insight| insight["id"].as_str().unwrap().to_owned()).collect()
}

async fn search_failures(service: &Service) -> f64 {
    service.admin.metrics().await.sum("cuecard_backend_failures_total", &[("backend", "search")])
}

#[actix_rt::test]
async fn the_tenants_search_alone_brings_cards_in_its_own_order() {
    let simulator = searchable(vec![
        article("dogs", "Taking a dog on board", "A dog travels in a cabin for pets."),
        article("boards", "Boarding", "Go on board an hour before."),
    ]);
    let overrides =
        [("CUECARD__PROFILE__BACKENDS", "search"), ("CUECARD_RANKER", "search"), ("CUECARD_SILENCE", "off")];
    let service = Service::start(&simulator, &overrides).await;
    say(&simulator, "call-1", DOG).await;
    let push = until_shown(&simulator, 1).await.remove(0);
    assert_eq!(shown_ids(&push), ["dogs", "boards"]);
    let first = &push.body.as_ref().unwrap()["insights"][0];
    assert_eq!(first["citation"], "https://kb/dogs");
    let search = searches(&simulator).remove(0);
    let asked: Vec<(String, String)> =
        url::form_urlencoded::parse(search.query.as_deref().unwrap().as_bytes()).into_owned().collect();
    let expected = [("q", DOG), ("language", "en-US"), ("page", "1"), ("pageSize", "5")];
    assert_eq!(asked, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn what_index_and_search_both_hold_is_one_card() {
    let pets = crate::support::body_of("pets");
    let (title, body) = (pets["title"].as_str().unwrap(), pets["body"].as_str().unwrap());
    let simulator = searchable(vec![
        article("pets", title, body),
        article("copy-of-pets", "Dogs on board", &body.replace(' ', "  ")),
        article("dog-of-the-captain", "The captain's dog", "The captain takes his dog on board every day."),
    ]);
    let overrides = [("CUECARD__PROFILE__BACKENDS", "index,search"), ("CUECARD_SILENCE", "off")];
    let service = Service::start(&simulator, &overrides).await;
    say(&simulator, "call-1", DOG).await;
    let push = until_shown(&simulator, 1).await.remove(0);
    assert_eq!(first_article(&push), ("call-1", "pets"));
    let ids = shown_ids(&push);
    assert!(ids.contains(&"dog-of-the-captain".to_owned()), "{ids:?}");
    assert!(!ids.contains(&"copy-of-pets".to_owned()), "{ids:?}");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_search_that_does_not_answer_leaves_the_cards_of_the_index() {
    let simulator = searchable(vec![article("dogs", "Dogs", "Dogs travel in a cabin.")]);
    let overrides = [
        ("CUECARD__PROFILE__BACKENDS", "index,search"),
        ("CUECARD__CXONE__ATTEMPT_TIMEOUT", "300ms"),
        ("CUECARD__PROFILE__DEADLINE", "6s"),
        ("CUECARD_SILENCE", "off"),
    ];
    let service = Service::start(&simulator, &overrides).await;
    // (how often, what): the second 429 is the last attempt, and holds the next search but no push.
    let faults = [
        (1, FaultKind::status(400)),
        (1, FaultKind::status(403)),
        (1, FaultKind::status(404)),
        (2, FaultKind::Answer { status: 429, retry_after: Some(RetryAfter::Seconds(1)), body: None }),
        (1, FaultKind::Answer { status: 200, retry_after: None, body: Some("<html>sorry</html>".to_owned()) }),
    ];
    for (number, (times, fault)) in faults.into_iter().enumerate() {
        simulator.inject(Fault { route: Route::Search, times, fault: fault.clone() });
        say(&simulator, &format!("call-{number}"), DOG).await;
        let cards = until_shown(&simulator, number + 1).await;
        assert_eq!(first_article(&cards[number]).1, "pets", "{fault:?}");
        assert_eq!(search_failures(&service).await, (number + 1) as f64, "{fault:?}");
        let asked = searches(&simulator);
        if number == 4 {
            let waited = asked[5].at.duration_since(asked[4].at);
            assert!(waited >= Duration::from_secs(1), "no search before the tenant's wait is over: {waited:?}");
        }
    }
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_search_that_fails_for_a_moment_is_asked_again() {
    let simulator = searchable(vec![article("dogs", "Dogs on board", "Dogs travel in a cabin.")]);
    let overrides = [
        ("CUECARD__PROFILE__BACKENDS", "search"),
        ("CUECARD_RANKER", "search"),
        ("CUECARD_SILENCE", "off"),
        ("CUECARD__PROFILE__DEADLINE", "50s"),
    ];
    let service = Service::start(&simulator, &overrides).await;
    for (number, fault) in [FaultKind::status(401), FaultKind::status(503)].into_iter().enumerate() {
        simulator.inject(Fault { route: Route::Search, times: 1, fault });
        say(&simulator, &format!("call-{number}"), DOG).await;
        until_shown(&simulator, number + 1).await;
    }
    service.finish(&simulator).await;
}

fn passages() -> Vec<(&'static str, Value)> {
    vec![
        ("A dog travels in a pet cabin, which costs 25 euros a crossing.", json!({"source": "pets.pdf", "page": 3})),
        ("A gift voucher is valid for three years.", json!({"source": "vouchers.pdf"})),
        ("Tablets against seasickness are sold at the reception.", json!({"page": 1})),
    ]
}

fn question(text: &str) -> Value {
    json!({"conversation_id": "conv-1", "agent_id": "agent-7", "query_text": text})
}

fn pushed_text(simulator: &RunningSimulator) -> String {
    let push = simulator.received_on(Route::Rag).pop().unwrap();
    push.body.unwrap()["content"][0]["data"]["text"].as_str().unwrap().to_owned()
}

#[actix_rt::test]
async fn a_chroma_collection_is_asked_live_in_either_space() {
    let Some(chroma) = Chroma::running() else { return };
    for space in ["l2", "cosine"] {
        let collection = chroma.filled(space, &passages()).await;
        let simulator = simulator();
        let overrides =
            [("CHROMA_URL", chroma.url.as_str()), ("CUECARD__PROFILE__CHROMA_COLLECTION", collection.as_str())];
        let (service, caller) = Service::asked("rag", &simulator, &overrides).await;
        let answer = caller.post("/assist/push", &question(DOG)).await;
        assert_eq!((answer.status, &answer.json()["chunks_returned"]), (200, &json!(3)), "{}", answer.text);
        let text = pushed_text(&simulator);
        assert!(text.starts_with("Reference Context:\n[pets.pdf] A dog travels"), "{space}: {text}");
        assert!(text.contains("[unknown] Tablets against"), "{space}: {text}");
        service.finish(&simulator).await;
    }
}

#[actix_rt::test]
async fn an_imported_collection_brings_the_same_context_without_its_server() {
    let Some(chroma) = Chroma::running() else { return };
    let collection = chroma.filled("l2", &passages()).await;
    let place = TempDir::new().unwrap();
    let index = place.path().join("index");
    let index = index.to_str().unwrap();
    let arguments = ["index", "--chroma", &chroma.url, "--collection", &collection, "--index", index, "--json"];
    let ended = run(&arguments, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&report["articles"], &report["embedded"]), (&json!(3), &json!(0)), "{report}");
    assert!(ended.stderr.contains("3 of 3 vectors are taken over"), "{}", ended.stderr);
    let simulator = simulator();
    let (service, caller) = Service::asked("rag", &simulator, &[("CUECARD_INDEX", index)]).await;
    caller.post("/assist/push", &question(VOUCHER)).await;
    let text = pushed_text(&simulator);
    assert!(text.starts_with("Reference Context:\n[vouchers.pdf] A gift voucher is"), "{text}");
    assert!(text.contains("[unknown] Tablets against"), "{text}");
    service.finish(&simulator).await;
}

/// Runs a service that can't start; gives what it says.
async fn complaint(simulator: &RunningSimulator, overrides: &[(&str, &str)]) -> String {
    let data = TempDir::new().unwrap();
    let settings = Settings::load(None, environment(&simulator.base_url(), data.path(), overrides)).unwrap();
    let running = std::thread::spawn(|| {
        let ended = service::on_system(service::run(settings, |_| (), std::future::pending()));
        format!("{:#}", ended.unwrap().unwrap_err())
    });
    tokio::task::spawn_blocking(|| running.join().unwrap()).await.unwrap()
}

#[actix_rt::test]
async fn a_collection_that_is_missing_or_does_not_fit_stops_the_start() {
    let Some(chroma) = Chroma::running() else { return };
    let short = chroma.filled_with("l2", &passages(), &vec![vec![0.1, 0.2, 0.3]; 3]).await;
    let missing = unique("nowhere");
    let simulator = simulator();
    for (collection, expected) in [(&missing, "fill one with Chroma's client"), (&short, "384")] {
        let overrides = [
            ("CXONE_CONTRACT", "rag"),
            ("CUECARD_API_ADDR", "127.0.0.1:0"),
            ("CHROMA_URL", &chroma.url),
            ("CUECARD__PROFILE__CHROMA_COLLECTION", collection),
        ];
        let said = complaint(&simulator, &overrides).await;
        assert!(said.contains("profile `rag`") && said.contains(collection.as_str()), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[actix_rt::test]
async fn a_chroma_server_that_comes_later_is_waited_for() {
    let door = Door::shut();
    let simulator = simulator();
    let url = format!("http://{}", door.addr());
    let overrides = [("CXONE_CONTRACT", "rag"), ("CUECARD_API_ADDR", "127.0.0.1:0"), ("CHROMA_URL", url.as_str())];
    let service = Service::launch(&simulator.base_url(), &overrides);
    let caller = service.caller();
    let answer = caller.post("/assist/push", &question(DOG)).await;
    assert_eq!(answer.status, 500, "{}", answer.text);
    assert!(answer.detail().contains("collection"), "{}", answer.text);
    let (_, server) = serve_chroma(door.open().into_std().unwrap());
    service.admin.until_profile("the collection is open", |_, profile| profile["state"] == "ready").await;
    let answer = caller.post("/assist/push", &question(DOG)).await;
    assert_eq!((answer.status, &answer.json()["chunks_returned"]), (200, &json!(1)), "{}", answer.text);
    assert!(pushed_text(&simulator).contains("[pets.pdf] A dog travels"), "{}", pushed_text(&simulator));
    // One that goes away again is missed, though nobody asks.
    server.stop(false).await;
    let is_missed = |_: u16, profile: &Value| {
        profile["state"] == "degraded" && profile["reason"].as_str().is_some_and(|reason| reason.contains(&url))
    };
    service.admin.until_profile("the collection is away", is_missed).await;
    service.stop().await;
}

/// Every keyword and id of the tests' graph with a mark, since other tests use the same database.
fn marked_graph(mark: &str, place: &TempDir) -> String {
    let graph = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/graph.jsonl")).unwrap();
    let rows = graph.lines().map(|line| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        for name in ["keyword", "id", "from", "to"] {
            if let Some(text) = row[name].as_str() {
                row[name] = format!("{text} {mark}").into();
            }
        }
        format!("{row}\n")
    });
    let path = place.path().join("graph.jsonl");
    std::fs::write(&path, rows.collect::<String>()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[actix_rt::test]
async fn a_graph_that_was_loaded_into_neo4j_answers_from_there() {
    let Some(uri) = address("NEO4J_URI") else { return };
    let of = |name| std::env::var(name).unwrap_or_default();
    let (user, password) = (of("NEO4J_USER"), of("NEO4J_PASSWORD"));
    let database = [
        ("NEO4J_URI", uri.as_str()),
        ("NEO4J_USER", user.as_str()),
        ("NEO4J_PASSWORD", password.as_str()),
        // Marks are numbers, and two that are alike make keywords of other tests alike.
        ("CUECARD__PROFILE__MIN_KEYWORD_COSINE", "1"),
    ];
    let (mark, place) = (unique("ferry"), TempDir::new().unwrap());
    let ended = run(&["graph", "load", &marked_graph(&mark, &place)], &database);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("4 queries, 6 articles and 6 relations are in"), "{}", ended.stdout);

    let simulator = simulator();
    let (service, caller) = Service::asked("graph", &simulator, &database).await;
    let ask = async |query: String| {
        let body = json!({"interaction_id": "INT-1", "query": query, "agent_id": "agent-7"});
        caller.post("/agent-assist/query", &body).await
    };
    let answer = ask(format!("dog on board {mark}")).await;
    assert_eq!(answer.json()["status"], "success", "{}", answer.text);
    let push = simulator.received_on(Route::Graph).remove(0).body.unwrap();
    let content = push["content"].as_array().unwrap();
    let titles: Vec<_> = content.iter().map(|card| card["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Booking a pet cabin", "Taking a dog or cat on board", "Vaccination cards"]);
    let expected =
        json!({"source": "neo4j_knowledge_graph", "priority": 4, "lastUpdated": "2026-03-01", "matchedBy": "exact"});
    assert_eq!(content[1]["metadata"], expected);
    assert_eq!((&content[2]["url"], content[2]["metadata"].get("priority")), (&"".into(), None));
    let nothing = ask(format!("abandoned topic {mark}")).await.json();
    assert_eq!(nothing["status"], "no_results", "{nothing}");
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_neo4j_that_is_away_is_a_500_and_its_return_needs_no_restart() {
    let Some(uri) = address("NEO4J_URI") else { return };
    let database = url::Url::parse(&uri).unwrap();
    let target = (database.host_str().unwrap().to_owned(), database.port().unwrap());
    let door = Door::shut();
    let of = |name| std::env::var(name).unwrap_or_default();
    let (user, password, through) = (of("NEO4J_USER"), of("NEO4J_PASSWORD"), format!("bolt://{}", door.addr()));
    let overrides =
        [("NEO4J_URI", through.as_str()), ("NEO4J_USER", user.as_str()), ("NEO4J_PASSWORD", password.as_str())];
    let simulator = simulator();
    let overrides = [&[("CXONE_CONTRACT", "graph"), ("CUECARD_API_ADDR", "127.0.0.1:0")], &overrides[..]].concat();
    let service = Service::launch(&simulator.base_url(), &overrides);
    let caller = service.caller();
    let body = json!({"interaction_id": "INT-1", "query": unique("nothing of this"), "agent_id": "agent-7"});
    let answer = caller.post("/agent-assist/query", &body).await;
    assert_eq!((answer.status, answer.detail().as_str()), (500, "Knowledge graph traversal failed"));
    let open = door.open();
    let forwarding = actix_rt::spawn(async move {
        while let Ok((mut near, _)) = open.accept().await {
            let mut far = tokio::net::TcpStream::connect(&target).await.unwrap();
            actix_rt::spawn(async move { drop(tokio::io::copy_bidirectional(&mut near, &mut far).await) });
        }
    });
    let mut answer = None;
    for _ in 0..300 {
        let now = answer.insert(caller.post("/agent-assist/query", &body).await);
        if now.status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(answer.unwrap().json()["status"], "no_results");
    service.stop().await;
    forwarding.abort();
}

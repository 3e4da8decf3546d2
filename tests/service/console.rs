//! The console on the admin port: the page in a real Chromium, and what it asks for.

use std::path::Path;

use awc::Client;
use cuecard::access::KeyHash;
use cuecard::settings::Settings;
use cuecard_simulator::{
    Fault, FaultKind, RejectReason, RetryAfter, Route, RunningSimulator, Simulator, SimulatorSettings, UNTIL_CLEARED,
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::support::{
    ARTICLES, LOOK, PATIENCE, Page, Service, browser, build_index, check_page, environment, refuse_all, say, simulator,
    until_shown,
};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";
/// Markup that would tell if it ever became any.
const SCRIPT: &str = "<img src=x onerror=\"globalThis.ran=1\"><script>globalThis.ran=1</script>";
const KEY: &str = "the-operator-s-own-key";
const KNOWLEDGE_KEY: &str = "the-knowledge-manager-s-own-key";

/// Events of a feed until `wanted` is among them, as pairs of name and data.
async fn read_until(service: &Service, query: &str, wanted: impl Fn(&str, &Value) -> bool) -> Vec<(String, Value)> {
    let url = format!("http://{}/console/feed?{query}", service.admin.addr());
    let mut answer = Client::builder().timeout(PATIENCE).finish().get(url).force_close().send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers().get("content-type").unwrap().to_str().unwrap()),
        (200, "text/event-stream")
    );
    let mut text = String::new();
    loop {
        let chunk = timeout(PATIENCE, answer.next()).await.unwrap().expect("the feed ended").unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        let whole = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
        let events: Vec<(String, Value)> = whole
            .split("\n\n")
            .filter_map(|event| event.strip_prefix("event: ")?.split_once("\ndata: "))
            .map(|(name, data)| (name.to_owned(), serde_json::from_str(data).unwrap()))
            .collect();
        if events.iter().any(|(name, data)| wanted(name, data)) {
            return events;
        }
    }
}

async fn post(service: &Service, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("http://{}{path}", service.admin.addr());
    let request = Client::builder().timeout(PATIENCE).finish().post(url).force_close();
    let mut answer = request.send_json(body).await.unwrap();
    let body = answer.json().limit(1024 * 1024).await.unwrap_or_default();
    (answer.status().as_u16(), body)
}

#[actix_rt::test]
async fn the_feed_tells_how_the_service_is_and_each_decision_once() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    let has_delivered =
        |name: &str, data: &Value| name == "decisions" && data["decisions"][0]["outcome"] == "delivered";
    let events = read_until(&service, "", has_delivered).await;
    let (_, state) = &events[0];
    assert_eq!((&state["readiness"]["status"], &state["profiles"][0]["name"]), (&"ready".into(), &"insights".into()));
    assert_eq!(state["profiles"][0]["index"]["articles"], 20);
    assert_eq!(state["profiles"][0]["polls"], Value::Null, "no articles are polled");
    let parts = state["profiles"][0]["health"]["parts"].as_array().unwrap();
    assert!(parts.iter().any(|part| part["part"] == "stream" && part["is_good"] == true), "{parts:?}");
    assert!(state["actors"].as_array().unwrap().iter().any(|actor| actor["name"] == "ranker"));
    let (_, told) = events.iter().find(|(name, data)| has_delivered(name, data)).unwrap();
    let decision = &told["decisions"][0];
    assert_eq!((&decision["interaction"], decision["live"]["cards"][0].is_string()), (&"call-1".into(), true));
    let counted = told["counted"].as_u64().unwrap();
    // What was read is not told again, and a filter lets through what it names alone.
    say(&simulator, "call-2", "Thank you very much, goodbye.").await;
    let is_silent = |name: &str, data: &Value| name == "decisions" && data["decisions"][0]["outcome"] == "silent";
    let later = read_until(&service, &format!("after={counted}"), is_silent).await;
    let of_call_1 = later.iter().any(|(_, data)| data.to_string().contains("call-1"));
    assert!(!of_call_1, "{later:?}");
    let silent = read_until(&service, "outcome=silent", is_silent).await;
    assert!(
        silent.iter().all(|(name, data)| name != "decisions" || !data.to_string().contains("delivered")),
        "{silent:?}"
    );
    let wrong = service.admin.get("/console/feed?outcome=pushed").await;
    assert!(wrong.status == 422 && wrong.text.contains("delivered"), "{}", wrong.text);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_feed_ends_by_itself_and_there_is_a_most_of_them() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[("CUECARD__ACCESS__ANSWER_TIMEOUT", "10m")]).await;
    let url = format!("http://{}/console/feed", service.admin.addr());
    let open = || Client::builder().timeout(PATIENCE).finish().get(&url).force_close().send();
    // Of these none ends before all are there: that is left to their readers.
    let mut feeds = Vec::new();
    let refused = loop {
        let answer = open().await.unwrap();
        if answer.status().as_u16() != 200 {
            break answer;
        }
        feeds.push(answer);
        assert!(feeds.len() < 100, "there is no end of feeds");
    };
    assert!(refused.status().as_u16() == 503 && refused.headers().contains_key("retry-after"), "{refused:?}");
    drop(feeds);
    timeout(PATIENCE, async {
        while open().await.unwrap().status().as_u16() != 200 {
            tokio::time::sleep(LOOK).await;
        }
    })
    .await
    .expect("what has ended gives its place back");
    service.finish(&simulator).await;
    let service = Service::start(&simulator, &[("CUECARD__ACCESS__ANSWER_TIMEOUT", "1s")]).await;
    let url = format!("http://{}/console/feed", service.admin.addr());
    let mut feed = Client::builder().timeout(PATIENCE).finish().get(&url).force_close().send().await.unwrap();
    let body = timeout(PATIENCE, feed.body().limit(1024 * 1024)).await.expect("a feed goes on").unwrap();
    assert!(body.starts_with(b"event: state\n"));
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_conversation_that_is_tried_is_answered_turn_by_turn_and_leaves_nothing_behind() {
    let simulator = simulator();
    let service = Service::start(&simulator, &[]).await;
    let turn = |speaker: &str, text: &str| json!({"speaker": speaker, "text": text});
    let turns = [
        turn("agent", "Kestrel Ferries, hello."),
        turn("customer", "Hello."),
        turn("customer", DOG),
        turn("customer", DOG),
    ];
    let (status, answer) = post(&service, "/console/try", &json!({"profile": "insights", "turns": turns})).await;
    let turns = answer["turns"].as_array().unwrap_or_else(|| panic!("{status} {answer}"));
    assert_eq!(turns.iter().map(|turn| turn["turn"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(turns[0]["cards"].as_array().unwrap().is_empty() && turns[0]["silence"].is_string(), "{answer}");
    assert_eq!((&turns[1]["cards"][0]["id"], &turns[1]["candidates"][0]["id"]), (&"pets".into(), &"pets".into()));
    assert!(turns[1]["why"][0].as_str().unwrap().starts_with("Chosen: "), "{answer}");
    assert_eq!(turns[2]["silence"], "already_shown", "the card of the turn before stands on the screen");
    assert_eq!(service.admin.metrics().await.sum("cuecard_utterances_total", &[]), 0.0);
    assert_eq!(service.admin.get("/deliveries").await.json(), json!({"deliveries": []}));
    // (profile, turns, status, what is said)
    for (profile, turns, status, said) in [
        ("nobody", json!([turn("customer", DOG)]), 404, "nobody"),
        ("insights", json!([]), 422, "turns"),
        ("insights", json!([turn("agent", DOG)]), 422, "customer"),
        ("insights", json!([turn("customer", " ")]), 422, "turns[0]"),
        ("insights", json!([turn("customer", &"x".repeat(5000))]), 422, "turns[0]"),
        ("insights", json!([turn("robot", DOG)]), 422, "robot"),
    ] {
        let (answered, body) = post(&service, "/console/try", &json!({"profile": profile, "turns": turns})).await;
        assert!(answered == status && body["detail"].as_str().unwrap_or_default().contains(said), "{answered} {body}");
    }
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn questions_without_a_good_article_are_listed_with_masked_examples() {
    let simulator = simulator();
    let settings = [("CUECARD__PROFILE__KEEP_WORDS", "on"), ("CUECARD__PROFILE__MIN_COSINE", "0.99")];
    let service = Service::start(&simulator, &settings).await;
    for (call, said) in [
        ("call-1", "Do you rent out kayaks on the beach? Call me on +44 20 7946 0958 please"),
        ("call-2", "Where can I rent a kayak at the beach?"),
    ] {
        say(&simulator, call, said).await;
    }
    let has_both = |page: &Page| page.json()["clusters"][0]["count"] == 2;
    let page = service.admin.until_page("/console/gaps", "the cluster", has_both).await;
    let gaps = page.json();
    assert_eq!(
        (&gaps["questions"], &gaps["without_words"], &gaps["clusters"][0]["silent"]),
        (&2.into(), &0.into(), &2.into())
    );
    let examples = gaps["clusters"][0]["examples"].to_string();
    assert!(examples.contains("kayak") && examples.contains("[phone]") && !examples.contains("7946"), "{examples}");
    let none = service.admin.get("/console/gaps?profile=nobody").await.json();
    assert_eq!(none["questions"], 0);
    service.finish(&simulator).await;
}

/// A service whose admin port asks for a key, with an article whose title is markup and a second ranker beside the first.
fn hostile(simulator: &RunningSimulator) -> Service {
    let data = TempDir::new().unwrap();
    let (articles, index) = (data.path().join("articles.jsonl"), data.path().join("index"));
    let mut text = std::fs::read_to_string(ARTICLES).unwrap();
    // As references: markup itself would become text when it is indexed.
    let written = SCRIPT.replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let title = format!("Parking a caravan {written}");
    let body = format!("A caravan is parked on deck four. {written}");
    text += &json!({"id": "<b onclick=ran=1>caravan", "title": title, "body": body}).to_string();
    std::fs::write(&articles, text).unwrap();
    build_index(&articles, &index);
    let access = format!(
        "[access]\nask = 'always'\n[access.keys.operator]\nhash = '{}'\nrights = ['operate', 'knowledge', 'query']\n\
         [access.keys.librarian]\nhash = '{}'\nrights = ['knowledge']\n",
        KeyHash::of(KEY),
        KeyHash::of(KNOWLEDGE_KEY)
    );
    let file = data.path().join("cuecard.toml");
    std::fs::write(&file, access).unwrap();
    let set = [
        ("CUECARD_INDEX", index.to_str().unwrap()),
        ("CUECARD__PROFILE__KEEP_WORDS", "on"),
        ("CUECARD__PROFILE__SHADOW_RANKER", "priority"),
    ];
    let variables = environment(&simulator.base_url(), data.path(), &set);
    let settings = Settings::load(Some(Path::new(&file)), variables).unwrap();
    Service::with(settings, data)
}

/// A service whose feedback CXone fails to take, so that the circuit of that endpoint is open, and that was asked to push nothing
/// for minutes.
async fn held_and_open(simulator: &RunningSimulator) -> Service {
    let service = Service::start(simulator, &[]).await;
    // So many failures open a circuit.
    let calls = [1, 2, 3, 4, 5].map(|number| format!("call-{number}"));
    for call in &calls {
        say(simulator, call, DOG).await;
    }
    until_shown(simulator, calls.len()).await;
    refuse_all(simulator, Route::Feedback, 503);
    for call in &calls {
        simulator.judge_card(call, "pets", true).await.unwrap();
    }
    let wait = FaultKind::Answer { status: 429, retry_after: Some(RetryAfter::Seconds(250)), body: None };
    simulator.inject(Fault { route: Route::Insights, times: UNTIL_CLEARED, fault: wait });
    say(simulator, "call-6", DOG).await;
    service
}

/// The part of a profile's health that says which endpoints are left alone.
fn left_alone(state: &Value) -> (Vec<&str>, Vec<&str>) {
    let health = &state["profiles"][0]["health"];
    let endpoints = |of: &'static str, is_meant: fn(&Value) -> bool| {
        let listed = health[of].as_array().unwrap().iter().filter(|one| is_meant(one));
        listed.map(|one| one["endpoint"].as_str().unwrap()).collect()
    };
    let open = endpoints("circuits", |circuit| circuit["is_open"] == true);
    (open, endpoints("holds", |hold| hold["seconds_left"].as_f64().is_some_and(|left| left > 0.0)))
}

#[actix_rt::test]
async fn the_feed_tells_of_each_circuit_and_each_hold() {
    let simulator = simulator();
    let service = held_and_open(&simulator).await;
    let is_told = |name: &str, data: &Value| name == "state" && left_alone(data) == (vec!["feedback"], vec!["push"]);
    let events = read_until(&service, "", is_told).await;
    let (_, state) = events.iter().rfind(|(name, _)| name == "state").unwrap();
    let circuits = &state["profiles"][0]["health"]["circuits"];
    assert_eq!(circuits[0], json!({"endpoint": "push", "is_open": false}), "{circuits}");
    // A reader of metrics is told the same.
    let metrics = service.admin.metrics().await;
    let of = |name: &str, endpoint: &str| metrics.sum(name, &[("endpoint", endpoint)]);
    assert_eq!((of("cuecard_circuit_open", "feedback"), of("cuecard_circuit_open", "push")), (1.0, 0.0));
    assert!(of("cuecard_cxone_hold_seconds", "push") > 0.0);
    service.finish(&simulator).await;
}

#[actix_rt::test]
#[ignore = "a browser needs a machine that is not busy: `make pages-test`"]
async fn an_operator_sees_each_open_circuit_and_each_hold() {
    let Some(tools) = browser() else { return };
    let simulator = simulator();
    let service = held_and_open(&simulator).await;
    let given = json!({"console": format!("http://{}/", service.admin.addr())});
    check_page(&tools, "holds.mjs", given).await;
    service.finish(&simulator).await;
}

#[actix_rt::test]
#[ignore = "a browser needs a machine that is not busy: `make pages-test`"]
async fn an_operator_sees_and_tries_everything_on_a_page_that_shows_nothing_without_a_key() {
    let Some(tools) = browser() else { return };
    let simulator = Simulator::start(SimulatorSettings::default()).unwrap();
    let service = hostile(&simulator);
    assert!(simulator.until(PATIENCE, |simulator| simulator.num_streams() == 1).await);
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    say(&simulator, "call-2", &format!("{SCRIPT} Where do I park my caravan on the ferry?")).await;
    until_shown(&simulator, 2).await;
    simulator.reject_card("call-2", "<b onclick=ran=1>caravan", RejectReason::Outdated).await.unwrap();
    say(&simulator, "call-3", "Thank you very much, goodbye.").await;
    let given = json!({
        "console": format!("http://{}/", service.admin.addr()),
        "key": KEY,
        "knowledgeKey": KNOWLEDGE_KEY,
        "dog": DOG,
        "card": "Taking a dog or cat on board",
        "hostile": format!("Parking a caravan {SCRIPT}"),
        "markup": SCRIPT,
        "secrets": ["Taking a dog", "call-1", "stream_listener"],
    });
    check_page(&tools, "console.mjs", given).await;
    assert!(simulator.violations().is_empty(), "{:?}", simulator.violations());
    service.stop_unaccounted().await;
}

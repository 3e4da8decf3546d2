//! What all routes of the API have in common: which profile answers, who may ask, and what a body may be.

use std::time::Duration;

use cuecard::settings::Settings;
use cuecard_simulator::{Fault, FaultKind, Route};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Caller, Service, environment, simulator};

const PUSH: &str = "/assist/push";

/// A service with the profiles of a file.
fn with_profiles(base_url: &str, sections: &str) -> Service {
    let data = TempDir::new().unwrap();
    let file = data.path().join("cuecard.toml");
    std::fs::write(&file, sections).unwrap();
    let variables = environment(base_url, data.path(), &[("CXONE_CONTRACT", ""), ("CUECARD_API_ADDR", "127.0.0.1:0")]);
    Service::with(Settings::load(Some(&file), variables).unwrap(), data)
}

fn question() -> serde_json::Value {
    json!({"conversation_id": "c-1", "agent_id": "a-1", "query_text": "Can I take my dog on board?"})
}

#[actix_rt::test]
async fn a_route_belongs_to_the_one_profile_of_its_contract_or_to_the_one_that_is_named() {
    let simulator = simulator();
    let sections = "[profiles.north]\ncontract = 'rag'\n[profiles.south]\ncontract = 'rag'\n\
                    [profiles.order]\ncontract = 'ranking'\n";
    let sections = format!("{sections}oauth_url = '{}/api/v2/oauth/token'\n", simulator.base_url());
    let service = with_profiles(&simulator.base_url(), &sections);
    let caller = service.caller();
    // (path, status, what the detail says)
    let table = [
        ("/assist/push", 404, "north, south"),
        ("/order/assist/push", 404, "north, south"),
        ("/nobody/assist/push", 404, "north, south"),
        ("/agent-assist/query", 404, "no profile has the contract graph"),
        ("/north/assist/pull", 404, "there is no route /north/assist/pull"),
        ("/", 404, "there is no route /"),
    ];
    for (path, status, said) in table {
        let answer = caller.post(path, &question()).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.detail().contains(said), "{path}: {}", answer.text);
    }
    for name in ["north", "south"] {
        let answer = caller.post(&format!("/{name}/assist/push"), &question()).await;
        assert_eq!(answer.json()["status"], "injected", "{}", answer.text);
    }
    assert_eq!(caller.get("/ranking/metrics").await.status, 200, "one profile has the contract");
    assert_eq!(caller.get("/order/ranking/metrics").await.status, 200);
    assert_eq!(caller.get("/north/assist/push").await.status, 405);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_body_that_is_no_question_is_refused_and_says_which_field() {
    let simulator = simulator();
    let (service, caller) = Service::asked("rag", &simulator, &[]).await;
    let send = async |content_type: &str, body: Vec<u8>| caller.send(PUSH, content_type, body, None).await;
    let json = "application/json";
    let too_long = format!(r#"{{"query_text": "{}"}}"#, "x".repeat(256 * 1024));
    // (content type, body, status, what the detail says)
    let table: [(&str, &[u8], u16, &str); 9] = [
        (json, b"", 422, "not valid JSON"),
        (json, b"{\"conversation_id\": ", 422, "not valid JSON"),
        (json, br#"["c", "a", "q"]"#, 422, "expected an object"),
        (json, b"{} {}", 422, "missing field"),
        (json, br#"{"conversation_id": "c", "query_text": "q"}"#, 422, "agent_id"),
        (json, br#"{"conversation_id": 7, "agent_id": "a", "query_text": "q"}"#, 422, "conversation_id"),
        (json, br#"{"conversation_id": "c 1/..", "agent_id": "a", "query_text": "q"}"#, 422, "conversation_id"),
        ("text/plain", br#"{"conversation_id": "c", "agent_id": "a", "query_text": "q"}"#, 415, "application/json"),
        (json, too_long.as_bytes(), 413, "too large"),
    ];
    for (content_type, body, status, said) in table {
        let answer = send(content_type, body.to_vec()).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(answer.detail().contains(said), "{}", answer.text);
    }
    let with_charset = send("application/json; charset=utf-8", question().to_string().into_bytes()).await;
    assert_eq!(with_charset.status, 200, "{}", with_charset.text);
    let requests = service.admin.metrics().await;
    let counted = |status| requests.sum("cuecard_api_requests_total", &[("route", "push"), ("status", status)]);
    assert_eq!((counted("2xx"), counted("4xx")), (1.0, 9.0));
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_body_that_is_not_quite_json_is_answered() {
    let simulator = simulator();
    let (service, caller) = Service::asked("rag", &simulator, &[]).await;
    let question = |text: &str| {
        let ids = r#""conversation_id": "c-1", "agent_id": "a-1""#;
        format!(r#"{{{ids}, "query_text": "{text}Can I take my dog on board?"}}"#)
    };
    let send = async |body: Vec<u8>| caller.send(PUSH, "application/json", body, None).await;
    let latin = question("*").bytes().map(|byte| if byte == b'*' { 0xe9 } else { byte }).collect();
    for body in [
        format!("\u{feff}{}", question("")).into_bytes(),
        latin,
        question(r"\ud83d ").into_bytes(),
        question("").replace('{', r#"{"confidence": NaN, "#).into_bytes(),
    ] {
        let answer = send(body.clone()).await;
        assert_eq!(answer.status, 200, "{}: {}", String::from_utf8_lossy(&body), answer.text);
    }
    let no_number = send(br#"{"conversation_id": "c-1", "agent_id": Infinity, "query_text": "q"}"#.to_vec()).await;
    assert_eq!(no_number.status, 422, "{}", no_number.text);
    assert!(
        no_number.detail().starts_with("agent_id: ") && no_number.detail().contains("Infinity"),
        "{}",
        no_number.text
    );
    let metrics = service.admin.metrics().await;
    let repaired =
        |repair: &str| metrics.sum("cuecard_json_repairs_total", &[("source", "request"), ("repair", repair)]);
    let kinds = ["byte_order_mark", "invalid_utf8", "lone_surrogate", "non_number"];
    assert_eq!(kinds.map(repaired), [1.0; 4]);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn with_keys_only_their_holders_are_answered() {
    let simulator = simulator();
    let (service, caller) = Service::asked("rag", &simulator, &[("CUECARD_API_KEYS", "first, second")]).await;
    let body = question().to_string();
    // (key, status)
    for (key, status) in [(Some("first"), 200), (Some("second"), 200), (Some("third"), 401), (None, 401)] {
        let answer = caller.send(PUSH, "application/json", body.clone(), key).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    assert_eq!(caller.get("/nowhere").await.status, 401, "not even what there is, is told");
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_full_queue_is_a_503_that_says_when_to_come_back() {
    let simulator = simulator();
    let overrides = [("CUECARD__PIPELINE__IN_FLIGHT", "1"), ("CUECARD__PIPELINE__QUEUE", "1")];
    let (service, caller) = Service::asked("rag", &simulator, &overrides).await;
    let slow = FaultKind::Delay { by: Duration::from_secs(1) };
    simulator.inject(Fault { route: Route::Rag, times: 1, fault: slow });
    let asking = (0..6).map(|_| ask(&caller));
    let answers = futures_util::future::join_all(asking).await;
    let statuses: Vec<_> = answers.iter().map(|(status, _)| *status).collect();
    assert!(statuses.contains(&200), "{statuses:?}");
    let refused: Vec<_> = answers.iter().filter(|(status, _)| *status == 503).collect();
    assert!(!refused.is_empty(), "{statuses:?}");
    assert!(refused.iter().all(|(_, retry_after)| retry_after.as_deref() == Some("1")), "{refused:?}");
    service.finish(&simulator).await;
}

async fn ask(caller: &Caller) -> (u16, Option<String>) {
    let answer = caller.post(PUSH, &question()).await;
    (answer.status, answer.retry_after)
}

/// Bodies of every route that has one, each with a change somewhere.
fn bodies_with_a_flaw() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let snippets = r#"{"max_result_window":10,"session_id":"s-1","snippets":[{"snippet_id":"KB-1","relevance_score":0.5,
        "boost_factor":1.5,"metadata":{"a":"b"}}]}"#;
    let bodies = [
        (PUSH, r#"{"conversation_id":"c-1","agent_id":"a-1","query_text":"Can I take my dog?"}"#),
        ("/agent-assist/query", r#"{"interaction_id":"c-1","agent_id":"a-1","query":"lost password"}"#),
        ("/sessions/s-1/snippets/ranking", snippets),
    ];
    let flaws = ["", "{", "]", "\"", "\\", "\\u0000", "\\ud800", "null", "NaN", "1e999", "-1", ",", "\u{0}", "../"];
    let flaw = prop_oneof![
        select(flaws.to_vec()).prop_map(|flaw| flaw.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4)
    ];
    (select(bodies.to_vec()), any::<Index>(), any::<Index>(), flaw).prop_map(|((path, body), start, length, flaw)| {
        let mut body = body.as_bytes().to_vec();
        let start = start.index(body.len() + 1);
        let end = start + length.index((body.len() - start).min(12) + 1);
        body.splice(start..end, flaw);
        (path, body)
    })
}

/// What the caller's own text is at fault for is told as such: no body makes the service fail, or say nothing.
#[actix_rt::test]
async fn a_body_with_any_flaw_is_answered_or_refused_with_a_reason() {
    let simulator = simulator();
    let ranking =
        format!("[profiles.order]\ncontract = 'ranking'\noauth_url = '{}/api/v2/oauth/token'\n", simulator.base_url());
    let graph = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/graph.jsonl");
    let sections =
        format!("[profiles.ask]\ncontract = 'rag'\n[profiles.graph]\ncontract = 'graph'\ngraph = '{graph}'\n{ranking}");
    let service = with_profiles(&simulator.base_url(), &sections);
    let caller = service.caller();
    let (mut runner, bodies) = (TestRunner::deterministic(), bodies_with_a_flaw());
    let (mut num_taken, mut num_refused) = (0, 0);
    for _ in 0..300 {
        let (path, body) = bodies.new_tree(&mut runner).unwrap().current();
        let shown = String::from_utf8_lossy(&body).into_owned();
        let answer = caller.send(path, "application/json", body, None).await;
        match answer.status {
            200 => num_taken += 1,
            400 | 422 => {
                assert!(!answer.detail().is_empty() && answer.detail().len() < 1000, "{path} {shown}: {}", answer.text);
                num_refused += 1;
            }
            status => panic!("{path} {shown}: {status} {}", answer.text),
        }
    }
    assert!(
        num_taken > 20 && num_refused > 100,
        "{num_taken} taken, {num_refused} refused: the flaws show one side only"
    );
    service.finish(&simulator).await;
}

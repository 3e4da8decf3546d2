//! What the five documents' own programs send, byte for byte as their libraries write it, is no violation; under strict
//! rules what goes beyond the documents is demanded.

use crate::client::{Client, Dialect, say, start, until_connected, with_one_turn};
use crate::wire::{Wire, ask, body, status, text};
use cuecard_simulator::{Article, Frame, RunningSimulator, Simulator, SimulatorSettings, Verdict};
use serde_json::{Value, json};
use strum::IntoEnumIterator;

const HTTPX: &str =
    "Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nUser-Agent: python-httpx/0.25.2\r\n";
const REQUESTS: &str =
    "User-Agent: python-requests/2.34.2\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n";
const WEBSOCKETS: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: SlNBTinE0zo/76ByvKFfyQ==\r\n\
                          Sec-WebSocket-Version: 13\r\n\
                          Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
const CREDENTIALS: &str = "grant_type=client_credentials&client_id=cxone-sim-client&client_secret=cxone-sim-secret";

/// The rules that `cxone-sim` has unless it is told more.
fn lenient() -> RunningSimulator {
    let article = Article { id: "a".into(), title: "Parcels".into(), body: "Where a parcel is.".into(), url: None };
    let settings = SimulatorSettings { strict: false, articles: vec![article], ..SimulatorSettings::default() };
    Simulator::start(settings).unwrap()
}

/// A request of a program: what its library writes first, then the program's own headers.
fn request(line: &str, library: &str, own: &str, body: &str) -> String {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{line} HTTP/1.1\r\nHost: 127.0.0.1\r\n{library}{own}{length}\r\n{body}")
}

async fn token(simulator: &RunningSimulator, path: &str, library: &str, scope: &str) -> String {
    let form = format!("{CREDENTIALS}{scope}");
    let own = "Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = ask(simulator, request(&format!("POST {path}"), library, own, &form)).await;
    let granted: Value = serde_json::from_slice(body(&answer)).unwrap();
    granted["access_token"].as_str().unwrap().to_owned()
}

/// The status of a push whose program names its content type after the token.
async fn push(simulator: &RunningSimulator, path: &str, library: &str, token: &str, more: &str, body: &str) -> u16 {
    let own = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n{more}");
    status(&ask(simulator, request(&format!("POST {path}"), library, &own, body)).await)
}

#[actix_web::test]
async fn context_by_httpx() {
    let simulator = lenient();
    let token = token(&simulator, "/oauth/token", HTTPX, "&scope=agentassists%3Awrite").await;
    for source in ["faq.md", ""] {
        let body = format!(
            r#"{{"conversationId": "call-1", "agentId": "agent-7", "title": "RAG Knowledge Suggestion", "content": [{{"type": "text", "data": {{"text": "Reference Context:\n[{source}] Caf\u00e9 hours"}}}}]}}"#
        );
        assert_eq!(push(&simulator, "/api/v2/assist/agentassists", HTTPX, &token, "", &body).await, 200, "'{source}'");
    }
    assert_eq!(simulator.num_violations(), 0, "{:?}", simulator.violations());
}

#[actix_web::test]
async fn cards_cache_and_events_by_requests_and_websockets() {
    let simulator = lenient();
    let scope = "&scope=interactions%3Aread+assist%3Awrite+knowledge%3Aread";
    let token = token(&simulator, "/oauth/token", REQUESTS, scope).await;
    let own = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    let poll = |since: &str| request("GET /api/v2/knowledge/articles", REQUESTS, &format!("{own}{since}"), "");
    let answer = text(&ask(&simulator, poll("")).await);
    let date = answer.lines().find_map(|line| line.strip_prefix("last-modified: ")).unwrap();
    let unchanged = ask(&simulator, poll(&format!("If-Modified-Since: {date}\r\n"))).await;
    assert_eq!(status(&unchanged), 304);

    let mut events = Wire::open(&simulator).await;
    let own = format!(
        "Authorization: Bearer {token}\r\nAccept: application/json\r\nUser-Agent: Python/3.11 websockets/17.4\r\n"
    );
    events.send(request("GET /api/v2/interactions/events", WEBSOCKETS, &own, "")).await;
    assert_eq!(status(&events.answer().await), 101);
    until_connected(&simulator, 1).await;
    let data = json!({"id": "call-1", "state": "active", "channels": [{"transcript": "where is my parcel"}]});
    simulator.send(Frame::Text(json!({"type": "interaction", "data": data}).to_string())).await.unwrap();
    for title in ["Title", ""] {
        let body = format!(
            r#"{{"messages": [{{"type": "card", "content": {{"title": "KB Result 1", "body": "**{title}**\nCaf\u00e9...", "score": 0.8123}}}}]}}"#
        );
        let path = "/api/v2/interactions/call-1/assist";
        assert_eq!(push(&simulator, path, REQUESTS, &token, "", &body).await, 200, "'{title}'");
    }
    assert_eq!(simulator.num_violations(), 0, "{:?}", simulator.violations());
}

#[actix_web::test]
async fn articles_of_a_graph_by_httpx() {
    let simulator = lenient();
    let scope = "&scope=agentassist%3Ainteractions%3Awrite+agentassist%3Aread";
    let token = token(&simulator, "/oauth2/token", HTTPX, scope).await;
    let library = HTTPX.trim_start_matches("Accept: */*\r\n");
    for (value, priority) in [(r#""t""#, "9"), ("null", "null"), (r#""t""#, "0.5")] {
        let body = format!(
            r#"{{"content": [{{"title": {value}, "url": {value}, "description": {value}, "type": "article", "displayType": "card", "metadata": {{"source": "neo4j_knowledge_graph", "priority": {priority}}}}}]}}"#
        );
        let path = "/api/v2/agentassist/interactions/INT-987654321/content";
        let more = "Accept: application/json\r\n";
        assert_eq!(push(&simulator, path, library, &token, more, &body).await, 200, "{value} {priority}");
    }
    assert_eq!(simulator.num_violations(), 0, "{:?}", simulator.violations());
}

#[actix_web::test]
async fn insights_search_and_feedback_by_httpx_and_websockets() {
    let simulator = lenient();
    let token = token(&simulator, "/oauth/token", HTTPX, "").await;
    let mut stream = Wire::open(&simulator).await;
    let line = format!("GET /cxoneapi/v2/agentassist/stream?access_token={token}");
    stream.send(request(&line, WEBSOCKETS, "User-Agent: Python/3.11 websockets/17.4\r\n", "")).await;
    assert_eq!(status(&stream.answer().await), 101);
    until_connected(&simulator, 1).await;
    say(&simulator, "call-1", "where is my parcel").await;

    let own = format!("Authorization: Bearer {token}\r\n");
    let line = "GET /api/v2/knowledge/articles/search?q=where%20is%20my%20parcel&language=en-US&page=1&pageSize=5";
    let found: Value = serde_json::from_slice(body(&ask(&simulator, request(line, HTTPX, &own, "")).await)).unwrap();
    let citation = &found["entities"][0]["url"];
    assert!(citation.is_null(), "an article without an address brings a card without one");
    let card = format!(
        r#"{{"insights": [{{"id": "a", "title": "t", "priority": 1, "score": 1.0, "citation": {citation}, "snippet": "b", "interactionId": "call-1"}}], "displayType": "CARD", "autoDismiss": true}}"#
    );
    assert_eq!(push(&simulator, "/api/v2/agentassist/insights", HTTPX, &token, "", &card).await, 200);
    for (action, timestamp) in [
        (r#""ACCEPTED""#, "2025-03-01T10:00:00.210887"),
        ("null", "2025-03-01T10:00:00"),
        ("null", "2025-03-01T10:00:00Z"),
    ] {
        let body = format!(
            r#"{{"interactionId": "call-1", "insightId": "a", "action": {action}, "timestamp": "{timestamp}"}}"#
        );
        let answered = push(&simulator, "/api/v2/ai/training/feedback", HTTPX, &token, "", &body).await;
        assert_eq!(answered, 204, "{action} {timestamp}");
    }
    assert_eq!(simulator.num_violations(), 0, "{:?}", simulator.violations());
}

#[actix_web::test]
async fn an_order_of_snippets_by_a_generated_client() {
    let simulator = lenient();
    let scope = "&scope=agentassist%3Asession%3Awrite+agentassist%3Asnippet%3Awrite";
    let token = token(&simulator, "/api/v2/oauth/token", REQUESTS, scope).await;
    let body = r#"{"session_id": "default-agent-session-001", "max_result_window": 15, "snippets": [{"snippet_id": "KB-002", "relevance_score": 0.85, "boost_factor": 1.0, "metadata": {"category": "technical"}}, {"snippet_id": "KB-004", "relevance_score": 0.585, "boost_factor": 0.9, "metadata": {"category": "general"}}]}"#;
    let path = "/api/v2/agentassist/sessions/default-agent-session-001/snippets/ranking";
    let library = "Accept-Encoding: identity\r\nUser-Agent: OpenAPI-Generator/1.0.0/python\r\n";
    let more = "Accept: application/json\r\nX-CXone-Client-Version: 1.0.0\r\n";
    assert_eq!(push(&simulator, path, library, &token, more, body).await, 200);
    assert_eq!(simulator.num_violations(), 0, "{:?}", simulator.violations());
}

#[actix_web::test]
async fn any_accept_that_takes_json_is_fine_and_no_other() {
    let table = [
        (None, 200, 406),
        (Some("*/*"), 200, 406),
        (Some("application/*;q=0.8, text/html"), 200, 406),
        (Some("text/html, application/json"), 200, 406),
        (Some("application/json"), 200, 200),
        (Some("text/html"), 406, 406),
    ];
    for (simulator, is_strict) in [(lenient(), false), (start(), true)] {
        let client = Client::of(&simulator);
        let token = client.token().await;
        for (number, (accept, leniently, strictly)) in table.into_iter().enumerate() {
            let mut request = client.http.post(client.url(&Dialect::Rag.path("i")));
            for (name, value) in Dialect::Rag.headers(&token, &format!("{number}")) {
                if name != "accept" {
                    request = request.insert_header((name, value));
                }
            }
            if let Some(accept) = accept {
                request = request.insert_header(("accept", accept));
            }
            let answered =
                request.send_body(Dialect::Rag.body("i", &["a"]).to_string()).await.unwrap().status().as_u16();
            assert_eq!(answered, if is_strict { strictly } else { leniently }, "{accept:?}, strict: {is_strict}");
        }
    }
}

/// What the documents say themselves is demanded of everybody.
#[actix_web::test]
async fn a_breach_of_a_document_is_one_without_strict_rules_too() {
    let simulator = lenient();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    for dialect in Dialect::iter() {
        let mut body = dialect.body("i", &["a"]);
        body["extra"] = 1.into();
        assert_eq!(client.push(dialect, &token, "k", "i", &body).await.0, 400, "{dialect:?}");
    }
    assert_eq!(simulator.num_violations(), Dialect::iter().len() as u64);
}

#[actix_web::test]
async fn a_key_counts_where_there_is_one() {
    let simulator = lenient();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let body = Dialect::Insights.body("i", &["a"]);
    for key in ["k", "k", ""] {
        assert_eq!(client.push(Dialect::Insights, &token, key, "i", &body).await.0, 200);
    }
    let verdicts: Vec<_> = simulator.received().into_iter().skip(2).map(|entry| entry.verdict).collect();
    assert_eq!(verdicts, [Verdict::Accepted, Verdict::Repeated, Verdict::Duplicate]);
}

#[actix_web::test]
async fn a_token_that_was_kept_too_long_is_refused_and_no_violation() {
    for (strict, violations) in [(false, 0), (true, 1)] {
        let settings =
            SimulatorSettings { strict, token_lifetime: std::time::Duration::ZERO, ..SimulatorSettings::default() };
        let simulator = Simulator::start(settings).unwrap();
        let client = Client::of(&simulator);
        let token = client.token().await;
        assert_eq!(client.connect(&token).await.err(), Some(401));
        assert_eq!(simulator.num_violations(), violations, "strict: {strict}");
    }
}

//! What scripted faults and frames look like on the wire, byte for byte, on a route of each kind.

use std::io::Read;
use std::time::{Duration, SystemTime};

use crate::client::{Client, Dialect, insights_body, start, until_connected, with_one_turn};
use crate::wire::{Wire, ask, body, status, text};
use actix_web::http::header::HttpDate;
use cuecard_simulator::{
    Article, Fault, FaultKind, Frame, RetryAfter, Route, RunningSimulator, UNTIL_CLEARED, Verdict,
};
use flate2::read::GzDecoder;
use jiff::SignedDuration;
use serde_json::{Value, json};

fn inject(simulator: &RunningSimulator, route: Route, fault: FaultKind) {
    assert!(simulator.inject(Fault { route, times: 1, fault }));
}

/// A good request on a route of each kind, and the status that it has without a fault.
fn requests(token: &str) -> [(Route, String, u16); 5] {
    let form = "grant_type=client_credentials&client_id=cxone-sim-client&client_secret=cxone-sim-secret";
    let host = "HTTP/1.1\r\nHost: localhost\r\n";
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let push = insights_body("i", &["a"]).to_string();
    [
        (
            Route::Token,
            format!(
                "POST /oauth/token {host}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
                form.len()
            ),
            200,
        ),
        (
            Route::Insights,
            format!(
                "POST /api/v2/agentassist/insights {host}{bearer}Content-Type: application/json\r\nAccept: application/json\r\nIdempotency-Key: k\r\nContent-Length: {}\r\n\r\n{push}",
                push.len()
            ),
            200,
        ),
        (Route::Articles, format!("GET /api/v2/knowledge/articles {host}{bearer}\r\n"), 200),
        (
            Route::Search,
            format!("GET /api/v2/knowledge/articles/search?q=x&language=en-US&page=1&pageSize=5 {host}{bearer}\r\n"),
            200,
        ),
        (Route::Stream, handshake(token), 101),
    ]
}

fn handshake(token: &str) -> String {
    format!(
        "GET /cxoneapi/v2/agentassist/stream?access_token={token} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// The value of a header in the last answer.
fn header(answer: &[u8], name: &str) -> Option<String> {
    let found = text(answer);
    found.lines().filter_map(|line| line.strip_prefix(&format!("{name}: "))).next_back().map(str::to_owned)
}

#[actix_web::test]
async fn an_interim_answer_comes_before_the_real_one() {
    let simulator = start();
    let (_client, token, _socket) = with_one_turn(&simulator).await;
    for (interim, line) in [(100, "HTTP/1.1 100 Continue"), (103, "HTTP/1.1 103 Early Hints")] {
        for (route, request, usual) in requests(&token) {
            inject(&simulator, route, FaultKind::Interim { status: interim });
            let mut wire = Wire::open(&simulator).await;
            wire.send(&request).await;
            let answer = wire.answer().await;
            let beginning = format!("{line}\r\n\r\nHTTP/1.1 {usual} ");
            assert!(text(&answer).starts_with(&beginning), "{route:?}: {}", text(&answer));
            if usual == 200 {
                wire.send(&request).await;
                assert!(text(&wire.answer().await).starts_with("HTTP/1.1 200 OK\r\n"), "the connection is in step");
            }
        }
    }
    assert_eq!((simulator.num_violations(), simulator.num_cards()), (0, 1));
}

#[actix_web::test]
async fn a_clock_that_goes_wrong_shows_in_both_dates() {
    let simulator = start();
    let date = |answer: &[u8], name: &str| SystemTime::from(header(answer, name).unwrap().parse::<HttpDate>().unwrap());
    for (route, request, _) in requests("t") {
        for (ahead, far) in [(SignedDuration::from_hours(1), 3600.0), (SignedDuration::from_hours(-1), -3600.0)] {
            let retry_after = Some(RetryAfter::DateByClock { date_in: Duration::from_secs(2), ahead });
            inject(&simulator, route, FaultKind::Answer { status: 429, retry_after, body: None });
            let answer = ask(&simulator, &request).await;
            let shown = date(&answer, "date");
            assert_eq!(
                date(&answer, "retry-after").duration_since(shown).unwrap(),
                Duration::from_secs(2),
                "{route:?}"
            );
            let now = SystemTime::now();
            let off =
                shown.duration_since(now).map_or_else(|past| -past.duration().as_secs_f64(), |off| off.as_secs_f64());
            assert!((off - far).abs() < 60.0, "{route:?} {off}");
        }
    }
}

#[actix_web::test]
async fn a_redirect_names_its_place() {
    let simulator = start();
    for (status, line) in [
        (301, "HTTP/1.1 301 Moved Permanently\r\n"),
        (307, "HTTP/1.1 307 Temporary Redirect\r\n"),
        (308, "HTTP/1.1 308 Permanent Redirect\r\n"),
    ] {
        for (route, request, _) in requests("t") {
            let location = "https://elsewhere.example/api?x=1".to_owned();
            inject(&simulator, route, FaultKind::Redirect { status, location: location.clone() });
            let answer = ask(&simulator, &request).await;
            assert!(text(&answer).starts_with(line), "{route:?}");
            assert_eq!((header(&answer, "location"), body(&answer)), (Some(location), &b""[..]), "{route:?}");
        }
    }
    assert!(simulator.received().iter().all(|entry| entry.verdict == Verdict::Scripted));
}

#[actix_web::test]
async fn an_answer_is_compressed_though_nobody_asked() {
    let simulator = start();
    let (_client, token, _socket) = with_one_turn(&simulator).await;
    for (route, request, usual) in requests(&token) {
        inject(&simulator, route, FaultKind::Gzip);
        let answer = ask(&simulator, &request).await;
        assert_eq!(status(&answer), usual, "{route:?}");
        if usual == 101 {
            continue;
        }
        assert_eq!(header(&answer, "content-encoding").as_deref(), Some("gzip"), "{route:?}");
        assert!(body(&answer).starts_with(&[0x1f, 0x8b]), "{route:?}");
        let mut plain = Vec::new();
        GzDecoder::new(body(&answer)).read_to_end(&mut plain).unwrap();
        let plain: Value = serde_json::from_slice(&plain).unwrap();
        let usual: Value = serde_json::from_slice(body(&ask(&simulator, &request).await)).unwrap();
        assert!(route == Route::Token || plain == usual, "{route:?}: {plain}");
    }
}

#[actix_web::test]
async fn a_login_page_is_a_success_in_html() {
    let simulator = start();
    for (route, request, _) in requests("t") {
        inject(&simulator, route, FaultKind::LoginPage { status: 200 });
        let answer = ask(&simulator, &request).await;
        assert!(text(&answer).starts_with("HTTP/1.1 200 OK\r\n"), "{route:?}");
        assert_eq!(header(&answer, "content-type").as_deref(), Some("text/html; charset=utf-8"), "{route:?}");
        assert!(body(&answer).starts_with(b"<!DOCTYPE html>"), "{route:?}");
    }
}

#[actix_web::test]
async fn token_answers_that_are_not_quite_json_s_best() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let [(_, request, _), ..] = requests(&token);
    let lifetime = FaultKind::Edit { find: r#""expires_in":3600"#.into(), replace: br#""expires_in":"3600""#.to_vec() };
    inject(&simulator, Route::Token, lifetime);
    let answer = ask(&simulator, &request).await;
    assert!(text(&answer).contains(r#""token_type":"Bearer","expires_in":"3600","scope":"#), "{}", text(&answer));
    let granted: Value = serde_json::from_slice(body(&answer)).unwrap();
    let body_ = insights_body("i", &["a"]);
    let pushed = client.push_insights(granted["access_token"].as_str().unwrap(), "k", &body_).await.0;
    assert_eq!(pushed, 200, "the token is good all the same");

    let refused = r#"{"error":"invalid_client"}"#.to_owned();
    inject(&simulator, Route::Token, FaultKind::Answer { status: 200, retry_after: None, body: Some(refused.clone()) });
    let answer = ask(&simulator, &request).await;
    assert_eq!((status(&answer), text(body(&answer))), (200, refused));
}

#[actix_web::test]
async fn a_final_answer_that_can_t_have_a_body_has_none() {
    let simulator = start();
    let (_client, token, _socket) = with_one_turn(&simulator).await;
    let [_, (_, push, _), ..] = requests(&token);
    for (status, line) in [
        (100, "HTTP/1.1 100 Continue\r\n"),
        (103, "HTTP/1.1 103 Early Hints\r\n"),
        (204, "HTTP/1.1 204 No Content\r\n"),
        (304, "HTTP/1.1 304 Not Modified\r\n"),
    ] {
        inject(&simulator, Route::Insights, FaultKind::status(status));
        let mut wire = Wire::open(&simulator).await;
        wire.send(&push).await;
        let answer = wire.read_until(|bytes| bytes.ends_with(b"\r\n\r\n")).await;
        assert!(text(&answer).starts_with(line), "{}", text(&answer));
        wire.send(&push).await;
        let next = wire.answer().await;
        assert!(text(&next).starts_with("HTTP/1.1 200 OK\r\n"), "nothing came between: {}", text(&next));
    }
}

#[actix_web::test]
async fn a_list_has_one_damaged_row() {
    let simulator = start();
    let (_client, token, _socket) = with_one_turn(&simulator).await;
    let article = |id: &str| Article { id: id.into(), title: format!("About {id}"), body: "text".into(), url: None };
    simulator.replace_articles(vec![article("a"), article("b"), article("c")]);
    let [_, _, (_, poll, _), ..] = requests(&token);
    let row = |content: &str| format!(r#"{{"id":"b","title":"About b","content":{content}}}"#);
    let damages: [(&str, &[u8], Vec<u8>); 4] = [
        (r#"About b","content":"text"#, br#"About b","content":"text\ud83d"#, row(r#""text\ud83d""#).into_bytes()),
        (
            r#"About b","content":"text""#,
            br#"About b","content":"text","views":NaN"#,
            row(r#""text","views":NaN"#).into_bytes(),
        ),
        ("About b", b"About \xe9", b"{\"id\":\"b\",\"title\":\"About \xe9\",\"content\":\"text\"}".to_vec()),
        ("", b"\xef\xbb\xbf", b"\xef\xbb\xbf{\"items\":[{\"id\":\"a\"".to_vec()),
    ];
    for (find, replace, shown) in damages {
        inject(&simulator, Route::Articles, FaultKind::Edit { find: find.into(), replace: replace.to_vec() });
        let answer = ask(&simulator, &poll).await;
        assert_eq!(status(&answer), 200);
        assert!(body(&answer).windows(shown.len()).any(|part| part == shown), "{}", text(&answer));
        let whole = |id: &str| format!(r#"{{"id":"{id}","title":"About {id}","content":"text"}}"#);
        assert!(text(&answer).contains(&whole("a")) && text(&answer).contains(&whole("c")), "{}", text(&answer));
    }
    inject(&simulator, Route::Articles, FaultKind::Edit { find: "nowhere".into(), replace: Vec::new() });
    let answer = text(&ask(&simulator, &poll).await);
    assert!(answer.starts_with("HTTP/1.1 500 ") && answer.contains("'nowhere' is not in the answer"), "{answer}");
}

/// An open stream: what the server writes on it from now on.
async fn open(simulator: &RunningSimulator, token: &str, number: usize) -> Wire {
    let mut wire = Wire::open(simulator).await;
    wire.send(handshake(token)).await;
    assert_eq!(status(&wire.answer().await), 101);
    until_connected(simulator, number).await;
    wire
}

/// A short message as a server frames it.
fn framed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    let mut frame = vec![0x80 | kind];
    frame.extend(if length < 126 { vec![length] } else { vec![126, 0, length] });
    frame.extend(payload);
    frame
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PONG: u8 = 10;
/// From a client, with a mask of zeros.
const PING_FRAME: [u8; 6] = [0x89, 0x80, 0, 0, 0, 0];
const CLOSE_FRAME: [u8; 6] = [0x88, 0x80, 0, 0, 0, 0];

#[actix_web::test]
async fn frames_come_as_they_were_given_and_their_turns_are_known() {
    let simulator = start();
    let client = Client::of(&simulator);
    let token = client.token().await;
    let mut wire = open(&simulator, &token, 1).await;
    let fragment = |id: &str, role: &str, words: &str| {
        format!(r#"{{"type":"TRANSCRIPT_FRAGMENT","text":"{words}","interactionId":{id},"participant":"{role}"}}"#)
    };
    let end = |id: &str| format!(r#"{{"type":"DIALOG_STATE","state":"TURN_END","interactionId":{id}}}"#);
    let [number, cut, binary, machine] = ["104857600123", "\"cut\"", "\"binary\"", "\"machine\""];
    let frames = [
        (TEXT, fragment(number, "CUSTOMER", "hello")),
        (TEXT, end(number)),
        (TEXT, fragment(cut, "CUSTOMER", r"hello \ud83d")),
        (TEXT, end(cut)),
        (BINARY, fragment(binary, "CUSTOMER", "hello")),
        (BINARY, end(binary)),
        (TEXT, fragment(machine, "ivr", "enter your order number")),
        (TEXT, end(machine)),
        (TEXT, "no json, \u{feff} as it stands".to_owned()),
    ];
    for (kind, frame) in frames {
        let message = if kind == TEXT { Frame::Text(frame.clone()) } else { Frame::Binary(frame.clone().into_bytes()) };
        simulator.send(message).await.unwrap();
        let expected = framed(kind, frame.as_bytes());
        let came = wire.read_until(|bytes| bytes.len() >= expected.len()).await;
        assert_eq!(came, expected, "{frame}");
    }
    let turns: Vec<_> = simulator.turns().into_iter().map(|turn| turn.interaction_id).collect();
    assert_eq!(turns, ["104857600123", "cut", "binary"], "what a machine says is no turn");
    for id in ["104857600123", "cut", "binary"] {
        assert_eq!(client.push(Dialect::Insights, &token, id, id, &insights_body(id, &["a"])).await.0, 200, "{id}");
    }
    assert_eq!((simulator.num_cards(), simulator.num_violations()), (3, 0));
}

#[actix_web::test]
async fn a_hub_may_never_answer_a_close_frame() {
    let simulator = start();
    let token = Client::of(&simulator).token().await;
    let pong = framed(PONG, b"");
    let mut usual = open(&simulator, &token, 1).await;
    usual.send(CLOSE_FRAME).await;
    assert_eq!(usual.read_until(|_| false).await, framed(CLOSE, b""), "answered, and then the connection ends");

    inject(&simulator, Route::Stream, FaultKind::NoClose);
    until_connected(&simulator, 0).await;
    let mut deaf = open(&simulator, &token, 1).await;
    deaf.send([CLOSE_FRAME, PING_FRAME].concat()).await;
    assert_eq!(deaf.read_until(|bytes| bytes.len() >= pong.len()).await, pong, "only the ping is answered");
    simulator.send(Frame::Text("x".into())).await.unwrap();
    assert_eq!(deaf.read_until(|bytes| bytes.len() >= 3).await, framed(TEXT, b"x"), "it goes on");
}

#[actix_web::test]
async fn a_hub_may_hold_the_handshake() {
    let simulator = start();
    let client = Client::of(&simulator);
    let token = client.token().await;
    simulator.inject(Fault { route: Route::Stream, times: UNTIL_CLEARED, fault: FaultKind::NoAnswer });
    let mut wire = Wire::open(&simulator).await;
    wire.send(handshake(&token)).await;
    let is_held = |simulator: &RunningSimulator| simulator.received_on(Route::Stream).len() == 1;
    assert!(simulator.until(crate::client::PATIENCE, is_held).await);
    let silence = tokio::time::timeout(Duration::from_millis(100), wire.read_until(|bytes| !bytes.is_empty())).await;
    assert!(silence.is_err(), "{silence:?}");
    assert_eq!(simulator.received_on(Route::Stream)[0].status, None);
    assert_eq!(simulator.num_streams(), 0);
    simulator.clear_faults_on(Route::Stream);
    assert!(client.connect(&token).await.is_ok());
}

#[actix_web::test]
async fn every_new_fault_can_be_scripted_by_a_control_call() {
    let simulator = start();
    let (client, token, _socket) = with_one_turn(&simulator).await;
    let [_, _, (_, poll, _), ..] = requests(&token);
    for (fault, expected) in [
        (json!({"kind": "interim", "status": 103}), "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n"),
        (json!({"kind": "redirect", "status": 307, "location": "/elsewhere"}), "location: /elsewhere\r\n"),
        (json!({"kind": "login_page", "status": 200}), "content-type: text/html"),
        (json!({"kind": "gzip"}), "content-encoding: gzip\r\n"),
        (json!({"kind": "edit", "find": "items", "replace": "it\\ud83d"}), "{\"it\\ud83d\":[]}"),
        (json!({"kind": "edit", "find": "items", "replace": [105, 116]}), "{\"it\":[]}"),
        (
            json!({"kind": "answer", "status": 429,
                   "retry_after": {"date_by_clock": {"date_in": "2s", "ahead": "-1h"}}}),
            "retry-after: ",
        ),
    ] {
        let order = json!({"route": "articles", "fault": fault});
        assert_eq!(client.control("faults", order).await.0, 204, "{fault}");
        let answer = text(&ask(&simulator, &poll).await);
        assert!(answer.contains(expected), "{fault}: {answer}");
    }
    let no_close = json!({"route": "events", "fault": {"kind": "no_close"}});
    assert_eq!(client.control("faults", no_close).await.0, 204);
    let on_a_push = json!({"route": "rag", "fault": {"kind": "no_close"}});
    assert_eq!(client.control("faults", on_a_push).await.0, 400);
}

//! The HTTP client against real sockets: what goes out, and how each way of failing is told.

use std::time::{Duration, SystemTime};

use crate::loopback::{Peer, Then, drain, header, nobody};
use cuecard_cxone::http::{Answer, HttpClient, Request};
use cuecard_cxone::limits::Limits;
use cuecard_cxone::transport::{TransportError, TransportFailure};
use url::Url;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"id\":\"p-7\"}";

fn short_limits() -> Limits {
    Limits { attempt_timeout: Duration::from_secs(1), body_limit_bytes: 1000, ..Limits::default() }
}

fn push(url: Url) -> Request {
    Request::json(url, "{\"a\":1}").with_bearer("s3cret".into()).with_idempotency_key("d-1")
}

async fn send(url: Url) -> Result<Answer, TransportError> {
    HttpClient::new(Limits { body_limit_bytes: 1000, ..Limits::default() }).unwrap().send(&push(url), None).await
}

async fn failure(url: Url) -> TransportFailure {
    send(url).await.unwrap_err().failure
}

#[actix_web::test]
async fn a_push_goes_out_with_its_headers_and_the_answer_comes_back() {
    let peer = Peer::answering(OK, Then::Stay).await;
    let answer = send(peer.url("http")).await.unwrap();
    assert_eq!((answer.status, answer.retry_after, &answer.body[..]), (200, None, &b"{\"id\":\"p-7\"}"[..]));
    let request = &peer.received()[0];
    assert!(request.starts_with("POST /path HTTP/1.1\r\n") && request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
    for (name, expected) in [
        ("authorization", "Bearer s3cret"),
        ("idempotency-key", "d-1"),
        ("accept", "application/json"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(header(request, name).as_deref(), Some(expected), "{name}");
    }
}

#[actix_web::test]
async fn a_form_goes_out_as_a_form_without_token_or_key() {
    let peer = Peer::answering(OK, Then::Stay).await;
    let client = HttpClient::new(Limits::default()).unwrap();
    client.send(&Request::form(peer.url("http"), "a=b&c=d".into()), None).await.unwrap();
    let request = &peer.received()[0];
    assert!(request.ends_with("\r\n\r\na=b&c=d"), "{request}");
    assert_eq!(header(request, "content-type").as_deref(), Some("application/x-www-form-urlencoded"));
    assert_eq!(header(request, "authorization"), None);
    assert_eq!(header(request, "idempotency-key"), None);
}

#[actix_web::test]
async fn a_question_goes_out_without_a_body_and_with_its_own_headers() {
    let listing = "HTTP/1.1 200 OK\r\nLast-Modified: Wed, 21 Oct 2026 07:28:00 GMT\r\nContent-Length: 2\r\n\r\n{}";
    let peer = Peer::answering(listing, Then::Stay).await;
    let request = Request::get(peer.url("http"))
        .with_bearer("s3cret".into())
        .with_if_modified_since("Tue, 20 Oct 2026 07:28:00 GMT")
        .with_header("X-CXone-Client-Version", "1.2.3");
    let answer = HttpClient::new(Limits::default()).unwrap().send(&request, None).await.unwrap();
    assert_eq!(answer.last_modified.as_deref(), Some("Wed, 21 Oct 2026 07:28:00 GMT"));
    let request = &peer.received()[0];
    assert!(request.starts_with("GET /path HTTP/1.1\r\n") && request.ends_with("\r\n\r\n"), "{request}");
    for (name, expected) in [
        ("authorization", Some("Bearer s3cret")),
        ("if-modified-since", Some("Tue, 20 Oct 2026 07:28:00 GMT")),
        ("x-cxone-client-version", Some("1.2.3")),
        ("accept", Some("application/json")),
        ("content-type", None),
        ("content-length", None),
        ("transfer-encoding", None),
        ("idempotency-key", None),
    ] {
        assert_eq!(header(request, name).as_deref(), expected, "{name}");
    }
}

#[actix_web::test]
async fn what_has_not_changed_is_an_answer_without_a_body() {
    // The length is that of the body which is left out, so the connection can't be told from one that stalls.
    for (head, num_connections) in [("304 Not Modified", 1), ("304 Not Modified\r\nContent-Length: 5000", 2)] {
        let peer = Peer::answering(format!("HTTP/1.1 {head}\r\n\r\n"), Then::Stay).await;
        let client = HttpClient::new(Limits::default()).unwrap();
        let request = Request::get(peer.url("http"));
        for _ in 0..2 {
            let answer = client.send(&request, None).await.unwrap();
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{head}");
        }
        assert_eq!(peer.num_connections(), num_connections, "{head}");
    }
}

#[actix_web::test]
async fn calls_share_one_connection() {
    let peer = Peer::answering(OK, Then::Stay).await;
    let client = HttpClient::new(Limits::default()).unwrap();
    for _ in 0..5 {
        client.clone().send(&push(peer.url("http")), None).await.unwrap();
    }
    assert_eq!((peer.received().len(), peer.num_connections()), (5, 1));
}

#[actix_web::test]
async fn a_connection_that_the_peer_closed_meanwhile_is_replaced() {
    let peer = Peer::answering(OK, Then::Close).await;
    let client = HttpClient::new(Limits::default()).unwrap();
    for round in 0..3 {
        let outcome = client.send(&push(peer.url("http")), None).await.map_err(|error| error.failure);
        // The close may still be on its way when the next call leaves: then it is cut, never anything else.
        assert!(matches!(outcome, Ok(_) | Err(TransportFailure::Cut)), "{round}: {outcome:?}");
    }
    assert!(peer.num_connections() >= 2);
}

#[actix_web::test]
async fn every_status_is_an_answer_and_redirects_are_not_followed() {
    for (head, status, retry_after) in [
        ("401 Unauthorized\r\nContent-Length: 0", 401, None),
        ("429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0", 429, Some("7")),
        (
            "429 Too Many Requests\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\nContent-Length: 0",
            429,
            Some("Wed, 21 Oct 2026 07:28:00 GMT"),
        ),
        ("302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0", 302, None),
        ("500 Oops\r\nContent-Length: 0", 500, None),
        ("204 No Content", 204, None),
    ] {
        let peer = Peer::answering(format!("HTTP/1.1 {head}\r\n\r\n"), Then::Stay).await;
        let answer = send(peer.url("http")).await.unwrap();
        assert_eq!((answer.status, answer.retry_after.as_deref()), (status, retry_after));
        assert_eq!(peer.received().len(), 1, "{head}");
    }
}

#[actix_web::test]
async fn a_chunked_body_is_joined() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let peer = Peer::answering(chunked, Then::Stay).await;
    assert_eq!(&send(peer.url("http")).await.unwrap().body[..], b"abcde", "whole, though no JSON");
}

#[actix_web::test]
async fn where_nobody_listens_nothing_was_sent() {
    let url = format!("http://{}/", nobody().await).parse().unwrap();
    let failure = failure(url).await;
    assert_eq!(failure, TransportFailure::Refused);
    assert!(!failure.is_ambiguous());
}

#[actix_web::test]
async fn a_connection_cut_after_the_request_is_ambiguous() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
        &format!("{chunked}5\r\n{{\"a\":\r\n"),
        &format!("{chunked}9\r\n{{\"a\":[1,"),
        "HTTP/1.0 200 OK\r\n\r\n{\"a\":",
    ] {
        let peer = Peer::answering(answer, Then::Close).await;
        let failure = failure(peer.url("http")).await;
        assert_eq!(failure, TransportFailure::Cut, "{answer}");
        assert!(failure.is_ambiguous());
    }
}

#[actix_web::test]
async fn an_answer_that_is_no_http_is_ambiguous_too() {
    let peer = Peer::answering("SSH-2.0-OpenSSH_9.2\r\n\r\n", Then::Stay).await;
    let failure = failure(peer.url("http")).await;
    assert_eq!(failure, TransportFailure::Garbled);
    assert!(failure.is_ambiguous());
}

#[actix_web::test]
async fn a_peer_that_never_answers_is_given_up_as_ambiguous() {
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"] {
        let peer = Peer::answering(answer, Then::Stay).await;
        let client = HttpClient::new(short_limits()).unwrap();
        let error = client.send(&push(peer.url("http")), None).await.unwrap_err();
        assert_eq!(error.failure, TransportFailure::TimedOut, "{answer}");
        assert_eq!(peer.received().len(), 1);
    }
}

#[actix_web::test]
async fn the_time_left_shortens_an_attempt() {
    let peer = Peer::silent().await;
    let client = HttpClient::new(Limits { attempt_timeout: Duration::from_hours(1), ..Limits::default() }).unwrap();
    let error = client.send(&push(peer.url("http")), Some(Duration::from_secs(1))).await.unwrap_err();
    assert_eq!((error.failure, error.detail.as_str()), (TransportFailure::TimedOut, "gave up after 1s"));
}

#[actix_web::test]
async fn a_timeout_before_the_request_could_leave_is_not_ambiguous() {
    let peer = Peer::start(|mut socket, _| async move { drain(&mut socket).await }).await;
    let client = HttpClient::new(short_limits()).unwrap();
    // The peer takes the connection and says nothing to the TLS handshake.
    let error = client.send(&push(peer.url("https")), None).await.unwrap_err();
    assert_eq!(error.failure, TransportFailure::Refused);
}

#[actix_web::test]
async fn a_peer_without_tls_is_told_apart() {
    let peer = Peer::start(|mut socket, _| async move {
        use tokio::io::AsyncWriteExt;
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        drain(&mut socket).await;
    })
    .await;
    assert_eq!(failure(peer.url("https")).await, TransportFailure::Tls);
}

#[actix_web::test]
async fn a_body_over_the_limit_keeps_its_status() {
    let announced = format!("HTTP/1.1 404 Not Found\r\nContent-Length: 1001\r\n\r\n{}", "x".repeat(1001));
    let chunk = "x".repeat(0x200);
    let chunked =
        format!("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n200\r\n{chunk}\r\n200\r\n{chunk}\r\n");
    for answer in [announced, chunked] {
        let peer = Peer::answering(answer, Then::Stay).await;
        assert_eq!(failure(peer.url("http")).await, TransportFailure::BodyTooLarge { status: 404 });
    }
    let fits = format!("HTTP/1.1 404 Not Found\r\nContent-Length: 1000\r\n\r\n{}", "x".repeat(1000));
    let peer = Peer::answering(fits, Then::Stay).await;
    assert_eq!(send(peer.url("http")).await.unwrap().body.len(), 1000);
}

#[actix_web::test]
async fn a_header_that_cannot_be_written_is_not_sent() {
    let peer = Peer::answering(OK, Then::Stay).await;
    let client = HttpClient::new(Limits::default()).unwrap();
    for request in [
        push(peer.url("http")).with_idempotency_key("a\r\nX-Evil: 1"),
        Request::get(peer.url("http")).with_if_modified_since("a\r\nX-Evil: 1"),
    ] {
        assert_eq!(client.send(&request, None).await.unwrap_err().failure, TransportFailure::NotSendable);
    }
    assert!(peer.received().is_empty());
}

#[actix_web::test]
async fn debug_and_errors_hold_no_secret_and_no_body() {
    let request = Request::form("http://127.0.0.1:1/path?access_token=s3cret".parse().unwrap(), "s3cret".into())
        .with_bearer("s3cret".into());
    let client = HttpClient::new(Limits::default()).unwrap();
    let error = client.send(&request, None).await.unwrap_err();
    let answer = Answer { status: 200, body: "s3cret".into(), ..Answer::default() };
    let shown = format!("{request:?} {error:?} {error} {answer:?} {client:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[actix_web::test]
async fn an_answers_retry_after_reaches_the_decision() {
    use cuecard_cxone::answers::{Attempt, CallKind, CallOutcome, Decision, RetryPolicy};
    let peer = Peer::answering("HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n", Then::Stay).await;
    let answer = send(peer.url("http")).await.unwrap();
    let decision = RetryPolicy::default().decide(&Attempt {
        kind: CallKind::Push,
        outcome: CallOutcome::Answered(answer.status),
        retry_after: answer.retry_after.as_deref(),
        number: 1,
        num_renewals: 0,
        max_attempts: None,
        time_left: Some(Duration::from_secs(4)),
        wall_clock: SystemTime::now(),
        jitter: 0.0,
    });
    let wait = Duration::from_secs(3);
    assert_eq!(decision, Decision::RetryAfter { wait, hold_profile: true, ambiguous: false });
}

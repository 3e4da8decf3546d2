//! The HTTP client against real sockets: what goes out, and how each way of failing is told.

use std::time::Duration;

use crate::loopback::{Peer, Then, drain, header, nobody, read_request};
use cuecard_cxone::http::{Answer, HttpClient, Proxies, Request};
use cuecard_cxone::limits::Limits;
use cuecard_cxone::transport::{TransportError, TransportFailure};
use tokio::io::AsyncWriteExt;
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
    // The length is that of the body which is left out.
    for head in ["304 Not Modified", "304 Not Modified\r\nContent-Length: 5000"] {
        let peer = Peer::answering(format!("HTTP/1.1 {head}\r\n\r\n"), Then::Stay).await;
        let client = HttpClient::new(Limits::default()).unwrap();
        let request = Request::get(peer.url("http"));
        for _ in 0..2 {
            let answer = client.send(&request, None).await.unwrap();
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{head}");
        }
        assert_eq!(peer.num_connections(), 1, "{head}");
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

/// Whoever calls may do so from a task on any thread.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_may_be_spawned() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (told, address) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let peer = Peer::answering(answer, Then::Stay).await;
            told.send(peer.url("http")).unwrap();
            std::future::pending::<()>().await;
        });
    });
    let client = HttpClient::new(Limits::default()).unwrap();
    let request = push(address.await.unwrap());
    let calls = (0..8).map(|_| {
        let (client, request) = (client.clone(), request.clone());
        tokio::spawn(async move { client.send(&request, None).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().unwrap().status, 200);
    }
}

#[actix_web::test]
async fn what_comes_before_the_answer_is_skipped() {
    for before in ["100 Continue", "103 Early Hints\r\nLink: </style.css>", "102 Processing"] {
        let peer = Peer::answering(format!("HTTP/1.1 {before}\r\n\r\n{OK}"), Then::Stay).await;
        let answer = send(peer.url("http")).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"{\"id\":\"p-7\"}"[..]), "{before}");
    }
}

#[actix_web::test]
async fn a_compressed_answer_is_read_whole_and_bounded_by_what_it_holds() {
    let body = compressed(br#"{"id":"p-7"}"#);
    let peer = Peer::answering(gzip(&body), Then::Stay).await;
    assert_eq!(&send(peer.url("http")).await.unwrap().body[..], br#"{"id":"p-7"}"#);

    let bomb = compressed(&vec![b' '; 1 << 20]);
    assert!(bomb.len() < 1500, "{}", bomb.len());
    let limits = Limits { body_limit_bytes: 2000, ..Limits::default() };
    let peer = Peer::answering(gzip(&bomb), Then::Stay).await;
    let outcome = HttpClient::new(limits).unwrap().send(&push(peer.url("http")), None).await;
    assert_eq!(outcome.unwrap_err().failure, TransportFailure::BodyTooLarge { status: 200 });

    for (sent, expected) in [(&b"no gzip"[..], TransportFailure::Garbled), (&body[..20], TransportFailure::Cut)] {
        let peer = Peer::answering(gzip(sent), Then::Stay).await;
        assert_eq!(failure(peer.url("http")).await, expected);
    }
}

fn compressed(body: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The environment of a machine whose only way out is this proxy.
fn behind(proxy: &Peer) -> HttpClient {
    let address = format!("http://me:pa55@{}", proxy.address);
    let proxies = Proxies::read(|name| match name {
        "HTTP_PROXY" | "HTTPS_PROXY" => Some(address.clone()),
        "NO_PROXY" => Some("near.example".to_owned()),
        _ => None,
    });
    HttpClient::through(proxies.unwrap(), short_limits()).unwrap()
}

#[actix_web::test]
async fn a_call_goes_through_the_proxy_of_the_environment() {
    let proxy = Peer::answering(OK, Then::Stay).await;
    let client = behind(&proxy);
    let answer = client.send(&push("http://tenant.example/path".parse().unwrap()), None).await.unwrap();
    assert_eq!(answer.status, 200);
    let request = &proxy.received()[0];
    assert!(request.starts_with("POST http://tenant.example/path HTTP/1.1\r\n"), "{request}");
    assert_eq!(header(request, "proxy-authorization").as_deref(), Some("Basic bWU6cGE1NQ=="));

    // Those near by, and this machine, are called directly.
    let near = client.send(&push("http://near.example/path".parse().unwrap()), None).await;
    assert_eq!(near.unwrap_err().failure, TransportFailure::Refused);
    let peer = Peer::answering(OK, Then::Stay).await;
    client.send(&push(peer.url("http")), None).await.unwrap();
    assert_eq!((proxy.received().len(), peer.received().len()), (1, 1));
}

#[actix_web::test]
async fn a_proxy_that_opens_no_tunnel_is_named() {
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    let proxy = Peer::answering(refusal, Then::Stay).await;
    let error = behind(&proxy).send(&push("https://tenant.example/path".parse().unwrap()), None).await.unwrap_err();
    assert!(proxy.received()[0].starts_with("CONNECT tenant.example:443 HTTP/1.1\r\n"), "{:?}", proxy.received());
    assert_eq!(error.failure, TransportFailure::Refused, "nothing was sent: {error}");
    let named = format!("through the proxy http://{}", proxy.address);
    assert!(error.detail.contains(&named) && error.detail.contains("authorization"), "{error}");
    assert!(!error.detail.contains("pa55") && !proxy.received()[0].contains("s3cret"), "{error}");
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
async fn every_status_is_an_answer() {
    for (head, status, wait) in [
        ("401 Unauthorized\r\nContent-Length: 0", 401, None),
        ("429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0", 429, Some(7)),
        (
            // The peer's clock is years behind.
            "429 Too Many Requests\r\nRetry-After: Wed, 21 Oct 2015 07:28:09 GMT\r\n\
             Date: Wed, 21 Oct 2015 07:28:00 GMT\r\nContent-Length: 0",
            429,
            Some(9),
        ),
        ("503 Down\r\nRetry-After: 86400\r\nContent-Length: 0", 503, Some(300)),
        ("500 Oops\r\nContent-Length: 0", 500, None),
        ("204 No Content", 204, None),
    ] {
        let peer = Peer::answering(format!("HTTP/1.1 {head}\r\n\r\n"), Then::Stay).await;
        let answer = send(peer.url("http")).await.unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(answer.retry_after.map(|asked| asked.wait()), wait.map(Duration::from_secs), "{head}");
        assert_eq!(peer.received().len(), 1, "{head}");
    }
}

/// Sends the first request on to `location`, and answers the others.
async fn sending_on(status: u16, location: &str) -> Peer {
    let head = format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    Peer::start(move |mut socket, received| {
        let head = head.clone();
        async move {
            while let Some(request) = read_request(&mut socket).await {
                let is_first = received.lock().unwrap().is_empty();
                received.lock().unwrap().push(request);
                let answer = if is_first { head.as_str() } else { OK };
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await
}

#[actix_web::test]
async fn a_question_that_is_sent_on_within_the_tenant_follows_once() {
    for status in [301, 302, 303, 307, 308] {
        let peer = sending_on(status, "/v2/articles?page=2").await;
        let request = Request::get(peer.url("http")).with_bearer("s3cret".into());
        let client = HttpClient::new(Limits::default()).unwrap();
        let answer = client.send(&request, None).await.unwrap();
        assert_eq!((answer.status, answer.location), (200, None), "{status}");
        let followed = &peer.received()[1];
        assert!(followed.starts_with("GET /v2/articles?page=2 HTTP/1.1\r\n"), "{followed}");
        assert_eq!(header(followed, "authorization").as_deref(), Some("Bearer s3cret"));
    }
    let again_and_again = "HTTP/1.1 301 Moved\r\nLocation: /path\r\nContent-Length: 0\r\n\r\n";
    let peer = Peer::answering(again_and_again, Then::Stay).await;
    let client = HttpClient::new(Limits::default()).unwrap();
    let answer = client.read_large(&Request::get(peer.url("http"))).await.unwrap();
    assert_eq!((answer.status, peer.received().len()), (301, 2));
}

#[actix_web::test]
async fn what_is_sent_on_elsewhere_or_carries_something_is_told_where_to() {
    let peer = sending_on(301, "https://b.example/login?token=s3cret").await;
    let question = Request::get(peer.url("http")).with_bearer("s3cret".into());
    let answer = HttpClient::new(Limits::default()).unwrap().send(&question, None).await.unwrap();
    assert_eq!((answer.status, answer.location.as_deref()), (301, Some("https://b.example/login")));
    assert_eq!(peer.received().len(), 1, "nobody else gets the token");
    for status in [301, 302, 307, 308] {
        let peer = sending_on(status, "/v2/push").await;
        let answer = send(peer.url("http")).await.unwrap();
        let place = format!("http://{}/v2/push", peer.address);
        assert_eq!((answer.status, answer.location), (status, Some(place)));
        assert_eq!(peer.received().len(), 1, "a push is not repeated");
    }
}

#[actix_web::test]
async fn a_page_is_told_from_an_answer() {
    for (content_type, body, is_page) in [
        ("text/html; charset=utf-8", "<html>login</html>", true),
        ("Text/HTML", "<html>", true),
        ("application/xhtml+xml", "<html>", true),
        ("text/html", "", false),
        ("application/json", "{}", false),
    ] {
        let length = body.len();
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}");
        let peer = Peer::answering(answer, Then::Stay).await;
        assert_eq!(send(peer.url("http")).await.unwrap().is_page, is_page, "{content_type} {body}");
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
    let url = format!("http://{}/", nobody()).parse().unwrap();
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

//! The WebSocket connection against real sockets: handshakes, messages in pieces, and peers that misbehave.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::loopback::{
    BINARY, CLOSE, CONTINUED, LAST, PING, Peer, TEXT, TEXT_TO_BE_CONTINUED, Then, drain, frame, header, nobody,
    open_web_socket, read_request,
};
use crate::self_signed::self_signed;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use cuecard_cxone::http::{HttpClient, Proxies};
use cuecard_cxone::limits::Limits;
use cuecard_cxone::stream::{Roles, StreamEvent, read_frame};
use cuecard_cxone::transport::TransportFailure;
use cuecard_cxone::websocket::{ClosedReason, Frame, HandshakeError, TokenPlacement, WebSocketConnection, connect};
use cuecard_cxone::{Connection, ConnectionSettings, Contract, StreamKind};
use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use strum::VariantArray;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;
use url::Url;

const MIB: usize = 1 << 20;

async fn open_with(url: &Url, limits: Limits) -> Result<WebSocketConnection, HandshakeError> {
    let client = HttpClient::new(limits).unwrap();
    connect(&client, url, &"s3cret".into(), TokenPlacement::Query).await
}

async fn open(peer: &Peer) -> WebSocketConnection {
    open_with(&peer.url("ws"), Limits::default()).await.unwrap()
}

/// What one connection to a peer that sends `frames` and hangs up gives, to its end.
async fn everything(frames: Vec<Vec<u8>>) -> (Vec<Frame>, ClosedReason) {
    let peer = Peer::streaming(frames, Then::Close).await;
    let mut connection = open(&peer).await;
    let mut messages = Vec::new();
    loop {
        match connection.next().await {
            Ok(message) => messages.push(message),
            Err(reason) => {
                assert_eq!(connection.next().await, Err(reason), "the end stays the end");
                return (messages, reason);
            }
        }
    }
}

async fn refusal(answer: impl Into<Vec<u8>>) -> HandshakeError {
    let peer = Peer::answering(answer, Then::Stay).await;
    open_with(&peer.url("ws"), Limits::default()).await.unwrap_err()
}

fn text(text: &str) -> Frame {
    Frame::Text(text.to_owned().into())
}

#[actix_web::test]
async fn the_token_travels_where_the_contract_wants_it() {
    let peer = Peer::streaming(vec![frame(TEXT, b"hello")], Then::Close).await;
    let client = HttpClient::new(Limits::default()).unwrap();
    let token = "a+b/c=&d".into();
    for placement in [TokenPlacement::Query, TokenPlacement::Header] {
        let mut connection = connect(&client, &peer.url("ws"), &token, placement).await.unwrap();
        assert_eq!(connection.next().await, Ok(text("hello")));
    }
    let requests = peer.received();
    assert!(requests[0].starts_with("GET /path?access_token=a%2Bb%2Fc%3D%26d HTTP/1.1\r\n"), "{}", requests[0]);
    assert_eq!(header(&requests[0], "authorization"), None);
    assert!(requests[1].starts_with("GET /path HTTP/1.1\r\n"), "{}", requests[1]);
    assert_eq!(header(&requests[1], "authorization").as_deref(), Some("Bearer a+b/c=&d"));
    for request in &requests {
        assert_eq!(header(request, "accept").as_deref(), Some("application/json"));
    }
}

#[actix_web::test]
async fn each_stream_is_opened_at_its_own_path_with_its_token_in_its_place() {
    for &stream in StreamKind::VARIANTS {
        let peer = Peer::streaming(vec![frame(TEXT, b"hello")], Then::Close).await;
        let mut settings = ConnectionSettings::for_contract(Contract::Rag, "client", "secret".into());
        settings.base_url = format!("http://{}/tenant", peer.address);
        settings.stream = Some(stream);
        let connection = Connection::new(settings).unwrap();
        let client = HttpClient::new(connection.limits().clone()).unwrap();
        let url = connection.stream_url().unwrap();
        let mut socket = connect(&client, url, &"tok.en".into(), stream.token_placement()).await.unwrap();
        assert_eq!(socket.next().await, Ok(text("hello")));
        let request = &peer.received()[0];
        let (line, authorization) = match stream {
            StreamKind::Snippets => ("GET /tenant/api/v2/interactions/events HTTP/1.1\r\n", Some("Bearer tok.en")),
            StreamKind::Insights => {
                ("GET /tenant/cxoneapi/v2/agentassist/stream?access_token=tok.en HTTP/1.1\r\n", None)
            }
        };
        assert!(request.starts_with(line), "{request}");
        assert_eq!(header(request, "authorization").as_deref(), authorization);
        assert_eq!(header(request, "accept").as_deref(), Some("application/json"));
    }
}

/// Two thirds of a mebibyte: more than a client takes that leaves frames as they come.
#[actix_web::test]
async fn a_message_in_five_frames_is_read_as_one_event() {
    let words = "my bill is wrong ".repeat(40_000);
    let event = json!({"type": "interaction", "data": {
        "id": "c-1", "state": "active", "channels": [{"transcript": words.as_str()}],
    }});
    let message = event.to_string().into_bytes();
    let parts: Vec<&[u8]> = message.chunks(message.len().div_ceil(5)).collect();
    let opcodes = [TEXT_TO_BE_CONTINUED, CONTINUED, CONTINUED, CONTINUED, LAST];
    assert_eq!(parts.len(), opcodes.len());
    let frames = opcodes.iter().zip(parts).map(|(opcode, part)| frame(*opcode, part)).collect();
    let (messages, _) = everything(frames).await;
    let [Frame::Text(joined)] = &messages[..] else { panic!("{messages:?}") };
    let mut protocol = StreamKind::Snippets.protocol(Roles::default());
    let step = protocol.on_frame(&read_frame(joined).unwrap().value, Instant::now()).unwrap();
    let [StreamEvent::Utterance { interaction, text }] = &step.heard[..] else { panic!("no utterance") };
    assert!(interaction.as_str() == "c-1" && text.verbatim() == words.trim());
}

#[actix_web::test]
async fn a_refused_handshake_says_why() {
    let answer = |head: &str| format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(refusal(answer("401 Unauthorized")).await, HandshakeError::Unauthorised);
    assert_eq!(refusal(answer("403 Forbidden")).await, HandshakeError::Forbidden);
    let HandshakeError::Status { status: 503, retry_after: Some(asked) } =
        refusal(answer("503 Down\r\nRetry-After: 5")).await
    else {
        panic!("without its wait")
    };
    assert_eq!(asked.wait(), Duration::from_secs(5));
    assert_eq!(refusal(answer("200 OK")).await, HandshakeError::Status { status: 200, retry_after: None });
    assert_eq!(refusal(answer("429 Slow")).await, HandshakeError::TooManyRequests { retry_after: None });
    for (head, seconds) in [
        ("429 Slow\r\nRetry-After: 7", 7),
        ("429 Slow\r\nRetry-After: 86400", 300),
        ("429 Slow\r\nRetry-After: Wed, 21 Oct 2015 07:28:09 GMT\r\nDate: Wed, 21 Oct 2015 07:28:00 GMT", 9),
    ] {
        let HandshakeError::TooManyRequests { retry_after: Some(asked) } = refusal(answer(head)).await else {
            panic!("{head}");
        };
        assert_eq!(asked.wait(), Duration::from_secs(seconds), "{head}");
    }
}

/// Sends the first handshake on to `location`, and opens the stream for the others.
async fn sending_on(status: u16, location: &str) -> Peer {
    let head = format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    Peer::start(move |mut socket, received| {
        let head = head.clone();
        async move {
            if received.lock().unwrap().is_empty() {
                let request = read_request(&mut socket).await.unwrap();
                received.lock().unwrap().push(request);
                socket.write_all(head.as_bytes()).await.unwrap();
            } else {
                open_web_socket(&mut socket, &received).await;
                socket.write_all(&frame(TEXT, b"hello")).await.unwrap();
            }
            drain(&mut socket).await;
        }
    })
    .await
}

#[actix_web::test]
async fn a_handshake_that_is_sent_on_within_the_tenant_follows_once() {
    for status in [301, 302, 307, 308] {
        let peer = sending_on(status, "/v2/stream?access_token=old&kind=all").await;
        let mut connection = open(&peer).await;
        assert_eq!(connection.next().await, Ok(text("hello")), "{status}");
        let followed = &peer.received()[1];
        assert!(followed.starts_with("GET /v2/stream?kind=all&access_token=s3cret HTTP/1.1\r\n"), "{followed}");
    }
    let again = "HTTP/1.1 301 Moved\r\nLocation: /path\r\nContent-Length: 0\r\n\r\n";
    let peer = Peer::answering(again, Then::Stay).await;
    let error = open_with(&peer.url("ws"), Limits::default()).await.unwrap_err();
    assert!(matches!(error, HandshakeError::Redirected { status: 301, .. }), "{error:?}");
    assert_eq!(peer.received().len(), 2);
}

#[actix_web::test]
async fn a_handshake_that_is_sent_to_somebody_else_names_the_place() {
    let peer = sending_on(308, "wss://b.example/stream?access_token=s3cret").await;
    let error = open_with(&peer.url("ws"), Limits::default()).await.unwrap_err();
    let place = "wss://b.example/stream".to_owned();
    assert_eq!(error, HandshakeError::Redirected { status: 308, place });
    assert!(error.to_string().contains("308") && error.to_string().contains("base_url"), "{error}");
    assert_eq!(peer.received().len(), 1, "nobody else gets the token");
}

#[actix_web::test]
async fn what_comes_before_the_handshakes_answer_is_skipped() {
    for before in ["100 Continue", "103 Early Hints\r\nLink: </style.css>", "103 A\r\n\r\nHTTP/1.1 102 B"] {
        let head = format!("HTTP/1.1 {before}\r\n\r\n");
        let peer = Peer::start(move |mut socket, received| {
            let head = head.clone();
            async move {
                socket.write_all(head.as_bytes()).await.unwrap();
                open_web_socket(&mut socket, &received).await;
                socket.write_all(&frame(TEXT, b"hello")).await.unwrap();
                drain(&mut socket).await;
            }
        })
        .await;
        assert_eq!(open(&peer).await.next().await, Ok(text("hello")), "{before}");
    }
    let refused =
        refusal("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(refused, HandshakeError::Unauthorised);
}

/// A proxy that opens a tunnel to `peer`, whatever the address that it is asked for.
async fn tunnelling(peer: std::net::SocketAddr) -> Peer {
    Peer::start(move |mut socket, received| async move {
        let request = read_request(&mut socket).await.unwrap();
        received.lock().unwrap().push(request);
        let mut there = TcpStream::connect(peer).await.unwrap();
        socket.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut socket, &mut there).await;
    })
    .await
}

/// The environment of a machine whose only way out is this proxy.
fn behind(proxy: &str) -> HttpClient {
    let proxies = Proxies::read(|name| matches!(name, "HTTP_PROXY" | "HTTPS_PROXY").then(|| proxy.to_owned()));
    HttpClient::through(proxies.unwrap(), Limits::default()).unwrap()
}

async fn connect_behind(proxy: &str, url: &str) -> Result<WebSocketConnection, HandshakeError> {
    connect(&behind(proxy), &url.parse().unwrap(), &"s3cret".into(), TokenPlacement::Header).await
}

#[actix_web::test]
async fn a_stream_goes_through_the_tunnel_of_a_proxy() {
    let peer = Peer::streaming(vec![frame(TEXT, b"hello")], Then::Stay).await;
    let proxy = tunnelling(peer.address).await;
    let address = format!("http://me:pa55@{}", proxy.address);
    let mut connection = connect_behind(&address, "ws://tenant.example/path").await.unwrap();
    assert_eq!(connection.next().await, Ok(text("hello")));
    let opened = &proxy.received()[0];
    assert!(opened.starts_with("CONNECT tenant.example:80 HTTP/1.1\r\n"), "{opened}");
    assert_eq!(header(opened, "proxy-authorization").as_deref(), Some("Basic bWU6cGE1NQ=="));
    assert_eq!(header(&peer.received()[0], "host").as_deref(), Some("tenant.example"));

    // Inside the tunnel TLS is spoken with the tenant, and checked as anywhere.
    let (acceptor, _) = self_signed(&["tenant.example"]);
    let peer = Peer::start(move |socket, _| {
        let acceptor = acceptor.clone();
        async move { drop(acceptor.accept(socket).await) }
    })
    .await;
    let proxy = tunnelling(peer.address).await;
    let address = format!("http://{}", proxy.address);
    let error = connect_behind(&address, "wss://tenant.example/path").await.unwrap_err();
    assert!(proxy.received()[0].starts_with("CONNECT tenant.example:443 HTTP/1.1\r\n"), "{:?}", proxy.received());
    let HandshakeError::Transport(error) = error else { panic!("{error:?}") };
    assert_eq!(error.failure, TransportFailure::Tls, "{error}");
    assert!(error.detail.contains(&format!("through the proxy {address}")), "{error}");
}

#[actix_web::test]
async fn a_proxy_that_opens_no_tunnel_for_a_stream_is_named() {
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    let proxy = Peer::answering(refusal, Then::Stay).await;
    let address = format!("http://{}", proxy.address);
    let error = connect_behind(&address, "wss://tenant.example/path").await.unwrap_err().to_string();
    assert!(error.contains("authorization required") && error.contains(&address), "{error}");
    let error = connect_behind("https://proxy.example", "wss://tenant.example/").await.unwrap_err().to_string();
    assert!(error.contains("begins with http://") && error.contains("https://proxy.example"), "{error}");
}

#[actix_web::test]
async fn a_handshake_that_goes_wrong_is_told_apart_and_never_shows_the_token() {
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    let no_key = refusal(format!("{upgrade}\r\n")).await;
    let wrong_key = refusal(format!("{upgrade}Sec-WebSocket-Accept: AAAA\r\n\r\n")).await;
    assert!(matches!(no_key, HandshakeError::NotWebSocket(_)), "{no_key:?}");
    assert!(matches!(wrong_key, HandshakeError::NotWebSocket(_)), "{wrong_key:?}");

    let garbage = refusal("SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    let hangs_up = open_with(&Peer::answering("", Then::Close).await.url("ws"), Limits::default()).await.unwrap_err();
    let short = Duration::from_millis(500);
    let limits = Limits { connect_timeout: short, handshake_timeout: short, ..Limits::default() };
    let silent = open_with(&Peer::silent().await.url("ws"), limits).await.unwrap_err();
    let absent = format!("ws://{}/", nobody()).parse().unwrap();
    let refused = open_with(&absent, Limits::default()).await.unwrap_err();
    for (error, expected) in [
        (&garbage, TransportFailure::Garbled),
        (&hangs_up, TransportFailure::Cut),
        (&silent, TransportFailure::TimedOut),
        (&refused, TransportFailure::Refused),
    ] {
        assert!(matches!(error, HandshakeError::Transport(error) if error.failure == expected), "{error:?}");
    }
    for error in [no_key, wrong_key, garbage, hangs_up, silent, refused] {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("access_token"), "{shown}");
    }
}

#[actix_web::test]
async fn messages_come_whole_and_in_order() {
    let frames = vec![
        frame(TEXT, "one, étage".as_bytes()),
        frame(TEXT_TO_BE_CONTINUED, b"in "),
        frame(CONTINUED, b"five "),
        frame(PING, b"between"),
        frame(CONTINUED, b""),
        frame(CONTINUED, b"frames"),
        frame(LAST, b"."),
        frame(TEXT, &vec![b'x'; 300_000]),
        frame(TEXT, b""),
    ];
    let (messages, reason) = everything(frames).await;
    let expected = [text("one, étage"), text("in five frames."), text(&"x".repeat(300_000)), text("")];
    assert!(messages == expected, "{messages:?}");
    assert_eq!(reason, ClosedReason::Cut);
}

#[actix_web::test]
async fn a_message_may_be_any_bytes() {
    let frames = vec![
        frame(BINARY, &[0xff; 300]),
        frame(TEXT, &[b'a', 0xff, b'b']),
        // A character cut in two by the frames' border is whole again.
        frame(TEXT_TO_BE_CONTINUED, &"é".as_bytes()[..1]),
        frame(LAST, &"é".as_bytes()[1..]),
        frame(0x02, &[1, 2]),
        frame(LAST, &[3]),
        frame(TEXT, b"still here"),
    ];
    let (messages, _) = everything(frames).await;
    let binary = |bytes: &[u8]| Frame::Binary(bytes.to_owned().into());
    let latin = Frame::Text(vec![b'a', 0xff, b'b'].into());
    let expected = [binary(&[0xff; 300]), latin, text("é"), binary(&[1, 2, 3]), text("still here")];
    assert!(messages == expected, "{messages:?}");
}

#[actix_web::test]
async fn a_message_may_be_a_mebibyte_and_not_a_byte_more() {
    let half = vec![b'x'; MIB / 2];
    let fits = vec![frame(TEXT, &vec![b'x'; MIB]), frame(TEXT_TO_BE_CONTINUED, &half), frame(LAST, &half)];
    let (messages, reason) = everything(fits).await;
    let whole = text(&"x".repeat(MIB));
    assert!(messages == [whole.clone(), whole], "{messages:?}");
    assert_eq!(reason, ClosedReason::Cut);

    let too_large = ClosedReason::TooLarge { limit_bytes: MIB };
    let one_frame = vec![frame(TEXT, b"before"), frame(TEXT, &vec![b'x'; 2 * MIB])];
    assert_eq!(everything(one_frame).await, (vec![text("before")], too_large));
    let joined = vec![frame(TEXT_TO_BE_CONTINUED, &half), frame(CONTINUED, &half), frame(LAST, b"x")];
    assert_eq!(everything(joined).await, (vec![], too_large));
}

#[actix_web::test]
async fn a_frame_over_the_limit_is_refused_before_it_is_read() {
    let mut announcement = vec![TEXT, 127];
    announcement.extend((10_u64 << 30).to_be_bytes());
    let peer = Peer::streaming(vec![announcement], Then::Stay).await;
    let reason = open(&peer).await.next().await.unwrap_err();
    assert_eq!(reason, ClosedReason::TooLarge { limit_bytes: MIB });
}

#[actix_web::test]
async fn a_stream_ends_with_its_reason() {
    let going_away = frame(CLOSE, &1001_u16.to_be_bytes());
    for (last, reason) in [
        (going_away, ClosedReason::ByPeer { code: Some(1001) }),
        (frame(CLOSE, b""), ClosedReason::ByPeer { code: None }),
        (frame(TEXT, b"half a frame")[..5].to_vec(), ClosedReason::Cut),
        (frame(CONTINUED, b"of nothing"), ClosedReason::Protocol),
        (frame(0x83, b"unknown opcode"), ClosedReason::Protocol),
        (frame(0xf1, b"reserved bits"), ClosedReason::Protocol),
        (vec![TEXT, 0x80 | 2, 1, 2, 3, 4, b'h', b'i'], ClosedReason::Protocol),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), ClosedReason::Protocol),
    ] {
        let (messages, seen) = everything(vec![frame(TEXT, b"first"), last.clone()]).await;
        assert_eq!((messages, seen), (vec![text("first")], reason), "{last:?}");
    }
}

#[actix_web::test]
async fn a_peer_that_answers_no_ping_is_dead() {
    let peer = Peer::streaming(vec![], Then::Stay).await;
    let short = Duration::from_millis(30);
    let limits = Limits { ping_interval: short, pong_timeout: short, ..Limits::default() };
    let mut connection = open_with(&peer.url("ws"), limits).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), connection.next()).await;
    assert_eq!(ended, Ok(Err(ClosedReason::Silent)));
}

/// Neither one that reads and says nothing nor one that takes nothing off the wire: a pong may take an hour here.
#[actix_web::test]
async fn a_peer_that_answers_no_goodbye_is_left_without_it() {
    let silent = Peer::streaming(vec![], Then::Stay).await;
    let deaf = Peer::start(|mut socket, received| async move {
        open_web_socket(&mut socket, &received).await;
        std::future::pending::<()>().await;
    });
    for (peer, is_deaf) in [(silent, false), (deaf.await, true)] {
        let limits = Limits { pong_timeout: Duration::from_hours(1), ..Limits::default() };
        let mut connection = open_with(&peer.url("ws"), limits).await.unwrap();
        while is_deaf && connection.send("x".repeat(MIB)).now_or_never().is_some() {}
        let closed = tokio::time::timeout(Duration::from_secs(30), connection.close()).await;
        assert_eq!(closed, Ok(()), "{is_deaf}");
    }
}

#[actix_web::test]
async fn nothing_is_sent_where_the_peer_has_gone() {
    let peer = Peer::streaming(vec![frame(CLOSE, b"")], Then::Close).await;
    let mut connection = open(&peer).await;
    let gone = Err(ClosedReason::ByPeer { code: None });
    assert_eq!(connection.next().await.map(|_| ()), gone);
    assert_eq!(connection.send("hello".to_owned()).await, gone);
}

/// What a well-behaved server saw, told when its client has gone.
struct Session {
    pings: usize,
    pong: Option<Vec<u8>>,
    texts: Vec<String>,
    close: Option<u16>,
}

/// Answers pings; after `pings_until_text` of them says "alive". Pings once itself.
fn polite_server(pings_until_text: usize, told: oneshot::Sender<Session>) -> Url {
    let told = std::sync::Mutex::new(Some(told));
    let told = web::Data::new(told);
    let server = HttpServer::new(move || {
        let told = told.clone();
        App::new().route(
            "/path",
            web::get().to(move |request: HttpRequest, body: web::Payload| {
                let told = told.clone();
                async move {
                    let (response, mut session, mut messages) = actix_ws::handle(&request, body)?;
                    actix_web::rt::spawn(async move {
                        let mut seen = Session { pings: 0, pong: None, texts: Vec::new(), close: None };
                        let _ = session.ping(b"from the server").await;
                        while let Some(Ok(message)) = messages.next().await {
                            match message {
                                actix_ws::Message::Ping(payload) => {
                                    seen.pings += 1;
                                    let _ = session.pong(&payload).await;
                                    if seen.pings == pings_until_text {
                                        let _ = session.text("alive").await;
                                    }
                                }
                                actix_ws::Message::Pong(payload) => seen.pong = Some(payload.to_vec()),
                                actix_ws::Message::Text(text) => seen.texts.push(text.to_string()),
                                actix_ws::Message::Close(reason) => {
                                    seen.close = reason.map(|reason| reason.code.into());
                                    break;
                                }
                                _ => {}
                            }
                        }
                        if let Some(told) = told.lock().unwrap().take() {
                            let _ = told.send(seen);
                        }
                    });
                    Ok::<HttpResponse, actix_web::Error>(response)
                }
            }),
        )
    })
    .workers(1)
    .disable_signals()
    .bind(("127.0.0.1", 0))
    .unwrap();
    let url = format!("ws://{}/path", server.addrs()[0]).parse().unwrap();
    actix_web::rt::spawn(server.run());
    url
}

#[actix_web::test]
async fn pings_and_texts_go_both_ways_and_a_goodbye_is_said() {
    let (tell, told) = oneshot::channel();
    let url = polite_server(3, tell);
    let limits = Limits { ping_interval: Duration::from_millis(10), ..Limits::default() };
    let mut connection = open_with(&url, limits).await.unwrap();
    assert_eq!(connection.next().await, Ok(text("alive")));
    for said in ["hello", "étage"] {
        assert_eq!(connection.send(said.to_owned()).await, Ok(()));
    }
    connection.close().await;
    let seen = told.await.unwrap();
    assert!(seen.pings >= 3, "{}", seen.pings);
    assert_eq!(seen.texts, ["hello", "étage"]);
    assert_eq!(seen.pong.as_deref(), Some(&b"from the server"[..]));
    assert_eq!(seen.close, Some(1001));
}

#[actix_web::test]
async fn a_reader_that_is_interrupted_loses_nothing() {
    let ((half, is_half), (go_on, wait)) = (oneshot::channel(), oneshot::channel::<()>());
    let ends = Rc::new(RefCell::new(Some((half, wait))));
    let peer = Peer::start(move |mut socket, received| {
        let ends = ends.borrow_mut().take();
        async move {
            let (half, wait) = ends.unwrap();
            open_web_socket(&mut socket, &received).await;
            let message = frame(TEXT, b"in two halves");
            socket.write_all(&frame(TEXT_TO_BE_CONTINUED, b"continued ")).await.unwrap();
            socket.write_all(&frame(LAST, b"message")[..4]).await.unwrap();
            half.send(()).unwrap();
            wait.await.unwrap();
            socket.write_all(&frame(LAST, b"message")[4..]).await.unwrap();
            socket.write_all(&message).await.unwrap();
            drain(&mut socket).await;
        }
    })
    .await;
    let mut connection = open(&peer).await;
    is_half.await.unwrap();
    // Each turn of the runtime may read what has come, and gives the reading up again.
    for _ in 0..100 {
        assert!(connection.next().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    go_on.send(()).unwrap();
    assert_eq!(connection.next().await, Ok(text("continued message")));
    assert_eq!(connection.next().await, Ok(text("in two halves")));
}

//! TLS is verified: a server that shows a certificate which nobody signed gets no token request, no push and no stream.

use crate::loopback::{Peer, read_request};
use crate::self_signed::self_signed;
use cuecard_cxone::http::{HttpClient, Request};
use cuecard_cxone::limits::Limits;
use cuecard_cxone::transport::{TransportError, TransportFailure};
use cuecard_cxone::websocket::{HandshakeError, TokenPlacement, connect};
use tokio::io::AsyncWriteExt;
use url::Url;

/// A server that would take anything, and keeps what it was sent. Its certificate is its own.
async fn unsigned() -> Peer {
    let (acceptor, _) = self_signed(&["127.0.0.1", "localhost"]);
    Peer::start(move |socket, received| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut socket) = acceptor.accept(socket).await else { return };
            if let Some(request) = read_request(&mut socket).await {
                received.lock().unwrap().push(request);
                let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
            }
        }
    })
    .await
}

fn assert_says_so(error: &TransportError, what: &str) {
    assert_eq!(error.failure, TransportFailure::Tls, "{what}: {error}");
    assert!(!error.failure.is_ambiguous(), "{what}: nothing was sent");
    let said = error.to_string();
    assert!(said.contains("certificate") && !said.contains("s3cret"), "{what}: {said}");
}

#[actix_web::test]
async fn a_server_whose_certificate_nobody_signed_is_refused() {
    let peer = unsigned().await;
    let client = HttpClient::new(Limits::default()).unwrap();
    for host in ["127.0.0.1", "localhost"] {
        let url: Url = format!("https://{host}:{}/path", peer.address.port()).parse().unwrap();
        let token = Request::form(url.clone(), "client_secret=s3cret".into());
        let push = Request::json(url.clone(), "{}").with_bearer("s3cret".into());
        let poll = Request::get(url.clone()).with_bearer("s3cret".into());
        for (what, request) in [("token", token), ("push", push), ("poll", poll)] {
            assert_says_so(&client.send(&request, None).await.unwrap_err(), what);
        }
        let url = format!("wss://{host}:{}/path", peer.address.port()).parse().unwrap();
        for placement in [TokenPlacement::Query, TokenPlacement::Header] {
            let refused = connect(&client, &url, &"s3cret".into(), placement).await.map(drop).unwrap_err();
            let HandshakeError::Transport(error) = refused else { panic!("stream: {refused:?}") };
            assert_says_so(&error, "stream");
        }
    }
    assert!(peer.num_connections() >= 10, "{}", peer.num_connections());
    assert!(peer.received().is_empty(), "{:?}", peer.received());
}

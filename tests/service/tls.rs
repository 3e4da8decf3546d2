//! A tenant behind TLS: its certificate must be one that this machine trusts.

#[path = "../../crates/cxone/tests/sockets/self_signed.rs"]
mod self_signed;

use std::net::SocketAddr;
use std::path::PathBuf;

use cuecard_simulator::{Route, RunningSimulator};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use self_signed::self_signed;

use crate::support::{Ended, Service, environment, run, simulator};

/// A server with a certificate of its own that hands everything on to a simulator.
struct Front {
    base_url: String,
    /// Holds the certificate, for whoever wants to trust it.
    certificate: PathBuf,
    _place: TempDir,
}

impl Front {
    async fn of(simulator: &RunningSimulator) -> Self {
        let (acceptor, pem) = self_signed(&["localhost"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(hand_on(listener, acceptor, simulator.address()));
        let place = TempDir::new().unwrap();
        let certificate = place.path().join("own.pem");
        std::fs::write(&certificate, pem).unwrap();
        Self { base_url: format!("https://localhost:{port}"), certificate, _place: place }
    }

    /// `cuecard check` of a tenant that is reached through this server.
    async fn check(&self, overrides: &[(&str, &str)]) -> Ended {
        let data = TempDir::new().unwrap();
        let variables = environment(&self.base_url, data.path(), overrides);
        let checking = tokio::task::spawn_blocking(move || {
            let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            run(&["check"], &variables)
        });
        checking.await.unwrap()
    }
}

async fn hand_on(listener: TcpListener, acceptor: TlsAcceptor, to: SocketAddr) {
    while let Ok((socket, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // Whoever does not trust the certificate goes away.
            let Ok(mut outside) = acceptor.accept(socket).await else { return };
            let mut inside = TcpStream::connect(to).await.unwrap();
            let _ = copy_bidirectional(&mut outside, &mut inside).await;
        });
    }
}

#[actix_rt::test]
async fn a_tenant_is_asked_nothing_before_its_certificate_is_trusted() {
    let simulator = simulator();
    let front = Front::of(&simulator).await;
    let ended = front.check(&[]).await;
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    for part in ["insights  --", &front.base_url, "certificate"] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    assert!(simulator.received().is_empty(), "{:#?}", simulator.received());
    let trusted = front.check(&[("SSL_CERT_FILE", front.certificate.to_str().unwrap())]).await;
    assert_eq!(trusted.code, Some(0), "{}{}", trusted.stdout, trusted.stderr);
    assert!(trusted.stdout.contains("insights  ok  token, stream"), "{}", trusted.stdout);
}

#[actix_rt::test]
async fn a_push_to_a_server_that_nobody_vouches_for_is_not_made() {
    let simulator = simulator();
    let front = Front::of(&simulator).await;
    // Tokens come from a server that is as it should be, pushes go to another.
    let token_url = format!("{}/api/v2/oauth/token", simulator.base_url());
    let overrides = [("CXONE_OAUTH_URL", token_url.as_str()), ("CXONE_BASE_URL", front.base_url.as_str())];
    let (service, caller) = Service::asked("ranking", &simulator, &overrides).await;
    let order = serde_json::json!({"snippets": [{"snippet_id": "KB-1", "relevance_score": 0.5}]});
    let answer = caller.post("/sessions/s-1/snippets/ranking", &order).await;
    assert_eq!((answer.status, answer.detail().as_str()), (503, "CXone can't be reached"));
    assert!(simulator.received_on(Route::Ranking).is_empty());
    service.stop().await;
}

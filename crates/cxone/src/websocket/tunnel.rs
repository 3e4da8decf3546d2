//! How a handshake reaches its peer: directly, or through the tunnel that a proxy opens.
//!
//! Input: the address of the peer. Output: a socket that leads there; awc speaks TLS over it where the address asks for
//! it. On failure an i/o error that says what the proxy did.

use std::future::poll_fn;
use std::io;

use actix_service::{Service, always_ready};
use actix_tls::connect::{ConnectError, ConnectInfo, Connection, Connector, ConnectorService, Resolver};
use awc::http::Uri;
use futures_util::future::LocalBoxFuture;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Intercept;
use tokio::net::TcpStream;
use tower_service::Service as _;
use url::Url;

use crate::http::Proxies;
use crate::transport::in_words;

/// awc's way to its peers.
#[derive(Clone)]
pub(super) struct Tunnels {
    proxies: Proxies,
    direct: ConnectorService,
}

impl Tunnels {
    pub(super) fn new(proxies: Proxies) -> Self {
        Self { proxies, direct: Connector::new(Resolver::default()).service() }
    }
}

impl Service<ConnectInfo<Uri>> for Tunnels {
    type Response = Connection<Uri, TcpStream>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, ConnectError>>;

    always_ready!();

    fn call(&self, peer: ConnectInfo<Uri>) -> Self::Future {
        let url = Url::parse(&peer.request().to_string()).ok();
        let Some(proxy) = url.and_then(|url| self.proxies.of(&url)) else { return Box::pin(self.direct.call(peer)) };
        Box::pin(async move {
            let socket = through(&proxy, peer.hostname(), peer.port()).await.map_err(ConnectError::Io)?;
            Ok(Connection::new(peer.request().clone(), socket))
        })
    }
}

async fn through(proxy: &Intercept, host: &str, port: u16) -> io::Result<TcpStream> {
    // TLS to the proxy, and inside it TLS to the peer, is more than awc can be given.
    if proxy.uri().scheme_str() != Some("http") {
        return Err(io::Error::other("a stream goes through a proxy only where its address begins with http://"));
    }
    let peer = format!("https://{host}:{port}/").parse().map_err(io::Error::other)?;
    let mut tunnel = Tunnel::new(proxy.uri().clone(), HttpConnector::new());
    if let Some(credentials) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(credentials.clone());
    }
    let opened = async {
        poll_fn(|context| tunnel.poll_ready(context)).await?;
        tunnel.call(peer).await
    };
    Ok(opened.await.map_err(|error| io::Error::other(in_words(&error)))?.into_inner())
}

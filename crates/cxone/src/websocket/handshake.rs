//! From an address to an open WebSocket.
//!
//! Input: the stream's URL and the token of the moment. Output: a [`WebSocketConnection`]. On failure a
//! [`HandshakeError`] that tells a dropped token from a missing scope and from a full hub. Where the token travels in
//! the URL, that URL is in no error and no log line.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use actix_codec::Framed;
use actix_http::StatusCode;
use actix_http::header::HeaderMap;
use actix_http::ws::Codec;
use actix_service::{Service, forward_ready};
use awc::error::{ConnectError, SendRequestError, WsClientError};
use awc::http::header::{DATE, HeaderName, LOCATION, RETRY_AFTER};
use awc::middleware::Transform;
use awc::{BoxedSocket, ConnectRequest, ConnectResponse};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::Url;

use super::WebSocketConnection;
use super::frames::{BoundedCodec, Joiner};
use super::heartbeat::Heartbeat;
use super::tunnel::Tunnels;
use crate::http::{HttpClient, Network, redirect};
use crate::limits::Limits;
use crate::retry_after::RetryAfter;
use crate::transport::{TransportError, TransportFailure};

/// Where a stream wants its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenPlacement {
    /// `?access_token=…`
    Query,
    /// `Authorization: Bearer …`
    Header,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// 401: the token is not valid any more.
    #[error("the stream refused the token")]
    Unauthorised,
    /// 403: the client lacks the stream's scope.
    #[error("the stream forbids the client")]
    Forbidden,
    /// 429, with the wait it asks for.
    #[error("the stream takes no more connections now")]
    TooManyRequests { retry_after: Option<RetryAfter> },
    /// A redirect that leaves the tenant, or a second one.
    #[error("the stream answered {status} and leads to {place}; set the profile's base_url to where the tenant is")]
    Redirected { status: u16, place: String },
    /// Any other status, with the wait that it asks for.
    #[error("the stream answered {status}; see that the profile's base_url and stream are those of the tenant")]
    Status { status: u16, retry_after: Option<RetryAfter> },
    #[error("the stream's answer is no WebSocket handshake: {0}; see that no proxy between serves plain HTTP only")]
    NotWebSocket(String),
    #[error(transparent)]
    Transport(TransportError),
}

/// Opens the stream at `url`, a `ws` or `wss` URL without a token, under the client's limits. A redirect to another place
/// of the same tenant is followed once. The connection stays on the thread that opened it.
pub async fn connect(
    client: &HttpClient,
    url: &Url,
    token: &SecretString,
    placement: TokenPlacement,
) -> Result<WebSocketConnection, HandshakeError> {
    let limits = client.limits();
    let Some(network) = client.network() else {
        let detail = "this client has no sockets";
        return Err(HandshakeError::Transport(TransportError::new(TransportFailure::Refused, detail)));
    };
    let patience = limits.connect_timeout + limits.handshake_timeout;
    let in_time = async |url: &Url| {
        let handshake = open(network, limits, url, token, placement);
        tokio::time::timeout(patience, handshake).await.unwrap_or_else(|_| {
            let detail = format_args!("no handshake in {patience:?}");
            let error = TransportError::new(TransportFailure::TimedOut, detail);
            Err(Failed { error: HandshakeError::Transport(error), next: None })
        })
    };
    let opened = match in_time(url).await {
        Err(Failed { next: Some(next), .. }) => in_time(&next).await,
        opened => opened,
    };
    let socket = opened.map_err(|failed| failed.error)?;
    Ok(WebSocketConnection {
        socket: socket.into_map_codec(|codec| BoundedCodec::new(codec, limits.message_limit_bytes)),
        heartbeat: Heartbeat::new(limits.ping_interval, limits.pong_timeout, Instant::now()),
        joiner: Joiner::new(limits.message_limit_bytes),
        message_limit_bytes: limits.message_limit_bytes,
        write_timeout: limits.pong_timeout,
        ended: None,
    })
}

/// A handshake that came to nothing, and where to try it once more.
struct Failed {
    error: HandshakeError,
    next: Option<Box<Url>>,
}

async fn open(
    network: &Network,
    limits: &Limits,
    url: &Url,
    token: &SecretString,
    placement: TokenPlacement,
) -> Result<Framed<BoxedSocket, Codec>, Failed> {
    // awc's client can't leave its thread, so each handshake has its own; what is dear in it, the TLS settings, is shared.
    let connector = awc::Connector::new()
        .connector(Tunnels::new(network.proxies.clone()))
        .rustls_0_23(Arc::clone(&network.tls))
        .timeout(limits.connect_timeout)
        .handshake_timeout(limits.connect_timeout);
    let client = awc::Client::builder().connector(connector).disable_timeout().disable_redirects();
    let client = client.wrap(KeepRefusals).finish();
    let request = match placement {
        TokenPlacement::Query => client.ws(with_token(url, token).as_str()),
        TokenPlacement::Header => client.ws(url.as_str()).bearer_auth(token.expose_secret()),
    };
    let request = request.header("Accept", "application/json").max_frame_size(limits.message_limit_bytes);
    match request.connect().await {
        Ok((_, socket)) => Ok(socket),
        Err(WsClientError::SendRequest(SendRequestError::Custom(inner, context))) => {
            Err(match inner.downcast::<Refusal>() {
                Ok(refusal) => refusal.failed(url, limits),
                Err(inner) => SendRequestError::Custom(inner, context).into(),
            })
        }
        Err(WsClientError::SendRequest(error)) => {
            let error = network.proxies.named_in(TransportError::of_handshake(&error), url);
            Err(HandshakeError::Transport(error).into())
        }
        Err(other) => Err(HandshakeError::NotWebSocket(other.to_string()).into()),
    }
}

/// A place that a redirect named may hold a token already.
fn with_token(url: &Url, token: &SecretString) -> Url {
    let kept: Vec<_> = url.query_pairs().filter(|(name, _)| name != "access_token").collect();
    let mut with_token = url.clone();
    with_token.query_pairs_mut().clear().extend_pairs(kept).append_pair("access_token", token.expose_secret());
    with_token
}

impl From<HandshakeError> for Failed {
    fn from(error: HandshakeError) -> Self {
        Self { error, next: None }
    }
}

impl From<SendRequestError> for Failed {
    fn from(error: SendRequestError) -> Self {
        HandshakeError::Transport(TransportError::of_handshake(&error)).into()
    }
}

/// An answer to a handshake that is no 101, with the headers that awc's own error leaves out.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    headers: HeaderMap,
}

impl Refusal {
    fn failed(&self, asked: &Url, limits: &Limits) -> Failed {
        let header = |name: HeaderName| self.headers.get(name)?.to_str().ok();
        let (status, location) = (self.status.as_u16(), header(LOCATION));
        let read = |asked| RetryAfter::read(asked, header(DATE), SystemTime::now(), limits.longest_hold);
        let retry_after = header(RETRY_AFTER).and_then(read);
        match status {
            401 => HandshakeError::Unauthorised.into(),
            403 => HandshakeError::Forbidden.into(),
            429 => HandshakeError::TooManyRequests { retry_after }.into(),
            _ if let Some(location) = location.filter(|_| redirect::is_redirect(status)) => Failed {
                error: HandshakeError::Redirected { status, place: redirect::place(asked, location) },
                next: redirect::target(asked, location).map(Box::new),
            },
            _ => HandshakeError::Status { status, retry_after }.into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the handshake was answered with {}", self.status.as_u16())
    }
}

impl std::error::Error for Refusal {}

/// Middleware of awc that waits for the answer behind interim ones, which awc takes for the answer itself, and turns a
/// refused handshake into a [`Refusal`].
struct KeepRefusals;

impl<S> Transform<S, ConnectRequest> for KeepRefusals
where
    S: Service<ConnectRequest, Response = ConnectResponse, Error = SendRequestError>,
    S::Future: 'static,
{
    type Transform = KeepRefusalsService<S>;

    fn new_transform(self, service: S) -> Self::Transform {
        KeepRefusalsService { service }
    }
}

struct KeepRefusalsService<S> {
    service: S,
}

impl<S> Service<ConnectRequest> for KeepRefusalsService<S>
where
    S: Service<ConnectRequest, Response = ConnectResponse, Error = SendRequestError>,
    S::Future: 'static,
{
    type Response = ConnectResponse;
    type Error = SendRequestError;
    type Future = LocalBoxFuture<'static, Result<ConnectResponse, SendRequestError>>;

    forward_ready!(service);

    fn call(&self, request: ConnectRequest) -> Self::Future {
        let answer = self.service.call(request);
        Box::pin(async move {
            let (mut head, mut socket) = match answer.await? {
                ConnectResponse::Tunnel(head, socket) => (head, socket),
                answer @ ConnectResponse::Client(_) => return Ok(answer),
            };
            while head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
                head = socket.next().await.ok_or(ConnectError::Disconnected)??;
            }
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(ConnectResponse::Tunnel(head, socket));
            }
            let refusal = Refusal { status: head.status, headers: head.headers().clone() };
            Err(SendRequestError::Custom(Box::new(refusal), Box::new("handshake")))
        })
    }
}

//! From an address to an open WebSocket.
//!
//! Input: the stream's URL and the token of the moment. Output: a [`WebSocketConnection`]. On failure a
//! [`HandshakeError`] that tells a dropped token from a missing scope and from a full hub. Where the token travels in
//! the URL, that URL is in no error and no log line.

use std::fmt;
use std::time::{Duration, SystemTime};

use actix_http::StatusCode;
use actix_service::{Service, forward_ready};
use awc::error::{SendRequestError, WsClientError};
use awc::http::header::RETRY_AFTER;
use awc::middleware::Transform;
use awc::{ConnectRequest, ConnectResponse};
use futures_util::future::LocalBoxFuture;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::Url;

use super::WebSocketConnection;
use super::bounded_codec::BoundedCodec;
use super::heartbeat::Heartbeat;
use super::joining::Joiner;
use crate::http::HttpClient;
use crate::retry_after;
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
    TooManyRequests { retry_after: Option<Duration> },
    #[error("the stream answered {0}; see that the profile's base_url and stream are those of the tenant")]
    Status(u16),
    #[error("the stream's answer is no WebSocket handshake: {0}; see that no proxy between serves plain HTTP only")]
    NotWebSocket(String),
    #[error(transparent)]
    Transport(TransportError),
}

impl HandshakeError {
    pub const LABELS: [&'static str; 6] =
        ["unauthorised", "forbidden", "too_many_requests", "status", "not_web_socket", "transport"];

    pub const fn label(&self) -> &'static str {
        match self {
            Self::Unauthorised => "unauthorised",
            Self::Forbidden => "forbidden",
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::Status(_) => "status",
            Self::NotWebSocket(_) => "not_web_socket",
            Self::Transport(_) => "transport",
        }
    }
}

/// Opens the stream at `url`, a `ws` or `wss` URL without a token, under the client's limits.
pub async fn connect(
    client: &HttpClient,
    url: &Url,
    token: &SecretString,
    placement: TokenPlacement,
) -> Result<WebSocketConnection, HandshakeError> {
    let limits = client.limits();
    let request = request(client, url, token, placement).max_frame_size(limits.message_limit_bytes);
    let patience = limits.connect_timeout + limits.handshake_timeout;
    let (_, socket) = tokio::time::timeout(patience, request.connect()).await.map_err(|_| {
        let detail = format_args!("no handshake in {patience:?}");
        HandshakeError::Transport(TransportError::new(TransportFailure::TimedOut, detail))
    })??;
    Ok(WebSocketConnection {
        socket: socket.into_map_codec(|codec| BoundedCodec::new(codec, limits.message_limit_bytes)),
        heartbeat: Heartbeat::new(limits.ping_interval, limits.pong_timeout, Instant::now()),
        joiner: Joiner::new(limits.message_limit_bytes),
        message_limit_bytes: limits.message_limit_bytes,
        write_timeout: limits.pong_timeout,
        ended: None,
    })
}

fn request(
    client: &HttpClient,
    url: &Url,
    token: &SecretString,
    placement: TokenPlacement,
) -> awc::ws::WebsocketsRequest {
    match placement {
        TokenPlacement::Query => {
            let mut url = url.clone();
            url.query_pairs_mut().append_pair("access_token", token.expose_secret());
            client.awc().ws(url.as_str())
        }
        TokenPlacement::Header => client.awc().ws(url.as_str()).bearer_auth(token.expose_secret()),
    }
    .header("Accept", "application/json")
}

impl From<WsClientError> for HandshakeError {
    fn from(error: WsClientError) -> Self {
        match error {
            WsClientError::SendRequest(SendRequestError::Custom(inner, context)) => match inner.downcast::<Refusal>() {
                Ok(refusal) => refusal.into_error(),
                Err(inner) => Self::from_sending(&SendRequestError::Custom(inner, context)),
            },
            WsClientError::SendRequest(error) => Self::from_sending(&error),
            WsClientError::InvalidResponseStatus(status) => Self::Status(status.as_u16()),
            other => Self::NotWebSocket(other.to_string()),
        }
    }
}

impl HandshakeError {
    /// A handshake may always be repeated; "sent" only keeps a peer that hangs up apart from one that is not there.
    fn from_sending(error: &SendRequestError) -> Self {
        Self::Transport(TransportError::from_sending(error, true))
    }
}

/// An answer to a handshake that is no 101, with the header that awc's own error leaves out.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    retry_after: Option<String>,
}

impl Refusal {
    fn into_error(self) -> HandshakeError {
        match self.status {
            StatusCode::UNAUTHORIZED => HandshakeError::Unauthorised,
            StatusCode::FORBIDDEN => HandshakeError::Forbidden,
            StatusCode::TOO_MANY_REQUESTS => HandshakeError::TooManyRequests {
                retry_after: self.retry_after.and_then(|header| retry_after::parse(&header, SystemTime::now())),
            },
            status => HandshakeError::Status(status.as_u16()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the handshake was answered with {}", self.status.as_u16())
    }
}

impl std::error::Error for Refusal {}

/// Middleware of awc that turns a refused handshake into a [`Refusal`]; other calls pass through.
pub(crate) struct KeepRefusals;

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

pub(crate) struct KeepRefusalsService<S> {
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
            match answer.await? {
                ConnectResponse::Tunnel(head, _) if head.status != StatusCode::SWITCHING_PROTOCOLS => {
                    let header = head.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                    let refusal = Refusal { status: head.status, retry_after: header.map(str::to_owned) };
                    Err(SendRequestError::Custom(Box::new(refusal), Box::new("handshake")))
                }
                answer => Ok(answer),
            }
        })
    }
}

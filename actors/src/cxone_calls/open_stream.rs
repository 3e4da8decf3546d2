//! Opens the tenant's stream with the token that is valid now.

use cuecard_cxone::StreamKind;
use cuecard_cxone::answers::CallOutcome;
use cuecard_cxone::http::HttpClient;
use cuecard_cxone::websocket::{self, ClosedReason, Frame, HandshakeError, TokenPlacement, WebSocketConnection};
use secrecy::SecretString;
use tokio::time::Instant;
use url::Url;

use super::CxoneCalls;
use crate::messages::TokenError;
use crate::telemetry::{CxoneAnswered, Endpoint};

/// Makes sockets: the profile's client does; in tests a script of peers.
pub trait Sockets: 'static {
    /// What it makes.
    type Socket: Socket;
    /// One handshake with this token.
    fn connect(
        &self,
        url: &Url,
        token: &SecretString,
        placement: TokenPlacement,
    ) -> impl Future<Output = Result<Self::Socket, HandshakeError>>;
}

/// A socket over which frames come, one by one.
pub trait Socket: 'static {
    /// The next frame, or why there is none any more. Nothing is lost where the future is dropped before.
    fn next(&mut self) -> impl Future<Output = Result<Frame, ClosedReason>>;
    /// Sends a text.
    fn send(&mut self, text: String) -> impl Future<Output = Result<(), ClosedReason>>;
    /// Says goodbye.
    fn close(self) -> impl Future<Output = ()>;
}

impl Sockets for HttpClient {
    type Socket = WebSocketConnection;

    async fn connect(
        &self,
        url: &Url,
        token: &SecretString,
        placement: TokenPlacement,
    ) -> Result<WebSocketConnection, HandshakeError> {
        websocket::connect(self, url, token, placement).await
    }
}

impl Socket for WebSocketConnection {
    async fn next(&mut self) -> Result<Frame, ClosedReason> {
        Self::next(self).await
    }

    async fn send(&mut self, text: String) -> Result<(), ClosedReason> {
        Self::send(self, text).await
    }

    async fn close(self) {
        Self::close(self).await;
    }
}

/// Why no connection came about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectFailure {
    /// There is no token to connect with.
    #[error(transparent)]
    NoToken(TokenError),
    /// The profile listens to none.
    #[error("the profile has no stream; name one with its setting `stream`")]
    NoStream,
    /// The stream would not have us.
    #[error(transparent)]
    Handshake(HandshakeError),
}

impl ConnectFailure {
    /// In words for an operator, with the scope that a client which is refused lacks.
    pub fn in_words(&self, stream: StreamKind) -> String {
        match self {
            Self::Handshake(error @ (HandshakeError::Unauthorised | HandshakeError::Forbidden)) => {
                format!("{error}; the client needs the scope {}", stream.scope())
            }
            other => other.to_string(),
        }
    }
}

impl CxoneCalls {
    /// Opens the stream; a token that it refuses is dropped, and a fresh one tried at once.
    pub async fn open_stream<S: Sockets>(&self, sockets: &S, stream: StreamKind) -> Result<S::Socket, ConnectFailure> {
        match self.open_once(sockets, stream).await {
            Err(ConnectFailure::Handshake(HandshakeError::Unauthorised)) => self.open_once(sockets, stream).await,
            other => other,
        }
    }

    async fn open_once<S: Sockets>(&self, sockets: &S, stream: StreamKind) -> Result<S::Socket, ConnectFailure> {
        let token = self.token().await.map_err(ConnectFailure::NoToken)?;
        let url = self.deps.connection.stream_url().ok_or(ConnectFailure::NoStream)?;
        let asked = Instant::now();
        let opened = sockets.connect(url, token.secret(), stream.token_placement()).await;
        let (outcome, detail) = match &opened {
            // What 2xx is elsewhere is 101 here.
            Ok(_) => (CallOutcome::Answered(200), String::new()),
            Err(error) => (outcome(error), error.to_string()),
        };
        let (profile, endpoint) = (self.profile(), Endpoint::Stream);
        CxoneAnswered { profile, endpoint, outcome, detail: &detail, took: asked.elapsed() }.emit(&self.deps.metrics);
        opened.map_err(|error| {
            match &error {
                HandshakeError::Unauthorised => self.invalidate(token),
                HandshakeError::TooManyRequests { retry_after: Some(asked) } => {
                    self.told_to_wait(Endpoint::Stream, asked);
                }
                _ => {}
            }
            ConnectFailure::Handshake(error)
        })
    }
}

fn outcome(error: &HandshakeError) -> CallOutcome {
    match error {
        HandshakeError::Unauthorised => CallOutcome::Answered(401),
        HandshakeError::Forbidden => CallOutcome::Answered(403),
        HandshakeError::TooManyRequests { .. } => CallOutcome::Answered(429),
        HandshakeError::Status { status, .. } | HandshakeError::Redirected { status, .. } => {
            CallOutcome::Answered(*status)
        }
        HandshakeError::NotWebSocket(_) => CallOutcome::Unusable,
        HandshakeError::Transport(error) => CallOutcome::from(error),
    }
}

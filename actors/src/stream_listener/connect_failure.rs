//! Why a stream can't be opened.

use cuecard_cxone::websocket::HandshakeError;

use crate::messages::TokenError;

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

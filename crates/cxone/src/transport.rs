//! How a call can fail without an answer.
//!
//! Input: awc's error, and whether the request had begun to go out. Output: a [`TransportError`] of a closed set. The
//! line that matters is drawn here: after a failure that [`TransportFailure::is_ambiguous`] the peer may have acted.
//! No text holds a URL, which may carry a token.

use std::fmt;
use std::io;

use awc::error::{ConnectError, PayloadError, SendRequestError};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportFailure {
    /// No connection came about, so nothing was sent.
    Refused,
    /// The peer's certificate or its TLS is not acceptable; nothing was sent.
    Tls,
    /// The connection ended before the answer did.
    Cut,
    /// The request went out, the whole answer did not come in time.
    TimedOut,
    /// What came back is no HTTP.
    Garbled,
    /// The peer answered with this status and a body over the limit.
    BodyTooLarge { status: u16 },
    /// The request itself can't be written, whoever receives it.
    NotSendable,
}

impl TransportFailure {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Tls => "tls",
            Self::Cut => "cut",
            Self::TimedOut => "timed_out",
            Self::Garbled => "garbled",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::NotSendable => "not_sendable",
        }
    }

    /// The peer may have done what was asked, unknown to us.
    pub const fn is_ambiguous(self) -> bool {
        matches!(self, Self::Cut | Self::TimedOut | Self::Garbled)
    }
}

impl fmt::Display for TransportFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => formatter.write_str("no connection"),
            Self::Tls => formatter.write_str("no trusted tls connection"),
            Self::Cut => formatter.write_str("the connection was cut before the whole answer"),
            Self::TimedOut => formatter.write_str("no whole answer in time"),
            Self::Garbled => formatter.write_str("the answer is no http"),
            Self::BodyTooLarge { status } => write!(formatter, "the body of the {status} answer is too large"),
            Self::NotSendable => formatter.write_str("the request can't be sent"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failure}: {detail}")]
pub struct TransportError {
    pub failure: TransportFailure,
    pub detail: String,
}

impl TransportError {
    pub(crate) fn new(failure: TransportFailure, detail: impl fmt::Display) -> Self {
        Self { failure, detail: detail.to_string() }
    }

    /// `sent` says that bytes of the request may have left.
    pub(crate) fn from_sending(error: &SendRequestError, sent: bool) -> Self {
        let failure = match error {
            SendRequestError::Connect(ConnectError::Io(error)) if is_tls(error) => TransportFailure::Tls,
            // awc says so too when the peer closes instead of answering.
            SendRequestError::Connect(ConnectError::Disconnected) | SendRequestError::Send(_) if sent => {
                TransportFailure::Cut
            }
            SendRequestError::Connect(_) | SendRequestError::Send(_) => TransportFailure::Refused,
            SendRequestError::Timeout => TransportFailure::TimedOut,
            SendRequestError::Url(_) | SendRequestError::Http(_) | SendRequestError::Body(_) => {
                TransportFailure::NotSendable
            }
            SendRequestError::Response(actix_http::error::ParseError::Io(_)) => TransportFailure::Cut,
            _ => TransportFailure::Garbled,
        };
        Self::new(failure, error)
    }

    pub(crate) fn from_reading(error: &PayloadError) -> Self {
        Self::new(TransportFailure::Cut, error)
    }
}

fn is_tls(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(inner) if inner.is::<rustls::Error>())
}

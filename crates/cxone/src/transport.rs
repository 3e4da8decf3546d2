//! How a call can fail without an answer.
//!
//! Input: the client's error, and whether the request had begun to go out. Output: a [`TransportError`] of a closed set.
//! The line that matters is drawn here: after a failure that [`TransportFailure::is_ambiguous`] the peer may have acted.
//! No text holds a URL, which may carry a token.

use std::error::Error;
use std::fmt;
use std::io;

use awc::error::{ConnectError, SendRequestError};

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
    pub(crate) fn of_call(error: reqwest::Error, sent: bool) -> Self {
        let error = error.without_url();
        let is = |what: fn(&(dyn Error + 'static)) -> bool| causes(&error).any(what);
        let unsent = !sent || error.is_connect();
        let failure = if error.is_builder() {
            TransportFailure::NotSendable
        } else if unsent && is(is_tls) {
            TransportFailure::Tls
        } else if unsent {
            TransportFailure::Refused
        } else if is(is_garbled) {
            TransportFailure::Garbled
        } else {
            TransportFailure::Cut
        };
        // The first words only say that a request failed.
        Self::new(failure, error.source().map_or_else(|| error.to_string(), in_words))
    }

    /// A handshake may always be repeated: a peer that hangs up is only kept apart from one that is not there.
    pub(crate) fn of_handshake(error: &SendRequestError) -> Self {
        let failure = match error {
            SendRequestError::Connect(ConnectError::Io(error)) if is_tls(error) => TransportFailure::Tls,
            // awc says so too when the peer closes instead of answering.
            SendRequestError::Connect(ConnectError::Disconnected)
            | SendRequestError::Send(_)
            | SendRequestError::Response(actix_http::error::ParseError::Io(_)) => TransportFailure::Cut,
            SendRequestError::Connect(_) => TransportFailure::Refused,
            SendRequestError::Timeout => TransportFailure::TimedOut,
            SendRequestError::Url(_) | SendRequestError::Http(_) | SendRequestError::Body(_) => {
                TransportFailure::NotSendable
            }
            _ => TransportFailure::Garbled,
        };
        Self::new(failure, error)
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// An error and what led to it.
pub(crate) fn in_words(error: &(dyn Error + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// An i/o error that wraps another does not give it as its source.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || inner.is_some_and(|inner| is_tls(inner))
}

/// No HTTP, or compressed in a way that is none.
fn is_garbled(error: &(dyn Error + 'static)) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
        || matches!(kind, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput))
}

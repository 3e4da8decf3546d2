//! What comes back: any complete answer, whatever its status.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use awc::ClientResponse;
use awc::http::header::{CONTENT_LENGTH, HeaderName, LAST_MODIFIED, RETRY_AFTER};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::de::IgnoredAny;
use tokio::time::timeout;

use crate::transport::{TransportError, TransportFailure};

/// Any complete answer.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The header as it came.
    pub retry_after: Option<String>,
    /// The header as it came, to be sent back as `If-Modified-Since`.
    pub last_modified: Option<String>,
    pub body: Bytes,
}

impl Answer {
    /// Reads the body, at most `limit_bytes` of it, giving up after `idle` without a byte.
    pub(super) async fn read(
        response: ClientResponse,
        limit_bytes: usize,
        idle: Option<Duration>,
    ) -> Result<Self, TransportError> {
        let header = |name: HeaderName| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let (retry_after, last_modified) = (header(RETRY_AFTER), header(LAST_MODIFIED));
        let announced = header(CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let status = response.status().as_u16();
        let body = Body { status, announced, limit_bytes, idle }.read(response).await?;
        Ok(Self { status, retry_after, last_modified, body })
    }
}

struct Body {
    status: u16,
    announced: Option<usize>,
    limit_bytes: usize,
    idle: Option<Duration>,
}

impl Body {
    async fn read(&self, response: ClientResponse) -> Result<Bytes, TransportError> {
        // awc would wait for the length that a 304 may announce of the body it leaves out.
        if matches!(self.status, 204 | 304) {
            return Ok(Bytes::new());
        }
        self.check(self.announced.unwrap_or(0))?;
        let mut body = BytesMut::new();
        let mut chunks = pin!(response);
        while let Some(chunk) = self.in_time(chunks.next()).await? {
            let chunk = chunk.map_err(|error| TransportError::from_reading(&error))?;
            self.check(body.len() + chunk.len())?;
            body.extend_from_slice(&chunk);
        }
        if self.is_cut(&body) {
            let came = body.len();
            return Err(TransportError::new(TransportFailure::Cut, format_args!("the body ended after {came} bytes")));
        }
        Ok(body.freeze())
    }

    /// awc ends a body quietly when the connection ends. Where no length says how much was to come, as in a chunked
    /// answer, JSON says it: it never ends in the middle of a value.
    fn is_cut(&self, body: &[u8]) -> bool {
        match self.announced {
            Some(bytes) => bytes != body.len(),
            None => !body.is_empty() && serde_json::from_slice::<IgnoredAny>(body).is_err_and(|error| error.is_eof()),
        }
    }

    fn check(&self, bytes: usize) -> Result<(), TransportError> {
        if bytes <= self.limit_bytes {
            return Ok(());
        }
        let failure = TransportFailure::BodyTooLarge { status: self.status };
        Err(TransportError::new(failure, format_args!("more than {} bytes", self.limit_bytes)))
    }

    async fn in_time<T>(&self, chunk: impl Future<Output = T>) -> Result<T, TransportError> {
        let Some(idle) = self.idle else {
            return Ok(chunk.await);
        };
        let silent = |_| TransportError::new(TransportFailure::TimedOut, format_args!("no byte for {idle:?}"));
        timeout(idle, chunk).await.map_err(silent)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Answer")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("last_modified", &self.last_modified)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

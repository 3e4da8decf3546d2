//! What comes back: any complete answer, whatever its status.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::{
    CONTENT_TYPE, DATE, HeaderMap, HeaderName, LAST_MODIFIED, LOCATION, RETRY_AFTER, TRANSFER_ENCODING,
};
use tokio::time::timeout;
use url::Url;

use super::redirect;
use crate::retry_after::RetryAfter;
use crate::transport::{TransportError, TransportFailure};

/// Any complete answer.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// How long the server asks to wait.
    pub retry_after: Option<RetryAfter>,
    /// The header as it came, to be sent back as `If-Modified-Since`.
    pub last_modified: Option<String>,
    /// Where a redirect leads, for people: without a query, which may carry a token.
    pub location: Option<String>,
    /// A page to look at, as a login or a proxy shows one; no endpoint of CXone answers so.
    pub is_page: bool,
    pub body: Bytes,
}

impl Answer {
    /// The answer with these headers and this body, for tests.
    #[cfg(feature = "testing")]
    pub fn scripted(status: u16, headers: &[(&'static str, &'static str)], body: impl Into<Bytes>) -> Self {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), reqwest::header::HeaderValue::from_static(value))
        };
        let asked = Url::parse("https://tenant.example/").expect("a URL");
        let longest_hold = crate::Limits::default().longest_hold;
        Self::of_head(status, &headers.iter().map(header).collect(), &asked, longest_hold).with(body.into())
    }

    fn of_head(status: u16, headers: &HeaderMap, asked: &Url, longest_hold: Duration) -> Self {
        let header = |name: HeaderName| headers.get(name)?.to_str().ok();
        let retry_after = header(RETRY_AFTER)
            .and_then(|asked| RetryAfter::read(asked, header(DATE), SystemTime::now(), longest_hold));
        let location = header(LOCATION).filter(|_| redirect::is_redirect(status));
        let location = location.map(|location| redirect::place(asked, location));
        let content_type = header(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        let is_page = ["text/html", "application/xhtml"].iter().any(|page| content_type.starts_with(page));
        let last_modified = header(LAST_MODIFIED).map(str::to_owned);
        Self { status, retry_after, last_modified, location, is_page, body: Bytes::new() }
    }

    /// An empty page is none: some servers call nothing at all by this type.
    fn with(self, body: Bytes) -> Self {
        Self { is_page: self.is_page && !body.is_empty(), body, ..self }
    }

    /// Reads the body, at most `limit_bytes` of it, giving up after `idle` without a byte.
    pub(super) async fn read(
        mut response: Response,
        longest_hold: Duration,
        limit_bytes: usize,
        idle: Option<Duration>,
    ) -> Result<Self, TransportError> {
        let (status, headers) = (response.status().as_u16(), response.headers());
        let answer = Self::of_head(status, headers, response.url(), longest_hold);
        let announced = response.content_length();
        // Neither a length nor chunks: the body ends where the connection does, and nobody sees that it was cut.
        let has_open_end = announced.is_none() && !response.headers().contains_key(TRANSFER_ENCODING);
        let limit = Limit { status: answer.status, bytes: limit_bytes };
        let announced = announced.map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        limit.check(announced)?;
        let mut body = BytesMut::with_capacity(announced);
        while let Some(chunk) = in_time(idle, response.chunk()).await? {
            limit.check(body.len() + chunk.len())?;
            body.extend_from_slice(&chunk);
        }
        if has_open_end && is_half(&body) {
            let came = body.len();
            return Err(TransportError::new(TransportFailure::Cut, format_args!("the body ended after {came} bytes")));
        }
        Ok(answer.with(body.freeze()))
    }
}

struct Limit {
    status: u16,
    bytes: usize,
}

impl Limit {
    fn check(&self, bytes: usize) -> Result<(), TransportError> {
        if bytes <= self.bytes {
            return Ok(());
        }
        let failure = TransportFailure::BodyTooLarge { status: self.status };
        Err(TransportError::new(failure, format_args!("more than {} bytes", self.bytes)))
    }
}

async fn in_time<T>(
    idle: Option<Duration>,
    chunk: impl Future<Output = Result<T, reqwest::Error>>,
) -> Result<T, TransportError> {
    let read = match idle {
        None => chunk.await,
        Some(idle) => timeout(idle, chunk)
            .await
            .map_err(|_| TransportError::new(TransportFailure::TimedOut, format_args!("no byte for {idle:?}")))?,
    };
    read.map_err(|error| TransportError::of_call(error, true))
}

/// JSON that begins with a bracket ends with one.
fn is_half(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    matches!(body.first(), Some(b'{' | b'[')) && !matches!(body.last(), Some(b'}' | b']'))
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Answer")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("last_modified", &self.last_modified)
            .field("location", &self.location)
            .field("is_page", &self.is_page)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

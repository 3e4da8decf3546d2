//! One kept-alive HTTP client for a tenant's calls.
//!
//! Input: a [`Request`]. Output: status, `Retry-After` and body of the answer, whatever the status. On failure a
//! [`TransportError`] that says whether the request may have been read. Redirects are not followed: they would carry
//! the token elsewhere. The client belongs to the thread that made it; clones share its connections.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::Method;
use actix_http::body::{BodySize, MessageBody};
use awc::http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use awc::{ClientRequest, ClientResponse};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::limits::Limits;
pub use crate::tls::TlsError;
use crate::transport::{TransportError, TransportFailure};
use crate::websocket::KeepRefusals;

/// A connection is closed at this age even when it is in use all the time, so that a tenant's new addresses are found.
const CONNECTION_LIFETIME: Duration = Duration::from_mins(10);

#[derive(Clone)]
pub struct HttpClient {
    client: awc::Client,
    limits: Limits,
}

/// One attempt of a call; the same request may be sent again.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub body: Body,
    pub bearer: Option<SecretString>,
    /// The same on every attempt of one call.
    pub idempotency_key: Option<String>,
}

#[derive(Clone)]
pub enum Body {
    Json(Bytes),
    /// `application/x-www-form-urlencoded`; a token request holds a secret.
    Form(SecretString),
}

/// Any complete answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The header as it came.
    pub retry_after: Option<String>,
    pub body: Bytes,
}

impl Request {
    pub fn json(method: Method, url: Url, body: impl Into<Bytes>) -> Self {
        Self { method, url, body: Body::Json(body.into()), bearer: None, idempotency_key: None }
    }

    pub fn form(url: Url, body: SecretString) -> Self {
        Self { method: Method::POST, url, body: Body::Form(body), bearer: None, idempotency_key: None }
    }

    #[must_use]
    pub fn with_bearer(self, token: SecretString) -> Self {
        Self { bearer: Some(token), ..self }
    }

    #[must_use]
    pub fn with_idempotency_key(self, key: impl Into<String>) -> Self {
        Self { idempotency_key: Some(key.into()), ..self }
    }
}

impl HttpClient {
    /// Fails when the machine's certificate store is broken, even if only plain `http` is meant to be used.
    pub fn new(limits: Limits) -> Result<Self, TlsError> {
        let connector = |config| {
            awc::Connector::new()
                .rustls_0_23(config)
                .timeout(limits.connect_timeout)
                .handshake_timeout(limits.connect_timeout)
                .conn_keep_alive(limits.keep_alive)
                .conn_lifetime(CONNECTION_LIFETIME)
                // The callers bound what is in flight; a pool that queues would hide it from them.
                .limit(0)
        };
        let config = crate::tls::client_config()?;
        let client = awc::Client::builder()
            .connector(connector(config))
            .disable_timeout()
            .disable_redirects()
            .wrap(KeepRefusals)
            .finish();
        Ok(Self { client, limits })
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn awc(&self) -> &awc::Client {
        &self.client
    }

    /// One attempt, within the limits' `attempt_timeout` or `time_left`, whichever is shorter.
    pub async fn send(&self, request: &Request, time_left: Option<Duration>) -> Result<Answer, TransportError> {
        let timeout = time_left.unwrap_or(Duration::MAX).min(self.limits.attempt_timeout);
        // awc never asks for an empty body, so it can't tell when that went out.
        let sent = Rc::new(Cell::new(request.body.is_empty()));
        match tokio::time::timeout(timeout, self.exchange(request, &sent)).await {
            Ok(answer) => answer,
            Err(_) if sent.get() => {
                Err(TransportError::new(TransportFailure::TimedOut, format_args!("gave up after {timeout:?}")))
            }
            Err(_) => {
                Err(TransportError::new(TransportFailure::Refused, format_args!("not connected after {timeout:?}")))
            }
        }
    }

    async fn exchange(&self, request: &Request, sent: &Rc<Cell<bool>>) -> Result<Answer, TransportError> {
        let (content_type, bytes) = request.body.parts();
        let body = WatchedBody { bytes, is_done: false, sent: Rc::clone(sent) };
        let response = self
            .head(request, content_type)
            .send_body(body)
            .await
            .map_err(|error| TransportError::from_sending(&error, sent.get()))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = read_body(response, self.limits.body_limit_bytes).await?;
        Ok(Answer { status, retry_after, body })
    }

    fn head(&self, request: &Request, content_type: &'static str) -> ClientRequest {
        let mut head = self
            .client
            .request(request.method.clone(), request.url.as_str())
            .insert_header((ACCEPT, "application/json"))
            .insert_header((CONTENT_TYPE, content_type));
        if let Some(token) = &request.bearer {
            head = head.insert_header((AUTHORIZATION, format!("Bearer {}", token.expose_secret())));
        }
        if let Some(key) = &request.idempotency_key {
            head = head.insert_header(("Idempotency-Key", key.as_str()));
        }
        head
    }
}

async fn read_body(response: ClientResponse, limit_bytes: usize) -> Result<Bytes, TransportError> {
    let status = response.status().as_u16();
    let too_large = || {
        TransportError::new(TransportFailure::BodyTooLarge { status }, format_args!("more than {limit_bytes} bytes"))
    };
    let announced = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > limit_bytes) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    let mut chunks = pin!(response);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| TransportError::from_reading(&error))?;
        if body.len() + chunk.len() > limit_bytes {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    // awc ends a body quietly when the connection ends.
    match announced {
        Some(bytes) if bytes != body.len() && !body_is_absent(status) => {
            Err(TransportError::new(TransportFailure::Cut, format_args!("{} of {bytes} bytes came", body.len())))
        }
        _ => Ok(body.freeze()),
    }
}

/// These carry no body, whatever length they announce.
fn body_is_absent(status: u16) -> bool {
    matches!(status, 204 | 304)
}

impl Body {
    fn is_empty(&self) -> bool {
        match self {
            Self::Json(bytes) => bytes.is_empty(),
            Self::Form(form) => form.expose_secret().is_empty(),
        }
    }

    fn parts(&self) -> (&'static str, Bytes) {
        match self {
            Self::Json(bytes) => ("application/json", bytes.clone()),
            Self::Form(form) => {
                ("application/x-www-form-urlencoded", Bytes::copy_from_slice(form.expose_secret().as_bytes()))
            }
        }
    }
}

/// A body that notes when it is asked for, which awc does once the connection stands and before anything is written.
struct WatchedBody {
    bytes: Bytes,
    is_done: bool,
    sent: Rc<Cell<bool>>,
}

impl MessageBody for WatchedBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.sent.set(true);
        if self.is_done {
            return Poll::Ready(None);
        }
        self.is_done = true;
        Poll::Ready(Some(Ok(self.bytes.clone())))
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HttpClient").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.url.path())
            .field("idempotency_key", &self.idempotency_key)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Answer")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

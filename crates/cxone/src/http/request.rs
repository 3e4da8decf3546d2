//! What goes out: one attempt of a call.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::Method;
use actix_http::body::{BodySize, MessageBody};
use awc::ClientRequest;
use awc::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// One attempt of a call; the same request may be sent again.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub body: Body,
    pub bearer: Option<SecretString>,
    /// The same on every attempt of one call.
    pub idempotency_key: Option<String>,
    /// What this call carries beside the headers that every call has.
    pub headers: Vec<(&'static str, String)>,
}

#[derive(Clone)]
pub enum Body {
    /// A call that only asks.
    None,
    Json(Bytes),
    /// `application/x-www-form-urlencoded`; a token request holds a secret.
    Form(SecretString),
}

impl Request {
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url, Body::None)
    }

    /// Everything that is sent to CXone is posted.
    pub fn json(url: Url, body: impl Into<Bytes>) -> Self {
        Self::new(Method::POST, url, Body::Json(body.into()))
    }

    pub fn form(url: Url, body: SecretString) -> Self {
        Self::new(Method::POST, url, Body::Form(body))
    }

    fn new(method: Method, url: Url, body: Body) -> Self {
        Self { method, url, body, bearer: None, idempotency_key: None, headers: Vec::new() }
    }

    #[must_use]
    pub fn with_bearer(self, token: SecretString) -> Self {
        Self { bearer: Some(token), ..self }
    }

    #[must_use]
    pub fn with_idempotency_key(self, key: impl Into<String>) -> Self {
        Self { idempotency_key: Some(key.into()), ..self }
    }

    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Answered with a 304 if nothing has changed since; `last_modified` is the header of an earlier answer, as it came.
    #[must_use]
    pub fn with_if_modified_since(self, last_modified: impl Into<String>) -> Self {
        self.with_header("If-Modified-Since", last_modified)
    }

    /// The head of the request, under awc's client.
    pub(super) fn head(&self, client: &awc::Client) -> ClientRequest {
        let mut head =
            client.request(self.method.clone(), self.url.as_str()).insert_header((ACCEPT, "application/json"));
        if let Some(content_type) = self.body.content_type() {
            head = head.insert_header((CONTENT_TYPE, content_type));
        }
        if let Some(token) = &self.bearer {
            head = head.insert_header((AUTHORIZATION, format!("Bearer {}", token.expose_secret())));
        }
        if let Some(key) = &self.idempotency_key {
            head = head.insert_header(("Idempotency-Key", key.as_str()));
        }
        self.headers.iter().fold(head, |head, (name, value)| head.insert_header((*name, value.as_str())))
    }
}

impl Body {
    fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Json(_) => Some("application/json"),
            Self::Form(_) => Some("application/x-www-form-urlencoded"),
        }
    }

    fn size(&self, bytes: &Bytes) -> BodySize {
        match self {
            Self::None => BodySize::None,
            Self::Json(_) | Self::Form(_) => BodySize::Sized(bytes.len() as u64),
        }
    }

    fn bytes(&self) -> Bytes {
        match self {
            Self::None => Bytes::new(),
            Self::Json(bytes) => bytes.clone(),
            Self::Form(form) => Bytes::copy_from_slice(form.expose_secret().as_bytes()),
        }
    }
}

/// A body that notes when it is asked for, which awc does once the connection stands and before anything is written.
pub(super) struct WatchedBody {
    bytes: Bytes,
    size: BodySize,
    is_done: bool,
    sent: Rc<Cell<bool>>,
}

impl WatchedBody {
    /// `sent` turns true once bytes of the request may have left. An empty body is never asked for, so with one it is
    /// true from the start.
    pub(super) fn new(body: &Body, sent: &Rc<Cell<bool>>) -> Self {
        let bytes = body.bytes();
        sent.set(bytes.is_empty());
        Self { size: body.size(&bytes), bytes, is_done: false, sent: Rc::clone(sent) }
    }
}

impl MessageBody for WatchedBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        self.size
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

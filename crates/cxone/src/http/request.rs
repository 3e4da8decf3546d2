//! What goes out: one attempt of a call.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// One attempt of a call; the same request may be sent again.
#[derive(Clone)]
pub struct Request {
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
    /// Everything that is sent to CXone is posted.
    Json(Bytes),
    /// `application/x-www-form-urlencoded`; a token request holds a secret.
    Form(SecretString),
}

impl Request {
    pub fn get(url: Url) -> Self {
        Self::new(url, Body::None)
    }

    pub fn json(url: Url, body: impl Into<Bytes>) -> Self {
        Self::new(url, Body::Json(body.into()))
    }

    pub fn form(url: Url, body: SecretString) -> Self {
        Self::new(url, Body::Form(body))
    }

    fn new(url: Url, body: Body) -> Self {
        Self { url, body, bearer: None, idempotency_key: None, headers: Vec::new() }
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

    /// `sent` turns true once bytes of the request may have left; one without a body can't tell, so with it at once.
    pub(super) fn on_the_wire(
        &self,
        client: &reqwest::Client,
        url: &Url,
        sent: &Arc<AtomicBool>,
    ) -> Result<reqwest::Request, reqwest::Error> {
        let (method, content_type, body) = match &self.body {
            Body::None => (Method::GET, None, Bytes::new()),
            Body::Json(json) => (Method::POST, Some("application/json"), json.clone()),
            Body::Form(form) => {
                let form = Bytes::copy_from_slice(form.expose_secret().as_bytes());
                (Method::POST, Some("application/x-www-form-urlencoded"), form)
            }
        };
        let mut head = client.request(method, url.clone()).header(ACCEPT, "application/json");
        if let Some(token) = &self.bearer {
            head = head.bearer_auth(token.expose_secret());
        }
        if let Some(key) = &self.idempotency_key {
            head = head.header("Idempotency-Key", key);
        }
        head = self.headers.iter().fold(head, |head, (name, value)| head.header(*name, value));
        sent.store(body.is_empty(), Ordering::Relaxed);
        if let Some(content_type) = content_type {
            let watched = WatchedBody { bytes: body, sent: Arc::clone(sent) };
            head = head.header(CONTENT_TYPE, content_type).body(reqwest::Body::wrap(watched));
        }
        head.build()
    }
}

/// A body that notes when it is asked for, which happens once the connection stands and before anything is written.
struct WatchedBody {
    bytes: Bytes,
    sent: Arc<AtomicBool>,
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.sent.store(true, Ordering::Relaxed);
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Request")
            .field("path", &self.url.path())
            .field("idempotency_key", &self.idempotency_key)
            .finish_non_exhaustive()
    }
}

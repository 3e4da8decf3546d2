//! One kept-alive HTTP client for a tenant's calls.
//!
//! Input: a [`Request`]. Output: an [`Answer`], whatever its status. On failure a [`TransportError`] that says whether the
//! request may have been read. Redirects are not followed: they would carry the token elsewhere. The client belongs to
//! the thread that made it; clones share its connections.

mod answer;
mod request;

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use awc::ClientResponse;

pub use answer::Answer;
pub use request::{Body, Request};

use crate::limits::Limits;
pub use crate::tls::TlsError;
use crate::transport::{TransportError, TransportFailure};
use crate::websocket::KeepRefusals;
use request::WatchedBody;

/// A connection is closed at this age even when it is in use all the time, so that a tenant's new addresses are found.
const CONNECTION_LIFETIME: Duration = Duration::from_mins(10);

#[derive(Clone)]
pub struct HttpClient {
    client: awc::Client,
    limits: Limits,
}

impl HttpClient {
    /// Fails when none of the machine's root certificates can be read, even if only plain `http` is meant to be used.
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

    /// How long and how large a call may be.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn awc(&self) -> &awc::Client {
        &self.client
    }

    /// One attempt, within the limits' `attempt_timeout` or `time_left`, whichever is shorter.
    pub async fn send(&self, request: &Request, time_left: Option<Duration>) -> Result<Answer, TransportError> {
        let patience = time_left.unwrap_or(Duration::MAX).min(self.limits.attempt_timeout);
        let sent = Rc::new(Cell::new(false));
        let exchange = async {
            let response = self.exchange(request, &sent).await?;
            Answer::read(response, self.limits.body_limit_bytes, None).await
        };
        within(patience, &sent, exchange).await
    }

    /// One attempt for the listing of articles, which may be large and take long: given up only after the limits'
    /// `articles_idle_timeout` without a byte. A 2xx may have `articles_limit_bytes`, anything else no more than any answer.
    pub async fn read_large(&self, request: &Request) -> Result<Answer, TransportError> {
        let Limits { articles_limit_bytes, articles_idle_timeout: idle, body_limit_bytes, .. } = self.limits;
        let sent = Rc::new(Cell::new(false));
        let response = within(idle, &sent, self.exchange(request, &sent)).await?;
        let limit_bytes = if response.status().is_success() { articles_limit_bytes } else { body_limit_bytes };
        Answer::read(response, limit_bytes, Some(idle)).await
    }

    async fn exchange(&self, request: &Request, sent: &Rc<Cell<bool>>) -> Result<ClientResponse, TransportError> {
        let body = WatchedBody::new(&request.body, sent);
        let sending = request.head(&self.client).send_body(body);
        sending.await.map_err(|error| TransportError::from_sending(&error, sent.get()))
    }
}

/// A call that ends for lack of time has failed in another way if nothing had left yet.
async fn within<T>(
    patience: Duration,
    sent: &Cell<bool>,
    call: impl Future<Output = Result<T, TransportError>>,
) -> Result<T, TransportError> {
    match tokio::time::timeout(patience, call).await {
        Ok(outcome) => outcome,
        Err(_) if sent.get() => {
            Err(TransportError::new(TransportFailure::TimedOut, format_args!("gave up after {patience:?}")))
        }
        Err(_) => Err(TransportError::new(TransportFailure::Refused, format_args!("not connected after {patience:?}"))),
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HttpClient").field("limits", &self.limits).finish_non_exhaustive()
    }
}

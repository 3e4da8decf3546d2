//! One HTTP client for a tenant's calls.
//!
//! Input: a [`Request`]. Output: an [`Answer`], whatever its status. On failure a [`TransportError`] that says whether the
//! request may have been read. Clones share their connections and may be used from any thread.

mod answer;
mod proxies;
pub(crate) mod redirect;
mod request;
mod tls;

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Response;
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use tokio::time::{Instant, timeout};
use url::Url;

pub use answer::Answer;
pub use proxies::Proxies;
pub use request::{Body, Request};
pub use tls::client_config;

use crate::limits::Limits;
use crate::transport::{TransportError, TransportFailure};

/// A connection is given up at this age even when it is in use all the time, so that a tenant's new addresses are found.
const CONNECTION_LIFETIME: Duration = Duration::from_mins(10);

/// No client can be made on this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    #[error("none of this machine's root certificates can be read, repair them or point SSL_CERT_FILE at others: {0}")]
    RootCertificates(String),
    #[error("{variable} names no proxy that can be used ({reason}), write it as http://host:port or unset it")]
    Proxy { variable: &'static str, reason: String },
    #[error("tls can't be set up: {0}")]
    Tls(String),
}

#[derive(Clone)]
pub struct HttpClient {
    limits: Limits,
    transport: Transport,
}

#[derive(Clone)]
enum Transport {
    Network(Arc<Network>),
    #[cfg(feature = "testing")]
    Scripted(Script),
}

#[cfg(feature = "testing")]
type Script =
    Arc<dyn Fn(&Request) -> futures_util::future::BoxFuture<'static, Result<Answer, TransportError>> + Send + Sync>;

/// What all connections of a client share.
pub(crate) struct Network {
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) proxies: Proxies,
    pool: Mutex<Pool>,
}

struct Pool {
    client: reqwest::Client,
    made_at: Instant,
}

impl HttpClient {
    /// Calls go through the proxies that the environment names. Fails when none of the machine's root certificates can be
    /// read, even if only plain `http` is meant to be used.
    pub fn new(limits: Limits) -> Result<Self, ClientError> {
        Self::through(Proxies::of_environment()?, limits)
    }

    /// A client whose calls go through these proxies.
    pub fn through(proxies: Proxies, limits: Limits) -> Result<Self, ClientError> {
        let tls = tls::client_config()?;
        let pool = Mutex::new(Pool::new(&limits, &tls, &proxies)?);
        let network = Network { tls, proxies, pool };
        Ok(Self { limits, transport: Transport::Network(Arc::new(network)) })
    }

    /// A client without sockets, for tests: the script answers each request, under the limits' timeouts.
    #[cfg(feature = "testing")]
    pub fn scripted<Answering>(limits: Limits, script: impl Fn(&Request) -> Answering + Send + Sync + 'static) -> Self
    where
        Answering: Future<Output = Result<Answer, TransportError>> + Send + 'static,
    {
        let script: Script = Arc::new(move |request| Box::pin(script(request)));
        Self { limits, transport: Transport::Scripted(script) }
    }

    /// How long and how large a call may be.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The proxy that a call to this URL goes through, for people.
    pub fn proxy(&self, url: &Url) -> Option<String> {
        self.network()?.proxies.address(url)
    }

    /// None for a client without sockets.
    pub(crate) fn network(&self) -> Option<&Arc<Network>> {
        match &self.transport {
            Transport::Network(network) => Some(network),
            #[cfg(feature = "testing")]
            Transport::Scripted(_) => None,
        }
    }

    /// One attempt, within the limits' `attempt_timeout` or `time_left`, whichever is shorter.
    pub async fn send(&self, request: &Request, time_left: Option<Duration>) -> Result<Answer, TransportError> {
        let patience = time_left.unwrap_or(Duration::MAX).min(self.limits.attempt_timeout);
        let sent = Arc::default();
        match &self.transport {
            Transport::Network(network) => {
                let exchange = async {
                    let response = network.exchange(request, &sent, &self.limits).await?;
                    Answer::read(response, self.limits.longest_hold, self.limits.body_limit_bytes, None).await
                };
                let ended = within(patience, &sent, exchange).await;
                ended.map_err(|error| network.proxies.named_in(error, &request.url))
            }
            #[cfg(feature = "testing")]
            Transport::Scripted(script) => within(patience, &AtomicBool::new(true), script(request)).await,
        }
    }

    /// One attempt for the listing of articles, which may be large and take long: given up after the limits'
    /// `articles_idle_timeout` without a byte, and after `articles_timeout` in all. A 2xx may have
    /// `articles_limit_bytes`, anything else no more than any answer.
    pub async fn read_large(&self, request: &Request) -> Result<Answer, TransportError> {
        let Limits { articles_limit_bytes, articles_idle_timeout: idle, body_limit_bytes, longest_hold, .. } =
            self.limits;
        let sent = Arc::default();
        match &self.transport {
            Transport::Network(network) => {
                let exchange = async {
                    let response = within(idle, &sent, network.exchange(request, &sent, &self.limits)).await?;
                    let is_success = response.status().is_success();
                    let limit_bytes = if is_success { articles_limit_bytes } else { body_limit_bytes };
                    Answer::read(response, longest_hold, limit_bytes, Some(idle)).await
                };
                let ended = within(self.limits.articles_timeout, &sent, exchange).await;
                ended.map_err(|error| network.proxies.named_in(error, &request.url))
            }
            #[cfg(feature = "testing")]
            Transport::Scripted(script) => within(idle, &AtomicBool::new(true), script(request)).await,
        }
    }
}

impl Network {
    /// A question that is sent on to another place of the same tenant follows, once.
    async fn exchange(
        &self,
        request: &Request,
        sent: &Arc<AtomicBool>,
        limits: &Limits,
    ) -> Result<Response, TransportError> {
        let response = self.ask(request, &request.url, sent, limits).await?;
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let is_sent_on = matches!(request.body, Body::None) && redirect::is_redirect(response.status().as_u16());
        match location.filter(|_| is_sent_on).and_then(|location| redirect::target(&request.url, location)) {
            Some(place) => self.ask(request, &place, sent, limits).await,
            None => Ok(response),
        }
    }

    async fn ask(
        &self,
        request: &Request,
        url: &Url,
        sent: &Arc<AtomicBool>,
        limits: &Limits,
    ) -> Result<Response, TransportError> {
        let client = self.client(limits);
        let exchange = async { client.execute(request.on_the_wire(&client, url, sent)?).await };
        exchange.await.map_err(|error| TransportError::of_call(error, sent.load(Ordering::Relaxed)))
    }

    fn client(&self, limits: &Limits) -> reqwest::Client {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.made_at.elapsed() >= CONNECTION_LIFETIME
            && let Ok(fresh) = Pool::new(limits, &self.tls, &self.proxies)
        {
            *pool = fresh;
        }
        pool.client.clone()
    }
}

impl Pool {
    /// The callers bound what is in flight; a pool that queues would hide it from them. Redirects are none of its business,
    /// since it would carry the token elsewhere.
    fn new(limits: &Limits, tls: &ClientConfig, proxies: &Proxies) -> Result<Self, ClientError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .http1_only()
            .connect_timeout(limits.connect_timeout)
            .pool_idle_timeout(limits.keep_alive)
            .redirect(Policy::none());
        let client = proxies.set_for(client).build().map_err(|error| ClientError::Tls(error.to_string()))?;
        Ok(Self { client, made_at: Instant::now() })
    }
}

/// A call that ends for lack of time has failed in another way if nothing had left yet.
async fn within<T>(
    patience: Duration,
    sent: &AtomicBool,
    call: impl Future<Output = Result<T, TransportError>>,
) -> Result<T, TransportError> {
    match timeout(patience, call).await {
        Ok(outcome) => outcome,
        Err(_) if sent.load(Ordering::Relaxed) => {
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

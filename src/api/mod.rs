//! The HTTP API: what agents' desktops and back ends ask (contracts 000, 002 and 004).
//!
//! A worker reads the request, checks it, lets the question in at the admission and awaits its outcome; the stages
//! are those of the streams. It never calls CXone itself. Errors are `{"detail": "…"}`.

mod answer;
mod background;
mod body;
mod callback;
mod graph;
mod problem;
mod profiles;
mod rag;
mod ranking;
mod routes;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{HttpRequest, web};
use cuecard_actors::admission::Admission;
use cuecard_actors::cxone::Contract;
use cuecard_actors::ledger::{Ledger, QueueKind};
use cuecard_actors::telemetry::{Metrics, Port};
use cuecard_actors::tenant::{Profile, Tenant, Tenants};
use tokio::net::TcpSocket;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use background::Background;
pub use callback::{CallbackError, Callbacks};
use problem::Problem;

use crate::access::{self, AccessInForce, Guard, PortLimits, Serving, TlsError, TlsFiles};

/// Connections that wait to be accepted, at most: what actix takes by default.
const BACKLOG: u32 = 2048;

/// What the handlers work with. Shared by all workers.
pub struct Api {
    tenants: Tenants,
    admission: Admission,
    ledger: Ledger,
    callbacks: Arc<Callbacks>,
    metrics: Metrics,
    background: Background,
}

/// The API can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address can't be listened on.
    #[error("the API's port {addr} can't be opened: {source}; set api.addr or CUECARD_API_ADDR to a free one")]
    Bind {
        /// Which.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// No callbacks can be sent.
    #[error(transparent)]
    Callback(#[from] CallbackError),
    /// A bug.
    #[error("the API's document can't be written: {0}")]
    Document(#[from] serde_json::Error),
    /// The port's certificate can't be used.
    #[error("the API's port can't speak TLS: {0}; see api.tls_certificate and api.tls_key")]
    Tls(#[from] TlsError),
}

/// How the API is served.
pub struct ApiServing {
    /// Who may ask.
    pub access: AccessInForce,
    /// What a request may take.
    pub limits: PortLimits,
    /// Threads that read requests and write answers.
    pub workers: usize,
    /// How long a stop may take.
    pub grace: Duration,
}

/// The API's port, held from the start of the service until it is loaded; whoever connects before is refused.
pub struct ApiPort {
    addr: SocketAddr,
    socket: TcpSocket,
    tls: Option<rustls::ServerConfig>,
}

impl ApiPort {
    /// Takes the port, and reads its certificate where it has one; must be called inside a tokio runtime.
    pub fn bind(addr: SocketAddr, tls: Option<&TlsFiles>, metrics: Metrics) -> Result<Self, ApiError> {
        let expires = move |at| metrics.set_certificate(Port::Api, at);
        let tls = tls.map(|files| access::server_config(files, expires)).transpose()?;
        let bound = || {
            let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            socket.bind(addr)?;
            Ok(socket)
        };
        bound().map(|socket| Self { addr, socket, tls }).map_err(|source| ApiError::Bind { addr, source })
    }

    fn listen(addr: SocketAddr, socket: TcpSocket) -> Result<TcpListener, ApiError> {
        let listening = socket.listen(BACKLOG).and_then(tokio::net::TcpListener::into_std);
        listening.map_err(|source| ApiError::Bind { addr, source })
    }
}

/// A running API.
pub struct RunningApi {
    /// Where it listens, the port resolved.
    pub addr: SocketAddr,
    handle: ServerHandle,
    background: Background,
    /// Ends the sending of callbacks, once there is nothing more to send.
    stop_sending: CancellationToken,
}

impl RunningApi {
    /// Lets nobody more in, and waits until the last caller has an answer and what goes on behind the callers has
    /// ended; what has not ended by then is cut short.
    pub async fn stop(self, by: Instant) {
        let ended = async {
            self.handle.stop(true).await;
            self.stop_sending.cancel();
            self.background.ended().await;
        };
        if timeout_at(by, ended).await.is_err() {
            tracing::warn!("the API is stopped before its last answer");
            self.stop_sending.cancel();
            self.background.end_grace();
            self.background.ended().await;
        }
    }
}

impl Api {
    /// An API for these tenants; must be called inside a multi-thread tokio runtime.
    pub fn new(tenants: Tenants, admission: Admission, ledger: Ledger, metrics: Metrics) -> Result<Self, ApiError> {
        let background = Background::new();
        Ok(Self {
            tenants,
            admission,
            callbacks: {
                let queue = ledger.queue(QueueKind::Callback);
                Arc::new(Callbacks::new(queue, metrics.clone(), background.clone())?)
            },
            ledger,
            metrics,
            background,
        })
    }

    /// The tenant that a request is for.
    fn tenant(&self, request: &HttpRequest, contract: Contract) -> Result<Arc<Tenant>, Problem> {
        profiles::tenant(&self.tenants, request, contract)
    }

    /// Whether any of the profiles is asked over HTTP.
    pub fn is_needed(profiles: &[Profile]) -> bool {
        profiles.iter().any(|profile| profile.stream.is_none())
    }

    /// Adds the routes to an app, each behind this guard.
    pub fn routes(
        self,
        guard: Guard,
        limits: PortLimits,
    ) -> serde_json::Result<impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static> {
        let (api, document) = (web::Data::new(self), web::Data::new(routes::document()?));
        Ok(move |app: &mut web::ServiceConfig| {
            app.app_data(api.clone()).app_data(document.clone());
            app.app_data(web::PayloadConfig::new(limits.max_body_bytes));
            routes::configure(app, &api, &guard);
        })
    }

    /// Listens; must be called on an arbiter, which the server runs on.
    pub fn serve(self, port: ApiPort, serving: ApiServing) -> Result<RunningApi, ApiError> {
        let (ApiPort { addr, socket, tls }, background) = (port, self.background.clone());
        let ApiServing { access, limits, workers, grace } = serving;
        let listener = ApiPort::listen(addr, socket)?;
        let stop_sending = CancellationToken::new();
        let of_rankings = self.tenants.iter().filter(|tenant| tenant.profile.contract == Contract::Ranking);
        let profiles = of_rankings.map(|tenant| tenant.name().clone()).collect();
        self.background.spawn(Arc::clone(&self.callbacks).run(profiles, stop_sending.clone()));
        let (metrics, guard) = (self.metrics.clone(), Guard::new(access, Port::Api, addr, self.metrics.clone()));
        // The stop is bounded by the grace; the server must not cut callers off before, nor linger after.
        let serving = Serving { workers, limits, tls, shutdown_timeout: grace + Duration::from_secs(1) };
        let answered = move |path: &str, status| metrics.count_api(routes::route(path), status);
        let routes = self.routes(guard, limits)?;
        let server = access::serve(listener, serving, answered, routes);
        let (addr, server) = server.map_err(|source| ApiError::Bind { addr, source })?;
        let handle = server.handle();
        actix_rt::spawn(server);
        Ok(RunningApi { addr, handle, background, stop_sending })
    }
}

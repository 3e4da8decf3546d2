//! The HTTP API: what agents' desktops and back ends ask (contracts 000, 002 and 004).
//!
//! A worker reads the request, checks it, lets the question in at the admission and awaits its outcome; the stages
//! are those of the streams. It never calls CXone itself. Errors are `{"detail": "…"}`.

mod access;
mod answer;
mod background;
mod body;
mod callback;
mod graph;
mod metrics;
mod problem;
mod profiles;
mod rag;
mod ranking;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpRequest, HttpServer, web};
use cuecard_actors::admission::Admission;
use cuecard_actors::cxone::Contract;
use cuecard_actors::ledger::{Ledger, QueueKind};
use cuecard_actors::telemetry::{ApiRoute, Metrics};
use cuecard_actors::tenant::{Profile, Tenant, Tenants};
use tokio::net::TcpSocket;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use background::Background;
pub use callback::{CallbackError, Callbacks};
use problem::Problem;

use crate::settings::ApiSettings;

/// Connections that wait to be accepted, at most: what actix takes by default.
const BACKLOG: u32 = 2048;

/// What the handlers work with. Shared by all workers.
pub struct Api {
    tenants: Tenants,
    admission: Admission,
    ledger: Ledger,
    callbacks: Arc<Callbacks>,
    metrics: Metrics,
    access: access::Access,
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
}

/// The API's port, held from the start of the service until it is loaded; whoever connects before is refused.
pub struct ApiPort {
    addr: SocketAddr,
    socket: TcpSocket,
}

impl ApiPort {
    /// Takes the port.
    pub fn bind(addr: SocketAddr) -> Result<Self, ApiError> {
        let bound = || {
            let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            socket.bind(addr)?;
            Ok(socket)
        };
        bound().map(|socket| Self { addr, socket }).map_err(|source| ApiError::Bind { addr, source })
    }

    fn listen(self) -> Result<TcpListener, ApiError> {
        let addr = self.addr;
        let listening = self.socket.listen(BACKLOG).and_then(tokio::net::TcpListener::into_std);
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
    pub fn new(
        settings: &ApiSettings,
        tenants: Tenants,
        admission: Admission,
        ledger: Ledger,
        metrics: Metrics,
    ) -> Result<Self, ApiError> {
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
            access: access::Access::new(settings.accepted_keys()),
            background,
        })
    }

    /// The tenant that a request is for.
    fn tenant(&self, request: &HttpRequest, contract: Contract) -> Result<&Arc<Tenant>, Problem> {
        profiles::tenant(&self.tenants, request, contract)
    }

    /// Whether any of the profiles is asked over HTTP.
    pub fn is_needed(profiles: &[Profile]) -> bool {
        profiles.iter().any(|profile| profile.stream.is_none())
    }

    /// Listens; must be called on an arbiter, which the server runs on. `grace` is how long a stop may take.
    pub fn serve(self, port: ApiPort, settings: &ApiSettings, grace: Duration) -> Result<RunningApi, ApiError> {
        let (addr, background) = (port.addr, self.background.clone());
        let bind_error = |source| ApiError::Bind { addr, source };
        let listener = port.listen()?;
        let stop_sending = CancellationToken::new();
        let of_rankings = self.tenants.iter().filter(|tenant| tenant.profile.contract == Contract::Ranking);
        let profiles = of_rankings.map(|tenant| tenant.name().clone()).collect();
        self.background.spawn(Arc::clone(&self.callbacks).run(profiles, stop_sending.clone()));
        let (api, max_body_bytes) = (web::Data::new(self), settings.max_body_bytes);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(api.clone())
                .app_data(web::PayloadConfig::new(max_body_bytes))
                .wrap(from_fn(access::check))
                .wrap(from_fn(metrics::count))
                .configure(|config| PREFIXES.into_iter().for_each(|prefix| routes(config, prefix)))
                .default_service(web::to(problem::unknown_route))
        })
        .workers(settings.workers)
        .disable_signals()
        // The stop is bounded by the grace; the server must not cut callers off before, nor linger after.
        .shutdown_timeout(grace.as_secs() + 1)
        .listen(listener)
        .map_err(bind_error)?;
        let addr = server.addrs().first().copied().unwrap_or(addr);
        let server = server.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        Ok(RunningApi { addr, handle, background, stop_sending })
    }
}

/// Where each route is, below one of [`PREFIXES`].
const PATHS: [(ApiRoute, &str); 5] = [
    (ApiRoute::Push, "/assist/push"),
    (ApiRoute::Query, "/agent-assist/query"),
    (ApiRoute::Ranking, "/sessions/{session_id}/snippets/ranking"),
    (ApiRoute::Click, "/sessions/{session_id}/snippets/{snippet_id}/click"),
    (ApiRoute::Metrics, "/ranking/metrics"),
];
/// Nothing, or a profile's name.
const PREFIXES: [&str; 2] = ["", "/{profile}"];

/// Every route below a prefix.
fn routes(config: &mut ServiceConfig, prefix: &str) {
    for (route, path) in PATHS {
        let handler = match route {
            ApiRoute::Push => web::post().to(rag::push),
            ApiRoute::Query => web::post().to(graph::query),
            ApiRoute::Ranking => web::post().to(ranking::submit),
            ApiRoute::Click => web::post().to(ranking::click),
            ApiRoute::Metrics => web::get().to(ranking::metrics),
            ApiRoute::Unknown => continue,
        };
        let resource = web::resource(format!("{prefix}{path}")).default_service(web::to(problem::wrong_method));
        config.service(resource.route(handler));
    }
}

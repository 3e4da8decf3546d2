//! The admin port: metrics, probes, and the table of actors. It reads cells and health and asks no actor.

mod routes;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix::Recipient;
use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpServer, web};
use cuecard_actors::health::ProfileHealth;
use cuecard_actors::knowledge_sync::Refresh;
use cuecard_actors::messages::ProfileName;
use cuecard_actors::supervision::ActorState;
use cuecard_actors::telemetry::{Metrics, ProfileState};

/// A handler that runs longer than this blocks its thread; the container runtime should then start over.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// What the admin port shows.
pub struct AdminState {
    started: Instant,
    metrics: Metrics,
    profiles: OnceLock<Vec<Arc<ProfileHealth>>>,
    refreshers: OnceLock<HashMap<ProfileName, Recipient<Refresh>>>,
    stopping: AtomicBool,
}

/// The admin port can't be served.
#[derive(Debug, thiserror::Error)]
#[error("the admin port {addr} can't be opened: {source}; set admin.addr or CUECARD_ADMIN_ADDR to a free one")]
pub struct AdminError {
    addr: SocketAddr,
    source: std::io::Error,
}

impl AdminState {
    /// The state of a service that is still loading.
    pub fn new(metrics: Metrics) -> Arc<Self> {
        let (profiles, refreshers) = (OnceLock::new(), OnceLock::new());
        Arc::new(Self { started: Instant::now(), metrics, profiles, refreshers, stopping: AtomicBool::new(false) })
    }

    /// Says that the engine is loaded, whose health to show, and whom to ask for a poll of a profile's articles.
    pub fn loaded(&self, profiles: Vec<Arc<ProfileHealth>>, refreshers: HashMap<ProfileName, Recipient<Refresh>>) {
        // Loading happens once.
        let _ = self.profiles.set(profiles);
        let _ = self.refreshers.set(refreshers);
    }

    /// Asks for a poll of a profile's articles; `false` where it does not poll any.
    fn refresh(&self, profile: &str) -> bool {
        let refresher = self.refreshers.get().and_then(|refreshers| refreshers.get(&ProfileName::new(profile)));
        if let Some(refresher) = refresher {
            refresher.do_send(Refresh);
        }
        refresher.is_some()
    }

    /// Says that the service is going down: not ready any more, still alive.
    pub fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// Whether at least one profile can work, and what each can do.
    fn readiness(&self) -> (bool, Vec<(String, ProfileState, String)>) {
        let profiles: Vec<_> = self
            .profiles
            .get()
            .into_iter()
            .flatten()
            .map(|health| {
                let (state, reason) = health.state();
                (health.profile().to_string(), state, reason)
            })
            .collect();
        let can_work = profiles.iter().any(|(_, state, _)| *state != ProfileState::Waiting);
        (can_work && !self.stopping.load(Relaxed), profiles)
    }

    /// Actors that failed or block their thread.
    fn dead_actors(&self) -> Vec<String> {
        let reports = self.metrics.cells().iter().map(|cell| cell.report());
        let is_dead = |report: &cuecard_actors::supervision::ActorReport| {
            let stuck = report.in_handler_seconds.is_some_and(|seconds| seconds > STUCK_AFTER.as_secs_f64());
            report.state == ActorState::Failed || stuck
        };
        reports.filter(is_dead).map(|report| report.name).collect()
    }
}

/// A running admin server.
pub struct Admin {
    /// Where it listens, the port resolved.
    pub addr: SocketAddr,
    /// Stops it.
    pub handle: ServerHandle,
    /// To be polled until it ends.
    pub server: Server,
}

/// Opens the admin port.
pub fn serve(addr: SocketAddr, state: Arc<AdminState>) -> Result<Admin, AdminError> {
    let error = |source| AdminError { addr, source };
    let state = web::Data::from(state);
    let server = HttpServer::new(move || App::new().app_data(state.clone()).configure(routes::configure))
        // A scrape and a probe every few seconds need no more.
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .bind(addr)
        .map_err(error)?;
    let addr = server.addrs().first().copied().unwrap_or(addr);
    let server = server.run();
    Ok(Admin { addr, handle: server.handle(), server })
}

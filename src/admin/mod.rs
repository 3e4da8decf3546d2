//! The admin port: metrics, probes, and the table of actors. It reads cells and health and asks no actor.

mod console;
mod decisions;
mod ledger;
mod marks;
mod outcome_name;
mod readiness;
mod routes;
mod shapes;

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix::Recipient;
use actix_web::dev::{Server, ServerHandle};
use actix_web::web;
use cuecard_actors::decisions::{Decisions, RecentDecisions};
use cuecard_actors::knowledge_sync::Refresh;
use cuecard_actors::ledger::Ledger;
use cuecard_actors::messages::ProfileName;
use cuecard_actors::supervision::ActorCell;
use cuecard_actors::telemetry::{Metrics, Port};
use cuecard_actors::tenant::{ArticleMarks, Tenants};

use crate::access::{self, AccessInForce, Guard, PortLimits, Serving, TlsError, TlsFiles};
use crate::reload::Reloader;
use console::{Console, FeedLimits};
use readiness::{DeadActor, Facts, ProfileReadiness};

/// What the admin port shows.
pub struct AdminState {
    started: Instant,
    metrics: Metrics,
    reloader: Arc<Reloader>,
    tenants: OnceLock<Tenants>,
    decisions: OnceLock<Decisions>,
    recent: OnceLock<RecentDecisions>,
    refreshers: OnceLock<HashMap<ProfileName, Recipient<Refresh>>>,
    marks: OnceLock<Arc<ArticleMarks>>,
    ledger: OnceLock<Ledger>,
    console: Console,
    stopping: AtomicBool,
}

/// The admin port can't be served.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address can't be listened on.
    #[error("the admin port {addr} can't be opened: {source}; set admin.addr or CUECARD_ADMIN_ADDR to a free one")]
    Bind {
        /// Which.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A bug.
    #[error("the admin port's document can't be written: {0}")]
    Document(#[from] serde_json::Error),
    /// The port's certificate can't be used.
    #[error("the admin port can't speak TLS: {0}; see admin.tls_certificate and admin.tls_key")]
    Tls(#[from] TlsError),
}

impl AdminState {
    /// The state of a service that is still loading.
    pub fn new(metrics: Metrics, reloader: Arc<Reloader>) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            metrics,
            reloader,
            tenants: OnceLock::new(),
            decisions: OnceLock::new(),
            recent: OnceLock::new(),
            refreshers: OnceLock::new(),
            marks: OnceLock::new(),
            ledger: OnceLock::new(),
            console: Console::default(),
            stopping: AtomicBool::new(false),
        })
    }

    /// Says that the engine is loaded: whose health to show, whom to ask for a poll of a profile's articles, where
    /// decisions go and the newest are, who hears what operators decide about articles, and where all of it is kept.
    pub fn loaded(
        &self,
        tenants: Tenants,
        refreshers: HashMap<ProfileName, Recipient<Refresh>>,
        (decisions, recent): (Decisions, RecentDecisions),
        marks: Arc<ArticleMarks>,
        ledger: Ledger,
    ) {
        // Loading happens once.
        let _ = self.tenants.set(tenants);
        let _ = self.refreshers.set(refreshers);
        let _ = self.decisions.set(decisions);
        let _ = self.recent.set(recent);
        let _ = self.marks.set(marks);
        let _ = self.ledger.set(ledger);
    }

    /// Adds the routes to an app, each behind this guard.
    pub fn routes(
        self: Arc<Self>,
        guard: Guard,
        limits: PortLimits,
    ) -> serde_json::Result<impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static> {
        let (state, document) = (web::Data::from(self), web::Data::new(routes::document()?));
        // The port closes a connection on which a request does not end, but not as soon as this.
        let feed_limits = web::Data::new(FeedLimits { lasts: limits.answer_timeout });
        Ok(move |app: &mut web::ServiceConfig| {
            app.app_data(state.clone()).app_data(feed_limits.clone()).app_data(document.clone());
            app.app_data(routes::json(limits.max_body_bytes)).app_data(routes::query());
            routes::configure(app, &guard);
        })
    }

    /// What takes new settings up.
    pub fn reloader(&self) -> &Arc<Reloader> {
        &self.reloader
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

    fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// What the service's readiness is made of.
    fn facts(&self) -> Facts {
        let tenants = self.tenants.get().into_iter().flat_map(Tenants::iter);
        let profiles = tenants.map(|tenant| {
            let (state, reason) = tenant.health.state();
            ProfileReadiness { profile: tenant.name().to_string(), state, reason }
        });
        Facts {
            is_loaded: self.tenants.get().is_some(),
            is_stopping: self.is_stopping(),
            dead: dead(self.metrics.cells()),
            profiles: profiles.collect(),
            ledger: self.ledger.get().and_then(ledger::trouble),
        }
    }

    /// The cell of the actor that is called so, or a text with the names that there are.
    fn actor(&self, name: &str) -> Result<&ActorCell, String> {
        let cells = self.metrics.cells();
        cells.iter().find(|cell| cell.name() == name).map(Arc::as_ref).ok_or_else(|| {
            let known: Vec<_> = cells.iter().map(|cell| cell.name()).collect();
            format!("no actor is called `{name}`; there are {}", known.join(", "))
        })
    }
}

/// The actors that only a new process helps.
fn dead(cells: &[Arc<ActorCell>]) -> Vec<DeadActor> {
    cells.iter().filter_map(|cell| DeadActor::of(cell.report())).collect()
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

/// How the admin port is served.
pub struct AdminServing {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Who may look and decide.
    pub access: AccessInForce,
    /// What a request may take.
    pub limits: PortLimits,
    /// Plain HTTP without it.
    pub tls: Option<TlsFiles>,
}

/// Opens the admin port; must be called inside a tokio runtime.
pub fn serve(serving: AdminServing, state: Arc<AdminState>) -> Result<Admin, AdminError> {
    let AdminServing { addr, access, limits, tls } = serving;
    let metrics = state.metrics.clone();
    let expires = move |at| metrics.set_certificate(Port::Admin, at);
    let tls = tls.as_ref().map(|files| access::server_config(files, expires)).transpose()?;
    let guard = Guard::new(access, Port::Admin, addr, state.metrics.clone());
    let routes = state.routes(guard, limits)?;
    // A scrape and a probe every few seconds need no more workers.
    let serving = Serving { workers: 1, limits, tls, shutdown_timeout: Duration::from_secs(1) };
    let listening = TcpListener::bind(addr).and_then(|listener| access::serve(listener, serving, |_, _| {}, routes));
    let (addr, server) = listening.map_err(|source| AdminError::Bind { addr, source })?;
    Ok(Admin { addr, handle: server.handle(), server })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use actix::{Actor, Context, Supervised};
    use cuecard_actors::supervision::{Activity, ActorReport, ActorState, RestartPolicy, escalations, supervise};

    use super::readiness::Death;

    use super::*;

    /// Panics when it starts, if told to.
    struct Stage {
        is_broken: bool,
    }

    impl Actor for Stage {
        type Context = Context<Self>;

        fn started(&mut self, _: &mut Self::Context) {
            assert!(!self.is_broken, "injected");
        }
    }

    impl Supervised for Stage {}

    /// What is known of an actor that is so.
    fn report(state: ActorState, activity: Activity) -> ActorReport {
        ActorReport { state, activity, ..ActorCell::new("buffer").report() }
    }

    #[test]
    fn an_actor_that_hangs_or_gave_up_is_dead_and_one_that_waits_is_not() {
        let table = [
            (ActorState::Running, Activity::Idle, false),
            (ActorState::Running, Activity::Waiting, false),
            (ActorState::Restarting, Activity::Idle, false),
            (ActorState::Stopped, Activity::Idle, false),
            (ActorState::Running, Activity::Hanging, true),
            (ActorState::Failed, Activity::Idle, true),
        ];
        for (state, activity, expected) in table {
            assert_eq!(DeadActor::of(report(state, activity)).is_some(), expected, "{state:?} {activity:?}");
        }
    }

    #[test]
    fn how_an_actor_hangs_is_said() {
        let hanging = report(ActorState::Running, Activity::Hanging);
        let in_handler = ActorReport { in_handler_seconds: Some(12.4), ..hanging.clone() };
        let standing = ActorReport { standing_seconds: Some(31.0), ..hanging };
        for (report, reason) in [
            (in_handler, "its handler has not returned for 12 s"),
            (standing, "what waits for it has not moved for 31 s"),
        ] {
            let cause = Death::Hangs { reason: reason.to_owned() };
            assert_eq!(DeadActor::of(report), Some(DeadActor { name: "buffer".to_owned(), cause }));
        }
    }

    #[test]
    fn a_service_with_an_actor_that_can_not_start_is_not_ready_and_says_why() {
        for is_broken in [false, true] {
            let dead = actix_rt::System::new().block_on(async {
                let cell = ActorCell::new("buffer");
                let (escalation, _escalations) = escalations();
                let _actor =
                    supervise(Arc::clone(&cell), RestartPolicy::default(), escalation, |_| Stage { is_broken });
                while cell.state() == ActorState::Starting {
                    tokio::task::yield_now().await;
                }
                dead(&[cell])
            });
            let reasons: Vec<_> = dead.iter().map(|actor| &actor.cause).collect();
            match reasons.as_slice() {
                [] => assert!(!is_broken),
                [Death::GaveUp { reason }] => assert!(is_broken && reason.ends_with("while it started"), "{reason}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

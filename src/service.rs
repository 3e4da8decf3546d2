//! The service from start to ordered stop.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use cuecard_actors::engine::SearchPool;
use cuecard_actors::messages::ProfileName;
use cuecard_actors::supervision::{Escalation, Escalations, escalations};
use cuecard_actors::telemetry::{Metrics, Port};
use cuecard_actors::tenant::{Loading, Tenants};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::access::AccessInForce;
use crate::admin::{self, AdminServing, AdminState};
use crate::api::{Api, ApiPort, ApiServing, RunningApi};
use crate::data_lock::DataLock;
use crate::logging::LogControl;
use crate::pipeline::{self, Pipeline};
use crate::reload::Reloader;
use crate::settings::Settings;

/// Threads of the runtime for everything that may leave the system arbiter.
const WORKERS: usize = 2;

/// Why the service ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Told,
    /// An actor gave up.
    Escalated(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told => formatter.write_str("told to"),
            Self::Escalated(reason) => formatter.write_str(reason),
        }
    }
}

/// Where the service listens.
#[derive(Debug, Clone, Copy)]
pub enum Listening {
    /// The admin port, open before the engine is loaded.
    Admin(SocketAddr),
    /// The API's port.
    Api(SocketAddr),
}

/// Runs a future on a fresh system arbiter over a multi-thread runtime: actors and the streams' sockets live on the
/// arbiter, calls to CXone and whatever else is spawned with tokio on the workers.
pub fn on_system<F: Future>(future: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("no runtime can be started; allow this user more threads and open files (ulimit -u, ulimit -n)")?;
    Ok(actix_rt::System::with_tokio_rt(|| runtime).block_on(async {
        // A thread that ends while the process exits may drop the last handle of the system, and waking the system from
        // there panics: tokio's own thread-locals are gone by then. So the last handle is never dropped.
        std::mem::forget(actix_rt::System::current());
        future.await
    }))
}

/// What an operator has in hand of a service that runs, beside its admin port.
#[derive(Debug, Clone, Default)]
pub struct Controls {
    /// How much is logged.
    pub logs: LogControl,
    /// Each notice has the settings read again.
    pub hang_ups: Arc<Notify>,
}

/// Serves until `stop` resolves or an actor gives up. `listening` is told of each port as soon as it is open.
pub async fn run(
    settings: Settings,
    listening: impl Fn(Listening),
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Ended> {
    run_with(settings, Controls::default(), listening, stop, escalations()).await
}

/// The same for an operator who controls more than its stop.
pub async fn run_controlled(
    settings: Settings,
    controls: Controls,
    listening: impl Fn(Listening),
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Ended> {
    run_with(settings, controls, listening, stop, escalations()).await
}

async fn run_with(
    settings: Settings,
    controls: Controls,
    listening: impl Fn(Listening),
    stop: impl Future<Output = ()>,
    giving_up: (Escalation, Escalations),
) -> anyhow::Result<Ended> {
    #[cfg(feature = "failure-points")]
    tracing::warn!("this program was built with failure points, for the chaos suite and not for service");
    let _held = DataLock::take(&settings.data.directories())?;
    let names: Vec<ProfileName> = settings.profiles.iter().map(|profile| profile.name.clone()).collect();
    let metrics = Metrics::new(&names, pipeline::cells(&settings.profiles)).context("the metrics can't be made")?;
    let access: AccessInForce = Arc::new(ArcSwap::from_pointee(settings.access_rules()));
    let logs = controls.logs.clone();
    let telling = actix_rt::spawn(logs.clone().tell_floods());
    let reloader = Reloader::new(settings.clone(), Arc::clone(&access), controls);
    let state = AdminState::new(metrics.clone(), reloader);
    for (port, addr) in settings.open_ports() {
        let port = port.name();
        tracing::warn!(port, %addr, "other machines reach this port and nobody is asked for a key: access.ask is \"never\"");
    }
    let (limits, tls) = (settings.limits(Port::Admin), settings.tls(Port::Admin));
    let serving = AdminServing { addr: settings.admin.addr, access: Arc::clone(&access), limits, tls };
    let admin = admin::serve(serving, Arc::clone(&state))?;
    let (admin_addr, admin_handle) = (admin.addr, admin.handle);
    let admin_task = actix_rt::spawn(admin.server);
    tracing::info!(%admin_addr, asks_for_keys = access.load().asks(Port::Admin), "the admin port is open");
    listening(Listening::Admin(admin_addr));
    let ended = serve(&settings, access, metrics, &state, listening, stop, giving_up).await?;
    telling.abort();
    logs.tell_left_out();
    admin_handle.stop(true).await;
    // The server has stopped; how its task ended is of no use any more.
    let _ = admin_task.await;
    Ok(ended)
}

async fn serve(
    settings: &Settings,
    access: AccessInForce,
    metrics: Metrics,
    state: &AdminState,
    listening: impl Fn(Listening),
    stop: impl Future<Output = ()>,
    (escalation, mut escalations): (Escalation, Escalations),
) -> anyhow::Result<Ended> {
    let mut stop = std::pin::pin!(stop);
    let started = tokio::select! {
        // Loading takes seconds; whoever stops the service meanwhile does not wait for it.
        () = &mut stop => return Ok(Ended::Told),
        started = start(settings, Arc::clone(&access), metrics.clone(), escalation) => started?,
    };
    let Started { pipeline, api, tenants } = started;
    let reloader = Arc::clone(state.reloader());
    reloader.loaded(tenants.clone(), pipeline.admission().clone(), metrics.clone());
    let reloading = actix_rt::spawn(reloader.on_hang_up());
    let decisions = (pipeline.decisions().clone(), pipeline.recent().clone());
    let ledger = pipeline.ledger().clone();
    state.loaded(tenants, pipeline.refreshers(), decisions, Arc::clone(pipeline.marks()), ledger);
    if let Some(RunningApi { addr, .. }) = &api {
        tracing::info!(%addr, asks_for_keys = access.load().asks(Port::Api), "the API is open");
        listening(Listening::Api(*addr));
    }
    let ended = until_ended(stop, &mut escalations).await;
    reloading.abort();
    state.stop();
    tracing::info!(reason = %ended, "shutting down");
    // One grace for all of it. The ledger closes last: a ranking is audited when its question has left the stages.
    let by = Instant::now() + settings.shutdown.grace;
    let mut unfinished = pipeline.drain(by).await;
    if let Some(api) = api {
        api.stop(by).await;
    }
    unfinished.extend(pipeline.close(by).await);
    // Said when everything else is, so that it stands at the end of the log.
    for left in &unfinished {
        left.emit();
    }
    tracing::info!(unfinished = unfinished.len(), "the service has stopped");
    Ok(ended)
}

struct Started {
    pipeline: Pipeline,
    api: Option<RunningApi>,
    tenants: Tenants,
}

async fn start(
    settings: &Settings,
    access: AccessInForce,
    metrics: Metrics,
    escalation: Escalation,
) -> anyhow::Result<Started> {
    let profiles = &settings.profiles;
    // First of all: loading takes seconds, and where a start fails, actors that run already panic at the runtime's end.
    let bind = || ApiPort::bind(settings.api.addr, settings.tls(Port::Api).as_ref(), metrics.clone());
    let port = Api::is_needed(profiles).then(bind).transpose()?;
    let tenants = load(settings, metrics.clone(), true).await?;
    tenants.open_collections().await?;
    tell_build(&metrics, &tenants, settings);
    let pipeline = Pipeline::start(settings, tenants.clone(), metrics.clone(), escalation).await?;
    let serve = |port| {
        let (admission, ledger) = (pipeline.admission().clone(), pipeline.ledger().clone());
        let (limits, workers, grace) = (settings.limits(Port::Api), settings.api.workers, settings.shutdown.grace);
        let serving = ApiServing { access, limits, workers, grace };
        Api::new(tenants.clone(), admission, ledger, metrics)?.serve(port, serving)
    };
    let api = port.map(serve).transpose()?;
    Ok(Started { pipeline, api, tenants })
}

/// Says what answers, for the metrics.
pub fn tell_build(metrics: &Metrics, tenants: &Tenants, settings: &Settings) {
    let model = tenants.iter().next().map(|tenant| tenant.engine.encoder().model().name).unwrap_or_default();
    let rankers: Vec<_> = settings.profiles.iter().map(|profile| profile.plan.ranker.name()).collect();
    metrics.set_build(env!("CARGO_PKG_VERSION"), model, &rankers.join(","));
}

/// Loads what the tenants answer from; takes a second or so, beside the arbiter. `makes_indexes` as in [`Loading`].
pub async fn load(settings: &Settings, metrics: Metrics, makes_indexes: bool) -> anyhow::Result<Tenants> {
    let pool = SearchPool::new(settings.search.num_threads())?;
    let (profiles, data_dir) = (settings.profiles.clone(), settings.data.dir.clone());
    let loading = Loading { pool, data_dir, metrics, damaged_index: settings.data.damaged_index, makes_indexes };
    Ok(tokio::task::spawn_blocking(move || loading.load(&profiles)).await??)
}

async fn until_ended(stop: impl Future<Output = ()>, escalations: &mut Escalations) -> Ended {
    tokio::select! {
        () = stop => Ended::Told,
        reason = escalations.next() => Ended::Escalated(reason),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::cell::OnceCell;
    use std::rc::Rc;

    use actix::{Actor, Addr, Context, Handler, Message, Supervised};
    use cuecard_actors::supervision::{ActorCell, ActorState, RestartPolicy, supervise};
    use cuecard_simulator::{DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, RunningSimulator, Simulator, SimulatorSettings};
    use tempfile::TempDir;

    use super::*;

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Poison;

    /// An actor that no message leaves unharmed: nothing that the real ones are sent makes them panic.
    struct Weak;

    impl Actor for Weak {
        type Context = Context<Self>;
    }

    impl Supervised for Weak {}

    impl Handler<Poison> for Weak {
        type Result = ();

        fn handle(&mut self, _: Poison, _: &mut Context<Self>) {
            panic!("poisoned");
        }
    }

    /// The contract that needs no knowledge, with one restart allowed.
    fn settings(simulator: &RunningSimulator, data: &TempDir) -> Settings {
        let variables = [
            ("CXONE_CONTRACT", "ranking"),
            ("CXONE_BASE_URL", &simulator.base_url()),
            ("CXONE_OAUTH_URL", &format!("{}/api/v2/oauth/token", simulator.base_url())),
            ("CXONE_CLIENT_ID", DEFAULT_CLIENT_ID),
            ("CXONE_CLIENT_SECRET", DEFAULT_CLIENT_SECRET),
            ("CUECARD_DATA_DIR", data.path().to_str().unwrap()),
            ("CUECARD_ADMIN_ADDR", "127.0.0.1:0"),
            ("CUECARD_API_ADDR", "127.0.0.1:0"),
            ("CUECARD__ENCODER__THREADS", "1"),
            ("CUECARD__SUPERVISION__MAX_RESTARTS", "1"),
        ];
        Settings::load(None, variables.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap()
    }

    #[test]
    fn an_actor_that_is_restarted_too_often_ends_the_service_in_order() {
        let (simulator, data) = (Simulator::start(SimulatorSettings::default()).unwrap(), TempDir::new().unwrap());
        let settings = settings(&simulator, &data);
        let policy = RestartPolicy { max_restarts: settings.supervision.max_restarts, ..RestartPolicy::default() };
        let cell = ActorCell::new("weak");
        let ended = on_system(async {
            let (escalation, escalations) = escalations();
            let weak: Rc<OnceCell<Addr<Weak>>> = Rc::default();
            let (ours, in_service, watched) = (escalation.clone(), Rc::clone(&weak), Arc::clone(&cell));
            let poison = move |port| {
                if let Listening::Api(_) = port {
                    let address = supervise(Arc::clone(&watched), policy, ours.clone(), |_| Weak);
                    // The first costs a restart, the second the service.
                    address.do_send(Poison);
                    address.do_send(Poison);
                    in_service.set(address).unwrap();
                }
            };
            run_with(settings, Controls::default(), poison, std::future::pending(), (escalation, escalations)).await
        });
        let Ended::Escalated(reason) = ended.unwrap().unwrap() else { panic!("it was told to stop by nobody") };
        assert!(reason.starts_with("weak: too many panics"), "{reason}");
        assert_eq!((cell.panics(), cell.restarts(), cell.state()), (2, 1, ActorState::Failed));
    }
}

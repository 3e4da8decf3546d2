//! The service from start to ordered stop.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use cuecard_actors::messages::ProfileName;
use cuecard_actors::supervision::{Escalations, escalations};
use cuecard_actors::telemetry::Metrics;

use crate::admin::{self, AdminState};
use crate::pipeline::{self, Knowledge, Pipeline};
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

/// Runs a future on a fresh system arbiter over a multi-thread runtime: actors, sockets and the CXone client live on
/// the arbiter, whatever is spawned with tokio lands on the workers.
pub fn on_system<F: Future>(future: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("no runtime can be started")?;
    Ok(actix_rt::System::with_tokio_rt(|| runtime).block_on(future))
}

/// Serves until `stop` resolves or an actor gives up. `started` is told where the admin port is as soon as it is open,
/// which is before the engine is loaded.
pub async fn run(
    settings: Settings,
    started: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Ended> {
    let names: Vec<ProfileName> = settings.profiles.iter().map(|profile| profile.name.clone()).collect();
    let metrics = Metrics::new(&names, pipeline::cells(&settings.profiles)).context("the metrics can't be made")?;
    let state = AdminState::new(metrics.clone());
    let admin = admin::serve(settings.admin.addr, Arc::clone(&state))?;
    let (admin_addr, admin_handle) = (admin.addr, admin.handle);
    let admin_task = actix_rt::spawn(admin.server);
    tracing::info!(%admin_addr, "the admin port is open");
    started(admin_addr);
    let (escalation, mut escalations) = escalations();
    let settings = Arc::new(settings);
    let loading = Arc::clone(&settings);
    let knowledge = tokio::task::spawn_blocking(move || Knowledge::load(&loading)).await??;
    let rankers: Vec<_> = settings.profiles.iter().map(|profile| profile.plan.ranker.name()).collect();
    metrics.set_build(env!("CARGO_PKG_VERSION"), knowledge.encoder.model().name, &rankers.join(","));
    let pipeline = Pipeline::start(&settings, knowledge, metrics, escalation).await?;
    state.loaded(pipeline.health());
    let ended = until_ended(stop, &mut escalations).await;
    state.stop();
    tracing::info!(?ended, "shutting down");
    pipeline.drain(settings.shutdown.grace).await;
    admin_handle.stop(true).await;
    // The server has stopped; how its task ended is of no use any more.
    let _ = admin_task.await;
    Ok(ended)
}

async fn until_ended(stop: impl Future<Output = ()>, escalations: &mut Escalations) -> Ended {
    tokio::select! {
        () = stop => Ended::Told,
        reason = escalations.next() => Ended::Escalated(reason),
    }
}

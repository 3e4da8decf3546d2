//! Wires the actors from one list, which supervision, health, draining and the documentation all read.

mod screens;
mod shed_share;
mod stages;
mod start;
mod upkeep;
mod watch;
mod wiring;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use cuecard_actors::admission::Admission;
use cuecard_actors::decisions::{Decisions, RecentDecisions};
use cuecard_actors::knowledge_sync::Refresh;
use cuecard_actors::ledger::Ledger;
use cuecard_actors::messages::ProfileName;
use cuecard_actors::supervision::{ActorCell, Escalation};
use cuecard_actors::telemetry::{LEDGER, Metrics, StopUnfinished};
use cuecard_actors::tenant::{ArticleMarks, Profile, Tenants};
use tokio::time::{Instant, sleep, timeout_at};

pub use stages::{Handed, STAGES, Scope, StageSpec};
use stages::{Start, actor_name};
use wiring::Wiring;
pub use wiring::{WiringError, load_shedding};

use crate::settings::Settings;

/// How often a stage that is to stop is looked at.
const DRAIN_PAUSE: Duration = Duration::from_millis(5);
/// What the ledger has for its close where others have used the grace up: a disk, or a server that is well, needs no more.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// The running actors.
pub struct Pipeline {
    wiring: Wiring,
    cells: HashMap<String, Arc<ActorCell>>,
}

/// One cell for each actor that the list makes of these profiles, in the order of the flow.
pub fn cells(profiles: &[Profile]) -> Vec<Arc<ActorCell>> {
    STAGES.iter().flat_map(|stage| stage.actor_names(profiles)).map(ActorCell::new).collect()
}

impl Pipeline {
    /// Starts every actor on the current arbiter. Must be called on a system arbiter inside a tokio runtime.
    pub async fn start(
        settings: &Settings,
        tenants: Tenants,
        metrics: Metrics,
        escalation: Escalation,
    ) -> Result<Self, WiringError> {
        let cells = metrics.cells().iter().map(|cell| (cell.name().to_owned(), Arc::clone(cell))).collect();
        let wiring = Wiring::new(settings, tenants, metrics, escalation).await?;
        let pipeline = Self { wiring, cells };
        for stage in &STAGES {
            match stage.start {
                Start::Service(start) => start(&pipeline.wiring, pipeline.cell(stage.name)),
                Start::Tenant(start) => {
                    for tenant in pipeline.wiring.tenants.iter().filter(|tenant| stage.is_for(&tenant.profile)) {
                        start(&pipeline.wiring, &tenant, pipeline.cell(&actor_name(stage.name, tenant.name())));
                    }
                }
            }
        }
        pipeline.wiring.watch();
        Ok(pipeline)
    }

    /// The cell of that name; the names come from the list that the cells were made of.
    fn cell(&self, name: &str) -> Arc<ActorCell> {
        self.cells.get(name).map_or_else(|| ActorCell::new(name), Arc::clone)
    }

    /// Where decisions go.
    pub fn decisions(&self) -> &Decisions {
        &self.wiring.decisions
    }

    /// The newest decisions.
    pub fn recent(&self) -> &RecentDecisions {
        &self.wiring.recent
    }

    /// Whom to ask for a poll of a profile's articles.
    pub fn refreshers(&self) -> HashMap<ProfileName, Recipient<Refresh>> {
        self.wiring.refreshers.borrow().clone()
    }

    /// Where questions are let in.
    pub fn admission(&self) -> &Admission {
        &self.wiring.admission
    }

    /// What operators decide about articles.
    pub fn marks(&self) -> &Arc<ArticleMarks> {
        &self.wiring.marks
    }

    /// What outlives the process.
    pub fn ledger(&self) -> &Ledger {
        &self.wiring.ledger
    }

    /// Stops the sources and lets what is under way finish in the order of the flow; returns what has not by then.
    pub async fn drain(&self, by: Instant) -> Vec<StopUnfinished> {
        let drained = async {
            for stage in &STAGES {
                (stage.close)(&self.wiring).await;
                while !self.is_idle(stage) {
                    sleep(DRAIN_PAUSE).await;
                }
                tracing::debug!(stage = stage.name, "drained");
            }
            self.wiring.goodbyes.close();
            self.wiring.goodbyes.wait().await;
        };
        if timeout_at(by, drained).await.is_ok() {
            return Vec::new();
        }
        tracing::warn!("the grace is over before everything is finished");
        self.unfinished().collect()
    }

    /// Closes the ledger; whoever records anything must have ended before. Returns what could not be written by then: a
    /// server that does not answer keeps the process no longer.
    pub async fn close(self, by: Instant) -> Option<StopUnfinished> {
        let ledger = &self.wiring.ledger;
        self.wiring.decisions.close();
        let closed = async {
            // One that panicked has written what it could.
            let _ = self.wiring.keeping.await;
            ledger.close().await;
        };
        let is_closed = timeout_at(by.max(Instant::now() + CLOSING_TIME), closed).await.is_ok();
        if !is_closed {
            tracing::warn!("the ledger does not close in time; what waits for it is lost");
        }
        let waiting = ledger.waiting().map(|(_, records)| records).sum();
        (waiting > 0 || !is_closed).then(|| StopUnfinished {
            actor: LEDGER.to_owned(),
            waiting,
            in_flight: usize::from(!is_closed),
        })
    }

    /// Whether nothing waits for the actors of a stage and nothing of theirs is under way.
    fn is_idle(&self, stage: &StageSpec) -> bool {
        let belongs = |name: &str| name == stage.name || name.starts_with(&format!("{}:", stage.name));
        let mut reports = self.cells.values().filter(|cell| belongs(cell.name())).map(|cell| cell.report());
        reports.all(|report| report.queue_depth == 0 && report.in_flight == 0)
    }

    /// What the actors have waiting or in flight, in the order of the flow.
    fn unfinished(&self) -> impl Iterator<Item = StopUnfinished> {
        let reports = self.wiring.metrics.cells().iter().map(|cell| cell.report());
        reports.filter(|report| report.in_flight + report.queue_depth > 0).map(|report| StopUnfinished {
            actor: report.name,
            waiting: report.queue_depth,
            in_flight: report.in_flight,
        })
    }
}

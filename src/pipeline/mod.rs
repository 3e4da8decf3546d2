//! Wires the actors from one list, which supervision, health, draining and the documentation all read.

mod cards;
mod delivered;
mod error;
mod knowledge;
mod profiles;
mod stages;
mod start;
mod sync;
mod watch;
mod wiring;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use cuecard_actors::admission::Admission;
use cuecard_actors::health::ProfileHealth;
use cuecard_actors::knowledge_sync::Refresh;
use cuecard_actors::ledger::Ledger;
use cuecard_actors::messages::ProfileName;
use cuecard_actors::supervision::{ActorCell, Escalation};
use cuecard_actors::telemetry::Metrics;
use tokio::time::{Instant, sleep, timeout_at};

pub use error::StartError;
pub use knowledge::{Knowledge, KnowledgeError};
pub use stages::{STAGES, Scope, StageSpec};
use stages::{Start, actor_name};
use wiring::Wiring;

use crate::settings::{Profile, Settings};

/// How often a stage that is to stop is looked at.
const DRAIN_PAUSE: Duration = Duration::from_millis(5);

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
        knowledge: &Knowledge,
        metrics: Metrics,
        escalation: Escalation,
    ) -> Result<Self, StartError> {
        let cells = metrics.cells().iter().map(|cell| (cell.name().to_owned(), Arc::clone(cell))).collect();
        let wiring = Wiring::new(settings, knowledge, metrics, escalation).await?;
        let pipeline = Self { wiring, cells };
        for stage in &STAGES {
            match stage.start {
                Start::Service(start) => start(&pipeline.wiring, pipeline.cell(stage.name)),
                Start::Profile(start) => {
                    for profile in pipeline.wiring.profiles.iter().filter(|profile| stage.is_for(profile)) {
                        start(&pipeline.wiring, profile, pipeline.cell(&actor_name(stage.name, &profile.name)));
                    }
                }
            }
        }
        pipeline.wiring.watch(knowledge);
        Ok(pipeline)
    }

    /// The cell of that name; the names come from the list that the cells were made of.
    fn cell(&self, name: &str) -> Arc<ActorCell> {
        self.cells.get(name).map_or_else(|| ActorCell::new(name), Arc::clone)
    }

    /// What each profile can do.
    pub fn health(&self) -> Vec<Arc<ProfileHealth>> {
        self.wiring.profiles.iter().map(|profile| Arc::clone(&profile.health)).collect()
    }

    /// Whom to ask for a poll of a profile's articles.
    pub fn refreshers(&self) -> HashMap<ProfileName, Recipient<Refresh>> {
        self.wiring.refreshers.borrow().clone()
    }

    /// Where questions are let in.
    pub fn admission(&self) -> &Admission {
        &self.wiring.admission
    }

    /// What outlives the process.
    pub fn ledger(&self) -> &Ledger {
        &self.wiring.ledger
    }

    /// Stops the sources, lets what is under way finish in the order of the flow, and says who has not by then.
    pub async fn drain(&self, by: Instant) {
        let drained = async {
            for stage in &STAGES {
                (stage.close)(&self.wiring).await;
                while !self.is_idle(stage) {
                    sleep(DRAIN_PAUSE).await;
                }
                tracing::debug!(stage = stage.name, "drained");
            }
        };
        if timeout_at(by, drained).await.is_err() {
            let busy: Vec<_> = self.busy().collect();
            tracing::warn!(?busy, "stopped without waiting longer");
        }
    }

    /// Closes the ledger; whoever records anything must have ended before.
    pub async fn close(self) {
        self.wiring.ledger.close().await;
    }

    /// Whether nothing waits for the actors of a stage and nothing of theirs is under way.
    fn is_idle(&self, stage: &StageSpec) -> bool {
        let belongs = |name: &str| name == stage.name || name.starts_with(&format!("{}:", stage.name));
        let mut reports = self.cells.values().filter(|cell| belongs(cell.name())).map(|cell| cell.report());
        reports.all(|report| report.queue_depth == 0 && report.in_flight == 0)
    }

    /// Actors with work waiting or in flight.
    fn busy(&self) -> impl Iterator<Item = String> {
        let reports = self.cells.values().map(|cell| cell.report());
        reports.filter(|report| report.in_flight + report.queue_depth > 0).map(|report| report.name)
    }
}

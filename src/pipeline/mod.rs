//! Wires the actors from one list, which supervision, health, draining and the documentation all read.

mod knowledge;
mod profiles;
mod stages;
mod wiring;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cuecard_actors::health::ProfileHealth;
use cuecard_actors::messages::ProfileName;
use cuecard_actors::supervision::{ActorCell, Escalation};
use cuecard_actors::telemetry::Metrics;
use tokio::time::{sleep, timeout};

pub use knowledge::{Knowledge, KnowledgeError};
pub use stages::{STAGES, Scope, StageSpec};
pub use wiring::StartError;
use wiring::Wiring;

use crate::settings::{Profile, Settings};

/// The running actors.
pub struct Pipeline {
    wiring: Wiring,
    cells: Vec<Arc<ActorCell>>,
}

/// One cell for each actor that the list makes of these profiles, in the order of the flow.
pub fn cells(profiles: &[Profile]) -> Vec<Arc<ActorCell>> {
    let names = STAGES.iter().flat_map(|stage| stage.actor_names(profiles.iter().map(|profile| &profile.name)));
    names.map(ActorCell::new).collect()
}

impl Pipeline {
    /// Starts every actor on the current arbiter. Must be called on a system arbiter inside a tokio runtime.
    pub async fn start(
        settings: &Settings,
        knowledge: Knowledge,
        metrics: Metrics,
        escalation: Escalation,
    ) -> Result<Self, StartError> {
        let cells = metrics.cells().to_vec();
        let wiring = Wiring::new(settings, knowledge, metrics, escalation).await?;
        let mut unused = cells.iter();
        for stage in &STAGES {
            match stage.scope {
                Scope::Service => start(&wiring, None, stage, unused.next()),
                Scope::Profile => wiring.profiles.iter().for_each(|(_, profile)| {
                    start(&wiring, Some(profile), stage, unused.next());
                }),
            }
        }
        wiring.watch();
        Ok(Self { wiring, cells })
    }

    /// What each profile can do.
    pub fn health(&self) -> Vec<Arc<ProfileHealth>> {
        self.wiring.profiles.iter().map(|(_, profile)| Arc::clone(&profile.health)).collect()
    }

    /// Stops the sources, lets what is under way finish in the order of the flow, and says who does not.
    pub async fn drain(self, grace: Duration) {
        self.wiring.stop.cancel();
        let drained = async {
            for stage in &STAGES {
                (stage.drain)(&self.wiring).await;
                tracing::debug!(stage = stage.name, "drained");
            }
            while self.busy().next().is_some() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(grace, drained).await.is_err() {
            let busy: Vec<_> = self.busy().collect();
            tracing::warn!(?busy, ?grace, "stopped without waiting longer");
        }
        self.wiring.ledger.close().await;
    }

    /// Actors with work in flight.
    fn busy(&self) -> impl Iterator<Item = String> {
        let reports = self.cells.iter().map(|cell| cell.report());
        reports.filter(|report| report.in_flight > 0).map(|report| report.name)
    }
}

fn start(
    wiring: &Wiring,
    profile: Option<&Rc<profiles::ProfileWiring>>,
    stage: &StageSpec,
    cell: Option<&Arc<ActorCell>>,
) {
    // The cells come from the same list, so there is one for each.
    let cell = cell.map_or_else(|| ActorCell::new(stage.name), Arc::clone);
    (stage.start)(wiring, profile, cell);
}

/// An actor's name: a profile's own actor carries the profile's name.
fn actor_name(stage: &str, profile: &ProfileName) -> String {
    format!("{stage}:{profile}")
}

//! The gauges that nobody reports, looked at again and again beside the flow.

use std::collections::HashMap;
use std::time::Duration;

use cuecard_actors::admission::Admission;
use cuecard_actors::engine::Effort;
use cuecard_actors::engine::encoder::{Encoder, EncoderHealth};
use cuecard_actors::health::{Condition, Part};
use cuecard_actors::ledger::{Ledger, QueueKind};
use cuecard_actors::messages::ProfileName;
use cuecard_actors::supervision;
use cuecard_actors::telemetry::Metrics;
use cuecard_actors::tenant::{Tenant, Tenants};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::shed_share::{self, ShedShare};

const LOOK_INTERVAL: Duration = Duration::from_secs(1);

const LEXICAL_ONLY: &str = "lexical only: questions come faster than they are embedded, so articles are found by their \
                            words alone; give encoder.threads more cores";

const NO_THREAD: &str = "lexical only: no thread of the encoder runs, since none could be started, so articles are found by their \
                         words alone; it is tried again all the time, and the log says what is in the way (threads or memory of \
                         this process)";

/// What the look goes over.
pub(super) struct Watch {
    pub(super) tenants: Tenants,
    pub(super) metrics: Metrics,
    pub(super) admission: Admission,
    pub(super) ledger: Ledger,
    /// A conversation of which nothing is heard for so long is over.
    pub(super) forget_after: Duration,
}

impl Watch {
    /// Looks for ever.
    pub(super) async fn run(self) {
        let mut tick = interval(LOOK_INTERVAL);
        // After a pause of the whole process there is one look, not one for each that was missed.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shed: HashMap<ProfileName, ShedShare> = HashMap::new();
        loop {
            tick.tick().await;
            supervision::look_at(self.metrics.cells());
            self.metrics.set_admission(self.admission.queued(), self.admission.in_flight());
            self.metrics.set_acceptance(self.ledger.deliveries().acceptance().ratio());
            self.metrics.set_ledger(&self.ledger.health(), self.ledger.waiting());
            self.metrics.set_encoder(&health_of_all(&self.tenants.encoders()));
            self.metrics.close_conversations(self.forget_after);
            for tenant in self.tenants.iter() {
                self.look_at(&tenant, shed.entry(tenant.name().clone()).or_default());
            }
        }
    }

    fn look_at(&self, tenant: &Tenant, shed: &mut ShedShare) {
        let profile = tenant.name();
        self.metrics.set_shedding_level(profile, self.admission.shedding_level(profile));
        self.metrics.set_encoder_wait(profile, tenant.engine.encoder().longest_wait());
        let share = shed.note(Instant::now(), self.metrics.ends(profile));
        self.metrics.set_shedding_ratio(profile, share);
        tenant.health.set(Part::Shedding, shed_share::condition(share));
        // A reload may have made it one that reads none.
        let condition = if tenant.profile.plan.reads_embeddings() {
            condition(self.admission.effort(profile), tenant.engine.encoder().health().threads)
        } else {
            Condition::Good
        };
        tenant.health.set(Part::Effort, condition);
        let judged = self.ledger.deliveries().judged(profile.as_str());
        self.metrics.set_judged(profile, tenant.profile.dialect, &judged);
        let pending = self.ledger.queue(QueueKind::Callback).pending_count(profile.as_str());
        self.metrics.set_callbacks_pending(profile, pending);
    }
}

fn health_of_all(encoders: &[Encoder]) -> EncoderHealth {
    encoders.iter().map(Encoder::health).fold(EncoderHealth::default(), |all, one| EncoderHealth {
        threads: all.threads + one.threads,
        panicked: all.panicked + one.panicked,
        hung: all.hung + one.hung,
        away: all.away + one.away,
    })
}

/// Questions that are found by their words alone get worse cards, which an operator must see.
fn condition(effort: Effort, encoder_threads: usize) -> Condition {
    match (effort, encoder_threads) {
        (_, 0) => Condition::Failing(NO_THREAD.to_owned()),
        (Effort::Full | Effort::NewestTurn, _) => Condition::Good,
        (Effort::LexicalOnly, _) => Condition::Failing(LEXICAL_ONLY.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_service_that_finds_by_words_alone_is_degraded_by_its_effort() {
        for effort in [Effort::Full, Effort::NewestTurn] {
            assert_eq!(condition(effort, 1), Condition::Good, "{effort:?}");
        }
        let told = |threads| match condition(Effort::LexicalOnly, threads) {
            Condition::Failing(reason) => reason,
            other => panic!("it must be seen: {other:?}"),
        };
        let (behind, without) = (told(1), told(0));
        assert!(behind.starts_with("lexical only") && behind.contains("more cores"), "{behind}");
        // More cores help nobody who has no thread.
        assert!(without.starts_with("lexical only") && !without.contains("cores"), "{without}");
        assert_eq!(condition(Effort::Full, 0), Condition::Failing(without), "whether or not anything waits");
    }
}

//! How a decision is written down: as JSON, with the words of the conversation where its profile keeps them, masked; in memory
//! for the admin port, and in the ledger for whoever asks later.

use std::num::NonZero;

use cuecard_ledger::{DecisionKey, DecisionRecord, Decisions};
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::KeptDecision;
use crate::messages::{Decision, Outcome, ProfileName};
use crate::telemetry::{DropReason, Metrics};
use crate::tenant::Tenants;

/// Of the questions of a profile that are let go, so many a second are written down: the others would say the same, and take the
/// time that its cards and those of others need.
const LET_GO_A_SECOND: NonZero<u32> = NonZero::new(10).unwrap();

/// Writes decisions down.
pub struct DecisionRecords {
    tenants: Tenants,
    metrics: Metrics,
    let_go: RateLimiter<ProfileName, HashMapStateStore<ProfileName>, DefaultClock>,
    /// None where the settings don't keep them.
    ledger: Option<Decisions>,
}

impl DecisionRecords {
    /// Keeps in this ledger, if any.
    pub fn new(tenants: Tenants, metrics: Metrics, ledger: Option<Decisions>) -> Self {
        Self { tenants, metrics, let_go: RateLimiter::hashmap(Quota::per_second(LET_GO_A_SECOND)), ledger }
    }

    /// Whether a decision is one to write down; one that is not is counted.
    pub(super) fn takes(&self, decision: &Decision) -> bool {
        let is_one_of_many =
            matches!(decision.outcome, Outcome::Shed) && self.let_go.check_key(&decision.profile).is_err();
        if is_one_of_many {
            self.metrics.count_decision_dropped(DropReason::ManyLetGo);
        }
        !is_one_of_many
    }

    /// The decision as JSON; handed to the ledger, which writes it when it has time.
    pub(super) fn write(&self, decision: &Decision) -> Option<String> {
        let json = KeptDecision::json(decision, self.keeps_words(decision))
            .map_err(|error| tracing::error!(%error, id = %decision.id, "a decision can't be written down"))
            .ok()?;
        if let Some(ledger) = &self.ledger
            && !DecisionRecord::new(key(decision), &json).is_ok_and(|record| ledger.record_behind(record))
        {
            self.metrics.count_decision_dropped(DropReason::DecisionNotKept);
        }
        Some(json)
    }

    fn keeps_words(&self, decision: &Decision) -> bool {
        self.tenants.get(&decision.profile).is_some_and(|tenant| tenant.profile.learning.keeps_words)
    }
}

fn key(decision: &Decision) -> DecisionKey {
    DecisionKey {
        id: decision.id,
        profile: decision.profile.to_string(),
        interaction: decision.interaction.to_string(),
        outcome: decision.outcome.label().to_owned(),
        at: decision.heard_at,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use cuecard_engine::conversation::Utterance;

    use super::*;
    use crate::messages::{Ask, ProfileName, WorkItem};
    use crate::tenant::Learning;
    use crate::testing::{TenantParts, item};

    #[test]
    fn words_are_kept_where_the_profile_keeps_them_and_without_what_names_anybody() {
        let said = "my card is 4111 1111 1111 1111, can I pay with it";
        let tenants: Tenants = [true, false]
            .map(|keeps_words| {
                let parts = TenantParts::new(if keeps_words { "keeps" } else { "forgets" });
                TenantParts { learning: Learning { keeps_words, ..Learning::default() }, ..parts }.build()
            })
            .into_iter()
            .collect();
        let metrics = Metrics::new(&[ProfileName::new("keeps"), ProfileName::new("forgets")], Vec::new()).unwrap();
        let records = DecisionRecords::new(tenants, metrics, None);
        let written = |profile| {
            let ask = Ask::Cards(Arc::new(Utterance::question(said)));
            let decision = Decision::opened(&WorkItem { ask, ..item(profile, "c-1", 3) }, Arc::default());
            records.write(&decision).unwrap()
        };
        let (kept, forgotten) = (written("keeps"), written("forgets"));
        assert!(kept.contains("can I pay with it") && kept.contains("[card]"), "{kept}");
        for json in [kept, forgotten.clone()] {
            assert!(!json.contains("4111"), "{json}");
        }
        assert!(!forgotten.contains("can I pay"), "{forgotten}");
    }

    #[test]
    fn of_a_flood_that_is_let_go_some_a_second_are_written_down_for_each_profile() {
        let profiles = ["flood", "calm"].map(ProfileName::new);
        let metrics = Metrics::new(&profiles, Vec::new()).unwrap();
        let records = DecisionRecords::new(Tenants::default(), metrics.clone(), None);
        let taken = |profile: &str, outcome: Outcome, number: usize| {
            let ended = Decision { outcome, ..Decision::opened(&item(profile, "c-1", 1), Arc::default()) };
            (0..number).filter(|_| records.takes(&ended)).count()
        };
        let of_flood = taken("flood", Outcome::Shed, 1000);
        assert!((10..100).contains(&of_flood), "{of_flood}");
        assert_eq!(taken("calm", Outcome::Shed, 10), 10);
        assert_eq!(taken("flood", Outcome::Replaced, 1000), 1000, "these differ");
        let counted = format!("reason=\"many_let_go\"}} {}", 1000 - of_flood);
        assert!(metrics.render(0.0).unwrap().contains(&counted), "{counted}");
    }
}

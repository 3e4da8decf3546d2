//! How a decision is written down: as JSON, with the words of the conversation where its profile keeps them, masked; in memory
//! for the admin port, and in the ledger for whoever asks later.

use cuecard_ledger::{DecisionKey, DecisionRecord, Decisions};

use super::KeptDecision;
use crate::messages::Decision;
use crate::telemetry::{DropReason, Metrics};
use crate::tenant::Tenants;

/// Writes decisions down.
pub struct DecisionRecords {
    tenants: Tenants,
    metrics: Metrics,
    /// None where the settings don't keep them.
    ledger: Option<Decisions>,
}

impl DecisionRecords {
    /// Keeps in this ledger, if any.
    pub fn new(tenants: Tenants, metrics: Metrics, ledger: Option<Decisions>) -> Self {
        Self { tenants, metrics, ledger }
    }

    /// The decision as JSON; handed to the ledger, which writes it when it has time.
    pub(super) fn write(&self, decision: &Decision) -> Option<String> {
        let json = KeptDecision::json(decision, self.keeps_words(decision))
            .map_err(|error| tracing::error!(%error, id = %decision.id, "a decision can't be written down"))
            .ok()?;
        if let Some(ledger) = &self.ledger
            && !ledger.record_behind(DecisionRecord::new(key(decision), &json))
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
}

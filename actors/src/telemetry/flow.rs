//! What the counters say of the flow, for whoever looks at the service and not at its metrics: totals since the start, from
//! two of which a rate is made.

use cuecard_engine::ranking::SilenceReason;
use serde::Serialize;
use strum::VariantArray;

use super::labels::{PollResult, ShadowResult};
use super::metrics::Metrics;
use crate::messages::{Outcome, ProfileName, Stage};

/// A name of a closed set and how often that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The name in metrics.
    pub name: &'static str,
    /// Since the start.
    pub count: u64,
}

/// What questions spent in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StageCount {
    /// Its name in metrics.
    pub name: &'static str,
    /// Questions that left it.
    pub count: u64,
    /// The time of all of them.
    pub seconds: f64,
}

/// The flow of all profiles together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FlowCounts {
    /// Questions heard or asked.
    pub heard: u64,
    /// Questions that wait for a permit.
    pub queued: i64,
    /// Questions on their way through the stages.
    pub in_flight: i64,
    /// In the order of the flow.
    pub stages: Vec<StageCount>,
    /// How questions ended.
    pub outcomes: Vec<Count>,
    /// Why nothing was shown.
    pub silences: Vec<Count>,
    /// What second rankers would have changed.
    pub shadows: Vec<Count>,
    /// Cards that CXone took, and their time from the last word.
    pub delivered: StageCount,
}

impl Metrics {
    /// The flow of these profiles.
    pub fn flow(&self, profiles: &[&ProfileName]) -> FlowCounts {
        let sum = |count: &dyn Fn(&str) -> u64| profiles.iter().map(|profile| count(profile.as_str())).sum();
        let counts = |names: &[&'static str], count: &dyn Fn(&str, &str) -> u64| -> Vec<Count> {
            names.iter().map(|name| Count { name, count: sum(&|profile| count(profile, name)) }).collect()
        };
        let silences: Vec<_> = SilenceReason::ALL.iter().map(|reason| reason.name()).collect();
        let shadows: Vec<_> = ShadowResult::VARIANTS.iter().map(|result| result.name()).collect();
        let latencies: Vec<_> =
            profiles.iter().map(|profile| self.card_latency.with_label_values(&[profile.as_str()])).collect();
        let stage = |stage: &Stage| {
            let histogram = self.stage.with_label_values(&[stage.name()]);
            StageCount { name: stage.name(), count: histogram.get_sample_count(), seconds: histogram.get_sample_sum() }
        };
        FlowCounts {
            heard: sum(&|profile| self.utterances.with_label_values(&[profile]).get()),
            queued: self.admission_queued.get(),
            in_flight: self.admission_in_flight.get(),
            stages: Stage::VARIANTS.iter().map(stage).collect(),
            outcomes: counts(Outcome::LABELS, &|profile, name| self.cards.with_label_values(&[profile, name]).get()),
            silences: counts(&silences, &|profile, name| self.silences.with_label_values(&[profile, name]).get()),
            shadows: counts(&shadows, &|profile, name| self.shadows.with_label_values(&[profile, name]).get()),
            delivered: StageCount {
                name: "delivered",
                count: latencies.iter().map(prometheus::Histogram::get_sample_count).sum(),
                seconds: latencies.iter().map(prometheus::Histogram::get_sample_sum).sum(),
            },
        }
    }

    /// Polls of a profile's articles by result.
    pub fn polls(&self, profile: &ProfileName) -> Vec<Count> {
        let count = |result: &PollResult| Count {
            name: result.name(),
            count: self.knowledge_polls.with_label_values(&[profile.as_str(), result.name()]).get(),
        };
        PollResult::VARIANTS.iter().map(count).collect()
    }

    /// How far a profile is behind.
    pub fn shedding(&self, profile: &ProfileName) -> i64 {
        self.shedding_level.with_label_values(&[profile.as_str()]).get()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::messages::{Decision, Receipt, StageTime, Versions};
    use crate::testing::item;

    #[test]
    fn what_is_counted_of_each_profile_is_added_up() {
        let profiles = ["acme", "other"].map(ProfileName::new);
        let metrics = Metrics::new(&profiles, Vec::new()).unwrap();
        for (profile, outcome) in [
            ("acme", Outcome::Delivered(Receipt::default())),
            ("acme", Outcome::Silent(SilenceReason::Unsure)),
            ("other", Outcome::Silent(SilenceReason::Unsure)),
        ] {
            metrics.count_utterance(&ProfileName::new(profile));
            let stages = vec![StageTime { stage: Stage::Rank, took: Duration::from_millis(250) }];
            let decision = Decision::opened(&item(profile, "c-1", 1), Arc::new(Versions::default()));
            metrics.count_decision(&Decision { outcome, stages, latency: Duration::from_millis(500), ..decision });
        }
        let both = metrics.flow(&profiles.each_ref());
        let count = |counts: &[Count], name| counts.iter().find(|count| count.name == name).unwrap().count;
        assert_eq!((both.heard, count(&both.outcomes, "delivered"), count(&both.outcomes, "silent")), (3, 1, 2));
        assert_eq!((count(&both.silences, "unsure"), count(&both.silences, "not_asked")), (2, 0));
        assert_eq!(both.delivered, StageCount { name: "delivered", count: 1, seconds: 0.5 });
        let rank = both.stages.iter().find(|stage| stage.name == "rank").unwrap();
        assert_eq!((rank.count, rank.seconds), (3, 0.75));
        assert_eq!(metrics.flow(&[&profiles[1]]).heard, 1);
    }
}

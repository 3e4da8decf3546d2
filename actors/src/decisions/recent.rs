//! The newest decisions, kept in memory as they are written down, up to a size.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_channel::Receiver;
use cuecard_cxone::InteractionId;
use uuid::Uuid;

use super::{DecisionRecords, Shadows, Tapped};
use crate::messages::{Decision, ProfileName};
use crate::traces::Traces;

/// What the newest decisions may take: some ten thousand of them.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Decisions that wait in the tap when there is no time for second rankers.
const BEHIND: usize = 16;
/// What one takes beside its text, in the queue and in the table of ids.
const OVERHEAD_BYTES: usize = 128;

/// The newest decisions, for whoever asks what happened. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct RecentDecisions {
    kept: Arc<Mutex<Kept>>,
}

/// Which decisions are wanted; what is `None` is not looked at.
#[derive(Debug, Clone, Default)]
pub struct DecisionFilter {
    /// Of this outcome, by its label.
    pub outcome: Option<String>,
    /// Of this profile.
    pub profile: Option<String>,
}

struct Kept {
    max_bytes: usize,
    num_bytes: usize,
    decisions: VecDeque<Written>,
    /// The number of each decision, counted from the first that was ever kept.
    by_id: HashMap<Uuid, u64>,
    /// The number of the oldest that is still there.
    oldest: u64,
}

/// A decision as JSON, with what it is looked for by.
struct Written {
    id: Uuid,
    profile: ProfileName,
    interaction: InteractionId,
    outcome: &'static str,
    json: Box<str>,
}

impl Default for RecentDecisions {
    fn default() -> Self {
        Self::of_size(MAX_BYTES)
    }
}

impl RecentDecisions {
    fn of_size(max_bytes: usize) -> Self {
        let (decisions, by_id) = (VecDeque::new(), HashMap::new());
        Self { kept: Arc::new(Mutex::new(Kept { max_bytes, num_bytes: 0, decisions, by_id, oldest: 0 })) }
    }

    /// Logs and keeps what comes through the tap, until it is closed and empty; with what a second ranker would have shown,
    /// as long as that does not hold up what waits behind it.
    /// Traces are handed on, where there are any; what of them still waits is sent at the end.
    pub async fn keep(
        self,
        tap: Receiver<Tapped>,
        mut shadows: Shadows,
        records: DecisionRecords,
        traces: Option<Traces>,
    ) {
        while let Ok(tapped) = tap.recv().await {
            let mut decision = match tapped {
                Tapped::Ended(decision) => decision,
                Tapped::Awaited(told) => {
                    // Whoever waited may have gone.
                    let _ = told.send(());
                    continue;
                }
            };
            if !records.takes(&decision) {
                continue;
            }
            if tap.len() < BEHIND && !tap.is_closed() {
                shadows.add_to(&mut decision).await;
            }
            super::log(&decision);
            if let Some(traces) = &traces {
                traces.add(&decision);
            }
            if let Some(json) = records.write(&decision) {
                self.add(&decision, json);
            }
        }
        if let Some(traces) = traces {
            traces.close().await;
        }
    }

    fn add(&self, decision: &Decision, json: String) {
        self.lock().add(Written {
            id: decision.id,
            profile: decision.profile.clone(),
            interaction: decision.interaction.clone(),
            outcome: decision.outcome.label(),
            json: json.into(),
        });
    }

    /// The ids of those about an interaction, newest first.
    pub fn of_interaction(&self, interaction: &str) -> Vec<Uuid> {
        let kept = self.lock();
        let about = kept.decisions.iter().rev().filter(|written| written.interaction.as_str() == interaction);
        about.filter(|written| !written.is_erased()).map(|written| written.id).collect()
    }

    /// Forgets the decisions about an interaction, of one profile or of all.
    pub fn erase(&self, interaction: &str, profile: Option<&str>) {
        self.lock().erase(interaction, profile);
    }

    /// The decision of this id, as JSON.
    pub fn find(&self, id: Uuid) -> Option<String> {
        let kept = self.lock();
        let number = kept.by_id.get(&id)?;
        let position = usize::try_from(number - kept.oldest).ok()?;
        kept.decisions.get(position).filter(|written| !written.is_erased()).map(|written| written.json.to_string())
    }

    /// At most so many that pass the filter, newest first, each as JSON.
    pub fn newest(&self, filter: &DecisionFilter, limit: usize) -> Vec<String> {
        let kept = self.lock();
        let passing = kept.decisions.iter().rev().filter(|written| filter.passes(written));
        passing.take(limit).map(|written| written.json.to_string()).collect()
    }

    /// At most so many that pass the filter and were not counted in `after` yet, newest first, each as JSON; and the count to
    /// ask with the next time. The first time that is 0.
    pub fn newer(&self, filter: &DecisionFilter, after: u64, limit: usize) -> (Vec<String>, u64) {
        let kept = self.lock();
        let counted = kept.oldest + kept.decisions.len() as u64;
        // One that counts more asked another process, before a restart.
        let num_new = if after > counted { counted } else { counted - after };
        let new = kept.decisions.iter().rev().take(usize::try_from(num_new).unwrap_or(usize::MAX));
        let passing = new.filter(|written| filter.passes(written)).take(limit);
        (passing.map(|written| written.json.to_string()).collect(), counted)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn add(&mut self, written: Written) {
        self.by_id.insert(written.id, self.oldest + self.decisions.len() as u64);
        self.num_bytes += written.num_bytes();
        self.decisions.push_back(written);
        while self.num_bytes > self.max_bytes
            && let Some(oldest) = self.decisions.pop_front()
        {
            self.num_bytes -= oldest.num_bytes();
            // The same question may have come from another process again, as a newer decision.
            if self.by_id.get(&oldest.id) == Some(&self.oldest) {
                self.by_id.remove(&oldest.id);
            }
            self.oldest += 1;
        }
    }
}

impl Kept {
    /// What is erased leaves its place, or the others would not be found by their numbers any more.
    fn erase(&mut self, interaction: &str, profile: Option<&str>) {
        for written in &mut self.decisions {
            let is_of = profile.is_none_or(|profile| profile == written.profile.as_str());
            if is_of && written.interaction.as_str() == interaction {
                self.num_bytes -= written.json.len();
                written.json = "".into();
            }
        }
    }
}

impl Written {
    fn is_erased(&self) -> bool {
        self.json.is_empty()
    }

    fn num_bytes(&self) -> usize {
        self.json.len() + OVERHEAD_BYTES
    }
}

impl DecisionFilter {
    fn passes(&self, written: &Written) -> bool {
        self.outcome.as_ref().is_none_or(|outcome| outcome == written.outcome)
            && self.profile.as_ref().is_none_or(|profile| profile == written.profile.as_str())
            && !written.is_erased()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::decisions::Decisions;
    use crate::messages::{Outcome, Versions};
    use crate::telemetry::Metrics;
    use crate::tenant::Tenants;
    use crate::testing::item;

    fn decision(profile: &str, outcome: Outcome) -> Decision {
        Decision { outcome, ..Decision::opened(&item(profile, "c-1", 1), Arc::new(Versions::default())) }
    }

    fn id_of(json: &str) -> Uuid {
        serde_json::from_str::<Decision>(json).unwrap().id
    }

    #[test]
    fn decisions_are_found_by_id_and_by_filter_newest_first() {
        let recent = RecentDecisions::default();
        let decisions = [
            decision("acme", Outcome::Replaced),
            decision("other", Outcome::Shed),
            decision("acme", Outcome::Shed),
            decision("acme", Outcome::Replaced),
        ];
        for decision in &decisions {
            recent.add(decision, serde_json::to_string(decision).unwrap());
        }
        let filter = |outcome: Option<&str>, profile: Option<&str>| DecisionFilter {
            outcome: outcome.map(str::to_owned),
            profile: profile.map(str::to_owned),
        };
        // (outcome, profile, at most) → positions
        for (outcome, profile, limit, expected) in [
            (None, None, 9, vec![3, 2, 1, 0]),
            (None, None, 2, vec![3, 2]),
            (Some("shed"), None, 9, vec![2, 1]),
            (Some("shed"), Some("acme"), 9, vec![2]),
            (None, Some("nobody"), 9, vec![]),
        ] {
            let found = recent.newest(&filter(outcome, profile), limit);
            let expected: Vec<_> = expected.into_iter().map(|position: usize| decisions[position].id).collect();
            assert_eq!(found.iter().map(|json| id_of(json)).collect::<Vec<_>>(), expected, "{outcome:?} {profile:?}");
        }
        for decision in &decisions {
            assert_eq!(id_of(&recent.find(decision.id).unwrap()), decision.id);
        }
        assert_eq!(recent.find(Uuid::nil()), None);
    }

    #[test]
    fn whoever_asks_again_gets_what_is_new() {
        let recent = RecentDecisions::of_size(3_000);
        let add = |outcome: Outcome| {
            let decision = decision("acme", outcome);
            recent.add(&decision, serde_json::to_string(&decision).unwrap());
            decision.id
        };
        let newer = |filter: &DecisionFilter, after, limit| {
            let (new, counted) = recent.newer(filter, after, limit);
            (new.iter().map(|json| id_of(json)).collect::<Vec<_>>(), counted)
        };
        let (all, shed) = (DecisionFilter::default(), DecisionFilter { outcome: Some("shed".into()), profile: None });
        let ids = [Outcome::Shed, Outcome::Replaced, Outcome::Shed].map(&add);
        assert_eq!(newer(&all, 0, 9), (vec![ids[2], ids[1], ids[0]], 3));
        assert_eq!(newer(&all, 0, 1), (vec![ids[2]], 3));
        assert_eq!(newer(&all, 2, 9), (vec![ids[2]], 3));
        assert_eq!(newer(&shed, 1, 9), (vec![ids[2]], 3));
        assert_eq!(newer(&all, 3, 9), (vec![], 3));
        assert_eq!(newer(&all, 70, 9).0.len(), 3, "the count of another process");
        let more: Vec<_> = (0..50).map(|_| add(Outcome::Shed)).collect();
        let (found, counted) = newer(&all, 3, 100);
        assert!(found.len() < 50 && found[0] == more[49], "what made room is gone");
        assert_eq!((counted, newer(&all, counted, 100).0.len()), (53, 0));
    }

    #[test]
    fn what_is_erased_is_found_no_more_and_the_others_still_are() {
        let recent = RecentDecisions::default();
        let decisions = ["her", "him", "her"].map(|interaction| {
            let interaction = interaction.parse().unwrap();
            let decision = Decision { interaction, ..decision("acme", Outcome::Shed) };
            recent.add(&decision, serde_json::to_string(&decision).unwrap());
            decision.id
        });
        recent.erase("her", Some("other"));
        assert!(recent.find(decisions[0]).is_some());
        recent.erase("her", None);
        assert_eq!(decisions.map(|id| recent.find(id).is_some()), [false, true, false]);
        assert_eq!(recent.newest(&DecisionFilter::default(), 9).len(), 1);
        assert_eq!([recent.of_interaction("her"), recent.of_interaction("him")], [vec![], vec![decisions[1]]]);
    }

    #[test]
    fn the_oldest_make_room_and_what_is_left_is_still_found() {
        let recent = RecentDecisions::of_size(5_000);
        let ids: Vec<_> = (0..100)
            .map(|_| {
                let decision = decision("acme", Outcome::Replaced);
                recent.add(&decision, serde_json::to_string(&decision).unwrap());
                decision.id
            })
            .collect();
        let kept = recent.lock();
        assert!(kept.num_bytes <= 5_000 && kept.decisions.len() > 3, "{} bytes", kept.num_bytes);
        assert_eq!(kept.by_id.len(), kept.decisions.len());
        let num_kept = kept.decisions.len();
        drop(kept);
        let found: Vec<_> = ids.iter().map(|id| recent.find(*id).map(|json| id_of(&json))).collect();
        assert!(found[..100 - num_kept].iter().all(Option::is_none));
        assert_eq!(found[100 - num_kept..], ids[100 - num_kept..].iter().copied().map(Some).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_flood_that_is_let_go_drives_out_no_other_decision() {
        let recent = RecentDecisions::default();
        let metrics = Metrics::new(&[ProfileName::new("acme")], Vec::new()).unwrap();
        let (decisions, tap) = Decisions::new(metrics.clone());
        for outcome in [vec![Outcome::Replaced], vec![Outcome::Shed; 1000], vec![Outcome::Replaced]].concat() {
            decisions.ended(Box::new(decision("acme", outcome)));
        }
        decisions.close();
        let shadows = Shadows::new(Tenants::default(), metrics.clone(), 1, Duration::from_secs(1));
        recent.clone().keep(tap, shadows, DecisionRecords::new(Tenants::default(), metrics, None), None).await;
        let number = |outcome: &str| {
            let filter = DecisionFilter { outcome: Some(outcome.to_owned()), profile: None };
            recent.newest(&filter, 2000).len()
        };
        assert_eq!(number("replaced"), 2);
        assert!((10..500).contains(&number("shed")), "{}", number("shed"));
    }
}

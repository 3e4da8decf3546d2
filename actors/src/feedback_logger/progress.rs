//! Which events are on their way, and when the ledger is asked again. No actor and no I/O in here.
//!
//! What a look into the ledger brings back may be out of date: an event that ended while the look was under way still
//! stands in it as waiting, and must not be forwarded a second time.

use std::collections::{HashMap, HashSet};

use cuecard_ledger::{DueItem, ItemId};

use crate::messages::ProfileName;

/// Events on their way and looks under way, of all profiles.
#[derive(Default)]
pub(super) struct Progress {
    under_way: HashSet<ItemId>,
    /// The looks under way, each with the events that ended meanwhile.
    looks: HashMap<ProfileName, HashSet<ItemId>>,
}

impl Progress {
    /// Whether to look now: one look of a profile at a time.
    pub(super) fn start_look(&mut self, profile: &ProfileName) -> bool {
        if self.looks.contains_key(profile) {
            return false;
        }
        self.looks.insert(profile.clone(), HashSet::new());
        true
    }

    /// A look came back: what of it is to be forwarded now, and whether to look again at once.
    pub(super) fn looked(&mut self, profile: &ProfileName, mut events: Vec<DueItem>) -> (Vec<DueItem>, bool) {
        let ended_meanwhile = self.looks.remove(profile).unwrap_or_default();
        events.retain(|event| !ended_meanwhile.contains(&event.id) && !self.under_way.contains(&event.id));
        (events, !ended_meanwhile.is_empty())
    }

    /// Notes that an event is on its way.
    pub(super) fn forwarding(&mut self, id: ItemId) {
        self.under_way.insert(id);
    }

    /// An event's way came to an end; whether to look what comes next.
    pub(super) fn ended(&mut self, profile: &ProfileName, id: ItemId) -> bool {
        self.under_way.remove(&id);
        match self.looks.get_mut(profile) {
            Some(ended_meanwhile) => {
                ended_meanwhile.insert(id);
                false
            }
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: i64) -> DueItem {
        DueItem { id: ItemId(id), key: "a".into(), payload: "{}".into(), attempts: 0 }
    }

    fn ids(events: &[DueItem]) -> Vec<i64> {
        events.iter().map(|event| event.id.0).collect()
    }

    #[test]
    fn a_profile_is_looked_at_once_at_a_time() {
        let (acme, other) = (ProfileName::new("acme"), ProfileName::new("other"));
        let mut progress = Progress::default();
        assert!(progress.start_look(&acme));
        assert!(!progress.start_look(&acme));
        assert!(progress.start_look(&other));
        assert!(progress.looked(&acme, Vec::new()).0.is_empty());
        assert!(progress.start_look(&acme));
    }

    #[test]
    fn what_is_under_way_or_ended_during_the_look_is_not_forwarded_again() {
        let acme = ProfileName::new("acme");
        let mut progress = Progress::default();
        for id in [1, 2] {
            progress.forwarding(ItemId(id));
        }
        progress.start_look(&acme);
        assert!(!progress.ended(&acme, ItemId(1)), "the look under way comes first");
        let (events, again) = progress.looked(&acme, vec![event(1), event(2), event(3)]);
        assert_eq!((ids(&events), again), (vec![3], true));
    }

    #[test]
    fn an_event_that_was_postponed_comes_again_with_a_later_look() {
        let acme = ProfileName::new("acme");
        let mut progress = Progress::default();
        progress.forwarding(ItemId(1));
        assert!(progress.ended(&acme, ItemId(1)));
        progress.start_look(&acme);
        let (events, again) = progress.looked(&acme, vec![event(1)]);
        assert_eq!((ids(&events), again), (vec![1], false));
    }
}

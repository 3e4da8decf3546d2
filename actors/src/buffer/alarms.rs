//! When which key is due: a set of times, one per key.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use tokio::time::Instant;

/// One alarm per key; setting it again moves it.
#[derive(Debug)]
pub(super) struct Alarms<K> {
    at: HashMap<K, Instant>,
    order: BTreeSet<(Instant, K)>,
}

impl<K: Clone + Ord + Hash> Alarms<K> {
    pub(super) fn new() -> Self {
        Self { at: HashMap::new(), order: BTreeSet::new() }
    }

    /// Sets, moves or (with `None`) takes away a key's alarm.
    pub(super) fn set(&mut self, key: &K, at: Option<Instant>) {
        if let Some(before) = self.at.remove(key) {
            self.order.remove(&(before, key.clone()));
        }
        if let Some(at) = at {
            self.at.insert(key.clone(), at);
            self.order.insert((at, key.clone()));
        }
    }

    /// The time of the next alarm.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes out the earliest key that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (at, key) = self.order.first()?;
        if *at > now {
            return None;
        }
        let key = key.clone();
        self.set(&key, None);
        Some(key)
    }

    /// Takes all alarms away.
    pub(super) fn clear(&mut self) {
        self.at.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn keys_come_out_in_the_order_of_their_last_setting() {
        let start = Instant::now();
        let second = |seconds| start + Duration::from_secs(seconds);
        let mut alarms = Alarms::new();
        alarms.set(&"a", Some(second(1)));
        alarms.set(&"b", Some(second(2)));
        alarms.set(&"a", Some(second(3)));
        alarms.set(&"c", Some(second(2)));
        alarms.set(&"c", None);
        assert_eq!(alarms.next(), Some(second(2)));
        assert_eq!(alarms.pop_due(second(1)), None);
        assert_eq!(alarms.pop_due(second(5)), Some("b"));
        assert_eq!(alarms.pop_due(second(5)), Some("a"));
        assert_eq!(alarms.pop_due(second(5)), None);
        assert_eq!(alarms.next(), None);
    }
}

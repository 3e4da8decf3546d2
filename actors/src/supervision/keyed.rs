//! State keyed by interaction that survives a restart, except for the entry that was in hand.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

/// Panics this close together on different keys point at the code, not at one conversation.
const PANIC_WINDOW: Duration = Duration::from_mins(1);

/// A bounded map whose entries are only touched one at a time and under a note of which one.
pub(crate) struct Keyed<K: Eq + Hash, V> {
    /// Without a bound of its own: one would take the room for all entries at once.
    entries: LruCache<K, Entry<V>>,
    in_hand: Option<K>,
    panics: VecDeque<(Instant, K)>,
    capacity: usize,
}

struct Entry<V> {
    value: V,
    last_used: Instant,
}

/// What a restart did to the entries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recovery<K> {
    /// No entry was in hand; nothing is lost.
    Kept,
    /// The entry in hand is gone.
    Dropped(K),
    /// The second key on which something panicked: all entries are gone.
    Cleared,
    /// The third: going on is no use.
    Escalate,
}

impl<K: Clone + Eq + Hash, V: Default> Keyed<K, V> {
    /// An empty map that holds at most `capacity` entries.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: LruCache::unbounded(), in_hand: None, panics: VecDeque::new(), capacity }
    }

    /// Calls `work` with the entry of `key`, made if it is not there, while the key is noted as in hand.
    /// A full map gives up the entry that was used longest ago, and returns its key.
    pub(crate) fn with<R>(&mut self, key: &K, now: Instant, work: impl FnOnce(&mut V) -> R) -> (R, Option<K>) {
        let is_full = self.entries.len() >= self.capacity && !self.entries.contains(key);
        let evicted = if is_full { self.entries.pop_lru().map(|(oldest, _)| oldest) } else { None };
        self.in_hand = Some(key.clone());
        let entry = self.entries.get_or_insert_mut_ref(key, || Entry { value: V::default(), last_used: now });
        entry.last_used = now;
        let result = work(&mut entry.value);
        self.in_hand = None;
        (result, evicted)
    }

    /// Whether there is an entry of this key.
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.entries.contains(key)
    }

    /// Forgets an entry.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.pop(key).map(|entry| entry.value)
    }

    /// Forgets every entry that was not used for `idle`; returns how many.
    pub(crate) fn evict_idle(&mut self, now: Instant, idle: Duration) -> usize {
        let before = self.entries.len();
        while self.entries.peek_lru().is_some_and(|(_, entry)| now.duration_since(entry.last_used) >= idle) {
            self.entries.pop_lru();
        }
        before - self.entries.len()
    }

    /// All entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Called after a panic: drops what may be half changed.
    pub(crate) fn recover(&mut self, now: Instant) -> Recovery<K> {
        let Some(in_hand) = self.in_hand.take() else { return Recovery::Kept };
        self.panics.retain(|(time, _)| now.duration_since(*time) < PANIC_WINDOW);
        self.panics.push_back((now, in_hand.clone()));
        self.entries.pop(&in_hand);
        // One poisoned conversation may panic often, and still point at no other.
        let keys: HashSet<&K> = self.panics.iter().map(|(_, key)| key).collect();
        match keys.len() - 1 {
            0 => Recovery::Dropped(in_hand),
            1 => {
                self.entries.clear();
                Recovery::Cleared
            }
            _ => Recovery::Escalate,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn filled() -> Keyed<&'static str, u32> {
        let mut keyed = Keyed::new(10);
        for key in ["a", "b", "c", "d"] {
            keyed.with(&key, Instant::now(), |value| *value = 1);
        }
        keyed
    }

    fn panic_on(keyed: &mut Keyed<&'static str, u32>, key: &'static str) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            keyed.with(&key, Instant::now(), |value| {
                *value = 99;
                panic!("injected");
            })
        }));
        assert!(result.is_err());
    }

    #[test]
    fn only_the_entry_in_hand_is_dropped() {
        let mut keyed = filled();
        panic_on(&mut keyed, "b");
        assert_eq!(keyed.recover(Instant::now()), Recovery::Dropped("b"));
        let mut left: Vec<_> = keyed.iter().map(|(key, value)| (*key, *value)).collect();
        left.sort_unstable();
        assert_eq!(left, [("a", 1), ("c", 1), ("d", 1)]);
    }

    #[test]
    fn the_same_conversation_may_panic_again_without_harm_to_others() {
        let mut keyed = filled();
        for _ in 0..3 {
            panic_on(&mut keyed, "b");
            assert_eq!(keyed.recover(Instant::now()), Recovery::Dropped("b"));
        }
        assert_eq!(keyed.len(), 3);
    }

    #[test]
    fn a_second_key_clears_and_a_third_escalates() {
        let mut keyed = filled();
        let now = Instant::now();
        panic_on(&mut keyed, "a");
        keyed.recover(now);
        panic_on(&mut keyed, "b");
        assert_eq!(keyed.recover(now), Recovery::Cleared);
        assert_eq!(keyed.len(), 0);
        panic_on(&mut keyed, "c");
        assert_eq!(keyed.recover(now), Recovery::Escalate);
        panic_on(&mut keyed, "d");
        assert_eq!(keyed.recover(now + PANIC_WINDOW), Recovery::Dropped("d"), "old panics are forgotten");
    }

    #[test]
    fn one_conversation_that_panics_often_counts_as_one() {
        let mut keyed = filled();
        for _ in 0..3 {
            panic_on(&mut keyed, "b");
            keyed.recover(Instant::now());
        }
        panic_on(&mut keyed, "c");
        assert_eq!(keyed.recover(Instant::now()), Recovery::Cleared);
        panic_on(&mut keyed, "b");
        assert_eq!(keyed.recover(Instant::now()), Recovery::Cleared, "still two");
    }

    #[test]
    fn a_panic_with_no_entry_in_hand_loses_none() {
        let mut keyed = filled();
        panic_on(&mut keyed, "a");
        keyed.recover(Instant::now());
        for _ in 0..3 {
            assert_eq!(keyed.recover(Instant::now()), Recovery::Kept);
        }
        assert_eq!(keyed.len(), 3);
        assert!(keyed.contains(&"b") && !keyed.contains(&"a"));
    }

    #[test]
    fn a_full_map_gives_up_the_entry_used_longest_ago_and_idle_ones_go() {
        let mut keyed = Keyed::<u32, ()>::new(2);
        let start = Instant::now();
        keyed.with(&1, start, |()| ());
        keyed.with(&2, start + Duration::from_secs(1), |()| ());
        keyed.with(&1, start + Duration::from_secs(2), |()| ());
        let ((), evicted) = keyed.with(&3, start + Duration::from_secs(3), |()| ());
        assert_eq!(evicted, Some(2));
        assert_eq!(keyed.evict_idle(start + Duration::from_secs(62), Duration::from_mins(1)), 1);
        assert_eq!(keyed.len(), 1);
    }
}

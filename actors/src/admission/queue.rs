//! What waits to be let in: a queue for each profile, in which an interaction has one place.
//!
//! Profiles that wait are served turn by turn, the one first whose last turn is longest ago, so that what one of them sends
//! takes nobody else's turn. Within a profile
//! whoever asked comes first, in the order of asking, since they wait for an answer; of what was only heard the freshest goes
//! first, and the oldest is worth least.

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;
use uuid::Uuid;

use crate::messages::{InteractionKey, ProfileName, Ticket, WorkItem};

/// Whose place in the queue it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum QueueKey {
    /// An interaction's: a newer utterance takes it over.
    Interaction(InteractionKey),
    /// A caller's own.
    Caller(Uuid),
}

/// An item that waits.
pub(super) struct Queued {
    pub(super) item: WorkItem,
    pub(super) ticket: Ticket,
    /// When it came.
    pub(super) since: Instant,
}

/// What waits of one profile, oldest first.
#[derive(Default)]
struct Waiting {
    asked: VecDeque<QueueKey>,
    heard: VecDeque<QueueKey>,
    items: HashMap<QueueKey, Queued>,
}

impl Waiting {
    fn oldest(&self) -> Option<Instant> {
        let since = |key: &QueueKey| self.items.get(key).map(|queued| queued.since);
        [self.asked.front(), self.heard.front()].into_iter().flatten().filter_map(since).min()
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Queue {
    profiles: HashMap<ProfileName, Waiting>,
    /// The profiles of which something waits, in the order of their turns.
    turns: VecDeque<ProfileName>,
    /// The number of each profile's last turn.
    last_turns: HashMap<ProfileName, u64>,
    num_turns: u64,
    len: usize,
}

impl Queue {
    /// Puts an item in; the one of the same key that waited is returned.
    pub(super) fn push(&mut self, key: QueueKey, item: WorkItem, ticket: Ticket) -> Option<Queued> {
        let profile = item.key.profile.clone();
        if !self.profiles.contains_key(&profile) {
            let last_turn = self.last_turn(&profile);
            let place = self.turns.partition_point(|other| self.last_turn(other) <= last_turn);
            self.turns.insert(place, profile.clone());
        }
        let waiting = self.profiles.entry(profile).or_default();
        let replaced = waiting.items.insert(key.clone(), Queued { item, ticket, since: Instant::now() });
        match (&key, &replaced) {
            (QueueKey::Caller(_), _) => waiting.asked.push_back(key),
            (QueueKey::Interaction(_), None) => waiting.heard.push_back(key),
            (QueueKey::Interaction(_), Some(_)) => {
                waiting.heard.retain(|other| *other != key);
                waiting.heard.push_back(key);
            }
        }
        self.len += usize::from(replaced.is_none());
        replaced
    }

    /// The profiles of which something waits, in the order of their turns.
    pub(super) fn turns(&self) -> impl Iterator<Item = &ProfileName> {
        self.turns.iter()
    }

    /// 0 where it had none.
    fn last_turn(&self, profile: &ProfileName) -> u64 {
        self.last_turns.get(profile).copied().unwrap_or_default()
    }

    /// A profile had its turn.
    pub(super) fn end_turn(&mut self, profile: &ProfileName) {
        self.num_turns += 1;
        self.last_turns.insert(profile.clone(), self.num_turns);
        if let Some(place) = self.turns.iter().position(|other| other == profile)
            && let Some(served) = self.turns.remove(place)
        {
            self.turns.push_back(served);
        }
    }

    /// Takes the item of a profile out that comes first.
    pub(super) fn pop(&mut self, profile: &ProfileName) -> Option<Queued> {
        let waiting = self.profiles.get_mut(profile)?;
        let key = waiting.asked.pop_front().or_else(|| waiting.heard.pop_back())?;
        self.take(profile, &key)
    }

    /// Takes the oldest item of a profile out that was only heard, if it is so.
    pub(super) fn pop_oldest_heard(
        &mut self,
        profile: &ProfileName,
        is_so: impl FnOnce(&Queued) -> bool,
    ) -> Option<Queued> {
        let waiting = self.profiles.get_mut(profile)?;
        let key = waiting.heard.front()?.clone();
        if !waiting.items.get(&key).is_some_and(is_so) {
            return None;
        }
        waiting.heard.pop_front();
        self.take(profile, &key)
    }

    /// Makes room: takes the oldest item out for which nobody waits, of the profile of which most such items wait.
    pub(super) fn pop_heard(&mut self) -> Option<Queued> {
        let with_heard = self.profiles.iter().filter(|(_, waiting)| !waiting.heard.is_empty());
        let most = with_heard.max_by_key(|(_, waiting)| waiting.heard.len()).map(|(profile, _)| profile.clone())?;
        self.pop_oldest_heard(&most, |_| true)
    }

    fn take(&mut self, profile: &ProfileName, key: &QueueKey) -> Option<Queued> {
        let waiting = self.profiles.get_mut(profile)?;
        let queued = waiting.items.remove(key)?;
        self.len -= 1;
        if waiting.items.is_empty() {
            self.profiles.remove(profile);
            self.turns.retain(|other| other != profile);
        }
        Some(queued)
    }

    pub(super) fn contains(&self, profile: &ProfileName, key: &QueueKey) -> bool {
        self.profiles.get(profile).is_some_and(|waiting| waiting.items.contains_key(key))
    }

    /// Whether a profile has no place left. One that has less than its share of them gets one all the same.
    pub(super) fn is_full_for(&self, profile: &ProfileName, capacity: usize) -> bool {
        let waiting = self.len_of(profile);
        let others = self.profiles.len() - usize::from(waiting > 0);
        self.len >= capacity && waiting >= capacity / (others + 1)
    }

    /// Items that wait, of all profiles.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Items that wait of a profile.
    pub(super) fn len_of(&self, profile: &ProfileName) -> usize {
        self.profiles.get(profile).map_or(0, |waiting| waiting.items.len())
    }

    /// Those of them for which somebody waits.
    pub(super) fn num_asked(&self, profile: &ProfileName) -> usize {
        self.profiles.get(profile).map_or(0, |waiting| waiting.asked.len())
    }

    /// Profiles of which something waits.
    pub(super) fn num_profiles(&self) -> usize {
        self.profiles.len()
    }

    /// When the oldest item of a profile came.
    pub(super) fn oldest(&self, profile: &ProfileName) -> Option<Instant> {
        self.profiles.get(profile)?.oldest()
    }
}

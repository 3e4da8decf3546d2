//! Which delivery goes out next: one lane for each profile, one push at a time for each interaction. Of what was heard
//! only the newest waits; what a caller waits for is never replaced. No actor and no I/O in here.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::messages::{Delivery, InteractionKey, ProfileName};
use crate::supervision::{Keyed, Recovery};

/// All lanes.
pub(super) struct Lanes {
    in_flight: usize,
    by_profile: HashMap<ProfileName, Lane>,
    /// Which utterance of an interaction was queued last. What is forgotten here costs no delivery.
    newest: Keyed<InteractionKey, Option<Place>>,
    /// The deliveries of an interaction that wait, oldest first; at most one for each permit of the admission.
    waiting: HashMap<InteractionKey, VecDeque<Delivery>>,
    /// Interactions with a push under way.
    pushing: HashSet<InteractionKey>,
}

struct Lane {
    order: VecDeque<InteractionKey>,
    permits: Arc<Semaphore>,
}

/// An utterance's place in its conversation: by when its last word was heard. Its number alone would not do,
/// since a Buffer that lost the conversation counts from 1 again.
type Place = (Instant, u64);

/// What a lane has to do.
pub(super) enum Next {
    /// Push this; the permit is the lane's.
    Ready(Delivery, OwnedSemaphorePermit),
    /// This waited too long.
    Late(Delivery),
}

impl Lanes {
    pub(super) fn new(in_flight: usize, conversations: usize) -> Self {
        Self {
            in_flight,
            by_profile: HashMap::new(),
            newest: Keyed::new(conversations),
            waiting: HashMap::new(),
            pushing: HashSet::new(),
        }
    }

    /// Queues a delivery; returns the one that a newer one makes pointless, which may be itself.
    pub(super) fn queue(&mut self, delivery: Delivery, now: Instant) -> Option<Delivery> {
        let key = delivery.item.key.clone();
        let is_heard = !delivery.ticket.has_caller();
        if is_heard && !self.is_newest(&delivery, now) {
            return Some(delivery);
        }
        let waiting = self.waiting.entry(key.clone()).or_default();
        let is_first = waiting.is_empty();
        let older = waiting.iter().position(|waits| is_heard && !waits.ticket.has_caller());
        let older = older.and_then(|position| waiting.remove(position));
        waiting.push_back(delivery);
        if is_first && !self.pushing.contains(&key) {
            self.lane(&key.profile).order.push_back(key);
        }
        older
    }

    fn is_newest(&mut self, delivery: &Delivery, now: Instant) -> bool {
        let place = (delivery.item.heard, delivery.item.utterance_number);
        let (is_newest, _) = self.newest.with(&delivery.item.key, now, |newest| {
            let is_newest = newest.is_none_or(|newest| newest < place);
            *newest = (*newest).max(Some(place));
            is_newest
        });
        is_newest
    }

    /// The next delivery of an interaction.
    fn take(&mut self, key: &InteractionKey) -> Option<Delivery> {
        let waiting = self.waiting.get_mut(key)?;
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(key);
        }
        next
    }

    /// The next delivery of the profile, as long as its lane has room.
    pub(super) fn next(&mut self, profile: &ProfileName, now: Instant) -> Option<Next> {
        loop {
            let lane = self.lane(profile);
            let permit = Arc::clone(&lane.permits).try_acquire_owned().ok()?;
            let key = lane.order.pop_front()?;
            if self.pushing.contains(&key) {
                continue;
            }
            match self.take(&key) {
                Some(delivery) if delivery.item.is_expired(now) => {
                    if self.waiting.contains_key(&key) {
                        self.lane(&key.profile).order.push_back(key);
                    }
                    return Some(Next::Late(delivery));
                }
                Some(delivery) => {
                    self.pushing.insert(key);
                    return Some(Next::Ready(delivery, permit));
                }
                None => {}
            }
        }
    }

    /// A push of this interaction came to an end; what waited behind it may go.
    pub(super) fn push_ended(&mut self, key: &InteractionKey) {
        if self.pushing.remove(key) && self.waiting.contains_key(key) {
            self.lane(&key.profile).order.push_back(key.clone());
        }
    }

    /// Does what may panic over a delivery of this interaction, under a note of which one it is.
    pub(super) fn in_hand<R>(&mut self, key: &InteractionKey, now: Instant, work: impl FnOnce() -> R) -> R {
        self.newest.with(key, now, |_| work()).0
    }

    /// Profiles that ever had a delivery.
    pub(super) fn profiles(&self) -> Vec<ProfileName> {
        self.by_profile.keys().cloned().collect()
    }

    pub(super) fn recover(&mut self, now: Instant) -> Recovery<InteractionKey> {
        self.newest.recover(now)
    }

    pub(super) fn evict_idle(&mut self, now: Instant, idle: Duration) {
        self.newest.evict_idle(now, idle);
    }

    fn lane(&mut self, profile: &ProfileName) -> &mut Lane {
        let in_flight = self.in_flight;
        self.by_profile
            .entry(profile.clone())
            .or_insert_with(|| Lane { order: VecDeque::new(), permits: Arc::new(Semaphore::new(in_flight)) })
    }
}

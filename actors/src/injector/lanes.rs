//! Which delivery goes out next: one lane for each profile, one push at a time for each interaction. Of what was heard
//! only the newest waits; what a caller waits for is never replaced. A lane that is full takes no more: a tenant whose
//! CXone is slow fills its own and nobody else's. No actor and no I/O in here.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::messages::{Delivery, InteractionKey, Outcome, ProfileName};
use crate::supervision::{Keyed, Recovery};

/// All lanes.
pub(super) struct Lanes {
    width: LaneWidth,
    by_profile: HashMap<ProfileName, Lane>,
    /// Which utterance of an interaction was queued last. What is forgotten here costs no delivery.
    newest: Keyed<InteractionKey, Option<Place>>,
    /// The deliveries of an interaction that wait, oldest first.
    waiting: HashMap<InteractionKey, VecDeque<Delivery>>,
    /// How many wait in all lanes, for whoever watches.
    depth: Arc<AtomicUsize>,
    /// Interactions with a push under way.
    pushing: HashSet<InteractionKey>,
}

/// What one profile may have.
#[derive(Debug, Clone, Copy)]
pub struct LaneWidth {
    /// Pushes under way at once.
    pub in_flight: usize,
    /// Deliveries that may wait for one of these to end.
    pub waiting: usize,
}

struct Lane {
    order: VecDeque<InteractionKey>,
    waiting: usize,
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
    pub(super) fn new(width: LaneWidth, conversations: usize) -> Self {
        Self {
            width,
            by_profile: HashMap::new(),
            newest: Keyed::new(conversations),
            waiting: HashMap::new(),
            depth: Arc::default(),
            pushing: HashSet::new(),
        }
    }

    /// Measures how much waits.
    pub(super) fn depth(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let depth = Arc::clone(&self.depth);
        move || depth.load(Relaxed)
    }

    /// Queues a delivery. Returns what ends by that, which may be itself: the one that a newer one makes pointless, or
    /// the one for which the lane has no room.
    pub(super) fn queue(&mut self, delivery: Delivery, now: Instant) -> Option<(Delivery, Outcome)> {
        let key = delivery.item.key.clone();
        let is_heard = !delivery.ticket.has_caller();
        if is_heard && !self.is_newest(&delivery, now) {
            return Some((delivery, Outcome::Replaced));
        }
        let has_place = self.waiting.contains_key(&key) || self.pushing.contains(&key);
        let older = if is_heard { self.take_where(&key, |waits| !waits.ticket.has_caller()) } else { None };
        let most = self.width.waiting;
        let lane = self.lane(&key.profile);
        if lane.waiting >= most {
            return Some((delivery, Outcome::Shed));
        }
        lane.waiting += 1;
        if !has_place {
            lane.order.push_back(key.clone());
        }
        self.depth.fetch_add(1, Relaxed);
        self.waiting.entry(key).or_default().push_back(delivery);
        older.map(|older| (older, Outcome::Replaced))
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

    /// The oldest delivery of an interaction that is meant.
    fn take_where(&mut self, key: &InteractionKey, is_meant: impl Fn(&Delivery) -> bool) -> Option<Delivery> {
        let waiting = self.waiting.get_mut(key)?;
        let taken = waiting.remove(waiting.iter().position(is_meant)?)?;
        if waiting.is_empty() {
            self.waiting.remove(key);
        }
        self.depth.fetch_sub(1, Relaxed);
        self.lane(&key.profile).waiting -= 1;
        Some(taken)
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
            match self.take_where(&key, |_| true) {
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

    /// Whether nothing waits and nothing is being pushed.
    pub(super) fn are_empty(&self) -> bool {
        self.waiting.is_empty() && self.pushing.is_empty()
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
        let permits = self.width.in_flight;
        self.by_profile.entry(profile.clone()).or_insert_with(|| Lane {
            order: VecDeque::new(),
            waiting: 0,
            permits: Arc::new(Semaphore::new(permits)),
        })
    }
}

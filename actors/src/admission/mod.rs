//! The one place where work is let in, before the Extractor.
//!
//! A bounded queue keyed by interaction, in which the newest utterance takes the place of the one before it,
//! and a fixed number of permits. An item leaves the queue only with a permit, which travels in its ticket,
//! so every inbox behind has room for all permits. Profiles that wait are let in turn by turn, together with no more questions
//! at once than this process has threads to work on, but for those that wait for others. Work that comes late ends here
//! as expired; when a profile is behind, its items get less effort, and at last the oldest are let go, whatever the others
//! send. What waits for a tenant's CXone has given its permit back: a tenant that is slow keeps nobody else's questions out.

mod load_shedding;
mod pace;
mod permits;
mod queue;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cuecard_engine::Effort;
use futures_util::{Stream, stream};
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

pub use load_shedding::LoadShedding;
use load_shedding::{Load, Pressure};
use pace::Pace;
pub use permits::{Permit, Permits};
use queue::{Queue, QueueKey, Queued};

use crate::decisions::Decisions;
use crate::messages::{AdmittedItem, Failure, Outcome, ProfileName, Stage, Ticket, WorkItem};
use crate::tenant::{Tenant, Tenants};

/// How much is let in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdmissionSettings {
    /// Items that may wait.
    pub queue: usize,
    /// Items that may be on their way through the stages.
    pub in_flight: usize,
    /// The same of those that wait for nobody outside: as many as there are threads to work on them.
    pub at_work: usize,
    /// When items get less effort.
    pub load_shedding: LoadShedding,
}

/// A handle to the admission. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Admission {
    shared: Arc<Shared>,
}

struct Shared {
    settings: AdmissionSettings,
    state: Mutex<State>,
    /// Something came, or a permit came back.
    changed: Arc<Notify>,
    permits: Permits,
    tenants: Tenants,
    decisions: Decisions,
}

struct State {
    queue: Queue,
    /// Of the profiles that are behind.
    pressures: HashMap<ProfileName, Pressure>,
    load_shedding: LoadShedding,
    pace: Pace,
    closed: bool,
}

impl State {
    /// How long an item waits before which so many of its profile wait, each for a turn of each profile.
    fn expected_wait(&self, before: usize) -> Duration {
        self.pace.expected_wait((before * self.queue.num_profiles().max(1)).min(self.queue.len()))
    }
}

impl Admission {
    /// An empty admission for the questions of these tenants.
    pub fn new(settings: AdmissionSettings, tenants: Tenants, decisions: Decisions) -> Self {
        let changed = Arc::new(Notify::new());
        let shared = Shared {
            settings,
            permits: Permits::new(settings.in_flight, settings.at_work, Arc::clone(&changed)),
            changed,
            state: Mutex::new(State {
                queue: Queue::default(),
                pressures: HashMap::new(),
                load_shedding: settings.load_shedding,
                pace: Pace::default(),
                closed: false,
            }),
            tenants,
            decisions,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Lets an utterance of a stream in. It takes the place of one of the same interaction that still waits;
    /// a full queue lets an old item go for which nobody waits, of the profile that sent most, and where somebody waits for
    /// each, this one.
    pub fn hear(&self, item: WorkItem) {
        let Some(tenant) = self.tenant_of(&item) else { return };
        let ticket = Ticket::new(&item, tenant, self.shared.decisions.clone(), None);
        let key = QueueKey::Interaction(item.key.clone());
        self.enqueue(key, item, ticket);
    }

    /// Lets somebody's question in and gives them the outcome to wait for. It is never replaced; with a
    /// full queue, or one that would not let it in before its deadline, it ends as shed at once.
    pub fn ask(&self, item: WorkItem) -> oneshot::Receiver<Outcome> {
        let (reply, outcome) = oneshot::channel();
        let Some(tenant) = self.tenant_of(&item) else {
            let profile = item.key.profile.to_string();
            // Whoever asked may have gone.
            let _ = reply.send(Outcome::Failed(Failure::UnknownProfile { profile }));
            return outcome;
        };
        let ticket = Ticket::new(&item, tenant, self.shared.decisions.clone(), Some(reply));
        let key = QueueKey::Caller(item.decision);
        self.enqueue(key, item, ticket);
        outcome
    }

    /// Whose question it is; a message that names a profile which the settings do not know is dropped, and counted.
    fn tenant_of(&self, item: &WorkItem) -> Option<Arc<Tenant>> {
        let tenant = self.shared.tenants.get(&item.key.profile);
        if tenant.is_none() {
            self.shared.decisions.unknown_profile(&item.key);
        }
        tenant
    }

    fn enqueue(&self, key: QueueKey, item: WorkItem, ticket: Ticket) {
        let mut ends = Vec::new();
        let mut state = self.lock();
        let profile = &item.key.profile;
        let (places, has_place) = (self.shared.settings.queue, state.queue.contains(profile, &key));
        let is_full = !has_place && state.queue.is_full_for(profile, places);
        let has_caller = ticket.has_caller();
        let expected_wait = state.expected_wait(state.queue.num_asked(profile));
        let would_be_late = has_caller && Instant::now() + expected_wait >= item.deadline;
        let makes_room = !has_place && state.queue.len() >= places && !has_caller && !state.closed;
        let made_room = if makes_room { state.queue.pop_heard() } else { None };
        if state.closed {
            ends.push((ticket, Outcome::Failed(Failure::Stopping)));
        } else if would_be_late || (is_full && made_room.is_none()) {
            ends.push((ticket, Outcome::Shed));
        } else if let Some(replaced) = state.queue.push(key, item, ticket) {
            ends.push((replaced.ticket, Outcome::Replaced));
        }
        ends.extend(made_room.map(|oldest| (oldest.ticket, Outcome::Shed)));
        drop(state);
        self.shared.changed.notify_one();
        // Finished outside the lock: the sink is somebody else's code.
        for (ticket, outcome) in ends {
            ticket.finish(outcome);
        }
    }

    /// The admitted items, for one Extractor; ends when the admission is closed and empty. Dropping the
    /// stream between two items loses none.
    pub fn admitted(&self) -> impl Stream<Item = AdmittedItem> + 'static {
        stream::unfold(self.clone(), |admission| async move {
            let next = admission.next().await?;
            Some((next, admission))
        })
    }

    /// Waits for the next item and a permit; `None` once closed and empty.
    async fn next(&self) -> Option<AdmittedItem> {
        loop {
            let changed = self.shared.changed.notified();
            let (is_over, has_next) = {
                let state = self.lock();
                (state.closed && state.queue.len() == 0, self.next_profile(&state).is_some())
            };
            if is_over {
                return None;
            }
            if !has_next {
                changed.await;
                continue;
            }
            let free = self.shared.permits.one_free().await?;
            if let Some(admitted) = self.admit(free) {
                return Some(admitted);
            }
        }
    }

    /// Whose turn it is among those that may have one more on its way.
    fn next_profile<'state>(&self, state: &'state State) -> Option<&'state ProfileName> {
        state.queue.turns().find(|profile| self.may_have_one_more(profile))
    }

    fn may_have_one_more(&self, profile: &ProfileName) -> bool {
        self.shared.permits.is_within_bound(self.waits_outside(profile))
    }

    /// Whether others are asked for what answers this profile's questions.
    fn waits_outside(&self, profile: &ProfileName) -> bool {
        self.shared.tenants.get(profile).is_some_and(|tenant| tenant.profile.plan.waits_outside())
    }

    /// What an item of a profile would be given now; rises again by itself when nothing waits any more.
    pub fn effort(&self, profile: &ProfileName) -> Effort {
        self.feel_pressure(&mut self.lock(), profile, Instant::now()).effort()
    }

    /// How far a profile is behind: 0, not at all; 1, only its newest turns are embedded; 2, nothing is; 3, its oldest
    /// questions are let go.
    pub fn shedding_level(&self, profile: &ProfileName) -> u8 {
        self.feel_pressure(&mut self.lock(), profile, Instant::now()) as u8
    }

    fn feel_pressure(&self, state: &mut State, profile: &ProfileName, now: Instant) -> Pressure {
        let load = self.load(state, profile, now);
        let before = state.pressures.get(profile).copied().unwrap_or(Pressure::None);
        let pressure = state.load_shedding.pressure(before, &load);
        match pressure {
            Pressure::None => drop(state.pressures.remove(profile)),
            pressure => drop(state.pressures.insert(profile.clone(), pressure)),
        }
        pressure
    }

    /// An item of the profile whose turn it is that is not too late, with the effort that the profile's load allows.
    fn admit(&self, free: OwnedSemaphorePermit) -> Option<AdmittedItem> {
        let mut late = Vec::new();
        let mut state = self.lock();
        let now = Instant::now();
        let mut next = None;
        while let Some(profile) = self.next_profile(&state).cloned() {
            let pressure = self.feel_pressure(&mut state, &profile, now);
            let load_shedding = state.load_shedding;
            let_go(&mut state.queue, (&profile, pressure), load_shedding, now, &mut late);
            let first = state.queue.pop(&profile);
            state.queue.end_turn(&profile);
            match first {
                Some(Queued { item, ticket, .. }) if item.is_expired(now) => {
                    late.push((ticket, Outcome::Expired(Stage::Admission)));
                }
                Some(Queued { item, ticket, .. }) => {
                    next = Some((item, ticket, pressure.effort()));
                    break;
                }
                None => {}
            }
        }
        if next.is_some() {
            let still_waiting = state.queue.len();
            state.pace.admitted(now, still_waiting);
        }
        drop(state);
        for (ticket, outcome) in late {
            ticket.finish_in(Stage::Admission, outcome);
        }
        next.map(|(item, mut ticket, effort)| {
            ticket.admit(self.shared.permits.take(free, self.waits_outside(&item.key.profile)));
            ticket.note(|decision| decision.effort = Some(effort));
            AdmittedItem { item, ticket, effort }
        })
    }

    fn load(&self, state: &State, profile: &ProfileName, now: Instant) -> Load {
        let oldest = state.queue.oldest(profile);
        let encoder_wait = |tenant: Arc<Tenant>| tenant.engine.encoder().longest_wait();
        Load {
            queued: state.queue.len_of(profile),
            oldest_age: oldest.map_or(Duration::ZERO, |queued| now.saturating_duration_since(queued)),
            expected_wait: state.expected_wait(state.queue.len_of(profile)),
            permits_free: if self.may_have_one_more(profile) { self.shared.permits.num_free() } else { 0 },
            encoder_wait: self.shared.tenants.get(profile).map_or(Duration::ZERO, encoder_wait),
        }
    }

    /// Sheds load by other waits from now on.
    pub fn shed_by(&self, load_shedding: LoadShedding) {
        self.lock().load_shedding = load_shedding;
    }

    /// Lets nothing more in; what waits is still admitted.
    pub fn close(&self) {
        self.lock().closed = true;
        self.shared.changed.notify_one();
    }

    /// Waits until nothing is queued or on its way any more.
    pub async fn drained(&self) {
        loop {
            let all = self.shared.permits.all_back().await;
            if all.is_none() || self.queued() == 0 {
                return;
            }
            drop(all);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Items that wait.
    pub fn queued(&self) -> usize {
        self.lock().queue.len()
    }

    /// Items that may wait.
    pub fn queue_bound(&self) -> usize {
        self.shared.settings.queue
    }

    /// Whether those on their way through the stages have every permit that what waits could get, so that it stands still
    /// although somebody works.
    pub fn is_held(&self) -> bool {
        let state = self.lock();
        self.shared.permits.num_free() == 0 || (state.queue.len() > 0 && self.next_profile(&state).is_none())
    }

    /// Items on their way through the stages.
    pub fn in_flight(&self) -> usize {
        self.shared.permits.num_taken()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; if something did, the queue is still whole.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends what a profile's queue holds that is worth nothing any more, oldest first: what is too late, and under the highest
/// pressure what is old, but for the last of it.
fn let_go(
    queue: &mut Queue,
    (profile, pressure): (&ProfileName, Pressure),
    load_shedding: LoadShedding,
    now: Instant,
    late: &mut Vec<(Ticket, Outcome)>,
) {
    loop {
        let has_others = queue.len_of(profile) > 1;
        let is_old = |queued: &Queued| {
            has_others && load_shedding.lets_go(pressure, now.saturating_duration_since(queued.since))
        };
        let oldest = queue.pop_oldest_heard(profile, |queued| queued.item.is_expired(now) || is_old(queued));
        let Some(Queued { item, ticket, .. }) = oldest else { return };
        let outcome = if item.is_expired(now) { Outcome::Expired(Stage::Admission) } else { Outcome::Shed };
        late.push((ticket, outcome));
    }
}

#[cfg(test)]
mod tests;

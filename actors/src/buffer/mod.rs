//! Buffer: from fragments to utterances, one bounded window per interaction.
//!
//! Takes [`Heard`] from the listeners, lets [`WorkItem`]s in at the admission. A window is flushed by a state, by
//! a pause, or by its age; an idle one is forgotten. A panic costs the window in hand and no other, counted.

mod alarms;
mod conversations;

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, StreamHandler, Supervised};
use cuecard_failure_points::failure_point;
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

pub use conversations::BufferSettings;
use conversations::{Conversations, Flushed, Lost};

use crate::admission::Admission;
use crate::inbox::Inbox;
use crate::messages::{Ask, Heard, InteractionKey, StreamWord, WorkItem};
use crate::supervision::{Escalation, Recovery, Timer};
use crate::telemetry::{ActorDropped, DropReason, Metrics};
use crate::tenant::Tenants;

/// How often idle windows are looked for.
const EVICTION_INTERVAL: Duration = Duration::from_mins(1);

/// What a Buffer works with.
pub struct BufferDeps {
    /// Where fragments and states come from.
    pub inbox: Inbox<Heard>,
    /// Where utterances go.
    pub admission: Admission,
    /// How long each tenant's cards are worth showing.
    pub tenants: Tenants,
    /// Pauses and sizes.
    pub settings: BufferSettings,
    /// Where drops are counted.
    pub metrics: Metrics,
    /// The way out when going on is no use.
    pub escalation: Escalation,
}

impl BufferDeps {
    fn admit(&self, flushed: Flushed<'_>) {
        let Flushed { key, utterance_number, utterance, heard, at } = flushed;
        failure_point!(Buffer, key.interaction.as_str());
        let deadline = at + self.tenants.deadline(&key.profile);
        let decision = Uuid::now_v7();
        let (key, heard_at, ask) = (key.clone(), Timestamp::now(), Ask::Cards(Arc::new(utterance)));
        self.admission.hear(WorkItem {
            decision,
            key,
            utterance_number,
            agent_id: None,
            heard_at,
            ask,
            heard,
            deadline,
        });
    }
}

/// See the module.
pub struct Buffer {
    deps: BufferDeps,
    conversations: Conversations,
    /// The timer of the next flush; gone after a restart.
    alarm: Option<(Instant, Timer)>,
}

impl Buffer {
    /// A Buffer that has heard nothing yet.
    pub fn new(deps: BufferDeps) -> Self {
        Self { conversations: Conversations::new(deps.settings), deps, alarm: None }
    }

    fn flush_due(&mut self, context: &mut Context<Self>) {
        self.alarm = None;
        let lost = self.conversations.flush_due(Instant::now(), &|flushed| self.deps.admit(flushed));
        self.count(&lost);
        self.arm(context);
    }

    /// Makes sure that a timer stands for the next flush.
    fn arm(&mut self, context: &mut Context<Self>) {
        let Some(next) = self.conversations.next_alarm() else { return };
        if self.alarm.as_ref().is_some_and(|(at, _)| *at <= next) {
            return;
        }
        let wait = next.saturating_duration_since(Instant::now());
        self.alarm = Some((next, Timer::start(wait, context, Self::flush_due)));
    }

    /// Drops what a panic may have left half changed, and counts it.
    fn recover(&mut self) -> Recovery<InteractionKey> {
        let before = self.conversations.len();
        let recovery = self.conversations.recover(Instant::now());
        let count = before.saturating_sub(self.conversations.len()) as u64;
        if count > 0 {
            let detail = "in hand, or at risk, when a handler panicked";
            ActorDropped { reason: DropReason::WindowLost, count, detail }.emit(&self.deps.metrics);
        }
        recovery
    }

    fn count(&self, lost: &[Lost]) {
        for Lost { reason, count, detail } in lost {
            ActorDropped { reason: *reason, count: *count, detail }.emit(&self.deps.metrics);
        }
    }
}

impl Actor for Buffer {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        Self::add_stream(self.deps.inbox.stream(), context);
        context.run_interval(EVICTION_INTERVAL, |buffer, _| buffer.conversations.evict_idle(Instant::now()));
        self.arm(context);
    }
}

impl Supervised for Buffer {
    fn restarting(&mut self, _context: &mut Self::Context) {
        self.alarm = None;
        if self.recover() == Recovery::Escalate {
            self.deps.escalation.escalate("buffer", "panics on three different conversations within a minute");
        }
    }
}

impl StreamHandler<Heard> for Buffer {
    fn handle(&mut self, heard: Heard, context: &mut Self::Context) {
        if let StreamWord::InteractionEnded { interaction } = &heard.word {
            let key = InteractionKey { profile: heard.profile.clone(), interaction: interaction.clone() };
            self.deps.metrics.conversation_ended(&key);
        }
        let lost = self.conversations.hear(heard, &|flushed| self.deps.admit(flushed));
        self.count(&lost);
        self.arm(context);
    }

    fn finished(&mut self, context: &mut Self::Context) {
        context.stop();
    }
}

/// Whether its stage is drained or a last panic ended it: no word is gone without being counted.
impl Drop for Buffer {
    fn drop(&mut self) {
        self.recover();
        self.count(&self.conversations.unfinished());
    }
}

#[cfg(test)]
mod tests;

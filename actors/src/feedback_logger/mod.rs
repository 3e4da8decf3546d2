//! `FeedbackLogger`: accepts and rejects, stored first and then handed on to CXone until it has them.
//!
//! Takes [`HeardFeedback`], writes it to the ledger, and forwards what the ledger holds, oldest first within an
//! interaction, one at a time per interaction. Nothing is lost: a restart finds what was stored and not forwarded. An
//! event that CXone will never take is set aside, counted and kept, and the next one goes on.

mod progress;

use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, StreamHandler, Supervised};
use cuecard_cxone::feedback::FeedbackCall;
use cuecard_ledger::{FeedbackQueue, LedgerError, NewFeedback, PendingFeedback};
use jiff::{SignedDuration, Timestamp};
use progress::Progress;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::sleep;

use crate::cxone_calls::ForwardEnd;
use crate::failure_points::failure_point;
use crate::inbox::Inbox;
use crate::messages::{HeardFeedback, ProfileName};
use crate::supervision::ActorCell;
use crate::telemetry::{ActorDropped, DropReason, FeedbackReached, FeedbackStage, Metrics};
use crate::tenant::{Tenant, Tenants};

/// How often the ledger is asked for events whose wait is over; the shortest wait is half a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Events forwarded at once per profile.
const AT_ONCE: u32 = 16;
/// Events on their way into the ledger at once; beyond that the stream waits.
const STORES_AT_ONCE: usize = 64;
/// The pause before a failed write to the ledger is tried again.
const WRITE_PAUSE: Duration = Duration::from_secs(1);

/// What a `FeedbackLogger` works with.
pub struct FeedbackLoggerDeps {
    /// Where accepts and rejects come from.
    pub inbox: Inbox<HeardFeedback>,
    /// The durable queue.
    pub queue: FeedbackQueue,
    /// Whose events are handed on.
    pub tenants: Tenants,
    /// Where events are counted.
    pub metrics: Metrics,
    /// The actor's public state.
    pub cell: Arc<ActorCell>,
}

/// See the module.
pub struct FeedbackLogger {
    deps: FeedbackLoggerDeps,
    progress: Progress,
    /// The event that is about to be forwarded; set aside if that panics.
    in_hand: Option<PendingFeedback>,
    /// Fair, so that events are stored in the order in which they were heard, even where a write is tried again.
    storing: Arc<Mutex<()>>,
    /// Bounds the events that wait for their turn.
    room: Arc<Semaphore>,
}

/// What the ledger holds for a profile.
#[derive(Message)]
#[rtype(result = "()")]
struct Looked {
    profile: ProfileName,
    due: Vec<PendingFeedback>,
}

/// Says that a look ended when it is dropped, whatever became of it.
struct LookNotice {
    profile: ProfileName,
    due: Vec<PendingFeedback>,
    logger: Addr<FeedbackLogger>,
}

impl Drop for LookNotice {
    fn drop(&mut self) {
        self.logger.do_send(Looked { profile: self.profile.clone(), due: std::mem::take(&mut self.due) });
    }
}

/// An event's forwarding came to an end, or its task panicked.
#[derive(Message)]
#[rtype(result = "()")]
struct ForwardEnded {
    event: PendingFeedback,
    panicked: bool,
}

/// Says that forwarding ended when it is dropped.
struct EndNotice {
    event: PendingFeedback,
    logger: Addr<FeedbackLogger>,
}

impl Drop for EndNotice {
    fn drop(&mut self) {
        self.logger.do_send(ForwardEnded { event: self.event.clone(), panicked: std::thread::panicking() });
    }
}

impl FeedbackLogger {
    /// A `FeedbackLogger` that forwards what earlier processes stored as well.
    pub fn new(deps: FeedbackLoggerDeps) -> Self {
        let room = Arc::new(Semaphore::new(STORES_AT_ONCE));
        Self { deps, progress: Progress::default(), in_hand: None, storing: Arc::default(), room }
    }

    /// Asks the ledger what is due, where anything waits at all and may go out; the answer comes back as a message.
    fn look(&mut self, profile: &ProfileName, context: &Context<Self>) {
        let pending = self.deps.queue.pending_count(profile.as_str());
        self.deps.metrics.set_feedback_pending(profile, pending);
        let is_held = self.deps.tenants.get(profile).is_some_and(|tenant| tenant.calls.is_feedback_held());
        if pending == 0 || is_held || !self.progress.start_look(profile) {
            return;
        }
        let queue = self.deps.queue.clone();
        let mut notice = LookNotice { profile: profile.clone(), due: Vec::new(), logger: context.address() };
        tokio::spawn(async move {
            let profile = notice.profile.clone();
            match queue.due(profile.as_str(), Timestamp::now(), AT_ONCE).await {
                Ok(due) => notice.due = due,
                Err(error) => tracing::error!(%error, %profile, "the ledger does not say what feedback is due"),
            }
            drop(notice);
        });
    }

    fn look_everywhere(&mut self, context: &mut Context<Self>) {
        let tenants = self.deps.tenants.clone();
        for tenant in tenants.iter() {
            self.look(tenant.name(), context);
        }
    }

    fn forward(&mut self, event: PendingFeedback, context: &Context<Self>) {
        self.progress.forwarding(event.id);
        self.in_hand = Some(event.clone());
        failure_point("feedback_logger", &event.feedback.insight);
        let tenant = self.deps.tenants.get(&ProfileName::new(&event.feedback.profile)).cloned();
        let forward = forward(tenant, event.clone());
        self.in_hand = None;
        self.settle(event, forward, context);
    }

    /// Writes down how forwarding ends, and reports back.
    fn settle(
        &self,
        event: PendingFeedback,
        forward: impl Future<Output = ForwardEnd> + Send + 'static,
        context: &Context<Self>,
    ) {
        let (queue, metrics) = (self.deps.queue.clone(), self.deps.metrics.clone());
        let in_flight = self.deps.cell.in_flight();
        let notice = EndNotice { event, logger: context.address() };
        tokio::spawn(async move {
            let end = forward.await;
            settle(&queue, &metrics, &notice.event, end).await;
            drop((in_flight, notice));
        });
    }

    /// An event on which something panicked would panic again.
    fn set_aside(&self, event: PendingFeedback, context: &Context<Self>) {
        let end = ForwardEnd::SetAside { reason: "the service panicked on it".to_owned() };
        self.settle(event, std::future::ready(end), context);
    }
}

/// Hands one event on to its tenant's CXone.
async fn forward(tenant: Option<Arc<Tenant>>, event: PendingFeedback) -> ForwardEnd {
    let PendingFeedback { feedback, attempts, .. } = event;
    let Some(tenant) = tenant else {
        return ForwardEnd::SetAside { reason: format!("there is no profile {} any more", feedback.profile) };
    };
    match feedback.interaction.parse() {
        Ok(interaction) => {
            let NewFeedback { insight, action, heard_at: arrived_at, .. } = feedback;
            let call = FeedbackCall { interaction, insight, action: action.into(), arrived_at };
            tenant.calls.forward(&call, attempts.saturating_add(1)).await
        }
        Err(error) => ForwardEnd::SetAside { reason: error.to_string() },
    }
}

/// Stores an event, for as long as that takes; one that no ledger takes any more is lost, and counted.
async fn store(queue: FeedbackQueue, heard: HeardFeedback, metrics: &Metrics) {
    let feedback = NewFeedback {
        profile: heard.profile.to_string(),
        interaction: heard.interaction.to_string(),
        insight: heard.insight,
        action: heard.action.verbatim().to_owned(),
        accepted: heard.accepted,
        heard_at: heard.heard_at,
    };
    let (queue, feedback) = (&queue, &feedback);
    let store = move || async move { queue.store(feedback.clone()).await.map(drop) };
    if let Err(error) = write_until_done(store).await {
        let detail = error.to_string();
        ActorDropped { reason: DropReason::FeedbackNotStored, count: 1, detail: &detail }.emit(metrics);
    }
}

/// Counts how forwarding ended and writes it down, for as long as that takes: an event whose end is not written
/// would be forwarded again.
async fn settle(queue: &FeedbackQueue, metrics: &Metrics, event: &PendingFeedback, end: ForwardEnd) {
    let (stage, detail) = match &end {
        ForwardEnd::Forwarded => (FeedbackStage::Forwarded, ""),
        // Thousands may wait for the same thing: nothing is said or written of each.
        ForwardEnd::NotSent { reason } => return tracing::debug!(reason, "feedback is not sent yet"),
        ForwardEnd::Postponed { reason, .. } => (FeedbackStage::Postponed, reason.as_str()),
        ForwardEnd::SetAside { reason } => (FeedbackStage::SetAside, reason.as_str()),
    };
    let (profile, accepted) = (event.feedback.profile.as_str(), event.feedback.accepted);
    FeedbackReached { profile, accepted, stage, detail }.emit(metrics);
    if let ForwardEnd::SetAside { reason } = &end {
        ActorDropped { reason: DropReason::FeedbackSetAside, count: 1, detail: reason }.emit(metrics);
    }
    let id = event.id;
    let written = match end {
        ForwardEnd::Forwarded => write_until_done(|| queue.delivered(id)).await,
        ForwardEnd::NotSent { .. } => return,
        ForwardEnd::Postponed { wait, reason } => {
            let at = after(wait);
            write_until_done(|| queue.retry_at(id, at, &reason)).await
        }
        ForwardEnd::SetAside { reason } => write_until_done(|| queue.set_aside(id, &reason)).await,
    };
    if let Err(error) = written {
        tracing::warn!(%error, "how an event was forwarded is not written down; the next start forwards it again");
    }
}

fn after(wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    Timestamp::now().saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// Only a ledger that takes no more ends the trying.
async fn write_until_done<W>(write: impl Fn() -> W) -> Result<(), LedgerError>
where
    W: Future<Output = Result<(), LedgerError>>,
{
    loop {
        match write().await {
            Err(error) if !error.is_final() => {
                tracing::error!(%error, "feedback can't be written to the ledger");
                sleep(WRITE_PAUSE).await;
            }
            done => return done,
        }
    }
}

impl Actor for FeedbackLogger {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        Self::add_stream(self.deps.inbox.stream(), context);
        context.run_interval(LOOK_INTERVAL, Self::look_everywhere);
    }
}

impl Supervised for FeedbackLogger {
    fn restarting(&mut self, context: &mut Self::Context) {
        if let Some(event) = self.in_hand.take() {
            self.set_aside(event, context);
        }
    }
}

impl StreamHandler<HeardFeedback> for FeedbackLogger {
    fn handle(&mut self, heard: HeardFeedback, context: &mut Self::Context) {
        let (in_flight, metrics) = (self.deps.cell.in_flight(), self.deps.metrics.clone());
        let (queue, storing) = (self.deps.queue.clone(), Arc::clone(&self.storing));
        let (room, full) = (Arc::clone(&self.room), Arc::clone(&self.room));
        let is_full = room.available_permits() == 0;
        // On the actor's own thread, where tasks begin in the order in which they were spawned.
        actix_rt::spawn(async move {
            let place = room.acquire().await;
            let turn = storing.lock().await;
            store(queue, heard, &metrics).await;
            drop((turn, place, in_flight));
        });
        // The ledger is behind: the stream waits, and in the end whoever sends to it.
        if is_full {
            context.wait(wrap_future::<_, Self>(async move { drop(full.acquire().await) }));
        }
    }
}

impl Handler<Looked> for FeedbackLogger {
    type Result = ();

    fn handle(&mut self, Looked { profile, due }: Looked, context: &mut Self::Context) {
        let (events, again) = self.progress.looked(&profile, due);
        if again {
            self.look(&profile, context);
        }
        for event in events {
            self.forward(event, context);
        }
    }
}

impl Handler<ForwardEnded> for FeedbackLogger {
    type Result = ();

    fn handle(&mut self, ForwardEnded { event, panicked }: ForwardEnded, context: &mut Self::Context) {
        if panicked {
            return self.set_aside(event, context);
        }
        let profile = ProfileName::new(&event.feedback.profile);
        if self.progress.ended(&profile, event.id) {
            self.look(&profile, context);
        }
    }
}

#[cfg(test)]
mod tests;

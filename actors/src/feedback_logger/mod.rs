//! `FeedbackLogger`: accepts and rejects, stored first and then handed on to CXone until it has them.
//!
//! Takes [`HeardFeedback`], writes it to the ledger, and forwards what the ledger holds, oldest first within an
//! interaction, one at a time per interaction. Nothing is lost: a restart finds what was stored and not forwarded. An
//! event that CXone will never take is set aside, counted and kept, and the next one goes on. What waits of profiles that
//! the settings do not name any more is counted and named at the start; it goes out when they are named again.

mod progress;

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, Recipient, StreamHandler, Supervised};
use cuecard_cxone::InteractionId;
use cuecard_cxone::feedback::FeedbackCall;
use cuecard_failure_points::failure_point;
use cuecard_ledger::{DueItem, Feedback, FeedbackPayload, ItemEnd, LedgerError, NewFeedback, Queue};
use jiff::{SignedDuration, Timestamp};
use progress::Progress;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::cxone_calls::ForwardEnd;
use crate::inbox::Inbox;
use crate::messages::{CardRejected, HeardFeedback, InteractionKey, ProfileName};
use crate::supervision::ActorCell;
use crate::telemetry::{ActorDropped, DropReason, FeedbackReached, FeedbackStage, LogThrottles, Metrics};
use crate::tenant::{Tenant, Tenants};

/// How often the ledger is asked for events whose wait is over; the shortest wait is half a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Events forwarded at once per profile.
const AT_ONCE: u32 = 16;
/// The pause before the end of an event's way is written again where the ledger could not be.
const WRITE_PAUSE: Duration = Duration::from_secs(1);

/// What a `FeedbackLogger` works with.
pub struct FeedbackLoggerDeps {
    /// Where accepts and rejects come from.
    pub inbox: Inbox<HeardFeedback>,
    /// Hears what agents did not want to see.
    pub ranker: Recipient<CardRejected>,
    /// Where they are stored.
    pub stored: Feedback,
    /// The durable queue of what waits for CXone.
    pub queue: Queue,
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
    /// The event that is about to be forwarded, with its tenant; set aside if that panics.
    in_hand: Option<(Arc<Tenant>, DueItem)>,
    /// When it was said last that the ledger can't be read.
    unread: Arc<LogThrottles<()>>,
}

/// What the ledger holds for a tenant.
#[derive(Message)]
#[rtype(result = "()")]
struct Looked {
    tenant: Arc<Tenant>,
    due: Vec<DueItem>,
}

/// Says that a look ended when it is dropped, whatever became of it.
struct LookNotice {
    tenant: Arc<Tenant>,
    due: Vec<DueItem>,
    logger: Addr<FeedbackLogger>,
}

impl Drop for LookNotice {
    fn drop(&mut self) {
        self.logger.do_send(Looked { tenant: Arc::clone(&self.tenant), due: std::mem::take(&mut self.due) });
    }
}

/// Which way of an event came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It was forwarded.
    Forward,
    /// It was set aside, because forwarding it panicked.
    SetAside,
}

/// An event's way came to an end, or its task panicked.
#[derive(Message)]
#[rtype(result = "()")]
struct Ended {
    tenant: Arc<Tenant>,
    event: DueItem,
    way: Way,
    panicked: bool,
}

/// Says that an event's way ended when it is dropped.
struct EndNotice {
    tenant: Arc<Tenant>,
    event: DueItem,
    way: Way,
    logger: Addr<FeedbackLogger>,
}

impl Drop for EndNotice {
    fn drop(&mut self) {
        let (tenant, event) = (Arc::clone(&self.tenant), self.event.clone());
        self.logger.do_send(Ended { tenant, event, way: self.way, panicked: std::thread::panicking() });
    }
}

impl FeedbackLogger {
    /// A `FeedbackLogger` that forwards what earlier processes stored as well.
    pub fn new(deps: FeedbackLoggerDeps) -> Self {
        Self { deps, progress: Progress::default(), in_hand: None, unread: Arc::default() }
    }

    /// Says what waits of profiles that nobody asks for: it would else lie there without a word.
    fn tell_unclaimed(&self) {
        let waiting = self.deps.queue.pending_profiles().into_iter();
        let unclaimed = waiting.filter(|(profile, _)| self.deps.tenants.get(&ProfileName::new(profile)).is_none());
        let mut sum = 0;
        for (profile, events) in unclaimed {
            tracing::warn!(
                profile,
                events,
                "feedback waits for a profile that the settings do not name; it is kept, and goes out once they do"
            );
            sum += events;
        }
        self.deps.metrics.set_feedback_unclaimed(sum);
    }

    /// Stores an event, at the latest when the ledger can be written again; one for which there is no room is lost, and counted.
    fn store(&self, heard: HeardFeedback) {
        let feedback = NewFeedback {
            event: Uuid::now_v7(),
            profile: heard.profile.to_string(),
            interaction: heard.interaction.to_string(),
            insight: heard.insight,
            action: heard.action,
            accepted: heard.accepted,
            heard_at: heard.heard_at,
        };
        if !self.deps.stored.store_behind(feedback) {
            let detail = "too many wait for the ledger already, or it is closed";
            ActorDropped { reason: DropReason::FeedbackNotStored, count: 1, detail }.emit(&self.deps.metrics);
        }
    }

    /// Asks the ledger what is due, where anything waits at all and may go out; the answer comes back as a message.
    fn look(&mut self, tenant: &Arc<Tenant>, context: &Context<Self>) {
        let pending = self.deps.queue.pending_count(tenant.name().as_str());
        self.deps.metrics.set_feedback_pending(tenant.name(), pending);
        if pending == 0 || tenant.calls.is_feedback_held() || !self.progress.start_look(tenant.name()) {
            return;
        }
        let (queue, unread) = (self.deps.queue.clone(), Arc::clone(&self.unread));
        let mut notice = LookNotice { tenant: Arc::clone(tenant), due: Vec::new(), logger: context.address() };
        tokio::spawn(async move {
            let profile = notice.tenant.name().clone();
            match queue.due(profile.as_str(), Timestamp::now(), AT_ONCE).await {
                Ok(due) => notice.due = due,
                Err(error) => {
                    let held_back = unread.passes((), Instant::now());
                    if let Some(held_back) = held_back {
                        tracing::error!(%error, %profile, held_back, "the ledger does not say what feedback is due");
                    }
                }
            }
            drop(notice);
        });
    }

    fn look_everywhere(&mut self, context: &mut Context<Self>) {
        for tenant in self.deps.tenants.iter() {
            self.look(&tenant, context);
        }
    }

    fn forward(&mut self, tenant: Arc<Tenant>, event: DueItem, context: &Context<Self>) {
        self.progress.forwarding(event.id);
        self.in_hand = Some((Arc::clone(&tenant), event.clone()));
        failure_point!(FeedbackLogger, &insight(&event));
        let forward = forward(Arc::clone(&tenant), event.clone());
        self.in_hand = None;
        self.settle(EndNotice { tenant, event, way: Way::Forward, logger: context.address() }, forward);
    }

    /// Writes down how an event's way ends, and reports back.
    fn settle(&self, notice: EndNotice, forward: impl Future<Output = ForwardEnd> + Send + 'static) {
        let (queue, metrics) = (self.deps.queue.clone(), self.deps.metrics.clone());
        let in_flight = self.deps.cell.in_flight();
        tokio::spawn(async move {
            let end = forward.await;
            settle(&queue, &metrics, (&notice.tenant, &notice.event), end).await;
            drop((in_flight, notice));
        });
    }

    /// An event on which something panicked would panic again.
    fn set_aside(&self, tenant: Arc<Tenant>, event: DueItem, context: &Context<Self>) {
        let end = ForwardEnd::SetAside { reason: "the service panicked on it".to_owned() };
        let notice = EndNotice { tenant, event, way: Way::SetAside, logger: context.address() };
        self.settle(notice, std::future::ready(end));
    }
}

/// Hands one event on to its tenant's CXone.
async fn forward(tenant: Arc<Tenant>, event: DueItem) -> ForwardEnd {
    let call = || -> Result<FeedbackCall, String> {
        let interaction: InteractionId = event.key.parse().map_err(|error| format!("{error}"))?;
        let payload = payload(&event)?;
        let arrived_at = payload.heard_at();
        let FeedbackPayload { insight, action, .. } = payload;
        Ok(FeedbackCall { interaction, insight, action, arrived_at })
    };
    match call() {
        Ok(call) => tenant.calls.forward(&call, event.attempts.saturating_add(1)).await,
        Err(reason) => ForwardEnd::SetAside { reason },
    }
}

/// What CXone calls the card; nothing where that can't be read.
#[cfg(any(test, feature = "failure-points"))]
fn insight(event: &DueItem) -> String {
    payload(event).map(|payload| payload.insight).unwrap_or_default()
}

/// What is passed on of an event.
fn payload(event: &DueItem) -> Result<FeedbackPayload, String> {
    serde_json::from_str(&event.payload).map_err(|error| format!("what was stored of it can't be read: {error}"))
}

/// Counts how forwarding ended and writes it down, for as long as that takes: an event whose end is not written
/// would be forwarded again.
async fn settle(queue: &Queue, metrics: &Metrics, (tenant, event): (&Tenant, &DueItem), end: ForwardEnd) {
    failure_point!(FeedbackLoggerSettle, &insight(event));
    let (stage, detail) = match &end {
        ForwardEnd::Forwarded => (FeedbackStage::Forwarded, ""),
        // Thousands may wait for the same thing: nothing is said or written of each.
        ForwardEnd::NotSent { reason } => return tracing::debug!(reason, "feedback is not sent yet"),
        ForwardEnd::Postponed { reason, .. } => (FeedbackStage::Postponed, reason.as_str()),
        ForwardEnd::SetAside { reason } => (FeedbackStage::SetAside, reason.as_str()),
    };
    let (profile, accepted) = (tenant.name().as_str(), payload(event).is_ok_and(|payload| payload.accepted));
    FeedbackReached { profile, accepted, stage, detail }.emit(metrics);
    if let ForwardEnd::SetAside { reason } = &end {
        ActorDropped { reason: DropReason::FeedbackSetAside, count: 1, detail: reason }.emit(metrics);
    }
    let end = match end {
        ForwardEnd::Forwarded => ItemEnd::Arrived,
        ForwardEnd::NotSent { .. } => return,
        ForwardEnd::Postponed { wait, reason } => ItemEnd::RetryAt(after(wait), reason),
        ForwardEnd::SetAside { reason } => ItemEnd::SetAside(reason),
    };
    if let Err(error) = write_until_done(queue, event, end).await {
        tracing::warn!(%error, "how an event was forwarded is not written down; the next start forwards it again");
    }
}

fn after(wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    Timestamp::now().saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// Only a ledger that takes no more ends the trying. That it can't be written it says itself.
async fn write_until_done(queue: &Queue, event: &DueItem, end: ItemEnd) -> Result<(), LedgerError> {
    loop {
        match queue.ended(event.id, end.clone()).await {
            Err(LedgerError::Unavailable(_)) => sleep(WRITE_PAUSE).await,
            done => return done,
        }
    }
}

impl Actor for FeedbackLogger {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        Self::add_stream(self.deps.inbox.stream(), context);
        self.tell_unclaimed();
        context.run_interval(LOOK_INTERVAL, Self::look_everywhere);
    }
}

impl Supervised for FeedbackLogger {
    fn restarting(&mut self, context: &mut Self::Context) {
        if let Some((tenant, event)) = self.in_hand.take() {
            self.set_aside(tenant, event, context);
        }
    }
}

impl StreamHandler<HeardFeedback> for FeedbackLogger {
    fn handle(&mut self, heard: HeardFeedback, _: &mut Self::Context) {
        // Whoever shows nothing hears of cards that others show, and these hand their feedback on.
        if self.deps.tenants.get(&heard.profile).is_some_and(|tenant| !tenant.profile.pushes) {
            let (reason, detail) = (DropReason::FeedbackNotOurs, heard.interaction.to_string());
            return ActorDropped { reason, count: 1, detail: &detail }.emit(&self.deps.metrics);
        }
        if !heard.accepted {
            let key = InteractionKey { profile: heard.profile.clone(), interaction: heard.interaction.clone() };
            self.deps.ranker.do_send(CardRejected { key, article_id: heard.insight.clone() });
        }
        self.store(heard);
    }
}

impl Handler<Looked> for FeedbackLogger {
    type Result = ();

    fn handle(&mut self, Looked { tenant, due }: Looked, context: &mut Self::Context) {
        let (events, again) = self.progress.looked(tenant.name(), due);
        if again {
            self.look(&tenant, context);
        }
        for event in events {
            self.forward(Arc::clone(&tenant), event, context);
        }
    }
}

impl Handler<Ended> for FeedbackLogger {
    type Result = ();

    fn handle(&mut self, Ended { tenant, event, way, panicked }: Ended, context: &mut Self::Context) {
        match (panicked, way) {
            (true, Way::Forward) => self.set_aside(tenant, event, context),
            // It stays under way, or the next look would bring it, and the panic, again.
            (true, Way::SetAside) => {
                let (profile, event) = (tenant.name(), event.id.0);
                tracing::error!(%profile, event, "an event can't even be set aside; it waits for the next start");
            }
            (false, _) => {
                if self.progress.ended(tenant.name(), event.id) {
                    self.look(&tenant, context);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

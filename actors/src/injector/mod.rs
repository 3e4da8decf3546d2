//! Injector: from cards to CXone's desktop.
//!
//! Takes [`Delivery`], ends each question. One lane per profile with a bounded number of pushes, one per interaction at
//! a time, so that cards never overtake each other and one tenant's trouble holds no other tenant up: what enters a
//! lane gives its permit back, and a lane holds only so many. What waits is the newest of its interaction, and goes
//! out only while it is fresh.

mod cards;
mod lanes;
mod records;

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, Recipient, StreamHandler, Supervised};
use cuecard_cxone::PushTarget;
use cuecard_failure_points::failure_point;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::Instrument;

pub use lanes::LaneWidth;
use lanes::{Lanes, Next};
pub use records::DeliveryRecords;

use crate::cxone_calls::{ASKED_ATTEMPTS, PushOrder};
use crate::inbox::Inbox;
use crate::messages::{Delivery, InteractionKey, NotShown, Outcome, ProfileName, Stage};
use crate::supervision::{ActorCell, Escalation, Recovery};

/// How often idle conversations are looked for.
const EVICTION_INTERVAL: Duration = Duration::from_mins(1);

/// What an Injector works with.
pub struct InjectorDeps {
    /// Where cards come from.
    pub inbox: Inbox<Delivery>,
    /// Where each push is written down that CXone took.
    pub records: DeliveryRecords,
    /// The Ranker, told of cards that never reached the screen.
    pub ranker: Recipient<NotShown>,
    /// What one profile may have waiting and under way.
    pub width: LaneWidth,
    /// How many profiles there are, each with a lane.
    pub profiles: usize,
    /// Conversations kept track of at most.
    pub conversations: usize,
    /// How long an idle conversation is kept track of.
    pub forget_after: Duration,
    /// The actor's public state.
    pub cell: Arc<ActorCell>,
    /// The way out when going on is no use.
    pub escalation: Escalation,
}

/// See the module.
pub struct Injector {
    deps: InjectorDeps,
    lanes: Lanes,
    /// Nothing more comes; it ends when its lanes are empty.
    is_closed: bool,
}

/// A push came to an end, or its task did.
#[derive(Message)]
#[rtype(result = "()")]
struct PushEnded(InteractionKey);

/// Says that a push ended when it is dropped, so that a panic of the task can't leave its lane waiting.
struct EndNotice {
    key: InteractionKey,
    injector: Addr<Injector>,
}

impl Drop for EndNotice {
    fn drop(&mut self) {
        self.injector.do_send(PushEnded(self.key.clone()));
    }
}

/// Says that cards never reached the screen when it is dropped, so that a panic of the task can't keep them from being
/// shown again.
struct NotShownNotice {
    message: Option<NotShown>,
    ranker: Recipient<NotShown>,
}

impl NotShownNotice {
    fn new(delivery: &Delivery, deps: &InjectorDeps) -> Self {
        Self { message: NotShown::of(delivery), ranker: deps.ranker.clone() }
    }

    fn were_shown(mut self) {
        self.message = None;
    }
}

impl Drop for NotShownNotice {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            self.ranker.do_send(message);
        }
    }
}

/// Pushes to the tenant's CXone, to the end.
async fn push(delivery: &Delivery) -> Outcome {
    let (item, tenant) = (&delivery.item, delivery.ticket.tenant());
    failure_point!(InjectorPush, item.key.interaction.as_str());
    let agent_id = item.agent_id.as_deref().unwrap_or(&tenant.profile.agent_id);
    let order = PushOrder {
        target: PushTarget { interaction: &item.key.interaction, agent_id },
        content: &cards::push_content(&delivery.content),
        key: &item.decision.to_string(),
        deadline: item.deadline,
        max_attempts: delivery.ticket.has_caller().then_some(ASKED_ATTEMPTS),
    };
    tenant.calls.push(order).await
}

impl Injector {
    /// An Injector with nothing to push.
    pub fn new(deps: InjectorDeps) -> Self {
        let lanes = Lanes::new(deps.width, deps.conversations);
        deps.cell.measure_queue(deps.width.waiting.saturating_mul(deps.profiles), lanes.depth());
        Self { deps, lanes, is_closed: false }
    }

    /// Starts what the lane of this profile has room for.
    fn start_ready(&mut self, profile: &ProfileName, context: &mut Context<Self>) {
        while let Some(next) = self.lanes.next(profile, Instant::now()) {
            match next {
                Next::Late(delivery) => self.end_unsent(delivery, Outcome::Expired(Stage::Inject)),
                Next::Ready(delivery, permit) => self.push(delivery, permit, context),
            }
        }
    }

    fn push(&mut self, delivery: Delivery, permit: OwnedSemaphorePermit, context: &mut Context<Self>) {
        // The notices first: they must speak even where the push can't be started.
        let ended = EndNotice { key: delivery.item.key.clone(), injector: context.address() };
        let not_shown = NotShownNotice::new(&delivery, &self.deps);
        self.lanes.in_hand(&delivery.item.key, Instant::now(), || {
            failure_point!(Injector, delivery.item.key.interaction.as_str());
        });
        let (in_flight, records) = (self.deps.cell.in_flight(), self.deps.records.clone());
        let span = delivery.ticket.span().clone();
        let work = async move {
            let outcome = push(&delivery).await;
            let Delivery { item, ticket, content } = delivery;
            let shown = if let Outcome::Delivered(receipt) = &outcome {
                not_shown.were_shown();
                Some((receipt.clone(), DeliveryRecords::question(&ticket)))
            } else {
                drop(not_shown);
                None
            };
            ticket.finish_in(Stage::Inject, outcome);
            drop((permit, ended));
            // Nobody waits for the record but a shutdown.
            let record = |(receipt, question)| DeliveryRecords::record(&item, &content, question, &receipt);
            if let Some(record) = shown.and_then(record) {
                records.write(record);
            }
            drop(in_flight);
        };
        tokio::spawn(work.instrument(span));
    }

    fn stop_if_done(&self, context: &mut Context<Self>) {
        if self.is_closed && self.lanes.are_empty() {
            context.stop();
        }
    }

    fn end_unsent(&self, delivery: Delivery, outcome: Outcome) {
        drop(NotShownNotice::new(&delivery, &self.deps));
        delivery.ticket.finish_in(Stage::Inject, outcome);
    }
}

impl Actor for Injector {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        Self::add_stream(self.deps.inbox.stream(), context);
        context.run_interval(EVICTION_INTERVAL, |injector, _| {
            injector.lanes.evict_idle(Instant::now(), injector.deps.forget_after);
        });
        // Whatever a panic kept from starting is started now.
        for profile in self.lanes.profiles() {
            self.start_ready(&profile, context);
        }
    }
}

impl Supervised for Injector {
    fn restarting(&mut self, _context: &mut Self::Context) {
        if self.lanes.recover(Instant::now()) == Recovery::Escalate {
            self.deps.escalation.escalate("injector", "panics on three different conversations within a minute");
        }
    }
}

impl StreamHandler<Delivery> for Injector {
    fn handle(&mut self, mut delivery: Delivery, context: &mut Self::Context) {
        let profile = delivery.item.key.profile.clone();
        delivery.ticket.give_permit_back();
        if let Some((unsent, outcome)) = self.lanes.queue(delivery, Instant::now()) {
            self.end_unsent(unsent, outcome);
        }
        self.start_ready(&profile, context);
    }

    /// What was accepted is still pushed.
    fn finished(&mut self, context: &mut Self::Context) {
        self.is_closed = true;
        self.stop_if_done(context);
    }
}

impl Handler<PushEnded> for Injector {
    type Result = ();

    fn handle(&mut self, PushEnded(key): PushEnded, context: &mut Self::Context) {
        self.lanes.push_ended(&key);
        self.start_ready(&key.profile, context);
        self.stop_if_done(context);
    }
}

#[cfg(test)]
mod tests;

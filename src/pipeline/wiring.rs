//! The channels and shared parts between the actors.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use actix::{Addr, Recipient};
use async_channel::Sender;
use cuecard_actors::admission::{Admission, AdmissionSettings, GivingWay};
use cuecard_actors::buffer::BufferSettings;
use cuecard_actors::engine::SearchPool;
use cuecard_actors::engine::conversation::Pauses;
use cuecard_actors::inbox::{Inbox, NextStage, bounded, stage};
use cuecard_actors::injector::LaneWidth;
use cuecard_actors::knowledge_sync::Refresh;
use cuecard_actors::ledger::Ledger;
use cuecard_actors::messages::{Delivery, Extracted, Heard, HeardFeedback, NotShown, ProfileName, Rankable};
use cuecard_actors::supervision::{ActorCell, Escalation, RestartPolicy, Restartable, supervise};
use cuecard_actors::telemetry::{Metrics, Telemetry};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::error::StartError;
use super::knowledge::{Knowledge, ProfileKnowledge};
use super::profiles::{Answering, Profiles};
use super::watch::{self, Users, Watch};
use crate::settings::Settings;

/// Frames, fragments and feedback that may wait for their actor; a sender beyond that waits itself.
const STREAM_INBOX: usize = 256;

/// The way into a stage, and its inbox until the stage's actor takes it: the actor alone keeps it open.
pub(super) struct Channel<W, M> {
    pub(super) into: W,
    inbox: Cell<Option<Inbox<M>>>,
}

impl<W, M: Send + 'static> Channel<W, M> {
    fn new((into, inbox): (W, Inbox<M>)) -> Self {
        Self { into, inbox: Cell::new(Some(inbox)) }
    }

    /// Hands the inbox to the actor that the cell is of; `None` but for the first.
    pub(super) fn take_inbox(&self, cell: &ActorCell) -> Option<Inbox<M>> {
        let inbox = self.inbox.take();
        if let Some(inbox) = &inbox {
            cell.measure_queue(inbox.depth());
        }
        inbox
    }
}

/// Everything that the actors share.
pub(super) struct Wiring {
    pub(super) admission: Admission,
    pub(super) buffer: Channel<Sender<Heard>, Heard>,
    pub(super) retriever: Channel<NextStage<Extracted>, Extracted>,
    pub(super) ranker: Channel<NextStage<Rankable>, Rankable>,
    pub(super) injector: Channel<NextStage<Delivery>, Delivery>,
    pub(super) feedback: Channel<Sender<HeardFeedback>, HeardFeedback>,
    pub(super) not_shown: NotShownAddress,
    pub(super) plans: Arc<HashMap<ProfileName, Answering>>,
    pub(super) profiles: Profiles,
    pub(super) search_pool: SearchPool,
    pub(super) ledger: Ledger,
    pub(super) metrics: Metrics,
    pub(super) escalation: Escalation,
    pub(super) stop: CancellationToken,
    /// The tasks that hold the sockets.
    pub(super) listening: RefCell<Vec<JoinHandle<()>>>,
    /// Whom to ask for a poll now.
    pub(super) refreshers: RefCell<HashMap<ProfileName, Recipient<Refresh>>>,
    pub(super) buffer_settings: BufferSettings,
    pub(super) lane_width: LaneWidth,
    restarts: RestartPolicy,
}

/// The Ranker's address, known once it runs: it stands before the Injector in the flow and hears back from it.
#[derive(Clone, Default)]
pub(super) struct NotShownAddress {
    address: Rc<OnceCell<Recipient<NotShown>>>,
}

impl NotShownAddress {
    pub(super) fn set(&self, address: Recipient<NotShown>) {
        // There is one Ranker.
        let _ = self.address.set(address);
    }

    pub(super) fn tell(&self, message: NotShown) {
        if let Some(address) = self.address.get() {
            address.do_send(message);
        }
    }
}

impl Wiring {
    pub(super) async fn new(
        settings: &Settings,
        knowledge: &Knowledge,
        metrics: Metrics,
        escalation: Escalation,
    ) -> Result<Self, StartError> {
        let permits = settings.pipeline.in_flight;
        let profiles = Profiles::new(&settings.profiles, knowledge, &metrics)?;
        let plans = profiles.iter().map(|profile| (profile.name.clone(), profile.answering.clone()));
        let plans: Arc<HashMap<_, _>> = Arc::new(plans.collect());
        let encoders = knowledge.encoders().to_vec();
        let oldest_wait = move || encoders.iter().map(|encoder| encoder.live_queue().oldest_wait).max();
        let sink = Arc::new(Telemetry::new(metrics.clone()));
        Ok(Self {
            admission: Admission::new(admission(settings), sink, move || oldest_wait().unwrap_or_default()),
            buffer: Channel::new(bounded(STREAM_INBOX)),
            retriever: Channel::new(stage(permits)),
            ranker: Channel::new(stage(permits)),
            injector: Channel::new(stage(permits)),
            feedback: Channel::new(bounded(STREAM_INBOX)),
            not_shown: NotShownAddress::default(),
            plans,
            profiles,
            search_pool: SearchPool::new(settings.search.threads.resolve(|cores| cores / 2))?,
            ledger: Ledger::open(&settings.data.ledger_url()).await?,
            metrics,
            escalation,
            stop: CancellationToken::new(),
            listening: RefCell::default(),
            refreshers: RefCell::default(),
            buffer_settings: buffer(settings),
            lane_width: LaneWidth { in_flight: settings.delivery.in_flight, waiting: settings.pipeline.queue },
            restarts: settings.supervision.restarts(),
        })
    }

    /// Starts an actor under supervision.
    pub(super) fn supervise<A: Restartable>(&self, cell: Arc<ActorCell>, build: impl FnOnce(&Addr<A>) -> A) -> Addr<A> {
        supervise(cell, self.restarts, self.escalation.clone(), build)
    }

    /// Looks after what changes beside the flow, until told to stop.
    pub(super) fn watch(&self, knowledge: &Knowledge) {
        let embedding = self.profiles.iter().filter(|profile| profile.answering.plan.reads_embeddings());
        let watch = Watch {
            embedding: embedding.map(|profile| Arc::clone(&profile.health)).collect(),
            indexes: self.profiles.iter().filter_map(|profile| profile.watched_index()).collect(),
            metrics: self.metrics.clone(),
            admission: self.admission.clone(),
            deliveries: self.ledger.deliveries(),
        };
        self.until_stopped(watch.run());
        let (ledger, escalation) = (self.ledger.clone(), self.escalation.clone());
        self.until_stopped(async move {
            ledger.writer_gone().await;
            escalation.escalate("ledger", "its writer is gone, so nothing that agents do is kept");
        });
        let graph = |known: &ProfileKnowledge| Some((known.graph.clone()?, known.engine.clone()));
        for ((graph, engine), users) in
            self.with_users(knowledge, graph, |(one, _), (other, _)| Arc::ptr_eq(&one.backend, &other.backend))
        {
            self.until_stopped(watch::keep_catalog(graph, engine, users, self.metrics.clone()));
        }
        let collection = |known: &ProfileKnowledge| known.collection.clone();
        for (collection, users) in
            self.with_users(knowledge, collection, |one, other| Arc::ptr_eq(&one.opened, &other.opened))
        {
            self.until_stopped(watch::keep_open(collection, users));
        }
    }

    /// Each of these things once, with the profiles that share it.
    fn with_users<T>(
        &self,
        knowledge: &Knowledge,
        used: impl Fn(&ProfileKnowledge) -> Option<T>,
        is_same: impl Fn(&T, &T) -> bool,
    ) -> Vec<(T, Users)> {
        let mut shared: Vec<(T, Users)> = Vec::new();
        for profile in self.profiles.iter() {
            let Some(thing) = used(knowledge.of(&profile.name)) else { continue };
            let health = Arc::clone(&profile.health);
            match shared.iter_mut().find(|(known, _)| is_same(known, &thing)) {
                Some((_, users)) => users.push(health),
                None => shared.push((thing, vec![health])),
            }
        }
        shared
    }

    fn until_stopped(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(work).await });
    }
}

/// An inbox of an actor's own.
pub(super) fn inbox_of<M: Send + 'static>(cell: &ActorCell) -> (Sender<M>, Inbox<M>) {
    let (sender, inbox) = bounded(STREAM_INBOX);
    cell.measure_queue(inbox.depth());
    (sender, inbox)
}

fn admission(settings: &Settings) -> AdmissionSettings {
    let pipeline = &settings.pipeline;
    AdmissionSettings {
        queue: pipeline.queue,
        in_flight: pipeline.in_flight,
        giving_way: GivingWay {
            newest_turn_after: pipeline.newest_turn_after,
            lexical_only_after: pipeline.lexical_only_after,
            drop_oldest_after: pipeline.drop_oldest_after,
        },
    }
}

fn buffer(settings: &Settings) -> BufferSettings {
    let buffer = &settings.buffer;
    BufferSettings {
        pauses: Pauses { after_last: buffer.pause_after_last, after_first: buffer.pause_after_first },
        limits: buffer.window_limits(),
        unnamed_wait: buffer.unnamed_wait,
        conversations: buffer.conversations,
        forget_after: buffer.forget_after,
    }
}

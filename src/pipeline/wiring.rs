//! The channels and shared parts between the actors.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use actix::{Addr, Recipient};
use async_channel::Sender;
use cuecard_actors::admission::{Admission, AdmissionSettings, LoadShedding};
use cuecard_actors::buffer::BufferSettings;
use cuecard_actors::decisions::{DecisionRecords, Decisions, RecentDecisions, Shadows};
use cuecard_actors::engine::conversation::Pauses;
use cuecard_actors::inbox::{Inbox, NextStage, bounded, stage};
use cuecard_actors::injector::LaneWidth;
use cuecard_actors::knowledge_sync::Refresh;
use cuecard_actors::ledger::{Ledger, LedgerError};
use cuecard_actors::messages::{Delivery, Extracted, Heard, HeardFeedback, ProfileName, Rankable};
use cuecard_actors::ranker::{Ranker, SeenBefore};
use cuecard_actors::supervision::{ActorCell, Escalation, RestartPolicy, Restartable, supervise};
use cuecard_actors::telemetry::Metrics;
use cuecard_actors::tenant::{ArticleMarks, Tenants, Upkeep};
use cuecard_actors::traces::{Traces, TracesError};
use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::screens;
use super::upkeep;
use super::watch::Watch;
use crate::settings::{RetentionSettings, Settings};

/// Frames, fragments and feedback that may wait for their actor; a sender beyond that waits itself.
const STREAM_INBOX: usize = 256;

/// Why the actors can't be wired.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Traces(#[from] TracesError),
}

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
    pub(super) fn take_inbox(&self, cell: &Arc<ActorCell>) -> Option<Inbox<M>> {
        self.inbox.take().map(|inbox| inbox.shown_in(cell))
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
    pub(super) ranker_address: OnceCell<Addr<Ranker>>,
    pub(super) tenants: Tenants,
    pub(super) decisions: Decisions,
    pub(super) recent: RecentDecisions,
    /// Reads the decisions' tap.
    pub(super) keeping: JoinHandle<()>,
    pub(super) ledger: Ledger,
    /// What an earlier process saw of the screens, until the Ranker takes it.
    pub(super) seen_before: Cell<Vec<SeenBefore>>,
    retention: RetentionSettings,
    pub(super) marks: Arc<ArticleMarks>,
    pub(super) metrics: Metrics,
    pub(super) escalation: Escalation,
    pub(super) stop: CancellationToken,
    /// The tasks that read the sockets.
    pub(super) listening: TaskTracker,
    /// What is still said over the sockets when nothing is read any more.
    pub(super) goodbyes: TaskTracker,
    /// Whom to ask for a poll now.
    pub(super) refreshers: RefCell<HashMap<ProfileName, Recipient<Refresh>>>,
    pub(super) buffer_settings: BufferSettings,
    pub(super) lane_width: LaneWidth,
    restarts: RestartPolicy,
}

impl Wiring {
    pub(super) async fn new(
        settings: &Settings,
        tenants: Tenants,
        metrics: Metrics,
        escalation: Escalation,
    ) -> Result<Self, WiringError> {
        let permits = settings.pipeline.in_flight;
        let ledger = Ledger::open(settings.data.ledger_url().expose_secret(), settings.data.ledger_options()).await?;
        let seen_before = screens::seen_before(&ledger, &tenants).await?;
        let marks = ArticleMarks::restored(tenants.clone(), ledger.operator_actions()).await?;
        let (decisions, tap) = Decisions::new(metrics.clone());
        let recent = RecentDecisions::default();
        let watched = buffer(settings);
        let shadows = Shadows::new(tenants.clone(), metrics.clone(), watched.conversations, watched.forget_after);
        let kept = settings.data.keep_decisions.is_on().then(|| ledger.decisions());
        let records = DecisionRecords::new(tenants.clone(), metrics.clone(), kept);
        let traces = settings.traces().map(|traces| Traces::start(&traces, metrics.clone())).transpose()?;
        let keeping = tokio::spawn(recent.clone().keep(tap, shadows, records, traces));
        Ok(Self {
            admission: Admission::new(admission(settings), tenants.clone(), decisions.clone()),
            buffer: Channel::new(bounded(STREAM_INBOX)),
            retriever: Channel::new(stage(permits)),
            ranker: Channel::new(stage(permits)),
            injector: Channel::new(stage(permits)),
            feedback: Channel::new(bounded(STREAM_INBOX)),
            ranker_address: OnceCell::new(),
            tenants,
            decisions,
            recent,
            keeping,
            ledger,
            seen_before: Cell::new(seen_before),
            retention: settings.retention.clone(),
            marks: Arc::new(marks),
            metrics,
            escalation,
            stop: CancellationToken::new(),
            listening: TaskTracker::new(),
            goodbyes: TaskTracker::new(),
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
    pub(super) fn watch(&self) {
        let watch = Watch {
            tenants: self.tenants.clone(),
            metrics: self.metrics.clone(),
            admission: self.admission.clone(),
            ledger: self.ledger.clone(),
            forget_after: self.buffer_settings.forget_after,
        };
        self.until_stopped(watch.run());
        self.until_stopped(upkeep::measure(self.ledger.clone(), self.metrics.clone()));
        self.until_stopped(upkeep::run(self.ledger.clone(), self.retention.clone()));
        let (ledger, escalation) = (self.ledger.clone(), self.escalation.clone());
        self.until_stopped(async move {
            ledger.writer_gone().await;
            escalation.escalate("ledger", "its writer is gone, so nothing that agents do is kept");
        });
        for encoder in self.tenants.encoders() {
            self.until_stopped(self.escalation.clone().when_given_up(encoder));
        }
        let (tenants, metrics, stop) = (self.tenants.clone(), self.metrics.clone(), self.stop.clone());
        Upkeep { tenants, metrics, stop }.start();
    }

    fn until_stopped(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        tokio::spawn(async move { stop.run_until_cancelled(work).await });
    }
}

/// An inbox of an actor's own.
pub(super) fn inbox_of<M: Send + 'static>(cell: &Arc<ActorCell>) -> (Sender<M>, Inbox<M>) {
    let (sender, inbox) = bounded(STREAM_INBOX);
    (sender, inbox.shown_in(cell))
}

fn admission(settings: &Settings) -> AdmissionSettings {
    let pipeline = &settings.pipeline;
    AdmissionSettings {
        queue: pipeline.queue,
        in_flight: pipeline.in_flight,
        at_work: threads_at_work(settings),
        load_shedding: load_shedding(settings),
    }
}

/// How many questions are worked on at the same moment: there are threads that embed and threads that search, and cores
/// below them.
fn threads_at_work(settings: &Settings) -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    (settings.encoder.threads.resolve(|cores| cores) + settings.search.num_threads()).min(cores)
}

/// From which waits on less is done for a profile's questions.
pub fn load_shedding(settings: &Settings) -> LoadShedding {
    let pipeline = &settings.pipeline;
    LoadShedding {
        newest_turn_after: pipeline.newest_turn_after,
        lexical_only_after: pipeline.lexical_only_after,
        drop_oldest_after: pipeline.drop_oldest_after,
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

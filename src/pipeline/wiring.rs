//! The channels and shared parts between the actors.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Recipient};
use async_channel::Sender;
use cuecard_actors::admission::{Admission, AdmissionSettings, GivingWay};
use cuecard_actors::buffer::BufferSettings;
use cuecard_actors::cxone::http::TlsError;
use cuecard_actors::engine::conversation::{Pauses, WindowLimits};
use cuecard_actors::engine::{SearchPool, SearchPoolError};
use cuecard_actors::inbox::{Inbox, NextStage, bounded, stage};
use cuecard_actors::ledger::{DeliveredCard, Delivery as DeliveryRecord, Ledger, LedgerError};
use cuecard_actors::messages::{Delivery, Extracted, Heard, HeardFeedback, NotShown, ProfileName, Retrieved};
use cuecard_actors::supervision::{ActorCell, Escalation, RestartPolicy, Restartable, supervise};
use cuecard_actors::telemetry::{Metrics, Telemetry};
use jiff::Timestamp;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use super::knowledge::Knowledge;
use super::profiles::{Answering, Profiles};
use crate::settings::Settings;

/// Frames, fragments and feedback that may wait for their actor; a sender beyond that waits itself.
const STREAM_INBOX: usize = 256;
/// How often the indexes and the gauges that nobody reports are looked at; a new generation must be seen within 2 s.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Why the actors can't be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The machine's certificates.
    #[error("no TLS client can be made: {0}")]
    Tls(TlsError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The search threads.
    #[error(transparent)]
    SearchPool(#[from] SearchPoolError),
}

/// Told of each push that CXone took, with the id it gave.
type RecordDelivery = Rc<dyn Fn(&Delivery, Option<String>)>;
/// An inbox and the way into it.
type Channel<W, M> = (W, Inbox<M>);

/// Everything that the actors share.
pub(super) struct Wiring {
    pub(super) admission: Admission,
    pub(super) buffer: Channel<Sender<Heard>, Heard>,
    pub(super) retriever: Channel<NextStage<Extracted>, Extracted>,
    pub(super) ranker: Channel<NextStage<Retrieved>, Retrieved>,
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
    pub(super) buffer_settings: BufferSettings,
    pub(super) pushes_in_flight: usize,
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
        knowledge: Knowledge,
        metrics: Metrics,
        escalation: Escalation,
    ) -> Result<Self, StartError> {
        let permits = settings.pipeline.in_flight;
        let profiles = Profiles::new(&settings.profiles, &metrics)?;
        let plans = settings.profiles.iter().map(|profile| {
            let answering = Answering { engine: knowledge.engine(&profile.index), plan: profile.plan.clone() };
            (profile.name.clone(), answering)
        });
        let encoder = knowledge.encoder.clone();
        let sink = Arc::new(Telemetry::new(metrics.clone()));
        Ok(Self {
            admission: Admission::new(admission(settings), sink, move || encoder.live_queue().oldest_wait),
            buffer: bounded(STREAM_INBOX),
            retriever: stage(permits),
            ranker: stage(permits),
            injector: stage(permits),
            feedback: bounded(STREAM_INBOX),
            not_shown: NotShownAddress::default(),
            plans: Arc::new(plans.collect()),
            profiles,
            search_pool: SearchPool::new(settings.search.threads.resolve(|cores| cores / 2))?,
            ledger: Ledger::open(&settings.data.ledger_url()).await?,
            metrics,
            escalation,
            stop: CancellationToken::new(),
            buffer_settings: buffer(settings),
            pushes_in_flight: settings.delivery.in_flight,
            restarts: RestartPolicy {
                max_restarts: settings.supervision.max_restarts,
                window: settings.supervision.window,
                ..RestartPolicy::default()
            },
        })
    }

    /// Starts an actor under supervision.
    pub(super) fn supervise<A: Restartable>(&self, cell: Arc<ActorCell>, build: impl FnOnce(&Addr<A>) -> A) -> Addr<A> {
        supervise(cell, self.restarts, self.escalation.clone(), build)
    }

    /// Writes pushes that CXone took into the ledger, behind the agent's back.
    pub(super) fn record_deliveries(&self) -> RecordDelivery {
        let deliveries = self.ledger.deliveries();
        Rc::new(move |delivery, cxone_id| {
            let (deliveries, record) = (deliveries.clone(), record(delivery, cxone_id));
            tokio::spawn(async move {
                if let Err(error) = deliveries.record(record).await {
                    tracing::error!(%error, "a delivery can't be written down");
                }
            });
        })
    }

    /// Looks for new index generations and measures what nobody reports, until told to stop.
    pub(super) fn watch(&self) {
        let (plans, metrics, admission) = (Arc::clone(&self.plans), self.metrics.clone(), self.admission.clone());
        let (deliveries, stop) = (self.ledger.deliveries(), self.stop.clone());
        let watching = async move {
            let mut tick = interval(WATCH_INTERVAL);
            loop {
                tick.tick().await;
                metrics.set_admission(admission.queued(), admission.in_flight());
                if let Ok(acceptance) = deliveries.acceptance().await {
                    metrics.set_acceptance(acceptance.ratio());
                }
                let (plans, metrics) = (Arc::clone(&plans), metrics.clone());
                if tokio::task::spawn_blocking(move || refresh(&plans, &metrics)).await.is_err() {
                    tracing::error!("looking for a new index generation panicked");
                }
            }
        };
        tokio::spawn(async move { stop.run_until_cancelled(watching).await });
    }
}

/// An inbox of an actor's own.
pub(super) fn inbox_of<M: Send + 'static>(cell: &ActorCell) -> Channel<Sender<M>, M> {
    let (sender, inbox) = bounded(STREAM_INBOX);
    cell.measure_queue(inbox.depth());
    (sender, inbox)
}

/// Puts new generations in service; a damaged one leaves the old in service.
fn refresh(plans: &HashMap<ProfileName, Answering>, metrics: &Metrics) {
    for (profile, answering) in plans {
        let index = answering.engine.index();
        match index.refresh() {
            Ok(true) => tracing::info!(%profile, generation = index.current().generation(), "a new index generation"),
            Ok(false) => {}
            Err(error) => tracing::error!(%profile, %error, "the new index generation can't be used"),
        }
        let index = index.current();
        let age = Timestamp::now().duration_since(index.manifest().built_at);
        metrics.set_index(profile, index.len(), age.as_secs_f64().max(0.0));
    }
}

fn record(delivery: &Delivery, cxone_id: Option<String>) -> DeliveryRecord {
    let card = |(position, ranked): (usize, &cuecard_actors::engine::Ranked)| DeliveredCard {
        article_id: ranked.article.id.clone(),
        rank: u32::try_from(position + 1).unwrap_or(u32::MAX),
        score: ranked.score,
    };
    let item = &delivery.item;
    DeliveryRecord {
        id: item.decision,
        decision: item.decision,
        profile: item.key.profile.to_string(),
        interaction: item.key.interaction.to_string(),
        utterance: item.utterance_number,
        cards: delivery.cards.iter().enumerate().map(card).collect(),
        delivered_at: Timestamp::now(),
        cxone_id,
        latency_ms: u64::try_from(item.heard.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
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
        limits: WindowLimits { turns: buffer.max_turns, bytes: buffer.max_bytes },
        unnamed_wait: buffer.unnamed_wait,
        conversations: buffer.conversations,
        forget_after: buffer.forget_after,
    }
}

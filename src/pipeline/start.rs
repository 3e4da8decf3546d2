//! How each stage's actors are started: what they work with, taken from the wiring.

use std::sync::Arc;

use cuecard_actors::buffer::{Buffer, BufferDeps};
use cuecard_actors::engine::BackendName;
use cuecard_actors::extractor::{Extractor, ExtractorDeps};
use cuecard_actors::feedback_logger::{FeedbackLogger, FeedbackLoggerDeps};
use cuecard_actors::injector::{DeliveryRecords, Injector, InjectorDeps};
use cuecard_actors::knowledge_sync::{KnowledgeSync, KnowledgeSyncDeps, Poll};
use cuecard_actors::ledger::QueueKind;
use cuecard_actors::ranker::{Ranker, RankerDeps};
use cuecard_actors::retriever::{Retriever, RetrieverDeps};
use cuecard_actors::stream_listener::{Listening, StreamListener, StreamListenerDeps};
use cuecard_actors::supervision::ActorCell;
use cuecard_actors::tenant::Tenant;
use cuecard_actors::token_actor::{TokenActor, TokenActorDeps};

use super::wiring::{Wiring, inbox_of};

pub(super) fn stream_listener(wiring: &Wiring, tenant: &Arc<Tenant>, cell: Arc<ActorCell>) {
    let Some(stream) = tenant.profile.stream else { return };
    let (received, inbox) = inbox_of(&cell);
    let deps = StreamListenerDeps {
        profile: tenant.name().clone(),
        protocol: {
            let roles = tenant.profile.roles.clone();
            Box::new(move || stream.protocol(roles.clone()))
        },
        inbox,
        buffer: wiring.buffer.into.clone(),
        feedback: wiring.feedback.into.clone(),
        metrics: wiring.metrics.clone(),
        cell: Arc::clone(&cell),
    };
    wiring.supervise(cell, |_| StreamListener::new(deps));
    let listening = Listening {
        calls: Arc::clone(&tenant.calls),
        sockets: tenant.calls.http().clone(),
        stream,
        waits_for_articles: tenant.profile.plan.backends == [BackendName::Index],
        received,
        health: Arc::clone(&tenant.health),
        metrics: wiring.metrics.clone(),
        goodbyes: wiring.goodbyes.clone(),
        stop: wiring.stop.clone(),
    };
    wiring.listening.spawn_local(listening.run());
}

pub(super) fn buffer(wiring: &Wiring, cell: Arc<ActorCell>) {
    let Some(inbox) = wiring.buffer.take_inbox(&cell) else { return };
    let deps = BufferDeps {
        inbox,
        admission: wiring.admission.clone(),
        tenants: wiring.tenants.clone(),
        settings: wiring.buffer_settings,
        metrics: wiring.metrics.clone(),
        escalation: wiring.escalation.clone(),
    };
    wiring.supervise(cell, |_| Buffer::new(deps));
}

pub(super) fn extractor(wiring: &Wiring, cell: Arc<ActorCell>) {
    let admission = wiring.admission.clone();
    let (queued, permits) = (admission.clone(), admission.clone());
    cell.measure_queue(admission.queue_bound(), move || queued.queued());
    cell.is_held_while(move || permits.is_held());
    let (retriever, ranker) = (wiring.retriever.into.clone(), wiring.ranker.into.clone());
    let deps = ExtractorDeps { admission, retriever, ranker, metrics: wiring.metrics.clone(), cell: Arc::clone(&cell) };
    wiring.supervise(cell, |_| Extractor::new(deps));
}

pub(super) fn retriever(wiring: &Wiring, cell: Arc<ActorCell>) {
    let Some(inbox) = wiring.retriever.take_inbox(&cell) else { return };
    let (ranker, metrics) = (wiring.ranker.into.clone(), wiring.metrics.clone());
    let deps = RetrieverDeps { inbox, ranker, metrics, cell: Arc::clone(&cell) };
    wiring.supervise(cell, |_| Retriever::new(deps));
}

pub(super) fn ranker(wiring: &Wiring, cell: Arc<ActorCell>) {
    let Some(inbox) = wiring.ranker.take_inbox(&cell) else { return };
    let deps = RankerDeps {
        inbox,
        injector: wiring.injector.into.clone(),
        conversations: wiring.buffer_settings.conversations,
        forget_after: wiring.buffer_settings.forget_after,
        escalation: wiring.escalation.clone(),
    };
    let address = wiring.supervise(cell, |_| Ranker::restored(deps, wiring.seen_before.take()));
    // There is one Ranker.
    let _ = wiring.ranker_address.set(address);
}

pub(super) fn injector(wiring: &Wiring, cell: Arc<ActorCell>) {
    let Some(inbox) = wiring.injector.take_inbox(&cell) else { return };
    // The list starts the Ranker before.
    let Some(ranker) = wiring.ranker_address.get().cloned() else { return };
    let deps = InjectorDeps {
        inbox,
        records: DeliveryRecords::new(wiring.ledger.deliveries(), wiring.metrics.clone()),
        ranker: ranker.recipient(),
        width: wiring.lane_width,
        profiles: wiring.tenants.iter().count(),
        conversations: wiring.buffer_settings.conversations,
        forget_after: wiring.buffer_settings.forget_after,
        cell: Arc::clone(&cell),
        escalation: wiring.escalation.clone(),
    };
    wiring.supervise(cell, |_| Injector::new(deps));
}

pub(super) fn feedback_logger(wiring: &Wiring, cell: Arc<ActorCell>) {
    let Some(inbox) = wiring.feedback.take_inbox(&cell) else { return };
    // The list starts the Ranker before.
    let Some(ranker) = wiring.ranker_address.get().cloned() else { return };
    let deps = FeedbackLoggerDeps {
        inbox,
        ranker: ranker.recipient(),
        stored: wiring.ledger.feedback(),
        queue: wiring.ledger.queue(QueueKind::Feedback),
        tenants: wiring.tenants.clone(),
        metrics: wiring.metrics.clone(),
        cell: Arc::clone(&cell),
    };
    wiring.supervise(cell, |_| FeedbackLogger::new(deps));
}

pub(super) fn knowledge_sync(wiring: &Wiring, tenant: &Arc<Tenant>, cell: Arc<ActorCell>) {
    let Some(index) = tenant.knowledge.index.clone() else { return };
    let poll = Poll {
        calls: Arc::clone(&tenant.calls),
        index,
        encoder: tenant.engine.encoder().clone(),
        metrics: wiring.metrics.clone(),
    };
    let deps = KnowledgeSyncDeps {
        poll,
        tenants: wiring.tenants.clone(),
        stop: wiring.stop.clone(),
        health: Arc::clone(&tenant.health),
        metrics: wiring.metrics.clone(),
        cell: Arc::clone(&cell),
    };
    let address = wiring.supervise(cell, |_| KnowledgeSync::new(deps));
    wiring.refreshers.borrow_mut().insert(tenant.name().clone(), address.recipient());
}

pub(super) fn token_actor(wiring: &Wiring, tenant: &Arc<Tenant>, cell: Arc<ActorCell>) {
    let deps = TokenActorDeps {
        calls: Arc::clone(&tenant.calls),
        health: Arc::clone(&tenant.health),
        cell: Arc::clone(&cell),
    };
    let address = wiring.supervise(cell, |_| TokenActor::new(deps));
    tenant.calls.introduce(address.into());
}

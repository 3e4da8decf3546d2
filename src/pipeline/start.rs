//! How each stage's actors are started: what they work with, taken from the wiring.

use std::rc::Rc;
use std::sync::Arc;

use cuecard_actors::buffer::{Buffer, BufferDeps};
use cuecard_actors::cxone_calls::TokenActorAddress;
use cuecard_actors::extractor::{Extract, Extractor};
use cuecard_actors::feedback_logger::{FeedbackLogger, FeedbackLoggerDeps};
use cuecard_actors::injector::{Injector, InjectorDeps};
use cuecard_actors::knowledge_sync::{KnowledgeSync, KnowledgeSyncDeps, SyncError, Synced};
use cuecard_actors::messages::ProfileName;
use cuecard_actors::ranker::{Ranker, RankerDeps};
use cuecard_actors::retriever::{Retriever, RetrieverDeps};
use cuecard_actors::stream_listener::{Listening, StreamListener, StreamListenerDeps, listen};
use cuecard_actors::supervision::ActorCell;
use cuecard_actors::token_actor::{TokenActor, TokenActorDeps};
use futures_util::FutureExt;

use super::delivered::record_deliveries;
use super::profiles::ProfileWiring;
use super::sync::Syncing;
use super::wiring::{Wiring, inbox_of};

pub(super) fn stream_listener(wiring: &Wiring, profile: &Rc<ProfileWiring>, cell: Arc<ActorCell>) {
    let Some(stream) = profile.stream else { return };
    let (frames, inbox) = inbox_of(&cell);
    let deps = StreamListenerDeps {
        profile: profile.name.clone(),
        codec: stream.codec(),
        inbox,
        buffer: wiring.buffer.into.clone(),
        feedback: wiring.feedback.into.clone(),
        metrics: wiring.metrics.clone(),
    };
    wiring.supervise(cell, |_| StreamListener::new(deps));
    let socket = listen(Listening {
        connect: profile.connect(stream),
        frames,
        health: Arc::clone(&profile.health),
        metrics: wiring.metrics.clone(),
        scope: stream.scope(),
        stop: wiring.stop.clone(),
    });
    wiring.listening.borrow_mut().push(socket);
}

pub(super) fn buffer(wiring: &Wiring, cell: Arc<ActorCell>) {
    let Some(inbox) = wiring.buffer.take_inbox(&cell) else { return };
    let (admission, plans) = (wiring.admission.clone(), Arc::clone(&wiring.plans));
    let deps = BufferDeps {
        inbox,
        admit: Box::new(move |item| admission.hear(item)),
        deadline: Box::new(move |profile| plans[profile].plan.deadline),
        settings: wiring.buffer_settings,
        metrics: wiring.metrics.clone(),
        escalation: wiring.escalation.clone(),
    };
    wiring.supervise(cell, |_| Buffer::new(deps));
}

pub(super) fn extractor(wiring: &Wiring, cell: Arc<ActorCell>) {
    let admission = wiring.admission.clone();
    let queued = admission.clone();
    cell.measure_queue(move || queued.queued());
    let plans = Arc::clone(&wiring.plans);
    let extract: Extract = Arc::new(move |item, utterance, effort| {
        let (answering, utterance) = (plans[&item.key.profile].clone(), utterance.clone());
        Box::pin(async move { answering.engine.extract_live(&utterance, &answering.plan, effort).await })
    });
    let (retriever, ranker) = (wiring.retriever.into.clone(), wiring.ranker.into.clone());
    wiring.supervise(Arc::clone(&cell), |_| Extractor { admission, extract, retriever, ranker, cell });
}

pub(super) fn retriever(wiring: &Wiring, cell: Arc<ActorCell>) {
    let Some(inbox) = wiring.retriever.take_inbox(&cell) else { return };
    let (plans, others, completing) = (Arc::clone(&wiring.plans), wiring.profiles.clone(), Arc::clone(&wiring.plans));
    let deps = RetrieverDeps {
        inbox,
        search_index: Arc::new(move |item, query| {
            let answering = &plans[&item.key.profile];
            answering.engine.retrieve(query, &answering.plan)
        }),
        ask_others: Rc::new(move |item, query| others.get(&item.key.profile).ask_others(item, query)),
        complete: Rc::new(move |item, mut found| {
            let answering = completing[&item.key.profile].clone();
            async move {
                answering.engine.complete(&mut found, &answering.plan).await;
                found
            }
            .boxed_local()
        }),
        pool: wiring.search_pool.clone(),
        ranker: wiring.ranker.into.clone(),
        metrics: wiring.metrics.clone(),
        cell: Arc::clone(&cell),
    };
    wiring.supervise(cell, |_| Retriever::new(deps));
}

pub(super) fn ranker(wiring: &Wiring, cell: Arc<ActorCell>) {
    let Some(inbox) = wiring.ranker.take_inbox(&cell) else { return };
    let (plans, ordering) = (Arc::clone(&wiring.plans), Arc::clone(&wiring.plans));
    let deps = RankerDeps {
        inbox,
        rank: Arc::new(move |item, candidates, shown| {
            let plan = &plans[&item.key.profile].plan;
            cuecard_actors::engine::rank(candidates, shown, item.utterance_number, plan)
        }),
        order: Arc::new(move |item, request| ordering[&item.key.profile].order(request)),
        injector: wiring.injector.into.clone(),
        conversations: wiring.buffer_settings.conversations,
        forget_after: wiring.buffer_settings.forget_after,
        escalation: wiring.escalation.clone(),
    };
    let address = wiring.supervise(cell, |_| Ranker::new(deps));
    wiring.not_shown.set(address.recipient());
}

pub(super) fn injector(wiring: &Wiring, cell: Arc<ActorCell>) {
    let Some(inbox) = wiring.injector.take_inbox(&cell) else { return };
    let profiles = wiring.profiles.clone();
    let not_shown = wiring.not_shown.clone();
    let deps = InjectorDeps {
        inbox,
        push: Rc::new(move |delivery| profiles.get(&delivery.item.key.profile).push(delivery)),
        record: record_deliveries(wiring.ledger.deliveries(), wiring.metrics.clone()),
        not_shown: Rc::new(move |message| not_shown.tell(message)),
        width: wiring.lane_width,
        conversations: wiring.buffer_settings.conversations,
        forget_after: wiring.buffer_settings.forget_after,
        cell: Arc::clone(&cell),
        escalation: wiring.escalation.clone(),
    };
    wiring.supervise(cell, |_| Injector::new(deps));
}

pub(super) fn feedback_logger(wiring: &Wiring, cell: Arc<ActorCell>) {
    let Some(inbox) = wiring.feedback.take_inbox(&cell) else { return };
    let profiles = wiring.profiles.clone();
    let deps = FeedbackLoggerDeps {
        inbox,
        queue: wiring.ledger.feedback(),
        forward: Rc::new(move |event| profiles.get(&ProfileName::new(&event.feedback.profile)).forward(event)),
        profiles: wiring.profiles.iter().map(|profile| profile.name.clone()).collect(),
        metrics: wiring.metrics.clone(),
        cell: Arc::clone(&cell),
    };
    wiring.supervise(cell, |_| FeedbackLogger::new(deps));
}

pub(super) fn knowledge_sync(wiring: &Wiring, profile: &Rc<ProfileWiring>, cell: Arc<ActorCell>) {
    let Some(settings) = profile.sync else { return };
    let sources = profile.answering.engine.sources();
    let Some(index) = sources.index.clone() else { return };
    let syncing = Rc::new(Syncing {
        profile: profile.name.clone(),
        calls: Rc::clone(&profile.calls),
        index,
        encoder: profile.answering.engine.encoder().clone(),
        settings,
    });
    let stop = wiring.stop.clone();
    let deps = KnowledgeSyncDeps {
        sync: Rc::new(move || {
            let (syncing, stop) = (Rc::clone(&syncing), stop.clone());
            // A poll may take minutes; it is cut off by a stop, and the next start begins it anew.
            async move { stop.run_until_cancelled(syncing.sync()).await.unwrap_or_else(cut_off) }.boxed_local()
        }),
        interval: settings.poll_interval,
        health: Arc::clone(&profile.health),
        metrics: wiring.metrics.clone(),
        cell: Arc::clone(&cell),
    };
    let address = wiring.supervise(cell, |_| KnowledgeSync::new(deps));
    wiring.refreshers.borrow_mut().insert(profile.name.clone(), address.recipient());
}

fn cut_off() -> Result<Synced, SyncError> {
    Err(SyncError::Failed("the service is stopping".to_owned()))
}

pub(super) fn token_actor(wiring: &Wiring, profile: &Rc<ProfileWiring>, cell: Arc<ActorCell>) {
    let calls = Rc::clone(&profile.calls);
    let deps = TokenActorDeps {
        fetch: Rc::new(move |number| {
            let calls = Rc::clone(&calls);
            Box::pin(async move { calls.request_token(number).await })
        }),
        health: Arc::clone(&profile.health),
        cell: Arc::clone(&cell),
    };
    let address = wiring.supervise(cell, |_| TokenActor::new(deps));
    profile.calls.introduce(TokenActorAddress { get: address.clone().recipient(), invalidate: address.recipient() });
}

//! The list of stages, in the order of the flow.

use std::rc::Rc;
use std::sync::Arc;

use cuecard_actors::buffer::{Buffer, BufferDeps};
use cuecard_actors::cxone_calls::TokenActorAddress;
use cuecard_actors::extractor::{Extract, Extractor};
use cuecard_actors::feedback_logger::{FeedbackLogger, FeedbackLoggerDeps};
use cuecard_actors::injector::{Injector, InjectorDeps};
use cuecard_actors::knowledge_sync::{KnowledgeSync, KnowledgeSyncDeps};
use cuecard_actors::messages::ProfileName;
use cuecard_actors::ranker::{Ranker, RankerDeps};
use cuecard_actors::retriever::{Retriever, RetrieverDeps};
use cuecard_actors::stream_listener::{Listening, StreamListener, StreamListenerDeps, listen};
use cuecard_actors::supervision::ActorCell;
use cuecard_actors::token_actor::{TokenActor, TokenActorDeps};
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, ready};

use super::actor_name;
use super::delivered::record_deliveries;
use super::profiles::ProfileWiring;
use super::sync::Syncing;
use super::wiring::{Wiring, inbox_of};
use crate::settings::Profile;

/// How many actors a stage has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One.
    Service,
    /// One for each profile.
    Profile,
    /// One for each profile that listens to a stream.
    Stream,
    /// One for each profile that polls its tenant's articles.
    Sync,
}

/// Starts the actors of a stage.
#[derive(Clone, Copy)]
pub(super) enum Start {
    Service(fn(&Wiring, Arc<ActorCell>)),
    Profile(fn(&Wiring, &Rc<ProfileWiring>, Arc<ActorCell>)),
}

/// One line of the list.
pub struct StageSpec {
    /// The stage's name.
    pub name: &'static str,
    /// What it takes.
    pub takes: &'static str,
    /// What it gives.
    pub gives: &'static str,
    /// How many there are.
    pub scope: Scope,
    pub(super) start: Start,
    /// Lets nothing more in; what is in still goes on.
    pub(super) close: for<'a> fn(&'a Wiring) -> LocalBoxFuture<'a, ()>,
}

impl StageSpec {
    /// The names of the stage's actors.
    pub fn actor_names(&self, profiles: &[Profile]) -> Vec<String> {
        let is_for = |profile: &&Profile| match self.scope {
            Scope::Service => false,
            Scope::Profile => true,
            Scope::Stream => profile.stream.is_some(),
            Scope::Sync => profile.knowledge.sync.is_some(),
        };
        match self.scope {
            Scope::Service => vec![self.name.to_owned()],
            _ => profiles.iter().filter(is_for).map(|profile| actor_name(self.name, &profile.name)).collect(),
        }
    }

    /// Whether a profile has an actor of this stage.
    pub(super) fn is_for(&self, profile: &ProfileWiring) -> bool {
        match self.scope {
            Scope::Service => false,
            Scope::Profile => true,
            Scope::Stream => profile.stream.is_some(),
            Scope::Sync => profile.sync.is_some(),
        }
    }
}

/// Every stage; adding one is adding a line here.
pub const STAGES: [StageSpec; 9] = [
    StageSpec {
        name: "stream_listener",
        takes: "WebSocket frames",
        gives: "fragments, turn ends, accepts and rejects",
        scope: Scope::Stream,
        start: Start::Profile(start_stream_listener),
        close: |wiring| {
            async move {
                wiring.stop.cancel();
                let listening = std::mem::take(&mut *wiring.listening.borrow_mut());
                for socket in listening {
                    // One that panicked has let go of its socket as well.
                    let _ = socket.await;
                }
            }
            .boxed_local()
        },
    },
    StageSpec {
        name: "buffer",
        takes: "fragments and turn ends",
        gives: "utterances, at the admission",
        scope: Scope::Service,
        start: Start::Service(start_buffer),
        close: |wiring| close(|| wiring.buffer.0.close()),
    },
    StageSpec {
        name: "extractor",
        takes: "admitted utterances",
        gives: "queries with embedding and key phrases",
        scope: Scope::Service,
        start: Start::Service(start_extractor),
        close: |wiring| {
            async move {
                wiring.admission.close();
                wiring.admission.drained().await;
            }
            .boxed_local()
        },
    },
    StageSpec {
        name: "retriever",
        takes: "queries",
        gives: "candidates with every score by name",
        scope: Scope::Service,
        start: Start::Service(start_retriever),
        close: |wiring| close(|| wiring.retriever.0.close()),
    },
    StageSpec {
        name: "ranker",
        takes: "candidates",
        gives: "cards, or silence with its reason",
        scope: Scope::Service,
        start: Start::Service(start_ranker),
        close: |wiring| close(|| wiring.ranker.0.close()),
    },
    StageSpec {
        name: "injector",
        takes: "cards",
        gives: "pushes to CXone and how each ended",
        scope: Scope::Service,
        start: Start::Service(start_injector),
        close: |wiring| close(|| wiring.injector.0.close()),
    },
    StageSpec {
        name: "feedback_logger",
        takes: "accepts and rejects",
        gives: "stored events, calls to the training endpoint",
        scope: Scope::Service,
        start: Start::Service(start_feedback_logger),
        close: |wiring| {
            close(|| {
                wiring.feedback.0.close();
            })
        },
    },
    StageSpec {
        name: "knowledge_sync",
        takes: "the tenant's articles",
        gives: "new generations of the index",
        scope: Scope::Sync,
        start: Start::Profile(start_knowledge_sync),
        close: |_| ready(()).boxed_local(),
    },
    StageSpec {
        name: "token_actor",
        takes: "requests for a token",
        gives: "tokens",
        scope: Scope::Profile,
        start: Start::Profile(start_token_actor),
        close: |_| ready(()).boxed_local(),
    },
];

fn close<T>(closing: impl FnOnce() -> T) -> LocalBoxFuture<'static, ()> {
    closing();
    ready(()).boxed_local()
}

fn start_stream_listener(wiring: &Wiring, profile: &Rc<ProfileWiring>, cell: Arc<ActorCell>) {
    let Some(stream) = profile.stream else { return };
    let (frames, inbox) = inbox_of(&cell);
    let deps = StreamListenerDeps {
        profile: profile.name.clone(),
        codec: stream.codec(),
        inbox,
        buffer: wiring.buffer.0.clone(),
        feedback: wiring.feedback.0.clone(),
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

fn start_buffer(wiring: &Wiring, cell: Arc<ActorCell>) {
    cell.measure_queue(wiring.buffer.1.depth());
    let (admission, plans) = (wiring.admission.clone(), Arc::clone(&wiring.plans));
    let deps = BufferDeps {
        inbox: wiring.buffer.1.clone(),
        admit: Box::new(move |item| admission.hear(item)),
        deadline: Box::new(move |profile| plans[profile].plan.deadline),
        settings: wiring.buffer_settings,
        metrics: wiring.metrics.clone(),
        escalation: wiring.escalation.clone(),
    };
    wiring.supervise(cell, |_| Buffer::new(deps));
}

fn start_extractor(wiring: &Wiring, cell: Arc<ActorCell>) {
    let admission = wiring.admission.clone();
    let queued = admission.clone();
    cell.measure_queue(move || queued.queued());
    let plans = Arc::clone(&wiring.plans);
    let extract: Extract = Arc::new(move |item, utterance, effort| {
        let (answering, utterance) = (plans[&item.key.profile].clone(), utterance.clone());
        Box::pin(async move { answering.engine.extract_live(&utterance, &answering.plan, effort).await })
    });
    let (retriever, ranker) = (wiring.retriever.0.clone(), wiring.ranker.0.clone());
    wiring.supervise(Arc::clone(&cell), |_| Extractor { admission, extract, retriever, ranker, cell });
}

fn start_retriever(wiring: &Wiring, cell: Arc<ActorCell>) {
    cell.measure_queue(wiring.retriever.1.depth());
    let (plans, others, completing) = (Arc::clone(&wiring.plans), wiring.profiles.clone(), Arc::clone(&wiring.plans));
    let deps = RetrieverDeps {
        inbox: wiring.retriever.1.clone(),
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
        ranker: wiring.ranker.0.clone(),
        metrics: wiring.metrics.clone(),
        cell: Arc::clone(&cell),
    };
    wiring.supervise(cell, |_| Retriever::new(deps));
}

fn start_ranker(wiring: &Wiring, cell: Arc<ActorCell>) {
    cell.measure_queue(wiring.ranker.1.depth());
    let (plans, ordering) = (Arc::clone(&wiring.plans), Arc::clone(&wiring.plans));
    let deps = RankerDeps {
        inbox: wiring.ranker.1.clone(),
        rank: Arc::new(move |item, candidates, shown| {
            let plan = &plans[&item.key.profile].plan;
            cuecard_actors::engine::rank(candidates, shown, item.utterance_number, plan)
        }),
        order: Arc::new(move |item, request| ordering[&item.key.profile].order(request)),
        injector: wiring.injector.0.clone(),
        conversations: wiring.buffer_settings.conversations,
        forget_after: wiring.buffer_settings.forget_after,
        escalation: wiring.escalation.clone(),
    };
    let address = wiring.supervise(cell, |_| Ranker::new(deps));
    wiring.not_shown.set(address.recipient());
}

fn start_injector(wiring: &Wiring, cell: Arc<ActorCell>) {
    cell.measure_queue(wiring.injector.1.depth());
    let profiles = wiring.profiles.clone();
    let not_shown = wiring.not_shown.clone();
    let deps = InjectorDeps {
        inbox: wiring.injector.1.clone(),
        push: Rc::new(move |delivery| profiles.get(&delivery.item.key.profile).push(delivery)),
        record: record_deliveries(wiring.ledger.deliveries(), wiring.metrics.clone()),
        not_shown: Rc::new(move |message| not_shown.tell(message)),
        in_flight: wiring.pushes_in_flight,
        conversations: wiring.buffer_settings.conversations,
        forget_after: wiring.buffer_settings.forget_after,
        cell: Arc::clone(&cell),
        escalation: wiring.escalation.clone(),
    };
    wiring.supervise(cell, |_| Injector::new(deps));
}

fn start_feedback_logger(wiring: &Wiring, cell: Arc<ActorCell>) {
    cell.measure_queue(wiring.feedback.1.depth());
    let profiles = wiring.profiles.clone();
    let deps = FeedbackLoggerDeps {
        inbox: wiring.feedback.1.clone(),
        queue: wiring.ledger.feedback(),
        forward: Rc::new(move |event| profiles.get(&ProfileName::new(&event.feedback.profile)).forward(event)),
        profiles: wiring.profiles.iter().map(|profile| profile.name.clone()).collect(),
        metrics: wiring.metrics.clone(),
        cell: Arc::clone(&cell),
    };
    wiring.supervise(cell, |_| FeedbackLogger::new(deps));
}

fn start_knowledge_sync(wiring: &Wiring, profile: &Rc<ProfileWiring>, cell: Arc<ActorCell>) {
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
    let deps = KnowledgeSyncDeps {
        sync: Rc::new(move || {
            let syncing = Rc::clone(&syncing);
            async move { syncing.sync().await }.boxed_local()
        }),
        interval: settings.poll_interval,
        health: Arc::clone(&profile.health),
        metrics: wiring.metrics.clone(),
        cell: Arc::clone(&cell),
    };
    let address = wiring.supervise(cell, |_| KnowledgeSync::new(deps));
    wiring.refreshers.borrow_mut().insert(profile.name.clone(), address.recipient());
}

fn start_token_actor(wiring: &Wiring, profile: &Rc<ProfileWiring>, cell: Arc<ActorCell>) {
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

//! The list of stages, in the order of the flow.

use std::rc::Rc;
use std::sync::Arc;

use cuecard_actors::buffer::{Buffer, BufferDeps};
use cuecard_actors::cxone_calls::TokenActorAddress;
use cuecard_actors::extractor::Extractor;
use cuecard_actors::feedback_logger::{FeedbackLogger, FeedbackLoggerDeps};
use cuecard_actors::injector::{Injector, InjectorDeps};
use cuecard_actors::messages::ProfileName;
use cuecard_actors::ranker::{Ranker, RankerDeps};
use cuecard_actors::retriever::Retriever;
use cuecard_actors::stream_listener::{Listening, StreamListener, StreamListenerDeps, listen};
use cuecard_actors::supervision::ActorCell;
use cuecard_actors::token_actor::{TokenActor, TokenActorDeps};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::actor_name;
use super::profiles::ProfileWiring;
use super::wiring::{Wiring, inbox_of};

/// How many actors a stage has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One.
    Service,
    /// One for each profile.
    Profile,
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
    pub(super) start: fn(&Wiring, Option<&Rc<ProfileWiring>>, Arc<ActorCell>),
    /// Lets nothing more in and waits until what is in has gone on.
    pub(super) drain: for<'a> fn(&'a Wiring) -> LocalBoxFuture<'a, ()>,
}

impl StageSpec {
    /// The names of the stage's actors.
    pub fn actor_names<'a>(&'a self, profiles: impl Iterator<Item = &'a ProfileName>) -> Vec<String> {
        match self.scope {
            Scope::Service => vec![self.name.to_owned()],
            Scope::Profile => profiles.map(|profile| actor_name(self.name, profile)).collect(),
        }
    }
}

/// Every stage; adding one is adding a line here.
pub const STAGES: [StageSpec; 8] = [
    StageSpec {
        name: "stream_listener",
        takes: "WebSocket frames",
        gives: "fragments, turn ends, accepts and rejects",
        scope: Scope::Profile,
        start: start_stream_listener,
        // The stop signal closes the socket; its task then lets go of the inbox.
        drain: |_| std::future::ready(()).boxed_local(),
    },
    StageSpec {
        name: "buffer",
        takes: "fragments and turn ends",
        gives: "utterances, at the admission",
        scope: Scope::Service,
        start: start_buffer,
        drain: |wiring| {
            async move {
                wiring.buffer.0.close();
                wiring.admission.close();
                wiring.admission.drained().await;
            }
            .boxed_local()
        },
    },
    StageSpec {
        name: "extractor",
        takes: "admitted utterances",
        gives: "queries with embedding and key phrases",
        scope: Scope::Service,
        start: start_extractor,
        drain: |_| std::future::ready(()).boxed_local(),
    },
    StageSpec {
        name: "retriever",
        takes: "queries",
        gives: "candidates with every score by name",
        scope: Scope::Service,
        start: start_retriever,
        drain: |wiring| async move { wiring.retriever.0.close() }.boxed_local(),
    },
    StageSpec {
        name: "ranker",
        takes: "candidates",
        gives: "cards, or silence with its reason",
        scope: Scope::Service,
        start: start_ranker,
        drain: |wiring| async move { wiring.ranker.0.close() }.boxed_local(),
    },
    StageSpec {
        name: "injector",
        takes: "cards",
        gives: "pushes to CXone and how each ended",
        scope: Scope::Service,
        start: start_injector,
        drain: |wiring| async move { wiring.injector.0.close() }.boxed_local(),
    },
    StageSpec {
        name: "feedback_logger",
        takes: "accepts and rejects",
        gives: "stored events, calls to the training endpoint",
        scope: Scope::Service,
        start: start_feedback_logger,
        drain: |wiring| {
            wiring.feedback.0.close();
            std::future::ready(()).boxed_local()
        },
    },
    StageSpec {
        name: "token_actor",
        takes: "requests for a token",
        gives: "tokens",
        scope: Scope::Profile,
        start: start_token_actor,
        drain: |_| std::future::ready(()).boxed_local(),
    },
];

fn start_stream_listener(wiring: &Wiring, profile: Option<&Rc<ProfileWiring>>, cell: Arc<ActorCell>) {
    let Some(profile) = profile else { return };
    let (frames, inbox) = inbox_of(&cell);
    let deps = StreamListenerDeps {
        profile: profile.name.clone(),
        codec: Arc::new(profile.contract.stream_codec()),
        inbox,
        buffer: wiring.buffer.0.clone(),
        feedback: wiring.feedback.0.clone(),
        metrics: wiring.metrics.clone(),
    };
    wiring.supervise(cell, |_| StreamListener::new(deps));
    listen(Listening {
        connect: profile.connect(),
        frames,
        health: Arc::clone(&profile.health),
        metrics: wiring.metrics.clone(),
        scope: profile.contract.defaults().stream_scope,
        stop: wiring.stop.clone(),
    });
}

fn start_buffer(wiring: &Wiring, _: Option<&Rc<ProfileWiring>>, cell: Arc<ActorCell>) {
    cell.measure_queue(wiring.buffer.1.depth());
    let (admission, profiles) = (wiring.admission.clone(), Arc::clone(&wiring.plans));
    let deps = BufferDeps {
        inbox: wiring.buffer.1.clone(),
        admit: Box::new(move |item| admission.hear(item)),
        deadline: Box::new(move |profile| profiles[profile].plan.deadline),
        settings: wiring.buffer_settings,
        metrics: wiring.metrics.clone(),
        escalation: wiring.escalation.clone(),
    };
    wiring.supervise(cell, |_| Buffer::new(deps));
}

fn start_extractor(wiring: &Wiring, _: Option<&Rc<ProfileWiring>>, cell: Arc<ActorCell>) {
    let admission = wiring.admission.clone();
    let queued = admission.clone();
    cell.measure_queue(move || queued.queued());
    let profiles = Arc::clone(&wiring.plans);
    let extract: cuecard_actors::extractor::Extract = Arc::new(move |item, effort| {
        let (profile, utterance) = (profiles[&item.key.profile].clone(), item.utterance.clone());
        Box::pin(async move { profile.engine.extract_live(&utterance, &profile.plan, effort).await })
    });
    let retriever = wiring.retriever.0.clone();
    wiring.supervise(Arc::clone(&cell), |_| Extractor { admission, extract, retriever, cell });
}

fn start_retriever(wiring: &Wiring, _: Option<&Rc<ProfileWiring>>, cell: Arc<ActorCell>) {
    cell.measure_queue(wiring.retriever.1.depth());
    let profiles = Arc::clone(&wiring.plans);
    let retriever = Retriever {
        inbox: wiring.retriever.1.clone(),
        retrieve: Arc::new(move |item, query| {
            let profile = &profiles[&item.key.profile];
            profile.engine.retrieve(query, &profile.plan)
        }),
        pool: wiring.search_pool.clone(),
        ranker: wiring.ranker.0.clone(),
        cell: Arc::clone(&cell),
    };
    wiring.supervise(cell, |_| retriever);
}

fn start_ranker(wiring: &Wiring, _: Option<&Rc<ProfileWiring>>, cell: Arc<ActorCell>) {
    cell.measure_queue(wiring.ranker.1.depth());
    let profiles = Arc::clone(&wiring.plans);
    let deps = RankerDeps {
        inbox: wiring.ranker.1.clone(),
        rank: Arc::new(move |item, candidates, shown| {
            let plan = &profiles[&item.key.profile].plan;
            cuecard_actors::engine::rank(candidates, shown, item.utterance_number, plan)
        }),
        injector: wiring.injector.0.clone(),
        conversations: wiring.buffer_settings.conversations,
        forget_after: wiring.buffer_settings.forget_after,
        escalation: wiring.escalation.clone(),
    };
    let address = wiring.supervise(cell, |_| Ranker::new(deps));
    wiring.not_shown.set(address.recipient());
}

fn start_injector(wiring: &Wiring, _: Option<&Rc<ProfileWiring>>, cell: Arc<ActorCell>) {
    cell.measure_queue(wiring.injector.1.depth());
    let profiles = wiring.profiles.clone();
    let not_shown = wiring.not_shown.clone();
    let deps = InjectorDeps {
        inbox: wiring.injector.1.clone(),
        push: Rc::new(move |delivery| profiles.get(&delivery.item.key.profile).push(delivery)),
        delivered: wiring.record_deliveries(),
        not_shown: Rc::new(move |message| not_shown.tell(message)),
        in_flight: wiring.pushes_in_flight,
        conversations: wiring.buffer_settings.conversations,
        forget_after: wiring.buffer_settings.forget_after,
        cell: Arc::clone(&cell),
        escalation: wiring.escalation.clone(),
    };
    wiring.supervise(cell, |_| Injector::new(deps));
}

fn start_feedback_logger(wiring: &Wiring, _: Option<&Rc<ProfileWiring>>, cell: Arc<ActorCell>) {
    cell.measure_queue(wiring.feedback.1.depth());
    let profiles = wiring.profiles.clone();
    let deps = FeedbackLoggerDeps {
        inbox: wiring.feedback.1.clone(),
        queue: wiring.ledger.feedback(),
        forward: Rc::new(move |event| profiles.get(&ProfileName::new(&event.feedback.profile)).forward(event)),
        profiles: wiring.profiles.iter().map(|(name, _)| name.clone()).collect(),
        metrics: wiring.metrics.clone(),
        cell: Arc::clone(&cell),
    };
    wiring.supervise(cell, |_| FeedbackLogger::new(deps));
}

fn start_token_actor(wiring: &Wiring, profile: Option<&Rc<ProfileWiring>>, cell: Arc<ActorCell>) {
    let Some(profile) = profile else { return };
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

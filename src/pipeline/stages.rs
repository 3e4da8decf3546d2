//! The list of stages, in the order of the flow.

use std::sync::Arc;

use cuecard_actors::messages::ProfileName;
use cuecard_actors::supervision::ActorCell;
use cuecard_actors::tenant::{Profile, Tenant};
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, ready};

use super::start;
use super::wiring::Wiring;

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
    Tenant(fn(&Wiring, &Arc<Tenant>, Arc<ActorCell>)),
}

/// Something that is handed on, and who gives it or gets it: a stage by its name, or what stands outside the stages.
pub type Handed = (&'static str, &'static str);

/// One line of the list.
pub struct StageSpec {
    /// The stage's name.
    pub name: &'static str,
    /// What it takes from outside the stages.
    pub takes: &'static [Handed],
    /// What it gives.
    pub gives: &'static [Handed],
    /// How many there are.
    pub scope: Scope,
    pub(super) start: Start,
    /// Lets nothing more in; what is in still goes on.
    pub(super) close: for<'a> fn(&'a Wiring) -> LocalBoxFuture<'a, ()>,
}

impl StageSpec {
    /// The names of the stage's actors.
    pub fn actor_names(&self, profiles: &[Profile]) -> Vec<String> {
        if self.scope == Scope::Service {
            return vec![self.name.to_owned()];
        }
        let has_one = |profile: &&Profile| self.is_for(profile);
        profiles.iter().filter(has_one).map(|profile| actor_name(self.name, &profile.name)).collect()
    }

    /// Whether a profile has an actor of this stage.
    pub(super) fn is_for(&self, profile: &Profile) -> bool {
        match self.scope {
            Scope::Service => false,
            Scope::Profile => true,
            Scope::Stream => profile.stream.is_some(),
            Scope::Sync => profile.knowledge.sync.is_some(),
        }
    }
}

/// Every stage; adding one is adding a line here.
pub const STAGES: [StageSpec; 9] = [
    StageSpec {
        name: "stream_listener",
        takes: &[("WebSocket frames", "CXone: stream")],
        gives: &[("fragments and turn ends", "buffer"), ("accepts and rejects", "feedback_logger")],
        scope: Scope::Stream,
        start: Start::Tenant(start::stream_listener),
        close: |wiring| {
            async move {
                wiring.stop.cancel();
                wiring.listening.close();
                wiring.listening.wait().await;
            }
            .boxed_local()
        },
    },
    StageSpec {
        name: "buffer",
        takes: &[],
        gives: &[("utterances", "extractor")],
        scope: Scope::Service,
        start: Start::Service(start::buffer),
        close: |wiring| close(|| wiring.buffer.into.close()),
    },
    StageSpec {
        name: "extractor",
        takes: &[("questions over HTTP", "callers")],
        gives: &[("queries with embedding and key phrases", "retriever"), ("given snippets", "ranker")],
        scope: Scope::Service,
        start: Start::Service(start::extractor),
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
        takes: &[("what backends find", "index, graph, Chroma, CXone: search")],
        gives: &[("candidates in order, every score by name", "ranker")],
        scope: Scope::Service,
        start: Start::Service(start::retriever),
        close: |wiring| close(|| wiring.retriever.into.close()),
    },
    StageSpec {
        name: "ranker",
        takes: &[],
        gives: &[("cards, or silence with its reason", "injector")],
        scope: Scope::Service,
        start: Start::Service(start::ranker),
        close: |wiring| close(|| wiring.ranker.into.close()),
    },
    StageSpec {
        name: "injector",
        takes: &[],
        gives: &[("pushes", "CXone: desktop"), ("cards that were not shown", "ranker")],
        scope: Scope::Service,
        start: Start::Service(start::injector),
        close: |wiring| close(|| wiring.injector.into.close()),
    },
    StageSpec {
        name: "feedback_logger",
        takes: &[],
        gives: &[
            ("rejected cards", "ranker"),
            ("stored events", "ledger"),
            ("calls to the training endpoint", "CXone: training"),
        ],
        scope: Scope::Service,
        start: Start::Service(start::feedback_logger),
        close: |wiring| close(|| wiring.feedback.into.close()),
    },
    StageSpec {
        name: "knowledge_sync",
        takes: &[("the tenant's articles", "CXone: articles")],
        gives: &[("new generations", "index, graph, Chroma, CXone: search")],
        scope: Scope::Sync,
        start: Start::Tenant(start::knowledge_sync),
        close: |_| ready(()).boxed_local(),
    },
    StageSpec {
        name: "token_actor",
        takes: &[("requests for a token", "whoever calls CXone")],
        gives: &[("tokens", "whoever calls CXone")],
        scope: Scope::Profile,
        start: Start::Tenant(start::token_actor),
        close: |_| ready(()).boxed_local(),
    },
];

fn close<T>(closing: impl FnOnce() -> T) -> LocalBoxFuture<'static, ()> {
    closing();
    ready(()).boxed_local()
}

/// An actor's name: a profile's own actor carries the profile's name.
pub(super) fn actor_name(stage: &str, profile: &ProfileName) -> String {
    format!("{stage}:{profile}")
}

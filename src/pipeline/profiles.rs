//! What the actors need of each profile.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use cuecard_actors::cxone::answers::{CallOutcome, RetryPolicy};
use cuecard_actors::cxone::feedback::FeedbackCall;
use cuecard_actors::cxone::http::HttpClient;
use cuecard_actors::cxone::knowledge::search::SearchHit;
use cuecard_actors::cxone::stream::StreamKind;
use cuecard_actors::cxone::websocket::{self, HandshakeError};
use cuecard_actors::cxone::{PushTarget, ranking};
use cuecard_actors::cxone_calls::{ASKED_ATTEMPTS, CxoneCalls, CxoneCallsDeps, ForwardEnd, PushOrder};
use cuecard_actors::engine::knowledge::{Article, IndexHandle};
use cuecard_actors::engine::{Backend, BackendError, Candidate, Engine, Plan, Query, Scores};
use cuecard_actors::health::{Condition, Part, ProfileHealth};
use cuecard_actors::ledger::PendingFeedback;
use cuecard_actors::messages::{Delivery, Outcome, ProfileName, WorkItem};
use cuecard_actors::retriever::Answer;
use cuecard_actors::stream_listener::{Connect, ConnectFailure, FrameSource};
use cuecard_actors::telemetry::{CxoneAnswered, Endpoint, Metrics};
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, join};
use tokio::time::Instant;

use super::cards::push_content;
use super::error::StartError;
use super::knowledge::Knowledge;
use crate::settings::{Profile, SyncSettings};

/// How a profile's questions are answered. Goes to every thread.
#[derive(Clone)]
pub(super) struct Answering {
    pub(super) engine: Engine,
    pub(super) plan: Plan,
    pub(super) normalise: bool,
}

impl Answering {
    pub(super) fn of(profile: &Profile, knowledge: &Knowledge) -> Self {
        let engine = knowledge.of(&profile.name).engine.clone();
        Self { engine, plan: profile.plan.clone(), normalise: profile.normalise }
    }

    /// Orders snippets that the question brought.
    pub(super) fn order(&self, request: &ranking::RankingRequest) -> ranking::RankingSubmission {
        ranking::order(request, self.normalise)
    }
}

/// A profile's side towards CXone. Stays on the system arbiter, where the client lives.
pub(super) struct ProfileWiring {
    pub(super) name: ProfileName,
    pub(super) stream: Option<StreamKind>,
    pub(super) sync: Option<SyncSettings>,
    pub(super) calls: Rc<CxoneCalls>,
    pub(super) health: Arc<ProfileHealth>,
    pub(super) answering: Answering,
    agent_id: String,
    metrics: Metrics,
}

/// All profiles by name.
#[derive(Clone)]
pub(super) struct Profiles {
    by_name: Rc<BTreeMap<ProfileName, Rc<ProfileWiring>>>,
}

impl Profiles {
    pub(super) fn new(profiles: &[Profile], knowledge: &Knowledge, metrics: &Metrics) -> Result<Self, StartError> {
        let wired = profiles.iter().map(|profile| {
            let wiring = ProfileWiring::new(profile, knowledge, metrics)?;
            Ok((profile.name.clone(), Rc::new(wiring)))
        });
        Ok(Self { by_name: Rc::new(wired.collect::<Result<_, StartError>>()?) })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Rc<ProfileWiring>> {
        self.by_name.values()
    }

    /// The profile of an item; items only come from profiles, so it is there.
    pub(super) fn get(&self, name: &ProfileName) -> &Rc<ProfileWiring> {
        &self.by_name[name]
    }
}

impl ProfileWiring {
    fn new(profile: &Profile, knowledge: &Knowledge, metrics: &Metrics) -> Result<Self, StartError> {
        let answering = Answering::of(profile, knowledge);
        let health = ProfileHealth::new(profile.name.clone(), &needed_parts(profile), metrics.clone());
        let calls = CxoneCalls::new(CxoneCallsDeps {
            http: HttpClient::new(profile.connection.limits().clone()).map_err(StartError::Tls)?,
            connection: profile.connection.clone(),
            dialect: profile.dialect,
            policy: RetryPolicy { retry_ambiguous: profile.retry_ambiguous, ..RetryPolicy::default() },
            rate_limit: profile.rate_limit,
            health: Arc::clone(&health),
            metrics: metrics.clone(),
        });
        if let Some(index) = &answering.engine.sources().index {
            tell_index(index, &health);
        }
        Ok(Self {
            name: profile.name.clone(),
            stream: profile.stream,
            sync: profile.knowledge.sync,
            calls: Rc::new(calls),
            health,
            answering,
            agent_id: profile.agent_id.clone(),
            metrics: metrics.clone(),
        })
    }

    /// The profile's index, and who is to know how it is.
    pub(super) fn watched_index(&self) -> Option<(Arc<IndexHandle>, Arc<ProfileHealth>)> {
        Some((self.answering.engine.sources().index.clone()?, Arc::clone(&self.health)))
    }

    /// Opens the stream with the token that is valid now; a refused token is dropped and a fresh one tried at once.
    pub(super) fn connect(&self, stream: StreamKind) -> Connect {
        let (calls, metrics) = (Rc::clone(&self.calls), self.metrics.clone());
        Rc::new(move || {
            let (calls, metrics) = (Rc::clone(&calls), metrics.clone());
            async move {
                let first = open(&calls, stream, &metrics).await;
                match first {
                    Err(ConnectFailure::Handshake(HandshakeError::Unauthorised)) => {
                        open(&calls, stream, &metrics).await
                    }
                    other => other,
                }
            }
            .boxed_local()
        })
    }

    pub(super) fn push(&self, delivery: &Delivery) -> LocalBoxFuture<'static, Outcome> {
        let (calls, item) = (Rc::clone(&self.calls), &delivery.item);
        let (interaction, key, deadline) = (item.key.interaction.clone(), item.decision.to_string(), item.deadline);
        let agent_id = item.agent_id.clone().unwrap_or_else(|| self.agent_id.clone());
        let content = push_content(&delivery.content);
        let max_attempts = delivery.ticket.has_caller().then_some(ASKED_ATTEMPTS);
        async move {
            let target = PushTarget { interaction: &interaction, agent_id: &agent_id };
            calls.push(PushOrder { target, content: &content, key: &key, deadline, max_attempts }).await
        }
        .boxed_local()
    }

    pub(super) fn forward(&self, event: &PendingFeedback) -> LocalBoxFuture<'static, ForwardEnd> {
        let (calls, number) = (Rc::clone(&self.calls), event.attempts.saturating_add(1));
        let call = event.feedback.interaction.parse().map(|interaction| FeedbackCall {
            interaction,
            insight: event.feedback.insight.clone(),
            action: event.feedback.action.clone(),
            arrived_at: event.feedback.heard_at,
        });
        async move {
            match call {
                Ok(call) => calls.forward(&call, number).await,
                Err(error) => ForwardEnd::SetAside { reason: error.to_string() },
            }
        }
        .boxed_local()
    }

    /// Asks CXone's own search and the databases, side by side; `None` where the plan asks none of them.
    pub(super) fn ask_others(&self, item: &WorkItem, query: &Query) -> Option<LocalBoxFuture<'static, Vec<Answer>>> {
        if self.answering.plan.backends.iter().all(|backend| *backend == Backend::Index) {
            return None;
        }
        let Answering { engine, plan, .. } = self.answering.clone();
        let (calls, query, deadline) = (Rc::clone(&self.calls), query.clone(), item.deadline);
        let asking = async move {
            let search = async {
                let is_asked = plan.asks(Backend::Search);
                if is_asked { Some(search(&calls, &query, plan.cards, deadline).await) } else { None }
            };
            let (search, mut answers) = join(search, engine.ask_beside_index(&query, &plan, deadline)).await;
            answers.extend(search);
            answers
        };
        Some(asking.boxed_local())
    }
}

/// What a profile cannot work without.
fn needed_parts(profile: &Profile) -> Vec<Part> {
    let mut parts = vec![Part::Token];
    parts.extend(profile.stream.map(|_| Part::Stream));
    let knowledge = &profile.knowledge;
    parts.extend(knowledge.index.as_ref().map(|_| Part::Index));
    parts.extend(knowledge.graph.as_ref().map(|_| Part::Graph));
    parts.extend(knowledge.chroma.as_ref().map(|_| Part::Collection));
    parts
}

/// Says whether there are articles, whoever brings them: a poll, or `cuecard index` in another process.
pub(super) fn tell_index(index: &IndexHandle, health: &ProfileHealth) {
    if index.current().is_empty() {
        health.lost(Part::Index, "the index holds no articles");
    } else {
        health.set(Part::Index, Condition::Good);
    }
}

async fn search(calls: &CxoneCalls, query: &Query, page_size: usize, deadline: Instant) -> Answer {
    match calls.search(&query.text, page_size, deadline).await {
        Ok(hits) => Ok(hits.into_iter().map(found_by_search).collect::<Vec<_>>().into()),
        Err(error) => Err(BackendError { backend: Backend::Search, reason: error.to_string() }),
    }
}

fn found_by_search(hit: SearchHit) -> Candidate {
    let url = Some(hit.url).filter(|url| !url.is_empty());
    let article = Article { id: hit.id, title: hit.title, body: hit.body.clone(), url, ..Article::default() };
    let scores = Scores { search: Some(hit.score), ..Scores::default() };
    Candidate { article: Arc::new(article), passage: hit.body, backend: Backend::Search, matched_by: None, scores }
}

async fn open(
    calls: &CxoneCalls,
    stream: StreamKind,
    metrics: &Metrics,
) -> Result<Box<dyn FrameSource>, ConnectFailure> {
    let token = calls.token().await.map_err(ConnectFailure::NoToken)?;
    let Some(url) = calls.connection().stream_url() else { return Err(ConnectFailure::NoStream) };
    let asked = Instant::now();
    let opened = websocket::connect(calls.http(), url, token.secret(), stream.token_placement()).await;
    let (outcome, detail) = match &opened {
        // What 2xx is elsewhere is 101 here.
        Ok(_) => (CallOutcome::Answered(200), String::new()),
        Err(error) => (outcome(error), error.to_string()),
    };
    CxoneAnswered { endpoint: Endpoint::Stream, outcome, detail: &detail, took: asked.elapsed() }.emit(metrics);
    match opened {
        Ok(connection) => Ok(Box::new(connection)),
        Err(error) => {
            if error == HandshakeError::Unauthorised {
                calls.invalidate(token);
            }
            Err(ConnectFailure::Handshake(error))
        }
    }
}

fn outcome(error: &HandshakeError) -> CallOutcome {
    match error {
        HandshakeError::Unauthorised => CallOutcome::Answered(401),
        HandshakeError::Forbidden => CallOutcome::Answered(403),
        HandshakeError::TooManyRequests { .. } => CallOutcome::Answered(429),
        HandshakeError::Status(status) => CallOutcome::Answered(*status),
        HandshakeError::NotWebSocket(_) => CallOutcome::Unusable,
        HandshakeError::Transport(error) => CallOutcome::from(error),
    }
}

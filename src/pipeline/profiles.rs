//! What the actors need of each profile.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use cuecard_actors::cxone::answers::{CallOutcome, RetryPolicy};
use cuecard_actors::cxone::feedback::FeedbackCall;
use cuecard_actors::cxone::http::HttpClient;
use cuecard_actors::cxone::websocket::{self, HandshakeError};
use cuecard_actors::cxone::{Card, Contract};
use cuecard_actors::cxone_calls::{CxoneCalls, CxoneCallsDeps, ForwardEnd};
use cuecard_actors::engine::{Engine, Plan};
use cuecard_actors::health::ProfileHealth;
use cuecard_actors::ledger::PendingFeedback;
use cuecard_actors::messages::{Delivery, Outcome, ProfileName};
use cuecard_actors::stream_listener::{Connect, ConnectFailure, FrameSource};
use cuecard_actors::telemetry::{CxoneAnswered, Endpoint, Metrics};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use super::wiring::StartError;
use crate::settings::Profile;

/// How a profile's questions are answered. Goes to every thread.
#[derive(Clone)]
pub(super) struct Answering {
    pub(super) engine: Engine,
    pub(super) plan: Plan,
}

/// A profile's side towards CXone. Stays on the system arbiter, where the client lives.
pub(super) struct ProfileWiring {
    pub(super) name: ProfileName,
    pub(super) contract: Contract,
    pub(super) calls: Rc<CxoneCalls>,
    pub(super) health: Arc<ProfileHealth>,
    metrics: Metrics,
}

/// All profiles by name.
#[derive(Clone)]
pub(super) struct Profiles {
    by_name: Rc<BTreeMap<ProfileName, Rc<ProfileWiring>>>,
}

impl Profiles {
    pub(super) fn new(profiles: &[Profile], metrics: &Metrics) -> Result<Self, StartError> {
        let wired = profiles.iter().map(|profile| {
            let wiring = ProfileWiring::new(profile, metrics)?;
            Ok((profile.name.clone(), Rc::new(wiring)))
        });
        Ok(Self { by_name: Rc::new(wired.collect::<Result<_, StartError>>()?) })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ProfileName, &Rc<ProfileWiring>)> {
        self.by_name.iter()
    }

    /// The profile of an item; items only come from profiles, so it is there.
    pub(super) fn get(&self, name: &ProfileName) -> &Rc<ProfileWiring> {
        &self.by_name[name]
    }
}

impl ProfileWiring {
    fn new(profile: &Profile, metrics: &Metrics) -> Result<Self, StartError> {
        let health = ProfileHealth::new(profile.name.clone(), metrics.clone());
        let calls = CxoneCalls::new(CxoneCallsDeps {
            http: HttpClient::new(profile.connection.limits().clone()).map_err(StartError::Tls)?,
            connection: profile.connection.clone(),
            dialect: profile.contract.defaults().dialect,
            policy: RetryPolicy { retry_ambiguous: profile.retry_ambiguous, ..RetryPolicy::default() },
            health: Arc::clone(&health),
            metrics: metrics.clone(),
        });
        Ok(Self {
            name: profile.name.clone(),
            contract: profile.contract,
            calls: Rc::new(calls),
            health,
            metrics: metrics.clone(),
        })
    }

    /// Opens the stream with the token that is valid now; a refused token is dropped and a fresh one tried at once.
    pub(super) fn connect(&self) -> Connect {
        let (calls, contract, metrics) = (Rc::clone(&self.calls), self.contract, self.metrics.clone());
        Rc::new(move || {
            let (calls, metrics) = (Rc::clone(&calls), metrics.clone());
            async move {
                let first = open(&calls, contract, &metrics).await;
                match first {
                    Err(ConnectFailure::Handshake(HandshakeError::Unauthorised)) => {
                        open(&calls, contract, &metrics).await
                    }
                    other => other,
                }
            }
            .boxed_local()
        })
    }

    pub(super) fn push(&self, delivery: &Delivery) -> LocalBoxFuture<'static, Outcome> {
        let cards: Vec<_> = delivery
            .cards
            .iter()
            .map(|ranked| Card {
                article_id: ranked.article.id.clone(),
                title: ranked.article.title.clone(),
                url: ranked.article.url.clone(),
                body: ranked.article.body.clone(),
                score: ranked.score,
            })
            .collect();
        let (calls, item) = (Rc::clone(&self.calls), &delivery.item);
        let (interaction, key, deadline) = (item.key.interaction.clone(), item.decision.to_string(), item.deadline);
        async move { calls.push(&interaction, &cards, &key, deadline).await }.boxed_local()
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
}

async fn open(
    calls: &CxoneCalls,
    contract: Contract,
    metrics: &Metrics,
) -> Result<Box<dyn FrameSource>, ConnectFailure> {
    let token = calls.token().await.map_err(ConnectFailure::NoToken)?;
    let (url, asked) = (calls.connection().stream_url(), Instant::now());
    let opened = websocket::connect(calls.http(), url, token.secret(), contract.defaults().stream_token).await;
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

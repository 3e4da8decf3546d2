#![allow(clippy::unwrap_used)]

mod feedback;
mod loopback;
mod pushes;
mod reads;
mod threads;
mod tokens;

use std::time::Duration;

use actix::Addr;
use bytes::Bytes;
use cuecard_cxone::backoff::Backoff;
use cuecard_cxone::feedback::FeedbackCall;
use cuecard_cxone::{Card, ConnectionSettings, Contract, InteractionId, Limits, PushContent, PushTarget};
use jiff::Timestamp;
use loopback::{ARTICLES, FEEDBACK, Loopback, PUSH, RANKING, Reply, SEARCH, SESSION, TOKEN};

use super::*;
use crate::health::{Condition, Part};
use crate::messages::{Failure, Outcome, ProfileName, Receipt, RefusalCause, Stage};
use crate::telemetry::ProfileState;
use crate::testing::{Bench, read_metric, until};
use crate::token_actor::{TokenActor, TokenActorDeps};

struct Fixture {
    cxone: Loopback,
    calls: Arc<CxoneCalls>,
    health: Arc<ProfileHealth>,
    /// Runs the `TokenActor`.
    bench: Bench,
    _token_actor: Addr<TokenActor>,
}

/// Short waits where CXone asks for none.
fn quick() -> RetryPolicy {
    let calls = Backoff::new(Duration::from_millis(1), Duration::from_millis(5));
    RetryPolicy { calls, ..RetryPolicy::default() }
}

async fn fixture() -> Fixture {
    with_policy(Loopback::start().await, quick())
}

fn with_policy(cxone: Loopback, policy: RetryPolicy) -> Fixture {
    speaking(Dialect::Insights, cxone, policy)
}

fn speaking(dialect: Dialect, cxone: Loopback, policy: RetryPolicy) -> Fixture {
    with(cxone, |deps| CxoneCallsDeps { dialect, policy, ..deps })
}

fn with(cxone: Loopback, change: impl FnOnce(CxoneCallsDeps) -> CxoneCallsDeps) -> Fixture {
    let bench = Bench::new("token_actor");
    let mut settings = ConnectionSettings::for_contract(Contract::Insights, "client", "s3cret".into());
    settings.base_url.clone_from(&cxone.base_url);
    let needed = [Part::Token, Part::Stream];
    let health = ProfileHealth::new(ProfileName::new("acme"), &needed, bench.metrics.clone());
    health.set(Part::Stream, Condition::Good);
    let calls = Arc::new(CxoneCalls::new(change(CxoneCallsDeps {
        http: HttpClient::new(settings.limits.clone()).unwrap(),
        connection: Connection::new(settings).unwrap(),
        dialect: Dialect::Insights,
        policy: quick(),
        rate_limit: None,
        health: Arc::clone(&health),
        metrics: bench.metrics.clone(),
    })));
    let deps = TokenActorDeps { calls: Arc::clone(&calls), health: Arc::clone(&health), cell: Arc::clone(&bench.cell) };
    let token_actor = bench.supervise(TokenActor::new(deps));
    calls.introduce(token_actor.clone().into());
    Fixture { cxone, calls, health, bench, _token_actor: token_actor }
}

fn card() -> Card {
    let (title, body) = ("Returns".to_owned(), "Within 30 days.".to_owned());
    Card { article_id: "kb-1".to_owned(), title, body, score: 0.75, ..Card::default() }
}

fn four_seconds() -> Instant {
    Instant::now() + Duration::from_secs(4)
}

impl Fixture {
    async fn push(&self, key: &str) -> Outcome {
        self.push_before(key, four_seconds()).await
    }

    async fn push_before(&self, key: &str, deadline: Instant) -> Outcome {
        self.push_as(key, deadline, None).await
    }

    /// As somebody who waits for the answer.
    async fn ask(&self, key: &str) -> Outcome {
        self.push_as(key, four_seconds(), Some(ASKED_ATTEMPTS)).await
    }

    async fn push_as(&self, key: &str, deadline: Instant, max_attempts: Option<u32>) -> Outcome {
        let interaction: InteractionId = "c-1".parse().unwrap();
        let target = PushTarget { interaction: &interaction, agent_id: "agent-1" };
        let content = PushContent::Cards(vec![card()]);
        self.calls.push(PushOrder { target, content: &content, key, deadline, max_attempts }).await
    }

    async fn forward(&self, number: u32) -> ForwardEnd {
        let (interaction, arrived_at) = ("c-1".parse().unwrap(), Timestamp::UNIX_EPOCH);
        let call = FeedbackCall { interaction, insight: "kb-1".to_owned(), action: "ACCEPTED".into(), arrived_at };
        self.calls.forward(&call, number).await
    }

    fn bearers(&self, path: &str) -> Vec<String> {
        let asked = self.cxone.asked(path);
        asked.iter().map(|asked| asked.header("authorization").unwrap().to_owned()).collect()
    }

    fn redelivered(&self) -> u64 {
        self.bench.metric(r#"cuecard_redelivered_total{profile="acme"}"#)
    }

    fn answered(&self, endpoint: &str, status: &str) -> u64 {
        let series = format!(r#"cuecard_cxone_requests_total{{endpoint="{endpoint}",status="{status}"}}"#);
        self.bench.metric(&series)
    }
}

fn delivered() -> Outcome {
    let answer = Bytes::from_static(br#"{"id":"cx-1"}"#);
    Outcome::Delivered(Receipt { cxone_id: Some("cx-1".to_owned()), count: 1, order: None, answer })
}

fn refusal(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused(refusal) => refusal.reason,
        other => panic!("not refused but {other:?}"),
    }
}

/// How long the endpoint is held, of a push that has no time for it.
fn held_off(outcome: Outcome) -> Duration {
    match outcome {
        Outcome::HeldOff(refusal) => refusal.retry_after.unwrap(),
        other => panic!("not held off but {other:?}"),
    }
}

/// What CXone said when it failed until the end.
fn cxone_failed(outcome: Outcome) -> RefusalCause {
    match outcome {
        Outcome::Failed(Failure::CxoneFailed(refusal)) => refusal.cause,
        other => panic!("CXone did not fail but {other:?}"),
    }
}

/// A number of which the cut takes the end would not be known as one.
#[test]
fn an_answers_words_are_masked_before_they_are_cut() {
    const CARD: &str = "4526 0181 5908 3012";
    assert_eq!(words(format!("no text with {CARD} in it").as_bytes()), "no text with [card] in it");
    for before in (LOGGED - 40)..LOGGED {
        let body = format!("{} {CARD} is not allowed {}", "x".repeat(before), "y".repeat(LOGGED));
        let shown = words(body.as_bytes());
        assert!(shown.chars().count() == LOGGED && !shown.contains("45"), "{before}: {}", &shown[before..]);
    }
}

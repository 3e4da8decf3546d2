#![allow(clippy::unwrap_used)]

mod loopback;

use std::rc::Rc;
use std::time::Duration;

use actix::Addr;
use bytes::Bytes;
use cuecard_cxone::backoff::Backoff;
use cuecard_cxone::feedback::FeedbackCall;
use cuecard_cxone::{Card, ConnectionSettings, Contract, InteractionId, PushContent, PushTarget};
use jiff::Timestamp;
use loopback::{FEEDBACK, Loopback, PUSH, RANKING, Reply, SEARCH, SESSION, TOKEN};

use super::*;
use crate::health::{Condition, Part};
use crate::messages::{Failure, Outcome, ProfileName, Receipt, RefusalCause, Stage};
use crate::telemetry::ProfileState;
use crate::testing::{Bench, until};
use crate::token_actor::{TokenActor, TokenActorDeps};

struct Fixture {
    cxone: Loopback,
    calls: Rc<CxoneCalls>,
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
    let bench = Bench::new("token_actor");
    let mut settings = ConnectionSettings::for_contract(Contract::Insights, "client", "s3cret".into());
    settings.base_url.clone_from(&cxone.base_url);
    let needed = [Part::Token, Part::Stream];
    let health = ProfileHealth::new(ProfileName::new("acme"), &needed, bench.metrics.clone());
    health.set(Part::Stream, Condition::Good);
    let calls = Rc::new(CxoneCalls::new(CxoneCallsDeps {
        http: HttpClient::new(settings.limits.clone()).unwrap(),
        connection: Connection::new(settings).unwrap(),
        dialect,
        policy,
        rate_limit: None,
        health: Arc::clone(&health),
        metrics: bench.metrics.clone(),
    }));
    let asking = Rc::clone(&calls);
    let deps = TokenActorDeps {
        fetch: Rc::new(move |number| {
            let calls = Rc::clone(&asking);
            Box::pin(async move { calls.request_token(number).await })
        }),
        health: Arc::clone(&health),
        cell: Arc::clone(&bench.cell),
    };
    let token_actor = bench.supervise(TokenActor::new(deps));
    let (get, invalidate) = (token_actor.clone().recipient(), token_actor.clone().recipient());
    calls.introduce(TokenActorAddress { get, invalidate });
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
        let call = FeedbackCall { interaction, insight: "kb-1".to_owned(), action: "ACCEPTED".to_owned(), arrived_at };
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
    Outcome::Delivered(Receipt { cxone_id: Some("cx-1".to_owned()), count: 1, answer })
}

fn refusal(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused(refusal) => refusal.reason,
        other => panic!("not refused but {other:?}"),
    }
}

/// How long CXone asked to wait, of a push that has no time for it.
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

#[actix::test]
async fn a_push_carries_token_key_and_cards_and_keeps_the_id_that_comes_back() {
    let fixture = fixture().await;
    assert_eq!(fixture.push("d-1").await, delivered());
    let asked = &fixture.cxone.asked(PUSH)[0];
    assert_eq!(asked.header("authorization"), Some("Bearer t1"));
    assert_eq!(asked.header("idempotency-key"), Some("d-1"));
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!((&body["insights"][0]["id"], &body["insights"][0]["interactionId"]), (&"kb-1".into(), &"c-1".into()));
    fixture.cxone.script(PUSH, [Reply::Status(204, "")]);
    let empty = Receipt { cxone_id: None, count: 1, answer: Bytes::new() };
    assert_eq!(fixture.push("d-2").await, Outcome::Delivered(empty));
    assert_eq!((fixture.answered("push", "2xx"), fixture.answered("token", "2xx")), (2, 1));
}

#[actix::test]
async fn a_failing_push_is_repeated_with_the_same_key_and_body() {
    let fixture = fixture().await;
    fixture.cxone.script(PUSH, [Reply::Status(500, "oops"), Reply::Status(503, "oops")]);
    assert_eq!(fixture.push("d-1").await, delivered());
    let asked = fixture.cxone.asked(PUSH);
    assert_eq!(asked.iter().map(|asked| asked.header("idempotency-key")).collect::<Vec<_>>(), [Some("d-1"); 3]);
    assert!(asked.iter().all(|other| other.body == asked[0].body));
    assert_eq!((fixture.answered("push", "5xx"), fixture.redelivered()), (2, 0), "an answer is no doubt");
}

#[actix::test]
async fn a_refused_token_is_replaced_once() {
    let fixture = fixture().await;
    fixture.cxone.script(PUSH, [Reply::Status(401, "")]);
    assert_eq!(fixture.push("d-1").await, delivered());
    assert_eq!(fixture.bearers(PUSH), ["Bearer t1", "Bearer t2"]);
    assert_eq!(fixture.cxone.asked(TOKEN).len(), 2);
}

#[actix::test]
async fn a_fresh_token_refused_too_is_an_error() {
    let fixture = fixture().await;
    fixture.cxone.script(PUSH, [Reply::Status(401, "first"), Reply::Status(401, "second")]);
    let reason = refusal(fixture.push("d-1").await);
    assert!(reason.contains("fresh token") && reason.contains("first") && reason.contains("second"), "{reason}");
    assert_eq!(fixture.bearers(PUSH), ["Bearer t1", "Bearer t2"]);
    assert_eq!(fixture.push("d-2").await, delivered(), "the next one is tried again");
}

#[actix::test]
async fn a_refusal_is_not_repeated_and_says_what_to_do() {
    let fixture = fixture().await;
    for (status, expected) in [
        (400, "bad; status 400: field 'x'"),
        (403, "agentassist:write scope, or the interaction belongs to another client; status 403"),
        (404, "does not know the interaction"),
        (422, "422"),
    ] {
        fixture.cxone.script(PUSH, [Reply::Status(status, "field 'x'")]);
        let asked = fixture.cxone.asked(PUSH).len();
        let reason = refusal(fixture.push("d-1").await);
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(fixture.cxone.asked(PUSH).len(), asked + 1, "{status}");
    }
    assert_eq!(fixture.health.state().0, ProfileState::Ready, "refusals open no circuit");
}

#[actix::test]
async fn a_429_holds_the_whole_profile_for_as_long_as_it_says() {
    let fixture = fixture().await;
    fixture.cxone.script(PUSH, [Reply::RetryAfter(429, "1")]);
    let second = async {
        until("the first was told to wait", || fixture.answered("push", "429") == 1).await;
        assert!(matches!(fixture.forward(1).await, ForwardEnd::Postponed { .. }));
        fixture.push("d-2").await
    };
    let outcomes = tokio::join!(fixture.push("d-1"), second);
    assert_eq!(outcomes, (delivered(), delivered()));
    let asked = fixture.cxone.asked(PUSH);
    assert_eq!(asked.len(), 3);
    assert!(asked[1..].iter().all(|later| later.at - asked[0].at >= Duration::from_secs(1)), "never early: {asked:?}");
    assert!(fixture.cxone.asked(FEEDBACK).is_empty(), "feedback is held back too");
}

#[actix::test]
async fn a_wait_beyond_the_deadline_is_not_begun() {
    let fixture = fixture().await;
    fixture.cxone.script(PUSH, [Reply::RetryAfter(429, "3600")]);
    let deadline = four_seconds();
    assert_eq!(held_off(fixture.push_before("d-1", deadline).await), Duration::from_hours(1));
    assert!(Instant::now() < deadline, "told at once");
    assert!(held_off(fixture.push_before("d-2", deadline).await) > Duration::from_secs(3500));
    assert!(Instant::now() < deadline);
    assert_eq!(fixture.cxone.asked(PUSH).len(), 1, "the profile stays held");
    let ForwardEnd::Postponed { wait, .. } = fixture.forward(1).await else { panic!("not postponed") };
    assert!(wait > Duration::from_secs(3500), "{wait:?}");
}

#[actix::test]
async fn a_cut_push_is_repeated_and_counted_as_redelivered() {
    let fixture = fixture().await;
    fixture.cxone.script(PUSH, [Reply::Cut]);
    assert_eq!(fixture.push("d-1").await, delivered());
    let asked = fixture.cxone.asked(PUSH);
    assert_eq!(asked.iter().map(|asked| asked.header("idempotency-key")).collect::<Vec<_>>(), [Some("d-1"); 2]);
    assert_eq!((fixture.redelivered(), fixture.answered("push", "cut")), (1, 1));
}

#[actix::test]
async fn where_the_key_is_ignored_a_cut_push_is_not_repeated() {
    let policy = RetryPolicy { retry_ambiguous: false, ..quick() };
    let fixture = with_policy(Loopback::start().await, policy);
    fixture.cxone.script(PUSH, [Reply::Cut]);
    assert_eq!(fixture.push("d-1").await, Outcome::Failed(Failure::TimedOut));
    assert_eq!((fixture.cxone.asked(PUSH).len(), fixture.redelivered()), (1, 0));
}

/// One push opens the circuit, two more come while it is open: one of the three finds out that CXone is back, and the
/// others wait for that instead of giving up.
#[actix::test]
async fn five_failures_open_the_circuit_and_a_probe_lets_all_go_on() {
    let fixture = fixture().await;
    fixture.cxone.script(PUSH, (0..5).map(|_| Reply::Status(500, "oops")));
    let probe = Reply::Status(201, r#"{"id":"cx-1"}"#);
    fixture.cxone.script(PUSH, [Reply::Slowly(Duration::from_millis(200), Box::new(probe))]);
    let later = async {
        until("the circuit is open", || fixture.health.state().0 == ProfileState::Degraded).await;
        assert_eq!(fixture.cxone.asked(PUSH).len(), 5);
        let reason = fixture.health.state().1;
        assert!(reason.contains("circuit"), "{reason}");
        tokio::join!(fixture.push("d-2"), fixture.push("d-3"))
    };
    let (first, (second, third)) = tokio::join!(fixture.push("d-1"), later);
    assert_eq!([first, second, third], [delivered(), delivered(), delivered()]);
    assert_eq!(fixture.health.state().0, ProfileState::Ready);
    let asked = fixture.cxone.asked(PUSH);
    assert_eq!(asked.len(), 8);
    assert!(asked[5].at - asked[4].at >= Duration::from_millis(990), "nothing is sent while it is open");
    assert!(asked[6].at - asked[5].at >= Duration::from_millis(200), "and one alone while it is probed");
}

#[actix::test]
async fn an_open_circuit_that_outlasts_the_deadline_ends_a_push_at_once() {
    let fixture = fixture().await;
    fixture.cxone.script(PUSH, (0..5).map(|_| Reply::Status(500, "oops")));
    let five = async { fixture.push_before("d-1", Instant::now() + Duration::from_millis(900)).await };
    let outcome = five.await;
    assert_eq!(outcome, Outcome::Failed(Failure::Unreachable));
    assert_eq!(fixture.cxone.asked(PUSH).len(), 5);
}

#[actix::test]
async fn a_cxone_that_fails_until_the_deadline_is_a_failure_and_not_a_late_card() {
    let slow = RetryPolicy { calls: Backoff::new(Duration::from_mins(1), Duration::from_mins(1)), ..quick() };
    let fixture = with_policy(Loopback::start().await, slow);
    fixture.cxone.script(PUSH, [Reply::Status(500, "oops"), Reply::Status(500, "oops"), Reply::Status(500, "oops")]);
    let deadline = Instant::now() + Duration::from_millis(300);
    assert_eq!(cxone_failed(fixture.push_before("d-1", deadline).await), RefusalCause::Status(500));
    let nobody = with_policy(Loopback::nobody().await, quick());
    let deadline = Instant::now() + Duration::from_millis(300);
    assert_eq!(nobody.push_before("d-1", deadline).await, Outcome::Failed(Failure::Unreachable));
    assert_eq!(nobody.health.state().0, ProfileState::Waiting);
}

#[actix::test]
async fn a_push_that_is_late_before_it_starts_is_not_sent_and_says_nothing_about_cxone() {
    let fixture = fixture().await;
    assert_eq!(fixture.push("d-1").await, delivered());
    for _ in 0..6 {
        assert_eq!(fixture.push_before("d-2", Instant::now()).await, Outcome::Expired(Stage::Inject));
    }
    assert_eq!(fixture.cxone.asked(PUSH).len(), 1);
    assert_eq!(fixture.health.state().0, ProfileState::Ready, "the circuit is closed");
}

#[actix::test]
async fn refused_credentials_end_a_push_at_once() {
    let fixture = fixture().await;
    fixture.cxone.script(TOKEN, [Reply::Status(401, "no")]);
    let reason = refusal(fixture.push("d-1").await);
    assert!(reason.contains("CXONE_CLIENT_ID") && reason.contains("401"), "{reason}");
    assert!(fixture.cxone.asked(PUSH).is_empty());
    assert_eq!(fixture.health.state().0, ProfileState::Waiting);
    until("it is asked again", || fixture.cxone.asked(TOKEN).len() == 2).await;
    let asked = fixture.cxone.asked(TOKEN);
    assert!(asked[1].at - asked[0].at >= Duration::from_secs(1));
    assert!(asked[0].body.contains("grant_type=client_credentials") && asked[0].body.contains("s3cret"));
    until("it has a token", || fixture.health.state().0 == ProfileState::Ready).await;
    assert_eq!(fixture.push("d-2").await, delivered());
}

#[actix::test]
async fn a_token_endpoint_that_fails_is_waited_for_while_a_card_is_still_of_use() {
    let fixture = fixture().await;
    fixture.cxone.script(TOKEN, [Reply::Status(503, "oops"), Reply::Status(200, "<html>"), Reply::Cut]);
    assert_eq!(fixture.push("d-1").await, delivered());
    assert_eq!(fixture.cxone.asked(TOKEN).len(), 4);
}

#[actix::test]
async fn what_the_token_endpoint_says_becomes_an_error_and_a_wait() {
    let fixture = fixture().await;
    until("the TokenActor has its token", || fixture.health.state().0 == ProfileState::Ready).await;
    let ask = async |reply| {
        fixture.cxone.script(TOKEN, [reply]);
        fixture.calls.request_token(3).await.unwrap_err()
    };
    let no_token = ask(Reply::Status(400, "invalid_client")).await;
    assert_eq!(no_token.error, TokenError::Refused { status: 400 });
    assert_eq!(no_token.ask_again_after, Duration::from_secs(4), "the third step");
    let no_token = ask(Reply::RetryAfter(503, "7")).await;
    assert!(matches!(no_token.error, TokenError::Unreachable { .. }));
    assert!(no_token.ask_again_after >= Duration::from_secs(7));
    let no_token = ask(Reply::Status(200, r#"{"access_token":"","expires_in":"secret-thing"}"#)).await;
    assert!(!no_token.error.to_string().contains("secret-thing"), "{}", no_token.error);
}

#[actix::test]
async fn feedback_is_sent_once_and_its_answer_says_how_to_go_on() {
    let fixture = fixture().await;
    fixture.cxone.script(FEEDBACK, [Reply::Status(204, "")]);
    assert_eq!(fixture.forward(1).await, ForwardEnd::Forwarded);
    let body: serde_json::Value = serde_json::from_str(&fixture.cxone.asked(FEEDBACK)[0].body).unwrap();
    assert_eq!((&body["interactionId"], &body["insightId"]), (&"c-1".into(), &"kb-1".into()));

    fixture.cxone.script(FEEDBACK, [Reply::Status(403, ""), Reply::Status(500, ""), Reply::Cut]);
    let ForwardEnd::Postponed { reason, .. } = fixture.forward(1).await else { panic!("403") };
    assert!(reason.contains("ai:training:write"), "{reason}");
    for _ in 0..2 {
        assert!(matches!(fixture.forward(1).await, ForwardEnd::Postponed { .. }));
    }
    for status in [302, 408, 409, 425] {
        fixture.cxone.script(FEEDBACK, [Reply::Status(status, "")]);
        assert!(matches!(fixture.forward(1).await, ForwardEnd::Postponed { .. }), "{status}");
    }
    for status in [400, 404, 422] {
        fixture.cxone.script(FEEDBACK, [Reply::Status(status, "why")]);
        let ForwardEnd::SetAside { reason } = fixture.forward(1).await else { panic!("{status}") };
        assert!(reason.contains("why"), "{reason}");
    }

    fixture.cxone.script(FEEDBACK, [Reply::RetryAfter(429, "60")]);
    let ForwardEnd::Postponed { wait, .. } = fixture.forward(1).await else { panic!("429") };
    assert!(wait >= Duration::from_mins(1));
    assert!(held_off(fixture.push("d-1").await) > Duration::from_secs(50), "it holds the pushes too");
}

/// Whatever attempt it is: the first refusal of a token says nothing about the next token.
#[actix::test]
async fn a_token_refused_for_feedback_is_replaced_once_and_at_once() {
    let fixture = fixture().await;
    fixture.cxone.script(FEEDBACK, [Reply::Status(500, ""), Reply::Status(401, ""), Reply::Status(201, "")]);
    assert!(matches!(fixture.forward(1).await, ForwardEnd::Postponed { .. }));
    assert_eq!(fixture.forward(2).await, ForwardEnd::Forwarded);
    assert_eq!(fixture.bearers(FEEDBACK), ["Bearer t1", "Bearer t1", "Bearer t2"]);

    fixture.cxone.script(FEEDBACK, [Reply::Status(401, ""), Reply::Status(401, "")]);
    let ForwardEnd::Postponed { .. } = fixture.forward(20).await else { panic!("401 twice") };
    assert_eq!(fixture.bearers(FEEDBACK)[3..], ["Bearer t2", "Bearer t3"]);
    assert_eq!(fixture.forward(21).await, ForwardEnd::Forwarded);
    assert_eq!(fixture.bearers(FEEDBACK)[5..], ["Bearer t4"], "the second refused token is not used again");
}

#[actix::test]
async fn somebody_who_waits_is_answered_after_three_attempts() {
    let fixture = fixture().await;
    fixture.cxone.script(PUSH, (0..3).map(|_| Reply::Status(503, "oops")));
    assert_eq!(cxone_failed(fixture.ask("d-1").await), RefusalCause::Status(503));
    assert_eq!(fixture.cxone.asked(PUSH).len(), 3);
    assert_eq!(fixture.ask("d-2").await, delivered());
    fixture.cxone.script(PUSH, (0..3).map(|_| Reply::RetryAfter(429, "1")));
    let Outcome::Refused(refusal) = fixture.ask("d-3").await else { panic!("not refused") };
    assert_eq!((refusal.cause, refusal.retry_after), (RefusalCause::Status(429), Some(Duration::from_secs(1))));
    assert_eq!(refusal.answer, "busy", "the caller may be told what CXone said");
    let asked = fixture.cxone.asked(PUSH);
    assert_eq!(asked.len(), 7);
    assert!(asked[5].at - asked[4].at >= Duration::from_secs(1), "never early");
}

#[actix::test]
async fn a_ranking_waits_for_its_session_and_is_sent_again() {
    let fixture = speaking(Dialect::Ranking, Loopback::start().await, quick());
    let (locked, active) = (r#"{"state":"locked"}"#, r#"{"state":"active"}"#);
    fixture.cxone.script(RANKING, [Reply::Status(409, "locked")]);
    fixture.cxone.script(SESSION, [locked, locked, active].map(|state| Reply::Status(200, state)));
    assert_eq!(fixture.ask("d-1").await, delivered());
    assert_eq!((fixture.cxone.asked(RANKING).len(), fixture.cxone.asked(SESSION).len()), (2, 3));
    let looks = fixture.cxone.asked(SESSION);
    assert!(looks[1].at - looks[0].at >= Duration::from_millis(250));
    assert!(fixture.cxone.asked(RANKING)[0].header("x-cxone-client-version").is_some());

    fixture.cxone.script(RANKING, [Reply::Status(409, "duplicate")]);
    fixture.cxone.script(SESSION, [Reply::Status(200, active)]);
    let Outcome::Refused(refusal) = fixture.ask("d-2").await else { panic!("a duplicate is no lock") };
    assert_eq!((refusal.cause, &refusal.answer[..]), (RefusalCause::Status(409), &b"duplicate"[..]));

    fixture.cxone.script(RANKING, [Reply::Status(409, "locked")]);
    fixture.cxone.script(SESSION, (0..20).map(|_| Reply::Status(200, locked)));
    let deadline = Instant::now() + Duration::from_millis(700);
    let Outcome::Refused(refusal) = fixture.push_as("d-3", deadline, Some(ASKED_ATTEMPTS)).await else {
        panic!("locked until the deadline")
    };
    assert_eq!(refusal.cause, RefusalCause::Status(409));
}

#[actix::test]
async fn a_search_is_asked_twice_at_most_and_its_circuit_shows() {
    let fixture = fixture().await;
    let hits = r#"{"entities":[{"id":"kb-1","title":"Returns","score":0.5,"body":"Within 30 days."}]}"#;
    fixture.cxone.script(SEARCH, [Reply::Status(401, ""), Reply::Status(200, hits)]);
    let found = fixture.calls.search("may I return it?", 5, four_seconds()).await.unwrap();
    assert_eq!((found.len(), found[0].id.as_str(), found[0].score), (1, "kb-1", 0.5));
    assert_eq!(fixture.bearers(SEARCH), ["Bearer t1", "Bearer t2"]);
    fixture.cxone.script(SEARCH, (0..6).map(|_| Reply::Status(500, "oops")));
    for _ in 0..2 {
        let error = fixture.calls.search("x", 5, four_seconds()).await.unwrap_err().to_string();
        assert!(error.contains("status ###") || error.contains("500"), "{error}");
    }
    assert_eq!(fixture.cxone.asked(SEARCH).len(), 6);
    assert!(fixture.calls.search("x", 5, four_seconds()).await.is_err());
    until("the circuit is open", || fixture.health.state().0 == ProfileState::Degraded).await;
    assert!(fixture.health.state().1.contains("search"), "{:?}", fixture.health.state());
    assert_eq!(fixture.push("d-1").await, delivered(), "pushes have a circuit of their own");
}

#[actix::test]
async fn a_forbidden_search_names_the_scope() {
    let fixture = fixture().await;
    fixture.cxone.script(SEARCH, [Reply::Status(403, "no")]);
    let error = fixture.calls.search("x", 5, four_seconds()).await.unwrap_err().to_string();
    assert!(error.contains("knowledge:read"), "{error}");
    assert_eq!(fixture.cxone.asked(SEARCH).len(), 1);
}

#[actix::test]
async fn without_a_token_actor_nothing_is_sent() {
    let fixture = fixture().await;
    *fixture.calls.tokens.borrow_mut() = None;
    let deadline = Instant::now() + Duration::from_millis(100);
    assert_eq!(fixture.push_before("d-1", deadline).await, Outcome::Failed(Failure::Unreachable));
    assert!(matches!(fixture.forward(1).await, ForwardEnd::Postponed { .. }));
    assert!(fixture.cxone.asked(PUSH).is_empty() && fixture.cxone.asked(FEEDBACK).is_empty());
}

#![allow(clippy::unwrap_used)]
// Answers stand where a call may also fail.
#![allow(clippy::unnecessary_wraps)]

use cuecard_cxone::http::Answer;
use cuecard_failure_points::FailurePoint;
use futures_util::future::join_all;
use tokio::time::{advance, pause, sleep};

use super::*;
use crate::telemetry::ProfileState;
use crate::testing::{Answered, Bench, Cxone, TenantParts, answer, inject_panics, soon, until};

const HOUR: u64 = 3600;

/// What the pretended token endpoint answers. A token is renewed five minutes ahead of its end.
fn gives(secret: &str, seconds: u64) -> Answered {
    Ok(Answer::scripted(200, &[], format!(r#"{{"access_token":"{secret}","expires_in":{seconds}}}"#)))
}

fn refuses() -> Answered {
    answer(401, "{}")
}

fn asks_to_wait(seconds: &'static str) -> Answered {
    Ok(Answer::scripted(429, &[("retry-after", seconds)], "{}"))
}

/// Panics while a message is in hand.
#[derive(Message)]
#[rtype(result = "()")]
struct Explode;

impl Handler<Explode> for TokenActor {
    type Result = ();

    fn handle(&mut self, _: Explode, _: &mut Self::Context) {
        panic!("injected");
    }
}

struct Fixture {
    bench: Bench,
    health: Arc<ProfileHealth>,
    cxone: Arc<Cxone>,
    actor: Addr<TokenActor>,
}

fn fixture(expected_panics: u64, answers: Vec<Answered>) -> Fixture {
    of_profile("acme", expected_panics, answers)
}

/// Each request waits for the gate `token`.
fn of_profile(profile: &'static str, expected_panics: u64, answers: Vec<Answered>) -> Fixture {
    pause();
    let bench = Bench::expecting("token_actor", expected_panics);
    let cxone = Cxone::gated(|_| Some("token".to_owned()));
    cxone.queue(answers);
    cxone.answer_with(|_| panic!("asked more often than expected"));
    let tenant = TenantParts { cxone: Arc::clone(&cxone), ..TenantParts::new(profile) }.build();
    let (calls, health) = (Arc::clone(&tenant.calls), Arc::clone(&tenant.health));
    let deps = TokenActorDeps { calls, health: Arc::clone(&health), cell: Arc::clone(&bench.cell) };
    let actor = bench.supervise(TokenActor::new(deps));
    Fixture { bench, health, cxone, actor }
}

impl Fixture {
    /// The secret of the token that a caller gets.
    async fn get(&self) -> Result<String, TokenError> {
        soon("a token or an error", self.actor.send(GetToken))
            .await
            .unwrap()
            .map(|token| token.secret().expose_secret().to_owned())
    }

    /// Lets `count` more requests be answered.
    fn answer(&self, count: usize) {
        for _ in 0..count {
            self.cxone.open("token");
        }
    }

    /// When the requests came.
    fn asked_at(&self) -> Vec<Instant> {
        self.cxone.calls().iter().map(|call| call.at).collect()
    }

    fn num_asked(&self) -> usize {
        self.cxone.calls().len()
    }
}

#[actix::test]
async fn fifty_callers_at_once_cost_one_request() {
    let fixture = fixture(0, vec![gives("t1", HOUR)]);
    let calls: Vec<_> = (0..50).map(|_| actix_rt::spawn(fixture.actor.send(GetToken))).collect();
    until("the request is under way", || fixture.bench.cell.report().in_flight == 1).await;
    fixture.answer(1);
    for call in join_all(calls).await {
        assert_eq!(call.unwrap().unwrap().unwrap().secret().expose_secret(), "t1");
    }
    assert_eq!(fixture.get().await.as_deref(), Ok("t1"), "and the next caller none");
    assert_eq!(fixture.num_asked(), 1);
    assert_eq!(fixture.health.state().0, ProfileState::Ready);
}

#[actix::test]
async fn a_token_is_renewed_its_margin_ahead_of_its_end_and_callers_never_wait_for_it() {
    let fixture = fixture(0, vec![gives("t1", HOUR), gives("t2", HOUR)]);
    fixture.answer(1);
    assert_eq!(fixture.get().await.as_deref(), Ok("t1"));
    sleep(Duration::from_secs(HOUR - 301)).await;
    assert_eq!(fixture.num_asked(), 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(fixture.num_asked(), 2, "asked ahead of the end");
    assert_eq!(fixture.get().await.as_deref(), Ok("t1"), "the old one is still good");
    fixture.answer(1);
    until("the new one is there", || fixture.bench.cell.report().in_flight == 0).await;
    assert_eq!(fixture.get().await.as_deref(), Ok("t2"));
}

#[actix::test]
async fn a_token_that_ended_is_given_to_nobody() {
    let fixture = fixture(0, vec![gives("t1", 600), asks_to_wait("250"), asks_to_wait("150"), gives("t2", HOUR)]);
    fixture.answer(3);
    assert_eq!(fixture.get().await.as_deref(), Ok("t1"));
    sleep(Duration::from_secs(310)).await;
    assert_eq!(fixture.num_asked(), 2, "the renewal failed");
    assert_eq!(fixture.get().await.as_deref(), Ok("t1"));
    assert_eq!(fixture.health.state().0, ProfileState::Degraded, "as long as the old one is good");
    sleep(Duration::from_mins(5)).await;
    assert_eq!(fixture.num_asked(), 3, "so did the second one");
    let (state, reason) = fixture.health.state();
    assert_eq!(state, ProfileState::Waiting, "although nobody asked for it");
    assert!(reason.contains("429"), "{reason}");
    assert!(matches!(fixture.get().await, Err(TokenError::Unreachable { .. })));
    fixture.answer(1);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(fixture.get().await.as_deref(), Ok("t2"));
    assert_eq!(fixture.num_asked(), 4);
    assert_eq!(fixture.health.state().0, ProfileState::Ready);
}

#[actix::test]
async fn a_token_that_ends_while_the_next_one_is_awaited_shows_too() {
    let fixture = fixture(1, vec![gives("t1", 600), gives("t2", HOUR)]);
    fixture.answer(1);
    assert_eq!(fixture.get().await.as_deref(), Ok("t1"));
    // A restart must not forget to look.
    fixture.actor.do_send(Explode);
    sleep(Duration::from_secs(599)).await;
    assert_eq!(fixture.health.state().0, ProfileState::Ready);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(fixture.health.state().0, ProfileState::Waiting);
    fixture.answer(1);
    assert_eq!(fixture.get().await.as_deref(), Ok("t2"));
    assert_eq!(fixture.health.state().0, ProfileState::Ready);
}

#[actix::test]
async fn a_late_complaint_about_an_older_token_does_not_cost_the_new_one() {
    let fixture = fixture(0, vec![gives("t1", HOUR), gives("t2", HOUR)]);
    fixture.answer(2);
    let first = fixture.actor.send(GetToken).await.unwrap().unwrap();
    fixture.actor.do_send(Invalidate(first.clone()));
    assert_eq!(fixture.get().await.as_deref(), Ok("t2"));
    for _ in 0..3 {
        fixture.actor.send(Invalidate(first.clone())).await.unwrap();
    }
    assert_eq!(fixture.get().await.as_deref(), Ok("t2"));
    assert_eq!(fixture.num_asked(), 2);
}

#[actix::test]
async fn complaints_about_one_token_at_once_cost_one_request() {
    let fixture = fixture(0, vec![gives("t1", HOUR), gives("t2", HOUR)]);
    fixture.answer(1);
    let first = fixture.actor.send(GetToken).await.unwrap().unwrap();
    for _ in 0..8 {
        fixture.actor.do_send(Invalidate(first.clone()));
    }
    fixture.answer(1);
    assert_eq!(fixture.get().await.as_deref(), Ok("t2"));
    assert_eq!(fixture.num_asked(), 2);
}

#[actix::test]
async fn refused_credentials_are_told_at_once_until_it_is_time_to_ask_again() {
    let fixture = fixture(0, vec![refuses(), refuses(), gives("t1", HOUR)]);
    fixture.answer(3);
    let refusal = Err(TokenError::Refused { reason: "status 401: {}".to_owned() });
    for _ in 0..20 {
        let since = Instant::now();
        assert_eq!(fixture.get().await, refusal);
        assert_eq!(since.elapsed(), Duration::ZERO);
    }
    assert_eq!(fixture.num_asked(), 1);
    let (state, reason) = fixture.health.state();
    assert_eq!(state, ProfileState::Waiting);
    assert!(reason.contains("CXONE_CLIENT_SECRET"), "{reason}");
    until("it asks again by itself", || fixture.num_asked() == 3).await;
    assert_eq!(fixture.get().await.as_deref(), Ok("t1"));
    assert_eq!(fixture.num_asked(), 3);
    let times = fixture.asked_at();
    assert!(times[1] - times[0] >= Duration::from_secs(1) && times[2] - times[1] >= Duration::from_secs(2));
    assert_eq!(fixture.health.state().0, ProfileState::Ready);
}

#[actix::test]
async fn a_caller_that_comes_after_the_wait_asks_with_the_next_number() {
    let fixture = fixture(0, vec![asks_to_wait("5"), gives("t1", HOUR)]);
    fixture.answer(1);
    assert!(fixture.get().await.is_err());
    // Time passes without the actor's timer being looked at.
    advance(Duration::from_secs(5)).await;
    fixture.answer(1);
    assert_eq!(fixture.get().await.as_deref(), Ok("t1"));
    assert_eq!(fixture.num_asked(), 2);
}

#[actix::test]
async fn a_complaint_does_not_shorten_the_wait_that_the_endpoint_asked_for() {
    let fixture = fixture(0, vec![gives("t1", 600), asks_to_wait("60"), gives("t2", HOUR)]);
    fixture.answer(3);
    let first = fixture.actor.send(GetToken).await.unwrap().unwrap();
    sleep(Duration::from_secs(301)).await;
    assert_eq!(fixture.num_asked(), 2, "the renewal failed");
    assert_eq!(fixture.health.state().0, ProfileState::Degraded);
    fixture.actor.send(Invalidate(first)).await.unwrap();
    assert_eq!(fixture.health.state().0, ProfileState::Waiting);
    assert!(fixture.get().await.is_err());
    assert_eq!(fixture.num_asked(), 2);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(fixture.get().await.as_deref(), Ok("t2"));
}

/// The bad message panics; two callers queue behind it, and a request that another one waits for is under way.
#[actix::test]
async fn a_panic_costs_the_message_in_hand_and_no_caller() {
    let fixture = fixture(1, vec![gives("t1", HOUR)]);
    let waiting = actix_rt::spawn(fixture.actor.send(GetToken));
    until("the request is under way", || fixture.bench.cell.report().in_flight == 1).await;
    fixture.actor.do_send(Explode);
    let queued = [(); 2].map(|()| actix_rt::spawn(fixture.actor.send(GetToken)));
    until("it restarted", || fixture.bench.cell.restarts() == 1).await;
    fixture.answer(1);
    for caller in std::iter::once(waiting).chain(queued) {
        assert_eq!(caller.await.unwrap().unwrap().unwrap().secret().expose_secret(), "t1");
    }
    assert_eq!(fixture.num_asked(), 1, "nothing is asked twice");
    fixture.bench.assert_recovered(&fixture.actor);
    assert_eq!(fixture.health.state().0, ProfileState::Ready);
}

#[actix::test]
async fn a_restart_keeps_a_good_token_and_still_renews_it() {
    let fixture = fixture(1, vec![gives("t1", HOUR), gives("t2", HOUR)]);
    fixture.answer(2);
    assert_eq!(fixture.get().await.as_deref(), Ok("t1"));
    fixture.actor.do_send(Explode);
    assert_eq!(fixture.get().await.as_deref(), Ok("t1"));
    assert_eq!(fixture.num_asked(), 1);
    sleep(Duration::from_secs(HOUR - 299)).await;
    assert_eq!(fixture.get().await.as_deref(), Ok("t2"));
}

#[actix::test]
async fn a_request_that_can_not_even_start_is_tried_again_after_the_restart() {
    inject_panics(FailurePoint::TokenActor, "bad!");
    let fixture = of_profile("bad", 1, vec![gives("t1", HOUR)]);
    fixture.answer(1);
    until("it restarted", || fixture.bench.cell.restarts() == 1).await;
    assert_eq!(fixture.get().await.as_deref(), Ok("t1"));
}

#[actix::test]
async fn a_request_whose_task_panics_is_told_to_its_callers_and_made_again() {
    inject_panics(FailurePoint::TokenActorFetch, "worse!");
    let fixture = of_profile("worse", 1, vec![gives("t1", HOUR)]);
    let waiting = actix_rt::spawn(fixture.actor.send(GetToken));
    fixture.answer(1);
    assert_eq!(waiting.await.unwrap().unwrap().unwrap_err(), TokenError::NoAnswer);
    assert_eq!((fixture.bench.cell.panics(), fixture.bench.cell.restarts()), (1, 0));
    sleep(AFTER_PANIC).await;
    assert_eq!(fixture.get().await.as_deref(), Ok("t1"));
    assert_eq!(fixture.num_asked(), 1, "the first never went out");
}

#[actix::test]
async fn ten_panics_a_minute_cost_what_was_in_hand_and_the_eleventh_ends_the_actor() {
    let fixture = fixture(11, vec![gives("t1", HOUR)]);
    fixture.answer(1);
    let poison = async |_| {
        let explosion = fixture.actor.send(Explode).await;
        assert!(explosion.is_err(), "whoever sent it is told");
    };
    let works = async |_| assert_eq!(fixture.get().await.as_deref(), Ok("t1"));
    works(0).await;
    fixture.bench.panic_until_it_gives_up(poison, works).await;
    assert_eq!(fixture.num_asked(), 1, "its token survived them all");
    until("callers are told", || !fixture.actor.connected()).await;
}

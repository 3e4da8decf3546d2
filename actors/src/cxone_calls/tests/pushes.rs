//! Pushes: repeated where that helps, held back where CXone asks for it, ended where nothing helps.

use super::*;

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
    let empty = Receipt { cxone_id: None, count: 1, order: None, answer: Bytes::new() };
    assert_eq!(fixture.push("d-2").await, Outcome::Delivered(empty));
    assert_eq!((fixture.answered("push", "2xx"), fixture.answered("token", "2xx")), (2, 1));
}

#[actix::test]
async fn an_id_that_is_too_long_to_be_kept_is_none_and_counted_and_the_push_counts() {
    let fixture = fixture().await;
    let answer = format!(r#"{{"id":"{}"}}"#, "x".repeat(1025));
    fixture.cxone.script(PUSH, [Reply::Status(200, answer.leak())]);
    let Outcome::Delivered(receipt) = fixture.push("d-1").await else { panic!("not delivered") };
    assert_eq!((receipt.cxone_id, receipt.count), (None, 1));
    assert_eq!(fixture.bench.metric(r#"cuecard_dropped_total{actor="injector",reason="long_id"}"#), 1);
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
    fixture.cxone.script(PUSH, [Reply::Status(401, "token expired"), Reply::Status(401, "scope missing")]);
    let reason = refusal(fixture.push("d-1").await);
    for part in ["fresh token", "token expired", "scope missing"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(fixture.bearers(PUSH), ["Bearer t1", "Bearer t2"]);
    assert_eq!(fixture.push("d-2").await, delivered(), "the next one is tried again");
}

#[actix::test]
async fn a_refusal_is_not_repeated_and_says_what_to_do() {
    let fixture = fixture().await;
    for (status, expected) in [
        (400, "bad; status 400: field 'insightId' missing"),
        (403, "agentassist:write scope, or the interaction belongs to another client; status 403"),
        (404, "does not know the interaction"),
        (422, "422"),
    ] {
        fixture.cxone.script(PUSH, [Reply::Status(status, "field 'insightId' missing")]);
        let asked = fixture.cxone.asked(PUSH).len();
        let reason = refusal(fixture.push("d-1").await);
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(fixture.cxone.asked(PUSH).len(), asked + 1, "{status}");
    }
    assert_eq!(fixture.health.state().0, ProfileState::Ready, "refusals open no circuit");
}

#[actix::test]
async fn a_429_holds_its_endpoint_for_as_long_as_it_says_and_no_other() {
    let fixture = fixture().await;
    fixture.cxone.script(PUSH, [Reply::RetryAfter(429, "1.5")]);
    let second = async {
        until("the first was told to wait", || fixture.answered("push", "429") == 1).await;
        let forwarded = fixture.forward(1).await;
        let health = fixture.health.state();
        (health, forwarded, Instant::now(), fixture.push("d-2").await)
    };
    let (first, (health, forwarded, at, pushed)) = tokio::join!(fixture.push("d-1"), second);
    assert_eq!([first, pushed], [delivered(), delivered()]);
    assert_eq!(health.0, ProfileState::Degraded);
    assert!(health.1.starts_with("held until 20") && health.1.ends_with(" UTC, asked by push"), "{health:?}");
    let asked = fixture.cxone.asked(PUSH);
    assert_eq!((forwarded, asked.len()), (ForwardEnd::Forwarded, 3));
    assert!(at < asked[1].at, "feedback does not wait");
    assert!(asked[1..].iter().all(|later| later.at - asked[0].at >= Duration::from_millis(1500)), "never early");
    until("the hold is over", || fixture.health.state().0 == ProfileState::Ready).await;
}

#[actix::test]
async fn a_wait_beyond_the_deadline_is_not_begun() {
    let fixture = fixture().await;
    fixture.cxone.script(PUSH, [Reply::RetryAfter(429, "60")]);
    let deadline = four_seconds();
    assert_eq!(held_off(fixture.push_before("d-1", deadline).await), Duration::from_mins(1));
    assert!(Instant::now() < deadline, "told at once");
    assert!(held_off(fixture.push_before("d-2", deadline).await) > Duration::from_secs(50));
    assert!(Instant::now() < deadline);
    assert_eq!(fixture.cxone.asked(PUSH).len(), 1, "the endpoint stays held");
}

/// Seconds since 1970, milliseconds taken for seconds, a day.
#[actix::test]
async fn a_wait_that_nobody_means_is_cut_for_every_call() {
    for header in ["1792567680", "60000", "86400"] {
        let fixture = fixture().await;
        fixture.cxone.script(PUSH, [Reply::RetryAfter(429, header)]);
        let longest = Duration::from_mins(5);
        assert_eq!(held_off(fixture.push("d-1").await), longest, "{header}");
        let text = fixture.bench.metrics.render(0.0).unwrap();
        let gauge = r#"cuecard_cxone_hold_seconds{endpoint="push",profile="acme"} 29"#;
        assert!(text.contains(gauge), "{text}");
        fixture.cxone.script(FEEDBACK, [Reply::RetryAfter(429, header)]);
        let ForwardEnd::Postponed { wait, .. } = fixture.forward(1).await else { panic!("{header}") };
        assert_eq!(wait, longest, "no attempt is stored further ahead");
        fixture.cxone.script(TOKEN, [Reply::RetryAfter(503, header)]);
        assert_eq!(fixture.calls.request_token(1).await.unwrap_err().ask_again_after, longest);
    }
}

/// 200 with HTML is what a login, or a proxy, shows to people.
#[actix::test]
async fn a_page_is_no_delivery() {
    let page = Reply::Page("<html>please log in</html>");
    let fixture = fixture().await;
    fixture.cxone.script(PUSH, [page.clone()]);
    let Outcome::Failed(Failure::CxoneFailed(refusal)) = fixture.push("d-1").await else { panic!("delivered") };
    assert_eq!((refusal.cause, refusal.answer.len()), (RefusalCause::Status(502), 0));
    assert!(refusal.reason.contains("web page") && refusal.reason.contains("base_url"), "{refusal:?}");
    assert_eq!((fixture.cxone.asked(PUSH).len(), fixture.answered("push", "unusable")), (1, 1));
    fixture.cxone.script(SEARCH, [page.clone()]);
    let error = fixture.calls.search("x", None, 5, four_seconds()).await.unwrap_err().to_string();
    assert!(error.contains("web page"), "{error}");
    fixture.cxone.script(FEEDBACK, [page]);
    assert!(matches!(fixture.forward(1).await, ForwardEnd::Postponed { .. }), "it is not lost");
}

#[actix::test]
async fn a_redirect_names_the_place_and_is_not_followed() {
    let fixture = fixture().await;
    fixture.cxone.script(PUSH, [Reply::Redirect(308, "https://new.example/push?key=s3cret")]);
    let reason = refusal(fixture.push("d-1").await);
    assert!(reason.contains("308") && reason.contains("https://new.example/push"), "{reason}");
    assert!(!reason.contains("s3cret"), "{reason}");
    assert_eq!(fixture.cxone.asked(PUSH).len(), 1);
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
    assert_eq!(fixture.push("d-1").await, Outcome::Failed(Failure::Unreachable));
    assert_eq!((fixture.cxone.asked(PUSH).len(), fixture.redelivered()), (1, 0));
}

const OPEN: &str = r#"cuecard_circuit_open{endpoint="push",profile="acme"}"#;

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
        assert_eq!(read_metric(&fixture.bench.metrics, OPEN), 1);
        tokio::join!(fixture.push("d-2"), fixture.push("d-3"))
    };
    let (first, (second, third)) = tokio::join!(fixture.push("d-1"), later);
    assert_eq!([first, second, third], [delivered(), delivered(), delivered()]);
    assert_eq!(fixture.health.state().0, ProfileState::Ready);
    assert_eq!(read_metric(&fixture.bench.metrics, OPEN), 0);
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
    let nobody = with_policy(Loopback::nobody(), quick());
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

    fixture.cxone.script(RANKING, [Reply::Status(409, "locked")]);
    fixture.cxone.script(SESSION, (0..20).map(|_| Reply::Status(200, locked)));
    let deadline = Instant::now() + Duration::from_millis(700);
    let Outcome::Refused(refusal) = fixture.push_as("d-3", deadline, Some(ASKED_ATTEMPTS)).await else {
        panic!("locked until the deadline")
    };
    assert_eq!(refusal.cause, RefusalCause::Status(409));
}

/// A lock may be gone between the 409 and the first look at the session.
#[actix::test]
async fn a_ranking_is_a_duplicate_only_if_it_is_refused_again_without_a_lock() {
    let fixture = speaking(Dialect::Ranking, Loopback::start().await, quick());
    let active = || Reply::Status(200, r#"{"state":"active"}"#);
    fixture.cxone.script(RANKING, [Reply::Status(409, "locked")]);
    fixture.cxone.script(SESSION, [active()]);
    assert_eq!(fixture.ask("d-1").await, delivered());

    fixture.cxone.script(RANKING, [Reply::Status(409, "duplicate"), Reply::Status(409, "duplicate")]);
    fixture.cxone.script(SESSION, [active(), active()]);
    let Outcome::Refused(refusal) = fixture.ask("d-2").await else { panic!("a duplicate is no lock") };
    assert_eq!((refusal.cause, &refusal.answer[..]), (RefusalCause::Status(409), &b"duplicate"[..]));
    assert_eq!((fixture.cxone.asked(RANKING).len(), fixture.cxone.asked(SESSION).len()), (4, 3));
}

#[actix::test]
async fn a_ranking_whose_answer_is_too_large_is_not_told_as_an_empty_one() {
    let fixture = speaking(Dialect::Ranking, Loopback::start().await, quick());
    let too_large = "x".repeat(Limits::default().body_limit_bytes + 1);
    fixture.cxone.script(RANKING, [Reply::Status(200, too_large.leak())]);
    let Outcome::Failed(Failure::CxoneFailed(refusal)) = fixture.ask("d-1").await else { panic!("not failed") };
    assert_eq!(refusal.cause, RefusalCause::Status(502));
    assert!(refusal.reason.contains("cxone.max_answer_bytes"), "{refusal:?}");
}

#[actix::test]
async fn a_session_that_may_not_be_looked_at_names_its_scope() {
    let fixture = speaking(Dialect::Ranking, Loopback::start().await, quick());
    fixture.cxone.script(RANKING, [Reply::Status(409, "locked")]);
    fixture.cxone.script(SESSION, [Reply::Status(403, "forbidden")]);
    let Outcome::Refused(refusal) = fixture.ask("d-1").await else { panic!("not refused") };
    assert_eq!((refusal.cause, &refusal.answer[..]), (RefusalCause::Status(409), &b"locked"[..]));
    assert!(
        refusal.reason.contains("status 409") && refusal.reason.contains("agentassist:session:write"),
        "{refusal:?}"
    );
}

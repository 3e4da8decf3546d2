//! What each answer of CXone to a push means: the answers table of the contracts, row by row.

use std::time::{Duration, Instant, SystemTime};

use cuecard_simulator::{CutMoment, Fault, FaultKind, Received, RetryAfter, Route, RunningSimulator, Verdict};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use crate::support::{Service, first_article, pushes, refuse_all, say, shown, simulator, until, until_shown};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";
const VOUCHER: &str = "How long is my gift voucher valid?";

/// Long enough that a busy machine never makes a card late.
const PATIENT: [(&str, &str); 1] = [("CUECARD__PROFILE__DEADLINE", "50s")];

fn inject(simulator: &RunningSimulator, times: u32, fault: FaultKind) {
    simulator.inject(Fault { route: Route::Insights, times, fault });
}

fn wait_told(retry_after: RetryAfter) -> FaultKind {
    FaultKind::Answer { status: 429, retry_after: Some(retry_after), body: None }
}

fn token_requests(simulator: &RunningSimulator) -> usize {
    simulator.received_on(Route::Token).len()
}

/// Waits until so many questions have ended this way.
async fn until_outcome(service: &Service, outcome: &str, number: f64) {
    let labels = [("outcome", outcome)];
    service.admin.until(outcome, |metrics| metrics.sum("cuecard_cards_total", &labels) == number).await;
}

async fn answered(service: &Service, status: &str) -> f64 {
    let labels = [("endpoint", "push"), ("status", status)];
    service.admin.metrics().await.sum("cuecard_cxone_requests_total", &labels)
}

fn keys(pushes: &[Received]) -> Vec<&str> {
    pushes.iter().map(|push| push.idempotency_key.as_deref().unwrap()).collect()
}

#[actix_rt::test]
async fn a_refused_token_is_renewed_once() {
    let simulator = simulator();
    let service = Service::start(&simulator, &PATIENT).await;
    inject(&simulator, 1, FaultKind::status(401));
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    assert_eq!(token_requests(&simulator), 2);
    // Now the fresh token is refused as well.
    inject(&simulator, 2, FaultKind::status(401));
    say(&simulator, "call-2", DOG).await;
    until_outcome(&service, "refused", 1.0).await;
    assert_eq!(answered(&service, "401").await, 3.0);
    let pushes = pushes(&simulator);
    let keys = keys(&pushes);
    assert_eq!((keys.len(), keys[0] == keys[1], keys[2] == keys[3]), (4, true, true));
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn tokens_that_all_end_in_mid_conversation_cost_no_card() {
    let simulator = simulator();
    // The second question alone, or the first one's article would be the best again.
    let overrides = [&PATIENT[..], &[("CUECARD__PROFILE__WINDOW", "1")]].concat();
    let service = Service::start(&simulator, &overrides).await;
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    simulator.expire_tokens();
    say(&simulator, "call-1", VOUCHER).await;
    until_shown(&simulator, 2).await;
    assert_eq!(token_requests(&simulator), 2);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn what_no_repetition_can_mend_is_not_repeated() {
    let simulator = simulator();
    let service = Service::start(&simulator, &PATIENT).await;
    for (number, status) in [(1, 400), (2, 403), (3, 404), (4, 409), (5, 422)] {
        inject(&simulator, 1, FaultKind::status(status));
        say(&simulator, &format!("call-{number}"), DOG).await;
        until_outcome(&service, "refused", f64::from(number)).await;
        assert_eq!(pushes(&simulator).len(), number as usize, "{status} is answered once");
    }
    for (status, number) in [("400", 1.0), ("403", 1.0), ("404", 1.0), ("409", 1.0), ("4xx", 1.0)] {
        assert_eq!(answered(&service, status).await, number, "{status}");
    }
    // An interaction that ends between question and card.
    inject(&simulator, 1, FaultKind::Delay { by: Duration::from_secs(1) });
    say(&simulator, "call-6", DOG).await;
    assert!(simulator.end_interaction("call-6"));
    until_outcome(&service, "refused", 6.0).await;
    // None of this says anything about the next card.
    say(&simulator, "call-7", DOG).await;
    assert_eq!(first_article(&until_shown(&simulator, 1).await[0]), ("call-7", "pets"));
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_push_comes_no_earlier_than_cxone_asks_and_holds_the_tenants_other_pushes() {
    let simulator = simulator();
    let service = Service::start(&simulator, &PATIENT).await;
    inject(&simulator, 1, wait_told(RetryAfter::Seconds(1)));
    say(&simulator, "call-1", DOG).await;
    service
        .admin
        .until("the 429 has arrived", |metrics| {
            metrics.sum("cuecard_cxone_requests_total", &[("endpoint", "push"), ("status", "429")]) == 1.0
        })
        .await;
    say(&simulator, "call-2", VOUCHER).await;
    until_shown(&simulator, 2).await;
    let first = pushes(&simulator)[0].at;
    for push in shown(&simulator) {
        let waited = push.at.duration_since(first);
        assert!(waited >= Duration::from_secs(1), "{waited:?}");
    }
    // The same as an HTTP date, which has no fractions of a second.
    let seconds = Timestamp::now().as_second() + 2;
    let asked = Timestamp::from_second(seconds).unwrap();
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&asked).unwrap();
    let not_before = Instant::now() + SystemTime::from(asked).duration_since(SystemTime::now()).unwrap();
    inject(&simulator, 1, wait_told(RetryAfter::Literal(date)));
    say(&simulator, "call-3", DOG).await;
    let cards = until_shown(&simulator, 3).await;
    assert!(cards[2].at >= not_before, "{:?} too early", not_before - cards[2].at);
    assert_eq!(pushes(&simulator).len(), 5);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_card_that_would_have_to_wait_beyond_its_deadline_is_dropped() {
    let simulator = simulator();
    let service = Service::start(&simulator, &PATIENT).await;
    inject(&simulator, 1, wait_told(RetryAfter::Seconds(60)));
    say(&simulator, "call-1", DOG).await;
    until_outcome(&service, "expired", 1.0).await;
    // The minute holds for the next card as well, which is not even sent.
    say(&simulator, "call-2", DOG).await;
    until_outcome(&service, "expired", 2.0).await;
    assert_eq!(pushes(&simulator).len(), 1);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_failing_cxone_is_asked_again_with_the_same_key() {
    let simulator = simulator();
    let service = Service::start(&simulator, &PATIENT).await;
    inject(&simulator, 2, FaultKind::status(500));
    say(&simulator, "call-1", DOG).await;
    until_shown(&simulator, 1).await;
    let pushes = pushes(&simulator);
    let keys = keys(&pushes);
    assert_eq!(keys, [keys[0]; 3]);
    assert_eq!(answered(&service, "5xx").await, 2.0);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_push_whose_answer_was_lost_is_repeated_and_shown_once() {
    let simulator = simulator();
    let overrides = [PATIENT[0], ("CUECARD__CXONE__ATTEMPT_TIMEOUT", "500ms")];
    let service = Service::start(&simulator, &overrides).await;
    let lost = [
        FaultKind::Cut { moment: CutMoment::BeforeHandling },
        FaultKind::Cut { moment: CutMoment::AfterHandling },
        FaultKind::Delay { by: Duration::from_millis(1500) },
    ];
    let num_lost = lost.len();
    for (number, fault) in lost.into_iter().enumerate() {
        inject(&simulator, 1, fault);
        say(&simulator, &format!("call-{number}"), DOG).await;
        until_outcome(&service, "delivered", (number + 1) as f64).await;
    }
    let arrived = pushes(&simulator);
    for number in 0..num_lost {
        let call = format!("call-{number}");
        let of_call: Vec<_> = arrived.iter().filter(|push| first_article(push).0 == call).cloned().collect();
        let keys = keys(&of_call);
        assert!(keys.iter().all(|key| *key == keys[0]), "{call}: {keys:?}");
        let num_shown = of_call.iter().filter(|push| push.verdict == Verdict::Accepted).count();
        assert_eq!(num_shown, 1, "{call}");
    }
    let redelivered = service.admin.metrics().await.sum("cuecard_redelivered_total", &[]);
    assert!(redelivered >= num_lost as f64, "{redelivered}");
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn a_hub_that_ignores_the_key_gets_no_push_twice() {
    let simulator = simulator();
    let overrides = [PATIENT[0], ("CUECARD__PROFILE__RETRY_AMBIGUOUS", "false")];
    let service = Service::start(&simulator, &overrides).await;
    inject(&simulator, 1, FaultKind::Cut { moment: CutMoment::AfterHandling });
    say(&simulator, "call-1", DOG).await;
    until_outcome(&service, "failed", 1.0).await;
    assert_eq!(pushes(&simulator).len(), 1);
    // A 500 leaves nothing in doubt.
    inject(&simulator, 1, FaultKind::status(500));
    say(&simulator, "call-2", DOG).await;
    until_outcome(&service, "delivered", 1.0).await;
    assert_eq!(service.admin.metrics().await.sum("cuecard_redelivered_total", &[]), 0.0);
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn five_failures_in_a_row_open_the_circuit_until_cxone_is_back() {
    let simulator = simulator();
    let service = Service::start(&simulator, &PATIENT).await;
    refuse_all(&simulator, Route::Insights, 500);
    for number in 0..5 {
        say(&simulator, &format!("call-{number}"), DOG).await;
    }
    let profile = service
        .admin
        .until_profile("a circuit", |status, profile| status == 200 && profile["state"] == "degraded")
        .await;
    assert!(profile["reason"].as_str().unwrap().contains("circuit is open"), "{profile}");
    // Five; of each other question one that was under way by then; and one a second at most to see whether it is back.
    let tried = pushes(&simulator);
    let looks = tried[0].at.elapsed().as_secs() as usize;
    assert!((5..=9 + looks).contains(&tried.len()), "{} and {looks}", tried.len());
    simulator.clear_faults();
    until(&simulator, "all cards", |simulator| shown(simulator).len() == 5).await;
    service.admin.until_profile("ready again", |status, profile| status == 200 && profile["state"] == "ready").await;
    service.finish(&simulator).await;
}

#[actix_rt::test]
async fn an_answer_without_an_id_is_as_good() {
    let simulator = simulator();
    let service = Service::start(&simulator, &PATIENT).await;
    for (number, body) in ["<html>fine</html>", "{}"].into_iter().enumerate() {
        let fault = FaultKind::Answer { status: 201, retry_after: None, body: Some(body.to_owned()) };
        inject(&simulator, 1, fault);
        say(&simulator, &format!("call-{number}"), DOG).await;
        until_outcome(&service, "delivered", (number + 1) as f64).await;
    }
    assert_eq!(pushes(&simulator).len(), 2);
    service.finish(&simulator).await;
}

//! The real program, built with failure points, where a part of it fails for good: an actor that hangs is seen, and comes back;
//! one that panics too often, and an encoder whose threads hang, end the process in order, with what was under way.

#![allow(clippy::unwrap_used)]

#[path = "service/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the service's own tests use what this one does not")]
mod support;

use cuecard_simulator::{Fault, FaultKind, RetryAfter, Route, RunningSimulator, UNTIL_CLEARED};
use serde_json::{Value, json};
use tempfile::TempDir;

use support::{Process, Scrape, environment, first_article, say, shown, simulator, until, until_shown};

/// Twice as long as a handler may take; long enough to look at it.
const HANGS: &str = "buffer=1*sleep(20000)";

/// Ten panics are ridden out. Then one question passes, whose push is to be in flight at the eleventh.
const ELEVEN_PANICS: &str = "ranker=10*return->1*off->1*return->off";

/// For longer than anything here is waited for, so that nobody has waited for such a thread.
const TWO_THREADS_HANG: &str = "encoder_thread=2*sleep(3600000)";

/// An actor, or an encoder, that gave up.
const GAVE_UP: Option<i32> = Some(70);

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";
const VOUCHER: &str = "How long is my gift voucher valid?";

/// A service that hears one tenant and orders another's snippets, and that nothing ends but what these tests do.
fn serve(simulator: &RunningSimulator, data: &TempDir, points: &str) -> Process {
    let token_url = format!("{}/api/v2/oauth/token", simulator.base_url());
    let overrides = [
        ("CXONE_CONTRACT", "insights,ranking"),
        ("CXONE_OAUTH_URL", token_url.as_str()),
        ("CUECARD_API_ADDR", "127.0.0.1:0"),
        ("CUECARD__PROFILE__DEADLINE", "1h"),
        ("CUECARD__SHUTDOWN__GRACE", "1h"),
        ("CUECARD__ENCODER__HANG_TIMEOUT", "500ms"),
        ("FAILPOINTS", points),
    ];
    Process::serve(&environment(&simulator.base_url(), data.path(), &overrides))
}

async fn until_connected(simulator: &RunningSimulator) {
    until(simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
}

/// Pushes wait from now on, until the faults are cleared.
fn hold_pushes(simulator: &RunningSimulator) {
    let second = Some(RetryAfter::Seconds(1));
    let fault = FaultKind::Answer { status: 429, retry_after: second, body: None };
    assert!(simulator.inject(Fault { route: Route::Insights, times: UNTIL_CLEARED, fault }));
}

async fn until_ended(process: &Process, outcome: &str, questions: f64) {
    let ended = |metrics: &Scrape| metrics.sum("cuecard_cards_total", &[("outcome", outcome)]) == questions;
    process.admin.until(&format!("{questions} {outcome}"), ended).await;
}

/// The interactions whose agents see a card.
fn shown_in(simulator: &RunningSimulator) -> Vec<String> {
    shown(simulator).iter().map(|push| first_article(push).0.to_owned()).collect()
}

#[actix_rt::test]
async fn a_handler_that_does_not_return_fails_the_probes_until_it_does() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let process = Process::serve(&environment(&simulator.base_url(), data.path(), &[("FAILPOINTS", HANGS)]));
    let admin = &process.admin;
    until_connected(&simulator).await;
    admin.until_profile("ready", |status, profile| status == 200 && profile["state"] == "ready").await;
    assert_eq!(admin.get("/livez").await.status, 200);
    say(&simulator, "call-1", DOG).await;
    let dead = admin.until_page("/livez", "that the buffer hangs", |page| page.status == 503).await;
    assert_eq!(dead.json(), json!({"status": "dead", "actors": ["buffer"]}), "whoever waits for it is not blamed");
    let ready = admin.get("/readyz").await;
    let reason = ready.json()["reasons"][0].as_str().unwrap_or_default().to_owned();
    assert_eq!((ready.status, &ready.json()["status"]), (503, &"hanging".into()), "{}", ready.text);
    assert!(reason.starts_with("buffer: hangs: its handler has not returned for 1"), "{reason}");
    let metrics = admin.metrics().await;
    let hanging = |actor: &[(&str, &str)]| metrics.sum("cuecard_actor_hanging", actor);
    assert_eq!((hanging(&[("actor", "buffer")]), hanging(&[])), (1.0, 1.0));
    admin.until_page("/livez", "that it goes on", |page| page.status == 200).await;
    admin.until_page("/readyz", "that it is ready", |page| page.json()["status"] == "ready").await;
    process.terminate();
    process.output().await;
}

#[actix_rt::test]
async fn the_eleventh_panic_in_a_minute_ends_the_process_with_70_once_what_is_in_flight_has_its_end() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let mut process = serve(&simulator, &data, ELEVEN_PANICS);
    let caller = process.caller();
    until_connected(&simulator).await;
    // In one conversation: three that panic within a minute are too many by another rule.
    for number in 1..=10_u32 {
        say(&simulator, "bad", DOG).await;
        until_ended(&process, "failed", number.into()).await;
    }
    let is_back = |ranker: &Value| (&ranker["panics"], &ranker["restarts"]) == (&json!(10), &json!(10));
    process.admin.until_page("/actors/ranker", "that it goes on", |page| is_back(&page.json())).await;

    hold_pushes(&simulator);
    simulator.lock_session("session");
    say(&simulator, "held", DOG).await;
    let order = json!({"snippets": [{"snippet_id": "KB-1", "relevance_score": 0.9}]});
    let ranking = actix_rt::spawn(async move { caller.post("/sessions/session/snippets/ranking", &order).await });
    let both = |injector: &Value| injector["in_flight"] == 2;
    process.admin.until_page("/actors/injector", "both in flight", |page| both(&page.json())).await;
    say(&simulator, "bad", DOG).await;

    until(&simulator, "the drain has begun", |simulator| simulator.num_streams() == 0).await;
    until_ended(&process, "failed", 11.0).await;
    let metrics = process.admin.metrics().await;
    let total = |name| metrics.sum(name, &[]);
    assert_eq!((total("cuecard_utterances_total"), total("cuecard_cards_total")), (13.0, 11.0), "two are in flight");
    assert!(process.has_ended().is_none() && shown(&simulator).is_empty());
    simulator.clear_faults();
    assert!(simulator.unlock_session("session"));

    assert_eq!(ranking.await.unwrap().status, 200);
    assert_eq!(process.ended().await.code(), GAVE_UP);
    let log = process.output().await;
    assert_eq!(shown_in(&simulator), ["held"], "{log}");
    assert!(log.contains("too many panics"), "{log}");
    assert!(!log.contains("stopped before this was finished"), "{log}");
}

#[actix_rt::test]
async fn the_second_thread_of_the_encoder_that_hangs_ends_the_process_with_70_once_what_is_in_flight_has_its_end() {
    let (simulator, data) = (simulator(), TempDir::new().unwrap());
    let mut process = serve(&simulator, &data, TWO_THREADS_HANG);
    until_connected(&simulator).await;
    say(&simulator, "call-1", DOG).await;
    // By words alone, which is what is left of it.
    until_shown(&simulator, 1).await;
    let hung = |metrics: &Scrape| metrics.sum("cuecard_encoder_threads_replaced_total", &[("reason", "hung")]) == 1.0;
    process.admin.until("one is replaced", hung).await;
    assert_eq!(simulator.num_streams(), 1, "one may be bad luck");

    hold_pushes(&simulator);
    say(&simulator, "call-2", VOUCHER).await;
    until(&simulator, "the drain has begun", |simulator| simulator.num_streams() == 0).await;
    process.admin.until_page("/actors/injector", "a push in flight", |page| page.json()["in_flight"] == 1).await;
    assert!(process.has_ended().is_none());
    simulator.clear_faults();

    assert_eq!(process.ended().await.code(), GAVE_UP);
    let log = process.output().await;
    assert_eq!(shown_in(&simulator), ["call-1", "call-2"], "{log}");
    assert!(log.contains("encoder: two of its threads hang"), "{log}");
    assert!(!log.contains("stopped before this was finished"), "{log}");
}

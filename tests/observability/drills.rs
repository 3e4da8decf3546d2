//! What goes wrong: each alert under the fault that it is for, until the fault is over and the alert with it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cuecard_simulator::{CutMoment, Fault, FaultKind, Frame, RetryAfter, Route, StreamEnd, UNTIL_CLEARED};
use futures_util::future::join_all;
use serde_json::json;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::breaking::{Breaking, HANGS, PANICS};
use crate::prometheus::{Firing, Prometheus};
use crate::services::{KEY, Told, Watched};
use crate::support::{Caller, Scrape, refuse_all, send_signal};

/// Between two calls: many more than an alert needs to judge by.
const CALLS: Duration = Duration::from_millis(120);

/// Every alert that must fire, and of which service.
pub const EXPECTED: &[(&str, &str)] = &[
    ("CuecardActorGone", "breaking"),
    ("CuecardActorHangs", "breaking"),
    ("CuecardActorPanics", "breaking"),
    ("CuecardBehind", "flooded"),
    ("CuecardCallersTurnedAway", "healthy"),
    ("CuecardCardsExpire", "troubled"),
    ("CuecardCardsFail", "failing"),
    ("CuecardCardsRejected", "healthy"),
    ("CuecardCardsSlow", "troubled"),
    ("CuecardCertificateExpires", "breaking"),
    ("CuecardCircuitOpen", "failing"),
    ("CuecardDegraded", "failing"),
    ("CuecardDown", "flooded"),
    ("CuecardFeedbackSetAside", "healthy"),
    ("CuecardFeedbackStuck", "healthy"),
    ("CuecardFileDescriptors", "healthy"),
    ("CuecardHeld", "troubled"),
    ("CuecardKnowledgeStale", "failing"),
    ("CuecardLedgerUnwritable", "healthy"),
    ("CuecardNobodyHelped", "failing"),
    ("CuecardShedding", "flooded"),
    ("CuecardStreamDown", "troubled"),
    ("CuecardTokensRefused", "troubled"),
    ("CuecardWaiting", "troubled"),
];

/// Alerts that may fire as well, each with what it comes from.
pub const ALLOWED: &[(&str, &str, &str)] = &[
    ("CuecardCircuitOpen", "healthy", "the training endpoint fails, as it is to for CuecardFeedbackStuck"),
    ("CuecardDegraded", "healthy", "the same, for longer"),
    ("CuecardDown", "", "before the first scrape there is no target"),
    ("CuecardDown", "breaking", "its process has ended, and the next one starts"),
    ("CuecardCardsFail", "breaking", "each panic costs the question in hand"),
    ("CuecardHeld", "breaking", "its pushes are held, so that the end of its process is seen"),
    ("CuecardStreamDown", "breaking", "what ends hears nothing more"),
    ("CuecardCardsFail", "healthy", "a ranking that can't be audited fails while the ledger is locked"),
    ("CuecardCardsExpire", "flooded", "what a flood leaves comes too late for a card"),
    ("CuecardCardsSlow", "flooded", "the cards that a flood leaves are late"),
    ("CuecardCardsSlow", "healthy", "this build is not optimised, and the machine has other services to run"),
    ("CuecardCardsSlow", "failing", "the same, and its pushes are repeated"),
    ("CuecardDegraded", "flooded", "it sheds"),
    ("CuecardDegraded", "troubled", "one fault after another"),
    ("CuecardWaiting", "failing", "its articles are polled first"),
];

/// Waits until all of these fire, lets the fault go, and waits until none does.
async fn drill(prometheus: &Prometheus, alerts: &[(&str, &str)], labels: &[(&str, &str)], mend: impl AsyncFnOnce()) {
    let firing: Vec<Vec<_>> =
        alerts.iter().map(|(_, instance)| [&[("instance", *instance)], labels].concat()).collect();
    let firing: Vec<_> = alerts.iter().zip(&firing).map(|((alert, _), labels)| Firing { alert, labels }).collect();
    join_all(firing.iter().map(|firing| prometheus.until_firing(firing))).await;
    mend().await;
    join_all(firing.iter().map(|firing| prometheus.until_quiet(firing))).await;
}

fn always(route: Route, fault: FaultKind) -> Fault {
    Fault { route, times: UNTIL_CLEARED, fault }
}

/// A service whose CXone is well: what callers, agents, the disk and the system do to it.
pub async fn healthy(prometheus: &Prometheus, service: &Watched) {
    service.until_listening().await;
    // An increase is told from what was scraped before it.
    prometheus.until_scraped("healthy").await;
    marked_frame(service).await;
    let _calls = service.calls("1", Told::Insights, CALLS);
    let caller = service.process.caller();
    let until_cards = async |number: usize| {
        while service.cards().len() < number {
            tokio::time::sleep(CALLS).await;
        }
    };
    until_cards(70).await;
    // First, and alone: callers would wait for a connection.
    file_descriptors(prometheus, service).await;
    tokio::join!(
        locked_ledger(prometheus, service.data.path()),
        turned_away(prometheus, &caller),
        rankings(&caller),
        verdicts(prometheus, service)
    );
}

/// A frame as some editors write JSON, with a byte order mark before it: it is repaired and counted.
async fn marked_frame(service: &Watched) {
    let fragment = json!({
        "type": "TRANSCRIPT_FRAGMENT", "text": "Hello.", "interactionId": "call-marked", "participant": "AGENT",
    });
    service.simulator.send(Frame::Text(format!("\u{feff}{fragment}"))).await.unwrap();
}

/// Somebody tries keys.
async fn turned_away(prometheus: &Prometheus, caller: &Caller) {
    let labels = [("instance", "healthy"), ("port", "api")];
    let turned_away = Firing { alert: "CuecardCallersTurnedAway", labels: &labels };
    let trying = async {
        loop {
            caller.send("/sessions/s-1/snippets/ranking", "application/json", "{}", Some("a guess")).await;
            tokio::time::sleep(CALLS).await;
        }
    };
    tokio::select! { () = trying => {} () = prometheus.until_firing(&turned_away) => {} }
    prometheus.until_quiet(&turned_away).await;
}

/// Callers who have their key; the answers are other tests'.
async fn rankings(caller: &Caller) {
    let order = json!({"snippets": [{"snippet_id": "KB-1", "relevance_score": 0.9}, {"snippet_id": "KB-2", "relevance_score": 0.5}]});
    for number in 0..20 {
        let path = format!("/sessions/s-{number}/snippets/ranking");
        caller.send(&path, "application/json", order.to_string(), Some(KEY)).await;
        tokio::time::sleep(CALLS).await;
    }
}

/// The system allows hardly more files than are open, however many that are.
async fn file_descriptors(prometheus: &Prometheus, service: &Watched) {
    let (admin, process) = (&service.process.admin, service.process.id().to_string());
    let allow = |most: f64| {
        let limit = format!("--nofile={most}:");
        assert!(Command::new("prlimit").args(["--pid", &process, &limit]).status().unwrap().success());
    };
    let before = admin.metrics().await.sum("process_max_fds", &[]);
    let hardly_more = async {
        loop {
            allow((admin.metrics().await.sum("process_open_fds", &[]) / 0.9).floor());
            tokio::time::sleep(CALLS).await;
        }
    };
    let file_descriptors = Firing { alert: "CuecardFileDescriptors", labels: &[("instance", "healthy")] };
    tokio::select! { () = hardly_more => {} () = prometheus.until_firing(&file_descriptors) => {} }
    allow(before);
    prometheus.until_quiet(&file_descriptors).await;
}

/// Another program has the ledger's file open and writes.
async fn locked_ledger(prometheus: &Prometheus, data: &Path) {
    let url = format!("sqlite:{}", data.join("ledger.db").display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    drill(prometheus, &[("CuecardLedgerUnwritable", "healthy")], &[], async || drop(other)).await;
}

/// Agents reject everything, and CXone does not want to know; then both think better of it.
async fn verdicts(prometheus: &Prometheus, service: &Watched) {
    let simulator = &service.simulator;
    let judge = async |cards: &[(String, String)], accepted: bool| {
        for (interaction, article) in cards {
            simulator.judge_card(interaction, article, accepted).await.unwrap();
        }
    };
    let cards = service.cards();
    refuse_all(simulator, Route::Feedback, 422);
    judge(&cards[..1], false).await;
    let set_aside = Firing { alert: "CuecardFeedbackSetAside", labels: &[("instance", "healthy")] };
    prometheus.until_firing(&set_aside).await;
    simulator.clear_faults_on(Route::Feedback);
    refuse_all(simulator, Route::Feedback, 503);
    judge(&cards, false).await;
    let alerts = [("CuecardCardsRejected", "healthy"), ("CuecardFeedbackStuck", "healthy")];
    let mend = async || {
        simulator.clear_faults_on(Route::Feedback);
        judge(&service.cards(), true).await;
    };
    drill(prometheus, &alerts, &[("profile", "insights")], mend).await;
    prometheus.until_quiet(&set_aside).await;
}

/// A service that CXone refuses a token, then makes wait in one way after another, and whose stream it takes away.
pub async fn troubled(prometheus: &Prometheus, service: &Watched) {
    let simulator = &service.simulator;
    let alerts = [("CuecardTokensRefused", "troubled"), ("CuecardWaiting", "troubled")];
    drill(prometheus, &alerts, &[], async || simulator.clear_faults_on(Route::Token)).await;
    service.until_listening().await;
    let _calls = service.calls("1", Told::Insights, CALLS);
    let clear = async || simulator.clear_faults_on(Route::Insights);
    // Pushes whose answer is lost come again.
    let lost = FaultKind::Cut { moment: CutMoment::AfterHandling };
    simulator.inject(Fault { route: Route::Insights, times: 3, fault: lost });
    simulator.inject(always(Route::Insights, FaultKind::Delay { by: Duration::from_millis(400) }));
    drill(prometheus, &[("CuecardCardsSlow", "troubled")], &[("profile", "insights")], clear).await;
    let wait = FaultKind::Answer { status: 429, retry_after: Some(RetryAfter::Seconds(3600)), body: None };
    simulator.inject(always(Route::Insights, wait));
    // What is held for longer than a card is worth showing ends without one.
    let alerts = [("CuecardHeld", "troubled"), ("CuecardCardsExpire", "troubled")];
    drill(prometheus, &alerts, &[("profile", "insights")], clear).await;
    refuse_all(simulator, Route::Stream, 503);
    simulator.end_streams(StreamEnd::Cut).await;
    let back = async || simulator.clear_faults_on(Route::Stream);
    drill(prometheus, &[("CuecardStreamDown", "troubled")], &[], back).await;
}

/// A service whose CXone takes no card and tells no articles any more.
pub async fn failing(prometheus: &Prometheus, service: &Watched) {
    let simulator = &service.simulator;
    service.until_listening().await;
    let _calls = service.calls("1", Told::Snippets, CALLS);
    let delivered = |metrics: &Scrape| metrics.sum("cuecard_cards_total", &[("outcome", "delivered")]) > 10.0;
    service.process.admin.until("cards", delivered).await;
    refuse_all(simulator, Route::Snippets, 503);
    // An answer that is final: any other is asked for again before the poll fails.
    refuse_all(simulator, Route::Articles, 403);
    let alerts =
        ["CuecardCardsFail", "CuecardCircuitOpen", "CuecardDegraded", "CuecardKnowledgeStale", "CuecardNobodyHelped"];
    let alerts = alerts.map(|alert| (alert, "failing"));
    drill(prometheus, &alerts, &[("profile", "snippets")], async || simulator.clear_faults()).await;
}

/// A service of which much more is asked than it can answer, and that then hangs.
pub async fn flooded(prometheus: &Prometheus, service: &Watched) {
    service.until_listening().await;
    // More than an optimised program answers from words alone, one question at a time.
    let lines = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
    let flood = lines.map(|line| service.calls(line, Told::Insights, Duration::from_millis(2)));
    let alerts = [("CuecardShedding", "flooded"), ("CuecardBehind", "flooded")];
    let readiness = service.process.admin.until_page("/readyz", "what is shed", |page| {
        let reasons = page.json()["reasons"].to_string();
        page.status == 200 && page.json()["status"] == "degraded" && reasons.contains("were let go unanswered")
    });
    tokio::join!(readiness, drill(prometheus, &alerts, &[("profile", "insights")], async || drop(flood)));
    let process = service.process.id();
    send_signal(process, "STOP");
    drill(prometheus, &[("CuecardDown", "flooded")], &[], async || send_signal(process, "CONT")).await;
}

/// A service of which an actor hangs, and another panics now and then and gives up; and whose certificate is hardly valid any
/// more.
pub async fn breaking(prometheus: &Prometheus, mut service: Breaking) {
    let labels = [HANGS, PANICS].map(|actor| [("instance", "breaking"), ("actor", actor)]);
    let [hangs, panics, gone] = [("CuecardActorHangs", 0), ("CuecardActorPanics", 1), ("CuecardActorGone", 1)]
        .map(|(alert, actor)| Firing { alert, labels: &labels[actor] });
    let labels = [("instance", "breaking"), ("port", "api")];
    let expires = Firing { alert: "CuecardCertificateExpires", labels: &labels };
    service.until_listening().await;
    prometheus.until_firing(&expires).await;
    service.renew_for(Duration::from_hours(24 * 365));
    prometheus.until_quiet(&expires).await;
    service.hang().await;
    prometheus.until_firing(&hangs).await;
    service.until_it_goes_on().await;
    prometheus.until_quiet(&hangs).await;
    service.panic(3).await;
    prometheus.until_firing(&panics).await;
    service.give_up().await;
    prometheus.until_firing(&gone).await;
    service.start_again().await;
    prometheus.until_quiet(&gone).await;
    prometheus.until_quiet(&panics).await;
}

//! `replay` on both streams against a client of literals whose behaviour is scripted, and against a service's own account.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::client::{Client, Dialect, PATIENCE, Socket, next_json, start};
use actix_web::{App, HttpServer, web};
use cuecard_simulator::replay::{Load, ReplayError, ReplayOptions, replay};
use cuecard_simulator::{Contract, Conversation, RunningSimulator};
use serde_json::{Value, json};

pub fn conversations(count: usize) -> Vec<Conversation> {
    let one = |number| {
        json!({"id": format!("c{number}"), "turns": [
            {"speaker": "customer", "text": "hello there my friend, what is this"},
            {"speaker": "agent", "text": "one moment"},
            {"speaker": "customer", "text": "thanks"},
            {"speaker": "agent", "text": "bye"},
        ]})
    };
    (0..count).map(|number| serde_json::from_value(one(number)).unwrap()).collect()
}

pub fn options(admin: &str) -> ReplayOptions {
    ReplayOptions {
        load: Load::Rate(100.0),
        admin: admin.to_owned(),
        connect_timeout: crate::client::PATIENCE,
        answer_timeout: UNEXPLAINED_WAIT,
        ..ReplayOptions::default()
    }
}

/// What the client does with a turn; the number counts over all turns from 0.
#[derive(Clone, Copy)]
pub enum Act {
    Card,
    Silence,
    TwoCards,
}

/// The interactions whose customer turn a frame ends.
fn ended_turn(frame: &Value, customer_spoke: &mut HashMap<String, bool>) -> Option<String> {
    if frame["type"] == "interaction" {
        return frame["data"]["id"].as_str().map(str::to_owned);
    }
    let id = frame["interactionId"].as_str().unwrap().to_owned();
    if frame["type"] == "TRANSCRIPT_FRAGMENT" {
        customer_spoke.insert(id, frame["participant"] == "CUSTOMER");
        return None;
    }
    (customer_spoke.remove(&id) == Some(true)).then_some(id)
}

/// Hears turns and acts; counts its silences as a service would.
async fn act(
    client: Client,
    mut socket: impl Socket,
    token: String,
    dialect: Dialect,
    choose: impl Fn(u64) -> Act,
    silent: Arc<AtomicU64>,
) {
    let mut customer_spoke = HashMap::new();
    let mut number = 0;
    while let Some(frame) = next_json(&mut socket).await {
        let Some(id) = ended_turn(&frame, &mut customer_spoke) else { continue };
        let pushes: &[&str] = match choose(number) {
            Act::Card => &["a"],
            Act::TwoCards => &["a", "b"],
            Act::Silence => {
                silent.fetch_add(1, Ordering::Relaxed);
                &[]
            }
        };
        for article in pushes {
            let key = format!("{number}{article}");
            let (status, body) = client.push(dialect, &token, &key, &id, &dialect.body(&id, &[article])).await;
            assert_eq!(status, 200, "{body}");
        }
        number += 1;
    }
}

/// Connects and acts on the stream of contract 003.
pub async fn act_on_insights(client: Client, choose: impl Fn(u64) -> Act, silent: Arc<AtomicU64>) {
    let token = client.token().await;
    let socket = client.connect(&token).await.unwrap();
    act(client, socket, token, Dialect::Insights, choose, silent).await;
}

/// Connects and acts on the stream of contract 001.
async fn act_on_events(client: Client, choose: impl Fn(u64) -> Act, silent: Arc<AtomicU64>) {
    let token = client.token().await;
    let socket = client.connect_events(&token).await.unwrap();
    act(client, socket, token, Dialect::Snippets, choose, silent).await;
}

/// An admin port that counts the silences, and as many shed as it is told.
pub fn admin(silent: &Arc<AtomicU64>, shed: u64) -> String {
    let silent = Arc::clone(silent);
    counting(move |is_first| {
        vec![("p", "silent", silent.load(Ordering::Relaxed) + 40), ("p", "shed", if is_first { 0 } else { shed })]
    })
}

/// One whose second profile sheds so many.
fn admin_of_two(shed: u64) -> String {
    counting(move |is_first| vec![("p", "shed", 0), ("q", "shed", if is_first { 0 } else { shed })])
}

/// One that counts by profile and outcome; its first look is before the replay.
fn counting(counts: impl Fn(bool) -> Vec<(&'static str, &'static str, u64)> + Clone + Send + 'static) -> String {
    let scrapes = Arc::new(AtomicU64::new(0));
    let server = HttpServer::new(move || {
        let (counts, scrapes) = (counts.clone(), Arc::clone(&scrapes));
        let metrics = move || {
            let counted = counts(scrapes.fetch_add(1, Ordering::Relaxed) == 0).into_iter();
            let lines: Vec<_> = counted
                .map(|(profile, outcome, count)| {
                    format!("cuecard_cards_total{{outcome=\"{outcome}\",profile=\"{profile}\"}} {count}\n")
                })
                .collect();
            async move { lines.concat() }
        };
        App::new().route("/metrics", web::get().to(metrics))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0].to_string();
    actix_web::rt::spawn(server.run());
    address
}

/// Time for cards to come before what is missing counts as lost.
const UNEXPLAINED_WAIT: Duration = Duration::from_secs(2);

pub const NO_ADMIN: &str = "127.0.0.1:1";

async fn run(
    simulator: &RunningSimulator,
    contract: Contract,
    load: Load,
    choose: impl Fn(u64) -> Act + 'static,
    with_admin: bool,
) -> (Value, Vec<String>) {
    let silent = Arc::new(AtomicU64::new(0));
    let admin = if with_admin { admin(&silent, 0) } else { NO_ADMIN.to_owned() };
    match contract {
        Contract::Snippets => actix_web::rt::spawn(act_on_events(Client::of(simulator), choose, silent)),
        _ => actix_web::rt::spawn(act_on_insights(Client::of(simulator), choose, silent)),
    };
    let mut told = Vec::new();
    let mut tell = |line: &str| told.push(line.to_owned());
    let options = ReplayOptions { contract, load, ..options(&admin) };
    let report = replay(simulator, &conversations(3), &options, &mut tell).await.unwrap();
    (serde_json::to_value(report).unwrap(), told)
}

const FAST: Load = Load::Rate(100.0);

fn figures(report: &Value, names: [&str; 3]) -> [u64; 3] {
    names.map(|name| report[name].as_u64().unwrap())
}

#[actix_web::test]
async fn every_turn_has_its_card() {
    for contract in [Contract::Insights, Contract::Snippets] {
        let simulator = start();
        let (report, told) = run(&simulator, contract, FAST, |_| Act::Card, false).await;
        assert_eq!(figures(&report, ["turns", "cards", "lost"]), [6, 6, 0], "{contract:?}");
        assert_eq!(figures(&report, ["duplicates", "violations", "silent"]), [0, 0, 0], "{contract:?}");
        assert!(report["p50_ms"].as_f64().unwrap() > 0.0);
        assert!(report["p50_ms"].as_f64() <= report["p99_ms"].as_f64());
        assert!(report.get("cards_per_second").is_none());
        assert!(told.iter().any(|line| line.contains("counts as lost")), "{told:?}");
        assert_eq!(simulator.turns().len(), 6);
    }
}

#[actix_web::test]
async fn conversations_run_side_by_side_each_waiting_for_its_cards() {
    for contract in [Contract::Insights, Contract::Snippets] {
        let simulator = start();
        let (report, _) = run(&simulator, contract, Load::Concurrency(2), |_| Act::Card, false).await;
        assert_eq!(figures(&report, ["turns", "cards", "lost"]), [6, 6, 0], "{contract:?}");
        assert_eq!(report.get("cards_per_second"), Some(&Value::Null), "too short to tell");
    }
}

#[actix_web::test]
async fn a_closed_loop_begins_anew_until_its_time_is_over() {
    let simulator = start();
    let silent = Arc::default();
    actix_web::rt::spawn(act_on_insights(Client::of(&simulator), |_| Act::Card, silent));
    let options =
        ReplayOptions { load: Load::Concurrency(4), duration: Some(Duration::from_millis(3100)), ..options(NO_ADMIN) };
    let report = replay(&simulator, &conversations(1), &options, &mut |_| {}).await.unwrap();
    assert!(report.turns > 6 && report.cards == report.turns, "{report:?}");
    let rate = report.throughput.as_ref().and_then(|throughput| throughput.cards_per_second);
    assert!(rate.is_some(), "{report:?}");
    assert_eq!((report.duplicates, report.violations), (0, 0));
}

/// However long it may last, it begins.
#[actix_web::test]
async fn a_replay_without_end_is_under_way() {
    let simulator = start();
    actix_web::rt::spawn(act_on_insights(Client::of(&simulator), |_| Act::Card, Arc::default()));
    let forever = Some(Duration::MAX);
    let options = ReplayOptions {
        load: Load::Concurrency(1),
        duration: forever,
        connect_timeout: Duration::MAX,
        ..options(NO_ADMIN)
    };
    let (conversations, mut tell) = (conversations(1), |_: &str| {});
    tokio::select! {
        report = replay(&simulator, &conversations, &options, &mut tell) => panic!("it has ended: {report:?}"),
        begun_anew = simulator.until(PATIENCE, |simulator| simulator.turns().len() > 2) => assert!(begun_anew),
    }
}

/// A client that answers the first turns and leaves for good, before the last of its cards lets the next turn begin.
async fn leave_after(client: Client, num_turns: u64) {
    let token = client.token().await;
    let socket = client.connect(&token).await.unwrap();
    let mut socket = Some(socket);
    let mut customer_spoke = HashMap::new();
    let mut number = 0;
    while let Some(open) = &mut socket {
        let frame = next_json(open).await.unwrap();
        let Some(id) = ended_turn(&frame, &mut customer_spoke) else { continue };
        number += 1;
        if number == num_turns {
            socket = None;
            while client.get(&token, "/_sim/summary").await.1["streams"] != 0 {}
        }
        let body = Dialect::Insights.body(&id, &["a"]);
        assert_eq!(client.push_insights(&token, &number.to_string(), &body).await.0, 200);
    }
}

async fn replay_is_left(load: Load, duration: Option<Duration>, connect_timeout: Duration) {
    let simulator = start();
    actix_web::rt::spawn(leave_after(Client::of(&simulator), 2));
    let options = ReplayOptions { load, duration, connect_timeout, ..options(NO_ADMIN) };
    let mut told = Vec::new();
    let mut tell = |line: &str| told.push(line.to_owned());
    let conversations = conversations(3);
    let replayed = replay(&simulator, &conversations, &options, &mut tell);
    let report = tokio::time::timeout(PATIENCE, replayed).await.expect("it ends").unwrap();
    // A closed loop that has a duration has no last turn, only one that it was about to say.
    let is_endless = matches!(load, Load::Concurrency(_)) && duration.is_some();
    let num_unsaid = if is_endless { 1 } else { 4 };
    let seen = (report.turns, report.cards, report.lost);
    assert_eq!(seen, (2 + num_unsaid, 2, num_unsaid), "{load:?} {duration:?}: {told:?}");
    let line = format!("the client did not come back: {num_unsaid} turns that were not said count as lost");
    assert!(told.contains(&line), "{told:?}");
}

#[actix_web::test]
async fn a_client_that_never_comes_back_ends_the_replay() {
    let (second, hour) = (Duration::from_secs(1), Duration::from_hours(1));
    let cases = [Load::Rate(2.0), Load::Concurrency(1)].map(|load| {
        let soon = replay_is_left(load, None, second);
        let soon_of_long = replay_is_left(load, Some(hour), second);
        let at_the_end = replay_is_left(load, Some(3 * second), Duration::MAX);
        async { tokio::join!(soon, soon_of_long, at_the_end) }
    });
    futures_util::future::join_all(cases).await;
}

#[actix_web::test]
async fn silent_turns_are_explained_by_the_service_and_others_are_lost() {
    let every_third = |number: u64| if number.is_multiple_of(3) { Act::Silence } else { Act::Card };
    let (report, told) = run(&start(), Contract::Insights, FAST, every_third, true).await;
    assert_eq!(figures(&report, ["cards", "silent", "lost"]), [4, 2, 0]);
    assert!(!told.iter().any(|line| line.contains("lost")), "{told:?}");
    let (report, _) = run(&start(), Contract::Insights, FAST, every_third, false).await;
    assert_eq!(figures(&report, ["cards", "silent", "lost"]), [4, 0, 2]);
}

/// Another profile sheds as many turns as this one loses.
#[actix_web::test]
async fn what_another_profile_counts_explains_nothing_here() {
    let every_third = |number: u64| if number.is_multiple_of(3) { Act::Silence } else { Act::Card };
    for (profile, lost, expected) in [
        (None, 0, "2 profiles"),
        (Some("p"), 2, ""),
        (Some("q"), 0, "more turns have a card or an explanation"),
        (Some("r"), 2, "has no profile r, only p, q"),
    ] {
        let simulator = start();
        let unheard = Arc::default();
        actix_web::rt::spawn(act_on_insights(Client::of(&simulator), every_third, unheard));
        let admin = admin_of_two(3);
        let options = ReplayOptions { profile: profile.map(str::to_owned), ..options(&admin) };
        let mut told = Vec::new();
        let mut tell = |line: &str| told.push(line.to_owned());
        let report = replay(&simulator, &conversations(3), &options, &mut tell).await.unwrap();
        assert_eq!((report.cards, report.lost), (4, lost), "{profile:?}");
        assert!(told.iter().any(|line| line.contains(expected)), "{profile:?}: {told:?}");
    }
}

#[actix_web::test]
async fn a_second_card_for_a_turn_is_a_duplicate() {
    let last_twice = |number| if number == 5 { Act::TwoCards } else { Act::Card };
    let (report, _) = run(&start(), Contract::Insights, FAST, last_twice, false).await;
    assert_eq!(figures(&report, ["turns", "cards", "duplicates"]), [6, 6, 1]);
}

#[actix_web::test]
async fn replays_that_cannot_be() {
    let simulator = start();
    let mut told = |_: &str| {};
    let nobody = ReplayOptions { connect_timeout: Duration::from_millis(20), ..options(NO_ADMIN) };
    for contract in [Contract::Insights, Contract::Snippets] {
        let options = ReplayOptions { contract, ..nobody.clone() };
        let error = replay(&simulator, &conversations(1), &options, &mut told).await.unwrap_err();
        assert!(matches!(error, ReplayError::NobodyConnected(_)));
    }
    for contract in [Contract::Rag, Contract::Graph, Contract::Ranking] {
        let options = ReplayOptions { contract, target: "http://127.0.0.1:1".to_owned(), ..nobody.clone() };
        let error = replay(&simulator, &conversations(1), &options, &mut told).await.unwrap_err();
        assert!(matches!(&error, ReplayError::NobodyAnswers { target, .. } if target.ends_with(":1")), "{error}");
    }
    for rate in [0.0, 1e-19, 1e-300, -1.0, f64::NAN, f64::INFINITY] {
        let options = ReplayOptions { load: Load::Rate(rate), ..nobody.clone() };
        let error = replay(&simulator, &conversations(1), &options, &mut told).await;
        assert!(matches!(error, Err(ReplayError::Rate(_))), "{rate}");
    }
    let options = ReplayOptions { load: Load::Concurrency(0), ..nobody.clone() };
    assert!(matches!(replay(&simulator, &conversations(1), &options, &mut told).await, Err(ReplayError::Concurrency)));
    let error = replay(&simulator, &[], &nobody, &mut told).await;
    assert!(matches!(error, Err(ReplayError::NothingToPlay)));
}

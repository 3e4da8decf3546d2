//! `replay` against a client of literals whose behaviour is scripted, and against a service's own account.

use std::collections::HashMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::client::{Client, next_json, push_body, start};
use actix_web::{App, HttpServer, web};
use cuecard_simulator::replay::{ReplayError, ReplayOptions, replay};
use cuecard_simulator::{Conversation, RunningSimulator};
use serde_json::{Value, json};

fn conversations(count: usize) -> Vec<Conversation> {
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

fn options(admin: &str) -> ReplayOptions {
    ReplayOptions {
        rate: 100.0,
        duration: None,
        admin: admin.to_owned(),
        connect_timeout: crate::client::PATIENCE,
        answer_timeout: UNEXPLAINED_WAIT,
    }
}

/// What the client does with a turn; the number counts over all turns from 0.
#[derive(Clone, Copy)]
enum Act {
    Card,
    Silence,
    TwoCards,
}

/// Hears turns and acts; counts its silences as a service would.
async fn act(client: Client, choose: impl Fn(u64) -> Act, silent: Arc<AtomicU64>) {
    let token = client.token().await;
    let mut socket = client.connect(&token).await.unwrap();
    let mut customer_spoke: HashMap<String, bool> = HashMap::new();
    let mut number = 0;
    while let Some(frame) = next_json(&mut socket).await {
        let id = frame["interactionId"].as_str().unwrap().to_owned();
        if frame["type"] == "TRANSCRIPT_FRAGMENT" {
            customer_spoke.insert(id, frame["participant"] == "CUSTOMER");
        } else if customer_spoke.remove(&id) == Some(true) {
            let pushes: &[&str] = match choose(number) {
                Act::Card => &["a"],
                Act::TwoCards => &["a", "b"],
                Act::Silence => {
                    silent.fetch_add(1, Ordering::Relaxed);
                    &[]
                }
            };
            for article in pushes {
                let (status, body) =
                    client.push(&token, &format!("{number}{article}"), &push_body(&id, &[article])).await;
                assert_eq!(status, 200, "{body}");
            }
            number += 1;
        }
    }
}

fn admin(silent: &Arc<AtomicU64>) -> String {
    let silent = Arc::clone(silent);
    let server = HttpServer::new(move || {
        let silent = Arc::clone(&silent);
        let metrics = move || {
            let count = silent.load(Ordering::Relaxed) + 40;
            async move { format!("cuecard_cards_total{{outcome=\"silent\",profile=\"p\"}} {count}\n") }
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

const NO_ADMIN: &str = "127.0.0.1:1";

async fn run(
    simulator: &RunningSimulator,
    count: usize,
    choose: impl Fn(u64) -> Act + 'static,
    with_admin: bool,
) -> (Value, Vec<String>) {
    let silent = Arc::new(AtomicU64::new(0));
    let admin = if with_admin { admin(&silent) } else { NO_ADMIN.to_owned() };
    actix_web::rt::spawn(act(Client::of(simulator), choose, silent));
    let mut told = Vec::new();
    let mut tell = |line: &str| told.push(line.to_owned());
    let report = replay(simulator, &conversations(count), &options(&admin), &mut tell).await.unwrap();
    (serde_json::to_value(report).unwrap(), told)
}

#[actix_web::test]
async fn every_turn_has_its_card() {
    let simulator = start();
    let (report, told) = run(&simulator, 6, |_| Act::Card, false).await;
    let counts = |name: &str| report[name].as_u64().unwrap();
    assert_eq!((counts("turns"), counts("cards"), counts("lost")), (12, 12, 0));
    assert_eq!((counts("duplicates"), counts("violations")), (0, 0));
    assert!(report["p50_ms"].as_f64().unwrap() > 0.0);
    assert!(report["p50_ms"].as_f64() <= report["p99_ms"].as_f64());
    assert!(told.iter().any(|line| line.contains("counts as lost")), "{told:?}");
    assert_eq!(simulator.turns().len(), 12);
}

#[actix_web::test]
async fn silent_turns_are_explained_by_the_service_and_others_are_lost() {
    let every_third = |number: u64| if number.is_multiple_of(3) { Act::Silence } else { Act::Card };
    let (report, told) = run(&start(), 3, every_third, true).await;
    assert_eq!(
        (report["cards"].as_u64(), report["silent"].as_u64(), report["lost"].as_u64()),
        (Some(4), Some(2), Some(0))
    );
    assert!(!told.iter().any(|line| line.contains("lost")), "{told:?}");
    let (report, _) = run(&start(), 3, every_third, false).await;
    assert_eq!(
        (report["cards"].as_u64(), report["silent"].as_u64(), report["lost"].as_u64()),
        (Some(4), Some(0), Some(2))
    );
}

#[actix_web::test]
async fn a_second_card_for_a_turn_is_a_duplicate() {
    let last_twice = |number| if number == 3 { Act::TwoCards } else { Act::Card };
    let (report, _) = run(&start(), 2, last_twice, false).await;
    assert_eq!((report["cards"].as_u64(), report["duplicates"].as_u64()), (Some(4), Some(1)));
}

#[actix_web::test]
async fn replays_that_cannot_be() {
    let simulator = start();
    let mut told = |_: &str| {};
    let nobody = ReplayOptions { connect_timeout: Duration::from_millis(20), ..options(NO_ADMIN) };
    let error = replay(&simulator, &conversations(1), &nobody, &mut told).await.unwrap_err();
    assert!(matches!(error, ReplayError::NobodyConnected(_)));
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = replay(&simulator, &conversations(1), &ReplayOptions { rate, ..nobody.clone() }, &mut told).await;
        assert!(matches!(error, Err(ReplayError::Rate(_))), "{rate}");
    }
    let error = replay(&simulator, &[], &nobody, &mut told).await;
    assert!(matches!(error, Err(ReplayError::NothingToPlay)));
}

#[test]
fn the_command_line_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("conversations.jsonl");
    std::fs::write(&file, "{\"id\": \"c\", \"turns\": [{\"speaker\": \"customer\", \"text\": \"hi\"}]}\n").unwrap();
    let broken = folder.path().join("broken.jsonl");
    std::fs::write(&broken, "{\"id\": 1}\n").unwrap();
    let table = [
        (&file, "rag", vec![], "'rag' is not served, choose one of: insights"),
        (&broken, "insights", vec![], "broken.jsonl line 1"),
        (&file, "insights", vec!["--connect-timeout", "0"], "no client connected within 0 s"),
        (&file, "insights", vec!["--rate", "0"], "rate must be a number above 0"),
        (&file, "insights", vec!["--duration=-1"], "--duration must be a number of seconds"),
    ];
    for (file, contract, more, expected) in table {
        let output = Command::new(env!("CARGO_BIN_EXE_cxone-sim"))
            .args(["replay", "--port", "0", "--contract", contract, "--conversations"])
            .arg(file)
            .args(&more)
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{contract} {more:?}");
        assert!(complaint.contains(expected), "{contract} {more:?}: {complaint}");
        assert!(output.stdout.is_empty());
    }
}

/// The binary as a user calls it: it says where it is, plays, and prints one JSON object.
#[actix_web::test]
async fn the_command_line_replays_and_prints_json() {
    use std::io::{BufRead, BufReader, Read};
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("conversations.jsonl");
    std::fs::write(&file, "{\"id\": \"c\", \"turns\": [{\"speaker\": \"customer\", \"text\": \"hi\"}]}\n").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_cxone-sim"))
        .args(["replay", "--port", "0", "--contract", "insights", "--json", "--admin", NO_ADMIN, "--conversations"])
        .arg(&file)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut complaints = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    let base = loop {
        line.clear();
        assert!(complaints.read_line(&mut line).unwrap() > 0, "ended early");
        if let Some((_, rest)) = line.split_once("CXONE_BASE_URL=") {
            break rest.split_whitespace().next().unwrap().to_owned();
        }
    };
    let client = Client { base, ..Client::of(&start()) };
    actix_web::rt::spawn(act(client, |_| Act::Card, Arc::default()));
    let output = web::block(move || {
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(child.wait().unwrap().success());
        text
    });
    let report: Value = serde_json::from_str(&output.await.unwrap()).unwrap();
    assert_eq!(
        (report["turns"].as_u64(), report["cards"].as_u64(), report["lost"].as_u64()),
        (Some(1), Some(1), Some(0))
    );
    assert_eq!(report.as_object().unwrap().len(), 11);
}

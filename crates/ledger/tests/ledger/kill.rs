//! A process that dies between two instructions has lost nothing that it acknowledged.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use cuecard_ledger::{FeedbackQueue, Ledger};

use crate::{event, second, url};

/// Set for the process that is going to be killed: the ledger that it writes to.
const VICTIM: &str = "CUECARD_LEDGER_KILL_TEST";
const ACKNOWLEDGED: &str = "acknowledged ";
const ACKNOWLEDGED_BEFORE_KILL: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_event_survives_sigkill() {
    if let Ok(url) = std::env::var(VICTIM) {
        return store_until_killed(&url).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let url = url(&directory);
    let acknowledged = tokio::task::block_in_place(|| run_and_kill(&url));
    assert!(acknowledged.len() >= ACKNOWLEDGED_BEFORE_KILL);

    let queue = Ledger::open(&url).await.unwrap().feedback();
    let kept = drain(&queue).await;
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), acknowledged.len());
    eprintln!("{} acknowledged, {} kept", acknowledged.len(), kept.len());
}

/// Eight tasks store at once, so that the kill falls into shared commits.
async fn store_until_killed(url: &str) {
    let ledger = Ledger::open(url).await.unwrap();
    let tasks = (0..8).map(|task| {
        let queue = ledger.feedback();
        tokio::spawn(async move {
            loop {
                let id = queue.store(event(&format!("call-{task}"), "article", true)).await.unwrap();
                println!("{ACKNOWLEDGED}{}", id.0);
            }
        })
    });
    futures_util::future::join_all(tasks).await;
}

fn run_and_kill(url: &str) -> HashSet<i64> {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::every_acknowledged_event_survives_sigkill", "--nocapture"])
        .env(VICTIM, url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = HashSet::new();
    for line in BufReader::new(victim.stdout.take().unwrap()).lines() {
        acknowledged.extend(line.unwrap().strip_prefix(ACKNOWLEDGED).and_then(|id| id.parse::<i64>().ok()));
        if acknowledged.len() == ACKNOWLEDGED_BEFORE_KILL {
            victim.kill().unwrap();
        }
    }
    victim.wait().unwrap();
    acknowledged
}

async fn drain(queue: &FeedbackQueue) -> HashSet<i64> {
    let mut kept = HashSet::new();
    loop {
        let due = queue.due("main", second(0), 100).await.unwrap();
        if due.is_empty() {
            return kept;
        }
        for pending in due {
            kept.insert(pending.id.0);
            queue.delivered(pending.id).await.unwrap();
        }
    }
}

//! A process that dies between two instructions has lost nothing that it acknowledged.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use cuecard_ledger::{FeedbackQueue, Ledger, RankingEntry};

use crate::ranking_model::from_rows;
use crate::rankings::{click, entry, kept};
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
    let acknowledged = run_and_kill("every_acknowledged_event_survives_sigkill", &url);
    let queue = Ledger::open(&url).await.unwrap().feedback();
    assert_nothing_is_lost(&acknowledged, &drain(&queue).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_ranking_and_click_survives_sigkill() {
    if let Ok(url) = std::env::var(VICTIM) {
        return rank_until_killed(&url).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let url = url(&directory);
    let acknowledged = run_and_kill("every_acknowledged_ranking_and_click_survives_sigkill", &url);

    let rankings = Ledger::open(&url).await.unwrap().rankings();
    let entries = kept(&url, "main").await;
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let clicked: Vec<String> = sqlx::query_scalar("SELECT snippet FROM ranking_clicks").fetch_all(&pool).await.unwrap();
    let kept = entries.iter().map(|(id, _)| format!("entry {id}"));
    assert_nothing_is_lost(
        &acknowledged,
        &kept.chain(clicked.iter().map(|snippet| format!("click {snippet}"))).collect(),
    );

    let metrics = rankings.metrics("main").await.unwrap();
    assert_eq!(metrics, from_rows(&pool, "main").await);
    assert_eq!(metrics.total_clicks_tracked, clicked.len() as u64);
}

/// Eight tasks write at once, so that the kill falls into shared commits.
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

async fn rank_until_killed(url: &str) {
    let ledger = Ledger::open(url).await.unwrap();
    let tasks = (0..8).map(|task| {
        let rankings = ledger.rankings();
        tokio::spawn(async move {
            for number in 0.. {
                let (session, snippet) = (format!("session-{task}-{}", number / 7), format!("snippet-{task}-{number}"));
                let ranking = RankingEntry { delivered: vec![snippet.clone(), "other".into()], ..entry(&session, &[]) };
                let id = rankings.record(ranking).await.unwrap();
                println!("{ACKNOWLEDGED}entry {}", id.0);
                rankings.click(click(&session, &snippet)).await.unwrap();
                println!("{ACKNOWLEDGED}click {snippet}");
            }
        })
    });
    futures_util::future::join_all(tasks).await;
}

/// What the test of this name acknowledged as a process of its own.
fn run_and_kill(test: &str, url: &str) -> HashSet<String> {
    tokio::task::block_in_place(|| {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("kill::{test}"), "--nocapture"])
            .env(VICTIM, url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut acknowledged = HashSet::new();
        for line in BufReader::new(victim.stdout.take().unwrap()).lines() {
            acknowledged.extend(line.unwrap().strip_prefix(ACKNOWLEDGED).map(str::to_owned));
            if acknowledged.len() == ACKNOWLEDGED_BEFORE_KILL {
                victim.kill().unwrap();
            }
        }
        victim.wait().unwrap();
        acknowledged
    })
}

fn assert_nothing_is_lost(acknowledged: &HashSet<String>, kept: &HashSet<String>) {
    assert!(acknowledged.len() >= ACKNOWLEDGED_BEFORE_KILL);
    let lost: Vec<_> = acknowledged.difference(kept).collect();
    assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), acknowledged.len());
    eprintln!("{} acknowledged, {} kept", acknowledged.len(), kept.len());
}

async fn drain(queue: &FeedbackQueue) -> HashSet<String> {
    let mut kept = HashSet::new();
    loop {
        let due = queue.due("main", second(0), 100).await.unwrap();
        if due.is_empty() {
            return kept;
        }
        for pending in due {
            kept.insert(pending.id.0.to_string());
            queue.delivered(pending.id).await.unwrap();
        }
    }
}

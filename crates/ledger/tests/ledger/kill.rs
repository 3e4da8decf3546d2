//! A process that dies between two instructions has lost nothing that it acknowledged.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use cuecard_ledger::{Durability, ItemEnd, Ledger, LedgerOptions, Queue, QueueKind, RankingEntry};
use sqlx::{Executor, Row};

use crate::ranking_model::from_rows;
use crate::rankings::{click, entry, kept};
use crate::stores::Store;
use crate::{event, second};

/// Set for the process that is going to be killed: the ledger that it writes to.
const VICTIM: &str = "CUECARD_LEDGER_KILL_TEST";
const ACKNOWLEDGED: &str = "acknowledged ";
const ACKNOWLEDGED_BEFORE_KILL: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_event_survives_sigkill() {
    if let Ok(url) = std::env::var(VICTIM) {
        return store_until_killed(&url).await;
    }
    for store in [Some(Store::sqlite()), Store::postgres().await].into_iter().flatten() {
        let acknowledged = run_and_kill("every_acknowledged_event_survives_sigkill", &store.url);
        let ledger = store.open().await;
        assert_nothing_is_lost(&acknowledged, &drain(&ledger.queue(QueueKind::Feedback)).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_ranking_and_click_survives_sigkill() {
    if let Ok(url) = std::env::var(VICTIM) {
        return rank_until_killed(&url).await;
    }
    for store in [Some(Store::sqlite()), Store::postgres().await].into_iter().flatten() {
        let acknowledged = run_and_kill("every_acknowledged_ranking_and_click_survives_sigkill", &store.url);
        let rankings = store.open().await.rankings();
        let clicked = store.raw().await.fetch_all("SELECT snippet FROM ranking_clicks").await.unwrap();
        let mut written: HashSet<_> = clicked.iter().map(|row| format!("click {}", row.get::<String, _>(0))).collect();
        written.extend(kept(&store, "main").await.iter().map(|entry| format!("entry {}", entry.delivered[0])));
        assert_nothing_is_lost(&acknowledged, &written);

        let metrics = rankings.metrics("main").await.unwrap();
        assert_eq!(metrics, from_rows(&store, "main").await);
        assert_eq!(metrics.total_clicks_tracked, clicked.len() as u64);
    }
}

/// What survives a kill needs no sync.
async fn opened(url: &str) -> Ledger {
    let options = LedgerOptions { durability: Durability::Process, ..LedgerOptions::default() };
    Ledger::open(url, options).await.unwrap()
}

/// Eight tasks write at once, so that the kill falls into shared commits.
async fn store_until_killed(url: &str) {
    let ledger = opened(url).await;
    let tasks = (0..8).map(|task| {
        let feedback = ledger.feedback();
        tokio::spawn(async move {
            for number in 0.. {
                let name = format!("article-{task}-{number}");
                feedback.store(event(&format!("call-{task}"), &name, true)).await.unwrap();
                println!("{ACKNOWLEDGED}{name}");
            }
        })
    });
    futures_util::future::join_all(tasks).await;
}

async fn rank_until_killed(url: &str) {
    let ledger = opened(url).await;
    let tasks = (0..8).map(|task| {
        let rankings = ledger.rankings();
        tokio::spawn(async move {
            for number in 0.. {
                let (session, snippet) = (format!("session-{task}-{}", number / 7), format!("snippet-{task}-{number}"));
                let ranking = RankingEntry { delivered: vec![snippet.clone(), "other".into()], ..entry(&session, &[]) };
                rankings.record(ranking, None).await.unwrap();
                println!("{ACKNOWLEDGED}entry {snippet}");
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

async fn drain(queue: &Queue) -> HashSet<String> {
    let mut kept = HashSet::new();
    loop {
        let due = queue.due("main", second(0), 100).await.unwrap();
        if due.is_empty() {
            return kept;
        }
        for item in due {
            let payload: cuecard_ledger::FeedbackPayload = serde_json::from_str(&item.payload).unwrap();
            kept.insert(payload.insight);
            queue.ended(item.id, ItemEnd::Arrived).await.unwrap();
        }
    }
}

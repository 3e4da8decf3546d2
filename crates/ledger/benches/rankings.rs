//! How many rankings and clicks a second are acknowledged, and whether the metrics stay quick as they pile up.
//!
//! `cargo bench --profile release -p cuecard-ledger --bench rankings [-- ENTRIES] [URL] [process]` prints a table; `taskset -c 0`
//! before it shows what one core does. URL is that of an empty PostgreSQL database, else a file is made; `process` acknowledges
//! what survives the process, where by default it survives a loss of power. Each entry comes from a session of its own, delivers ten snippets and is clicked
//! once: for the file the hardest case, as a session that is ranked again finds its rows close together.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cuecard_ledger::{Click, Durability, Ledger, LedgerOptions, RankingEntry, RankingStatus, Rankings, stats};
use jiff::Timestamp;
use uuid::Uuid;

const DEFAULT_ENTRIES: u64 = 1_000_000;
const ROUNDS: u64 = 10;
const CALLERS: usize = 64;
const SNIPPETS: u64 = 10;
const PROFILE: &str = "main";

fn main() {
    let entries = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(DEFAULT_ENTRIES);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(report(entries));
}

async fn report(entries: u64) {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", directory.path().join("ledger.db").display());
    let url = std::env::args().find(|argument| argument.contains("://")).unwrap_or(file);
    let is_process = std::env::args().any(|argument| argument == "process");
    let durability = if is_process { Durability::Process } else { Durability::Power };
    let options = LedgerOptions { durability, ..LedgerOptions::default() };
    let ledger = Ledger::open(&url, options).await.unwrap();
    let rankings = ledger.rankings();
    println!("{CALLERS} callers, each records a ranking of {SNIPPETS} snippets and then a click on one of them");
    println!(
        "<!-- ledger -->\n| entries held | rankings and clicks a second | all figures of `/metrics`, ms | MB |\n|---|---|---|---|"
    );
    for round in 1..=ROUNDS {
        let per_second = fill(&rankings, entries / ROUNDS).await;
        let metrics = slowest_of_twenty(async || assert!(rankings.metrics(PROFILE).await.is_ok())).await;
        let megabytes = stats(&url).await.unwrap().num_bytes / 1_000_000;
        let stored = round * (entries / ROUNDS);
        println!("| {stored} | {per_second:.0} | {metrics:.2} | {megabytes} |");
    }
    println!("\n{:?}", rankings.metrics(PROFILE).await.unwrap());
    println!("one caller: {:.2} ms for a record", one_caller(&rankings).await);
    ledger.close().await;
}

/// Records with a click each, per second.
async fn fill(rankings: &Rankings, count: u64) -> f64 {
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let callers: Vec<_> =
        (0..CALLERS).map(|_| tokio::spawn(call(rankings.clone(), Arc::clone(&next), count))).collect();
    for caller in callers {
        caller.await.unwrap();
    }
    count as f64 / started.elapsed().as_secs_f64()
}

async fn call(rankings: Rankings, next: Arc<AtomicU64>, count: u64) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return;
        }
        let entry = entry(number);
        let click = Click {
            profile: PROFILE.into(),
            session: entry.session.clone(),
            snippet: entry.delivered[3].clone(),
            rank_position: 4,
            at: entry.at,
        };
        rankings.record(entry, None).await.unwrap();
        rankings.click(click).await.unwrap();
    }
}

fn entry(number: u64) -> RankingEntry {
    let first = number.wrapping_mul(7919);
    RankingEntry {
        profile: PROFILE.into(),
        session: Uuid::new_v4().to_string(),
        at: Timestamp::now(),
        snippet_count: SNIPPETS as u32,
        latency_ms: 12.34,
        max_window: SNIPPETS as u32,
        status: RankingStatus::Success,
        checksum: Some("5f".repeat(32)),
        delivered: (0..SNIPPETS).map(|snippet| format!("KB-{:06}", (first + snippet * 101) % 100_000)).collect(),
    }
}

async fn slowest_of_twenty(work: impl AsyncFn()) -> f64 {
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let started = Instant::now();
        work().await;
        slowest = slowest.max(started.elapsed());
    }
    slowest.as_secs_f64() * 1000.0
}

async fn one_caller(rankings: &Rankings) -> f64 {
    let started = Instant::now();
    for number in 0..200 {
        rankings.record(entry(number), None).await.unwrap();
    }
    started.elapsed().as_secs_f64() * 1000.0 / 200.0
}

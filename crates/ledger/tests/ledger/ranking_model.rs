//! The running totals against what a model in memory and plain SQL over the rows come to, over random operations.

use std::collections::HashSet;

use cuecard_ledger::{Ledger, RankingEntry, RankingMetrics, RankingStatus};
use futures_util::future::join_all;
use proptest::prelude::*;
use sqlx::Row;

use crate::rankings::{click, entry, kept};
use crate::stores::Store;

const PROFILES: [&str; 2] = ["main", "other"];

#[derive(Debug, Clone)]
enum Write {
    Record { profile: &'static str, session: u8, snippets: Vec<u8>, succeeds: bool, latency_us: u32 },
    Click { profile: &'static str, session: u8, snippet: u8 },
}

#[derive(Debug, Clone)]
enum Operation {
    /// Handed over at once, so that they share a commit.
    Together(Vec<Write>),
    Reopen,
}

fn write() -> impl Strategy<Value = Write> {
    let profile = || prop::sample::select(&PROFILES[..]);
    let snippets = prop::collection::vec(0..6_u8, 0..5);
    prop_oneof![
        (profile(), 0..3_u8, snippets, prop::bool::weighted(0.8), 0..5_000_000_u32).prop_map(
            |(profile, session, snippets, succeeds, latency_us)| Write::Record {
                profile,
                session,
                snippets,
                succeeds,
                latency_us
            }
        ),
        (profile(), 0..3_u8, 0..6_u8).prop_map(|(profile, session, snippet)| Write::Click {
            profile,
            session,
            snippet
        }),
    ]
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        6 => prop::collection::vec(write(), 1..8).prop_map(Operation::Together),
        1 => Just(Operation::Reopen),
    ];
    prop::collection::vec(operation, 1..12)
}

#[derive(Debug, Default)]
struct Model {
    entries: u64,
    latencies_us: Vec<u32>,
    clicks: u64,
    delivered: HashSet<(u8, u8)>,
    clicked: HashSet<(u8, u8)>,
}

impl Model {
    fn note(&mut self, write: &Write) {
        match write {
            Write::Record { session, snippets, succeeds, latency_us, .. } => {
                self.entries += 1;
                if *succeeds {
                    self.latencies_us.push(*latency_us);
                    self.delivered.extend(snippets.iter().map(|&snippet| (*session, snippet)));
                }
            }
            Write::Click { session, snippet, .. } => {
                self.clicks += 1;
                self.clicked.insert((*session, *snippet));
            }
        }
    }

    fn metrics(&self) -> RankingMetrics {
        let sum: u64 = self.latencies_us.iter().map(|&latency| u64::from(latency)).sum();
        RankingMetrics {
            average_latency_ms: ratio(sum, self.latencies_us.len() as u64) / 1000.0,
            total_clicks_tracked: self.clicks,
            audit_entries_count: self.entries,
            click_through_rate: ratio(
                self.delivered.intersection(&self.clicked).count() as u64,
                self.delivered.len() as u64,
            ),
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The same figures from the rows of entries and clicks alone.
pub async fn from_rows(store: &Store, profile: &str) -> RankingMetrics {
    let entries = kept(store, profile).await;
    let successes = || entries.iter().filter(|entry| entry.status == RankingStatus::Success);
    let statement = "SELECT s.session, c.snippet FROM ranking_clicks c JOIN ranking_sessions s ON s.number = c.session
                     WHERE s.profile = $1";
    let rows = sqlx::query(statement).bind(profile.to_owned()).fetch_all(&mut store.raw().await).await.unwrap();
    let clicks: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let of =
        |entry: &RankingEntry| entry.delivered.iter().map(|id| (entry.session.clone(), id.clone())).collect::<Vec<_>>();
    let delivered: HashSet<(String, String)> = successes().flat_map(of).collect();
    let clicked: HashSet<(String, String)> = clicks.iter().cloned().collect();
    let latency_us: u64 = successes().map(|entry| (entry.latency_ms * 1000.0).round() as u64).sum();
    RankingMetrics {
        average_latency_ms: ratio(latency_us, successes().count() as u64) / 1000.0,
        total_clicks_tracked: clicks.len() as u64,
        audit_entries_count: entries.len() as u64,
        click_through_rate: ratio(delivered.intersection(&clicked).count() as u64, delivered.len() as u64),
    }
}

async fn apply(write: Write, ledger: &Ledger) {
    let rankings = ledger.rankings();
    match write {
        Write::Record { profile, session, snippets, succeeds, latency_us } => {
            let written = RankingEntry {
                profile: profile.into(),
                delivered: snippets.iter().map(|snippet| format!("snippet-{snippet}")).collect(),
                status: if succeeds { RankingStatus::Success } else { RankingStatus::Failed },
                latency_ms: f64::from(latency_us) / 1000.0,
                ..entry(&format!("session-{session}"), &[])
            };
            rankings.record(written, None).await.unwrap();
        }
        Write::Click { profile, session, snippet } => {
            let click = click(&format!("session-{session}"), &format!("snippet-{snippet}"));
            rankings.click(cuecard_ledger::Click { profile: profile.into(), ..click }).await.unwrap();
        }
    }
}

async fn compare(store: Store, operations: Vec<Operation>) {
    let mut ledger = store.open().await;
    let mut models = [Model::default(), Model::default()];
    for operation in operations {
        match operation {
            Operation::Together(writes) => {
                for write in &writes {
                    let (Write::Record { profile, .. } | Write::Click { profile, .. }) = write;
                    models[PROFILES.iter().position(|known| known == profile).unwrap()].note(write);
                }
                join_all(writes.into_iter().map(|write| apply(write, &ledger))).await;
            }
            Operation::Reopen => {
                ledger.close().await;
                ledger = store.open().await;
            }
        }
        for (profile, model) in PROFILES.iter().zip(&models) {
            let metrics = ledger.rankings().metrics(profile).await.unwrap();
            assert_eq!(metrics, model.metrics(), "{profile}");
            assert_eq!(metrics, from_rows(&store, profile).await, "{profile}");
        }
    }
    ledger.close().await;
}

proptest! {
    // Each case works on a database of its own.
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_metrics_are_those_of_the_model_and_of_the_rows(operations in operations()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            compare(Store::sqlite(), operations.clone()).await;
            if let Some(store) = Store::postgres().await {
                compare(store, operations).await;
            }
        });
    }
}

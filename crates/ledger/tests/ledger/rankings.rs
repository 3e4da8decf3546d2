//! Audit entries come back as they were recorded, and stay as they are.

use cuecard_ledger::{Click, Ledger, LedgerError, RankingEntry, RankingId, RankingStatus};
use futures_util::future::join_all;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};
use tempfile::TempDir;

use crate::{fresh, second, url};

pub fn entry(session: &str, delivered: &[&str]) -> RankingEntry {
    RankingEntry {
        profile: "main".into(),
        session: session.into(),
        at: second(1_700_000_000),
        snippet_count: delivered.len() as u32,
        latency_ms: 12.34,
        max_window: 10,
        status: RankingStatus::Success,
        checksum: Some("c0ffee".into()),
        delivered: delivered.iter().map(|&snippet| snippet.to_owned()).collect(),
    }
}

pub fn click(session: &str, snippet: &str) -> Click {
    Click {
        profile: "main".into(),
        session: session.into(),
        snippet: snippet.into(),
        rank_position: 1,
        at: second(1_700_000_001),
    }
}

pub fn failed(session: &str, delivered: &[&str]) -> RankingEntry {
    RankingEntry { status: RankingStatus::Failed, checksum: None, ..entry(session, delivered) }
}

/// The audit entries of a profile as the file holds them, each with its id, newest first.
pub async fn kept(url: &str, profile: &str) -> Vec<(i64, RankingEntry)> {
    let mut file = SqliteConnection::connect(url).await.unwrap();
    let statement = "SELECT * FROM ranking_audit WHERE profile = ?1 ORDER BY id DESC";
    let rows = sqlx::query(statement).bind(profile).fetch_all(&mut file).await.unwrap();
    let entry = |row: &SqliteRow| RankingEntry {
        profile: row.get("profile"),
        session: row.get("session"),
        at: Timestamp::from_microsecond(row.get("at_us")).unwrap(),
        snippet_count: row.get("snippet_count"),
        latency_ms: row.get::<i64, _>("latency_us") as f64 / 1000.0,
        max_window: row.get("max_window"),
        status: match row.get("status") {
            "success" => RankingStatus::Success,
            _ => RankingStatus::Failed,
        },
        checksum: row.get("checksum"),
        delivered: serde_json::from_str(row.get("delivered")).unwrap(),
    };
    rows.iter().map(|row| (row.get("id"), entry(row))).collect()
}

async fn entries(directory: &TempDir) -> Vec<RankingEntry> {
    kept(&url(directory), "main").await.into_iter().map(|(_, entry)| entry).collect()
}

#[tokio::test]
async fn an_entry_comes_back_as_it_was_recorded() {
    let (directory, ledger) = fresh().await;
    let rankings = ledger.rankings();
    let odd = RankingEntry {
        at: "2026-03-29T01:30:00.123456Z".parse().unwrap(),
        latency_ms: 1234.567,
        ..entry("sess\u{0}ion \"ü\"", &["b\u{0}1", "b\u{0}2", "a'\\", "12", "null", "\u{1f4a1}"])
    };
    let id = rankings.record(odd.clone()).await.unwrap();
    let of_a_failure = rankings.record(failed("s", &[])).await.unwrap();
    assert!(of_a_failure > id);
    let kept = kept(&url(&directory), "main").await;
    assert_eq!(kept, [(of_a_failure.0, failed("s", &[])), (id.0, odd.clone())]);

    rankings.click(click(&odd.session, "b\u{0}2")).await.unwrap();
    assert_eq!(rankings.metrics("main").await.unwrap().click_through_rate, 1.0 / 6.0);
}

#[tokio::test]
async fn every_caller_of_a_shared_commit_gets_the_id_of_its_own_entry() {
    let (directory, ledger) = fresh().await;
    let rankings = ledger.rankings();
    let ids = join_all((0..100).map(|number| {
        let profile = format!("profile-{}", number % 3);
        rankings.record(RankingEntry { profile, ..entry(&format!("session-{number}"), &["a"]) })
    }))
    .await;
    let mut recorded = Vec::new();
    for profile in ["profile-0", "profile-1", "profile-2"] {
        recorded.extend(kept(&url(&directory), profile).await);
    }
    for (number, id) in ids.into_iter().enumerate() {
        let RankingId(id) = id.unwrap();
        let (_, entry) = recorded.iter().find(|(recorded, _)| *recorded == id).unwrap();
        assert_eq!(entry.session, format!("session-{number}"));
    }
}

#[tokio::test]
async fn metrics_and_entries_are_the_same_after_a_restart() {
    let (directory, ledger) = fresh().await;
    let rankings = ledger.rankings();
    rankings.record(entry("s", &["a", "b", "c"])).await.unwrap();
    rankings.record(failed("s", &["d"])).await.unwrap();
    rankings.click(click("s", "b")).await.unwrap();
    let before = (rankings.metrics("main").await.unwrap(), entries(&directory).await);
    ledger.close().await;
    assert!(matches!(rankings.record(entry("s", &["a"])).await, Err(LedgerError::Closed)));
    assert!(matches!(rankings.click(click("s", "a")).await, Err(LedgerError::Closed)));
    assert!(matches!(rankings.metrics("main").await, Err(LedgerError::Closed)));

    let rankings = Ledger::open(&url(&directory)).await.unwrap().rankings();
    assert_eq!((rankings.metrics("main").await.unwrap(), entries(&directory).await), before);
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_alone_and_leaves_nothing() {
    let (directory, ledger) = fresh().await;
    let rankings = ledger.rankings();
    let mut writes = Vec::new();
    for latency_ms in [f64::NAN, f64::INFINITY, -0.1, 1e18, f64::MAX] {
        writes.push(rankings.record(RankingEntry { latency_ms, ..entry("refused", &["a"]) }));
        writes.push(rankings.record(entry("s", &["a"])));
    }
    let (results, unranked) =
        tokio::join!(join_all(writes), rankings.click(Click { rank_position: 0, ..click("s", "a") }));
    for (place, result) in results.iter().enumerate() {
        assert_eq!(matches!(result, Err(LedgerError::Refused(_))), place % 2 == 0, "{place}: {result:?}");
    }
    assert!(matches!(unranked, Err(LedgerError::Refused(_))));
    assert!(entries(&directory).await.iter().all(|entry| entry.session == "s"));
    let metrics = rankings.metrics("main").await.unwrap();
    assert_eq!((metrics.audit_entries_count, metrics.total_clicks_tracked), (5, 0));
    assert_eq!((metrics.click_through_rate, (metrics.average_latency_ms * 100.0).round()), (0.0, 1234.0));
}

#[tokio::test]
async fn an_audit_entry_can_be_neither_changed_nor_deleted() {
    let (directory, ledger) = fresh().await;
    let rankings = ledger.rankings();
    rankings.record(entry("s", &["a"])).await.unwrap();
    let pool = sqlx::SqlitePool::connect(&url(&directory)).await.unwrap();
    for (statement, refusal) in [
        ("UPDATE ranking_audit SET status = 'failed'", "never changed"),
        ("UPDATE ranking_audit SET id = 7", "never changed"),
        ("DELETE FROM ranking_audit", "never deleted"),
        ("INSERT OR REPLACE INTO ranking_audit SELECT * FROM ranking_audit", "never replaced"),
    ] {
        let error = sqlx::query(statement).execute(&pool).await.unwrap_err();
        assert!(error.to_string().contains(refusal), "{statement}: {error}");
    }
    assert_eq!(entries(&directory).await, [entry("s", &["a"])]);
}

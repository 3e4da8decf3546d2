//! Audit entries come back as they were recorded, and stay as they are.

use cuecard_ledger::{Click, Ledger, LedgerError, RankingEntry, RankingStatus, Rankings};
use futures_util::future::join_all;

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

async fn entries(rankings: &Rankings) -> Vec<RankingEntry> {
    rankings.entries("main", 100).await.unwrap().into_iter().map(|recorded| recorded.entry).collect()
}

#[tokio::test]
async fn an_entry_comes_back_as_it_was_recorded() {
    let (_directory, ledger) = fresh().await;
    let rankings = ledger.rankings();
    let odd = RankingEntry {
        at: "2026-03-29T01:30:00.123456Z".parse().unwrap(),
        latency_ms: 1234.567,
        ..entry("sess\u{0}ion \"ü\"", &["b\u{0}1", "b\u{0}2", "a'\\", "12", "null", "\u{1f4a1}"])
    };
    let id = rankings.record(odd.clone()).await.unwrap();
    let of_a_failure = rankings.record(failed("s", &[])).await.unwrap();
    assert!(of_a_failure > id);
    let kept = rankings.entries("main", 100).await.unwrap();
    assert_eq!(kept.iter().map(|recorded| recorded.id).collect::<Vec<_>>(), [of_a_failure, id]);
    assert_eq!((&kept[0].entry, &kept[1].entry), (&failed("s", &[]), &odd));

    rankings.click(click(&odd.session, "b\u{0}2")).await.unwrap();
    assert_eq!(rankings.metrics("main").await.unwrap().click_through_rate, 1.0 / 6.0);
}

#[tokio::test]
async fn entries_give_those_of_the_profile_stored_last_up_to_the_limit() {
    let (_directory, ledger) = fresh().await;
    let rankings = ledger.rankings();
    for session in ["1", "2", "3"] {
        rankings.record(entry(session, &["a"])).await.unwrap();
        rankings.record(RankingEntry { profile: "other".into(), ..entry("theirs", &["a"]) }).await.unwrap();
    }
    let newest = rankings.entries("main", 2).await.unwrap();
    assert_eq!(newest.iter().map(|recorded| recorded.entry.session.as_str()).collect::<Vec<_>>(), ["3", "2"]);
}

#[tokio::test]
async fn every_caller_of_a_shared_commit_gets_the_id_of_its_own_entry() {
    let (_directory, ledger) = fresh().await;
    let rankings = ledger.rankings();
    let ids = join_all((0..100).map(|number| {
        let profile = format!("profile-{}", number % 3);
        rankings.record(RankingEntry { profile, ..entry(&format!("session-{number}"), &["a"]) })
    }))
    .await;
    let mut kept = Vec::new();
    for profile in ["profile-0", "profile-1", "profile-2"] {
        kept.extend(rankings.entries(profile, 100).await.unwrap());
    }
    for (number, id) in ids.into_iter().enumerate() {
        let id = id.unwrap();
        let recorded = kept.iter().find(|recorded| recorded.id == id).unwrap();
        assert_eq!(recorded.entry.session, format!("session-{number}"));
    }
}

#[tokio::test]
async fn metrics_and_entries_are_the_same_after_a_restart() {
    let (directory, ledger) = fresh().await;
    let rankings = ledger.rankings();
    rankings.record(entry("s", &["a", "b", "c"])).await.unwrap();
    rankings.record(failed("s", &["d"])).await.unwrap();
    rankings.click(click("s", "b")).await.unwrap();
    let before = (rankings.metrics("main").await.unwrap(), entries(&rankings).await);
    ledger.close().await;
    assert!(matches!(rankings.record(entry("s", &["a"])).await, Err(LedgerError::Closed)));
    assert!(matches!(rankings.click(click("s", "a")).await, Err(LedgerError::Closed)));
    assert!(matches!(rankings.metrics("main").await, Err(LedgerError::Closed)));

    let rankings = Ledger::open(&url(&directory)).await.unwrap().rankings();
    assert_eq!((rankings.metrics("main").await.unwrap(), entries(&rankings).await), before);
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_alone_and_leaves_nothing() {
    let (_directory, ledger) = fresh().await;
    let rankings = ledger.rankings();
    let mut writes = Vec::new();
    for latency_ms in [f64::NAN, f64::INFINITY, -0.1, 1e18, f64::MAX] {
        writes.push(rankings.record(RankingEntry { latency_ms, ..entry("refused", &["a"]) }));
        writes.push(rankings.record(entry("s", &["a"])));
    }
    let (results, unranked) =
        tokio::join!(join_all(writes), rankings.click(Click { rank_position: 0, ..click("s", "a") }));
    for (place, result) in results.iter().enumerate() {
        assert_eq!(matches!(result, Err(LedgerError::Write(_))), place % 2 == 0, "{place}: {result:?}");
    }
    assert!(matches!(unranked, Err(LedgerError::Write(_))));
    assert!(entries(&rankings).await.iter().all(|entry| entry.session == "s"));
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
    assert_eq!(entries(&rankings).await, [entry("s", &["a"])]);
}

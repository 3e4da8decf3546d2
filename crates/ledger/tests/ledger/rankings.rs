//! Audit entries come back as they were recorded, and stay as they are.

use cuecard_ledger::{Click, LedgerError, RankingEntry, RankingStatus};
use futures_util::future::join_all;
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{Executor, Row};
use uuid::Uuid;

use crate::second;
use crate::stores::{Store, on_both};

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

/// The audit entries of a profile as the database holds them, newest first; the session by the key to its pseudonym.
pub async fn kept(store: &Store, profile: &str) -> Vec<RankingEntry> {
    let statement = "SELECT a.*, s.session FROM ranking_audit a
                     LEFT JOIN ranking_sessions s ON s.pseudonym = a.pseudonym
                     WHERE a.profile = $1 ORDER BY a.id DESC";
    let rows = sqlx::query(statement).bind(profile.to_owned()).fetch_all(&mut store.raw().await).await.unwrap();
    let entry = |row: &AnyRow| RankingEntry {
        profile: row.get("profile"),
        session: row.get::<Option<String>, _>("session").unwrap_or_default(),
        at: Timestamp::from_microsecond(row.get("at_us")).unwrap(),
        snippet_count: row.get::<i64, _>("snippet_count") as u32,
        latency_ms: row.get::<i64, _>("latency_us") as f64 / 1000.0,
        max_window: row.get::<i64, _>("max_window") as u32,
        status: match row.get("status") {
            "success" => RankingStatus::Success,
            _ => RankingStatus::Failed,
        },
        checksum: row.get("checksum"),
        delivered: serde_json::from_str(row.get("delivered")).unwrap(),
    };
    rows.iter().map(entry).collect()
}

on_both! {
    async fn an_entry_comes_back_as_it_was_recorded(store: Store) {
        let ledger = store.open().await;
        let rankings = ledger.rankings();
        let odd = RankingEntry {
            at: "2026-03-29T01:30:00.123456Z".parse().unwrap(),
            latency_ms: 1234.567,
            ..entry("sess\u{2}ion \"ü\"", &["b1", "b2", "a'\\", "12", "null", "\u{1f4a1}"])
        };
        rankings.record(odd.clone(), None).await.unwrap();
        rankings.record(failed("s", &[]), None).await.unwrap();
        assert_eq!(kept(&store, "main").await, [failed("s", &[]), odd.clone()]);

        rankings.click(click(&odd.session, "b2")).await.unwrap();
        assert_eq!(rankings.metrics("main").await.unwrap().click_through_rate, 1.0 / 6.0);
    }

    async fn a_nul_is_kept_as_its_symbol_and_counts_as_itself(store: Store) {
        let ledger = store.open().await;
        let rankings = ledger.rankings();
        rankings.record(entry("se\0ssion", &["b\0", "\\u0000"]), None).await.unwrap();
        rankings.click(click("se\0ssion", "b\0")).await.unwrap();
        rankings.record(entry("se\0ssion", &["b\0"]), None).await.unwrap();
        let kept = kept(&store, "main").await;
        assert_eq!((kept[1].session.as_str(), &kept[1].delivered[..]), ("se␀ssion", &["b␀".to_owned(), "\\u0000".to_owned()][..]));
        assert_eq!(rankings.metrics("main").await.unwrap().click_through_rate, 0.5);
    }

    async fn every_entry_of_a_shared_commit_has_the_pseudonym_of_its_own_session(store: Store) {
        let ledger = store.open().await;
        let rankings = ledger.rankings();
        let written: Vec<_> = (0..100)
            .map(|number| {
                let session = format!("session-{}", number / 2);
                RankingEntry { profile: format!("profile-{}", number % 3), ..entry(&session, &[&format!("s{number}")]) }
            })
            .collect();
        for result in join_all(written.iter().map(|entry| rankings.record(entry.clone(), None))).await {
            result.unwrap();
        }
        let mut recorded = Vec::new();
        for profile in ["profile-0", "profile-1", "profile-2"] {
            recorded.extend(kept(&store, profile).await);
        }
        assert_eq!(recorded.len(), 100);
        assert!(written.iter().all(|entry| recorded.contains(entry)));
        let pseudonyms = "SELECT COUNT(DISTINCT pseudonym) FROM ranking_audit";
        assert_eq!(store.raw().await.fetch_one(pseudonyms).await.unwrap().get::<i64, _>(0), 100);
    }

    async fn metrics_and_entries_are_the_same_after_a_restart(store: Store) {
        let ledger = store.open().await;
        let rankings = ledger.rankings();
        rankings.record(entry("s", &["a", "b", "c"]), None).await.unwrap();
        rankings.record(failed("s", &["d"]), None).await.unwrap();
        rankings.click(click("s", "b")).await.unwrap();
        let before = (rankings.metrics("main").await.unwrap(), kept(&store, "main").await);
        ledger.close().await;
        assert!(matches!(rankings.record(entry("s", &["a"]), None).await, Err(LedgerError::Closed)));
        assert!(matches!(rankings.click(click("s", "a")).await, Err(LedgerError::Closed)));
        assert!(matches!(rankings.metrics("main").await, Err(LedgerError::Closed)));

        let rankings = store.open().await.rankings();
        assert_eq!((rankings.metrics("main").await.unwrap(), kept(&store, "main").await), before);
    }

    async fn what_breaks_a_rule_is_refused_alone_and_leaves_nothing(store: Store) {
        let ledger = store.open().await;
        let rankings = ledger.rankings();
        let mut writes = Vec::new();
        for latency_ms in [f64::NAN, f64::INFINITY, -0.1, 1e18, f64::MAX] {
            writes.push(rankings.record(RankingEntry { latency_ms, ..entry("refused", &["a"]) }, None));
            writes.push(rankings.record(entry("s", &["a"]), None));
        }
        let (results, unranked) =
            tokio::join!(join_all(writes), rankings.click(Click { rank_position: 0, ..click("s", "a") }));
        for (place, result) in results.iter().enumerate() {
            assert_eq!(matches!(result, Err(LedgerError::Refused(_))), place % 2 == 0, "{place}: {result:?}");
        }
        assert!(matches!(unranked, Err(LedgerError::Refused(_))));
        assert!(kept(&store, "main").await.iter().all(|entry| entry.session == "s"));
        let metrics = rankings.metrics("main").await.unwrap();
        assert_eq!((metrics.audit_entries_count, metrics.total_clicks_tracked), (5, 0));
        assert_eq!((metrics.click_through_rate, (metrics.average_latency_ms * 100.0).round()), (0.0, 1234.0));
    }

    async fn an_id_that_no_index_takes_or_that_is_another_as_it_is_written_takes_no_other_write_along(store: Store) {
        let ledger = store.open().await;
        let rankings = ledger.rankings();
        let long: String = (0..200).map(|_| Uuid::new_v4().to_string()).collect();
        let written = [entry("s", &["a"]), entry("s", &[&long]), entry("s", &["b\0", "b\u{2400}"]), entry("s", &["c"])];
        let results = join_all(written.into_iter().map(|entry| rankings.record(entry, None))).await;
        for (place, result) in results.iter().enumerate() {
            let refused = place == 1 && !store.is_sqlite();
            assert_eq!(matches!(result, Err(LedgerError::Refused(_))), refused, "{place}: {result:?}");
            assert_eq!(result.is_err(), refused, "{place}: {result:?}");
        }
        assert_eq!(ledger.health().failing, None);
        for snippet in ["a", "b\0", "c"] {
            rankings.click(click("s", snippet)).await.unwrap();
        }
        let delivered = if store.is_sqlite() { 4.0 } else { 3.0 };
        assert_eq!(rankings.metrics("main").await.unwrap().click_through_rate, 3.0 / delivered);
    }

    async fn an_audit_entry_can_be_neither_changed_nor_deleted(store: Store) {
        let ledger = store.open().await;
        ledger.rankings().record(entry("s", &["a"]), None).await.unwrap();
        let mut statements = vec![
            ("UPDATE ranking_audit SET status = 'failed'", "never changed"),
            ("DELETE FROM ranking_audit", "by its age alone"),
        ];
        statements.extend(store.is_sqlite().then_some(("INSERT OR REPLACE INTO ranking_audit SELECT * FROM ranking_audit", "never replaced")));
        statements.extend((!store.is_sqlite()).then_some(("TRUNCATE ranking_audit", "by its age alone")));
        for (statement, refusal) in statements {
            let error = store.raw().await.execute(statement).await.unwrap_err();
            assert!(error.to_string().contains(refusal), "{statement}: {error}");
        }
        assert_eq!(kept(&store, "main").await, [entry("s", &["a"])]);
    }
}

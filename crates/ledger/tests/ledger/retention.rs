//! What is too old is taken away, a customer's interaction can be erased, and the figures stay.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use cuecard_ledger::QueueKind::Feedback;
use cuecard_ledger::{
    DecisionKey, DecisionRecord, DeliveryRecord, ItemEnd, ItemId, Ledger, LedgerError, NewFeedback, NumberedDecision,
    RankingEntry, Retention, Rows, backup, erase, stats,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Executor, Row};
use uuid::Uuid;

use crate::deliveries::delivery;
use crate::event;
use crate::rankings::{click, entry, kept};
use crate::stores::{Store, on_both};

fn days_ago(days: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(24 * days)
}

pub fn decision(id: u128, interaction: &str, at: Timestamp) -> DecisionRecord {
    let key = DecisionKey {
        id: Uuid::from_u128(id),
        profile: "main".into(),
        interaction: interaction.into(),
        outcome: "silent".into(),
        at,
    };
    DecisionRecord::new(key, &format!(r#"{{"id":"{id}","why":"{}"}}"#, "because ".repeat(100))).unwrap()
}

/// One of each kind of record, as old as that.
async fn fill(ledger: &Ledger, id: u128, call: &str, at: Timestamp) {
    ledger.deliveries().record(DeliveryRecord { delivered_at: at, ..delivery(id, call, &["a", "b"]) }).await.unwrap();
    ledger.feedback().store(NewFeedback { heard_at: at, ..event(call, "a", true) }).await.unwrap();
    ledger.rankings().record(RankingEntry { at, ..entry(call, &["x"]) }, None).await.unwrap();
    ledger.rankings().click(cuecard_ledger::Click { at, ..click(call, "x") }).await.unwrap();
    assert!(ledger.decisions().record_behind(decision(id, call, at)));
    // What is written behind goes along with the next write.
    let next = ledger.queue(Feedback).due("main", Timestamp::now(), 1000).await.unwrap();
    let own = next.iter().find(|item| item.key == call).unwrap();
    ledger.queue(Feedback).ended(own.id, ItemEnd::SetAside("422".into())).await.unwrap();
}

/// Rows of each table that has any.
async fn rows(store: &Store) -> Vec<(&'static str, i64)> {
    let tables = [
        "decisions",
        "deliveries",
        "impressions",
        "feedback",
        "queue",
        "ranking_sessions",
        "ranked_snippets",
        "ranking_clicks",
        "ranking_audit",
    ];
    let mut counts = Vec::new();
    for table in tables {
        let row = store.raw().await.fetch_one(&*format!("SELECT COUNT(*) FROM {table}")).await.unwrap();
        counts.push((table, row.get::<i64, _>(0)));
    }
    counts.retain(|(_, rows)| *rows > 0);
    counts
}

fn sum(erased: &Rows) -> u64 {
    erased.iter().map(|(_, rows)| rows).sum()
}

on_both! {
    async fn what_is_older_than_it_is_kept_goes_and_the_figures_stay(store: Store) {
        let ledger = store.open().await;
        for number in 0..3 {
            fill(&ledger, number + 1, &format!("old-{number}"), days_ago(10)).await;
            fill(&ledger, number + 100, &format!("new-{number}"), days_ago(1)).await;
        }
        let before = rows(&store).await;
        let figures = (ledger.rankings().metrics("main").await.unwrap(), ledger.deliveries().acceptance());
        assert_eq!(sum(&ledger.purge(Retention::default(), Duration::ZERO).await.unwrap()), 0, "nothing is kept for a time");

        let week = Some(Duration::from_hours(24 * 7));
        let all = Retention { decisions: week, deliveries: week, feedback: week, rankings: week, audit: week, dead: week };
        let purged = ledger.purge(Retention { audit: None, ..all }, Duration::ZERO).await.unwrap();
        let expected = ["decisions", "deliveries", "feedback", "rankings", "dead"].map(|kind| (kind, 3));
        assert_eq!(purged, expected);
        assert_eq!(kept(&store, "main").await.len(), 6);
        assert_eq!(sum(&ledger.purge(all, Duration::ZERO).await.unwrap()), 3);
        let half: Vec<_> = before.iter().map(|(table, rows)| (*table, rows / 2)).collect();
        assert_eq!(rows(&store).await, half);
        assert_eq!((ledger.rankings().metrics("main").await.unwrap(), ledger.deliveries().acceptance()), figures);
        ledger.close().await;
        let ledger = store.open().await;
        assert_eq!((ledger.rankings().metrics("main").await.unwrap(), ledger.deliveries().acceptance()), figures);
        let error = store.raw().await.execute("DELETE FROM ranking_audit").await.unwrap_err();
        assert!(error.to_string().contains("by its age alone"), "{error}");
    }

    async fn a_purge_of_many_goes_in_steps_between_which_others_write(store: Store) {
        let ledger = store.open().await;
        for number in 0..1_700_u128 {
            assert!(ledger.decisions().record_behind(decision(number, "call", days_ago(9))));
        }
        let retention = Retention { decisions: Some(Duration::from_hours(24)), ..Retention::default() };
        ledger.feedback().store(event("call", "a", true)).await.unwrap();
        while ledger.waiting().any(|(_, waiting)| waiting > 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let feedback = ledger.feedback();
        let storing = feedback.store(event("call", "a", true));
        let (purged, stored) = tokio::join!(ledger.purge(retention, Duration::from_millis(1)), storing);
        stored.unwrap();
        assert_eq!(purged.unwrap(), [("decisions", 1_700)]);
    }

    async fn a_clock_that_was_ahead_keeps_nothing_that_came_after_it(store: Store) {
        let ledger = store.open().await;
        // More of the future than one step looks at, among them one that is too old.
        for number in 0..1_200_u128 {
            let at = if number == 700 { days_ago(9) } else { days_ago(-300) };
            assert!(ledger.decisions().record_behind(decision(number, "ahead", at)));
        }
        for (number, days) in [(2_000, 9), (2_001, 8), (2_002, 1)] {
            assert!(ledger.decisions().record_behind(decision(number, "call", days_ago(days))));
        }
        while ledger.waiting().any(|(_, waiting)| waiting > 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let retention = Retention { decisions: Some(Duration::from_hours(24 * 7)), ..Retention::default() };
        assert_eq!(ledger.purge(retention, Duration::ZERO).await.unwrap(), [("decisions", 3)]);
        assert_eq!(rows(&store).await, [("decisions", 1_200)]);
    }

    async fn an_interaction_is_erased_everywhere_and_the_audit_knows_it_no_more(store: Store) {
        let ledger = store.open().await;
        fill(&ledger, 1, "hers", days_ago(1)).await;
        fill(&ledger, 2, "his", days_ago(1)).await;
        ledger.feedback().store(event("hers", "b", true)).await.unwrap();
        let before = rows(&store).await;
        let figures = (ledger.rankings().metrics("main").await.unwrap(), ledger.deliveries().acceptance());
        assert_eq!(sum(&ledger.erase("hers", Some("other")).await.unwrap()), 0);

        let erased = ledger.erase("hers", None).await.unwrap();
        assert_eq!(erased, [("decisions", 1), ("deliveries", 1), ("feedback", 2), ("sessions", 1), ("queue", 2), ("waiting", 0)]);
        assert_eq!(ledger.queue(Feedback).pending_count("main"), 0);
        let left: Vec<_> = before
            .iter()
            .map(|(table, rows)| match *table {
                "ranking_audit" => (*table, *rows),
                // She accepted a second card.
                "feedback" | "queue" => (*table, 1),
                table => (table, rows / 2),
            })
            .collect();
        assert_eq!(rows(&store).await, left);
        let sessions: Vec<_> = kept(&store, "main").await.into_iter().map(|entry| (entry.session, entry.checksum)).collect();
        let checksum = Some("c0ffee".to_owned());
        assert_eq!(sessions, [("his".to_owned(), checksum.clone()), (String::new(), checksum)]);
        assert_eq!((ledger.rankings().metrics("main").await.unwrap(), ledger.deliveries().acceptance()), figures);
        assert_eq!(sum(&ledger.erase("hers", None).await.unwrap()), 0);
    }

    async fn decisions_are_found_by_their_id_and_their_interaction(store: Store) {
        let ledger = store.open().await;
        let decisions = ledger.decisions();
        for number in 1..=3 {
            let interaction = if number == 2 { "other" } else { "call" };
            assert!(decisions.record_behind(decision(number, interaction, days_ago(0))));
        }
        while ledger.waiting().any(|(_, waiting)| waiting > 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let found = decisions.find(Uuid::from_u128(2)).await.unwrap().unwrap();
        assert!(found.starts_with(r#"{"id":"2","why":"because because"#), "{found}");
        assert_eq!(decisions.find(Uuid::from_u128(9)).await.unwrap(), None);
        assert_eq!(decisions.of_interaction("call", 10).await.unwrap(), [3, 1].map(Uuid::from_u128));
        let ids = |found: &[NumberedDecision]| found.iter().map(|found| found.json.as_ref().unwrap()[7..8].to_owned()).collect::<String>();
        let first = decisions.newest(None, 2).await.unwrap();
        assert_eq!((ids(&first), ids(&decisions.newest(None, 10).await.unwrap())), ("32".to_owned(), "321".to_owned()));
        // What is recorded between two pages is in neither.
        assert!(decisions.record_behind(decision(4, "call", days_ago(0))));
        while ledger.waiting().any(|(_, waiting)| waiting > 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let second = decisions.newest(first.last().map(|last| last.number), 2).await.unwrap();
        assert_eq!(ids(&second), "1");
        // One at which the ledger is damaged takes no other along.
        let damage = "UPDATE decisions SET body = substr(body, 1, 9) WHERE number = (SELECT MIN(number) FROM decisions)";
        store.raw().await.execute(damage).await.unwrap();
        let all = decisions.newest(None, 10).await.unwrap();
        assert_eq!(all.iter().map(|found| found.json.is_some()).collect::<Vec<_>>(), [true, true, true, false]);
        let error = decisions.find(Uuid::from_u128(1)).await.unwrap_err().to_string();
        assert!(error.contains("a decision that is damaged, or that another version"), "{error}");
    }

    async fn what_a_ledger_holds_is_told_beside_its_service(store: Store) {
        let ledger = store.open().await;
        let at = days_ago(2);
        fill(&ledger, 1, "call", at).await;
        ledger.feedback().store(event("call", "b", true)).await.unwrap();
        let stats = stats(&store.url).await.unwrap();
        assert!(stats.num_bytes > 4096);
        let deliveries = stats.tables.iter().find(|table| table.name == "deliveries").unwrap();
        assert_eq!((deliveries.rows, deliveries.oldest), (1, Some(at.as_second())));
        let queue: Vec<_> = stats.queue.iter().map(|queue| (&*queue.kind, &*queue.state, queue.rows)).collect();
        assert_eq!(queue, [("feedback", "dead", 1), ("feedback", "pending", 1)]);
    }
}

#[tokio::test]
async fn a_backup_is_a_ledger_of_its_own() {
    let store = Store::sqlite();
    let ledger = store.open().await;
    fill(&ledger, 1, "call", days_ago(1)).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("copy.db");
    backup(&store.url, &file).await.unwrap();
    fill(&ledger, 2, "later", days_ago(1)).await;
    let copy =
        Ledger::open(&format!("sqlite:{}", file.display()), cuecard_ledger::LedgerOptions::default()).await.unwrap();
    assert_eq!(copy.queue(Feedback).dead(ItemId(0), 10).await.unwrap().len(), 1);
    assert!(copy.decisions().find(Uuid::from_u128(1)).await.unwrap().is_some());
    let again = backup(&store.url, &file).await.unwrap_err();
    assert!(again.to_string().contains("it is there already"), "{again}");
    assert!(backup(&store.url, Path::new("/nowhere/copy.db")).await.is_err());
    if let Some(store) = Store::postgres().await {
        store.open().await;
        assert!(matches!(backup(&store.url, Path::new("copy")).await, Err(LedgerError::BackupElsewhere)));
    }
}

/// The call that is erased; its name lies among those of the others.
const HERS: &str = "call-5x";
/// What was said in it alone.
const SAID: &[u8] = b"zanzibar";

/// Records of which one in so many is hers, among those of other calls.
async fn record_calls(ledger: &Ledger, numbers: Range<u128>, one_in: u128) {
    for number in numbers {
        let is_hers = number.is_multiple_of(one_in);
        let (call, said) = if is_hers { (HERS.to_owned(), "zanzibar") } else { (format!("call-{number}"), "no") };
        assert!(ledger.deliveries().record_behind(delivery(number, &call, &["a", "b"])));
        assert!(ledger.feedback().store_behind(NewFeedback { action: said.into(), ..event(&call, "a", true) }));
        assert!(ledger.decisions().record_behind(decision(number, &call, days_ago(0))));
    }
    while ledger.waiting().any(|(_, waiting)| waiting > 0) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Where in a ledger's file and its log one of these stands.
fn places(store: &Store, sought: &[Vec<u8>]) -> Vec<(&'static str, usize)> {
    let file = store.url.strip_prefix("sqlite:").unwrap();
    let place = |suffix| {
        let bytes = std::fs::read(format!("{file}{suffix}")).unwrap_or_default();
        let finds = |at: &usize| sought.iter().any(|sought| bytes[*at..].starts_with(sought));
        (0..bytes.len()).find(finds).map(|at| (suffix, at))
    };
    ["", "-wal"].into_iter().filter_map(place).collect()
}

/// What she said, and what was decided about it, as they lie in the file.
async fn hers(store: &Store) -> Vec<Vec<u8>> {
    let bodies = format!("SELECT body FROM decisions WHERE interaction = '{HERS}'");
    let bodies = store.raw().await.fetch_all(&*bodies).await.unwrap();
    bodies.iter().step_by(20).map(|row| row.get(0)).chain([SAID.to_vec()]).collect()
}

#[tokio::test]
async fn of_what_was_said_no_byte_is_left_in_the_file_or_its_log_after_an_erasure() {
    let store = Store::sqlite();
    let ledger = store.open().await;
    record_calls(&ledger, 1..300, 10).await;
    let sought = hers(&store).await;
    assert_ne!(places(&store, &sought), []);
    ledger.erase(HERS, None).await.unwrap();
    assert_eq!(places(&store, &sought), []);
}

/// So many rows go that others move between pages, and leave copies behind.
#[tokio::test]
async fn an_erasure_without_a_service_leaves_no_copy_in_the_file_either() {
    let store = Store::sqlite();
    let ledger = store.open().await;
    record_calls(&ledger, 1..2_000, 3).await;
    let sought = [hers(&store).await, vec![HERS.into()]].concat();
    ledger.close().await;
    assert_ne!(places(&store, &sought), []);
    erase(&store.url, HERS, None).await.unwrap();
    assert_eq!(places(&store, &sought), []);
    assert_eq!(store.open().await.decisions().newest(None, 9_999).await.unwrap().len(), 1_999 - 666);
}

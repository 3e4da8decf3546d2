//! The queue gives back what was stored, in order per key, and never waits on another's retry.

use cuecard_ledger::QueueKind::{Callback, Feedback};
use cuecard_ledger::{FeedbackPayload, ItemEnd, ItemId, LedgerError, NewFeedback, NewItem, Queue, RankingEntry};

use crate::rankings::entry;
use crate::stores::{Store, on_both};
use crate::{event, second};

async fn due(queue: &Queue, now: i64) -> Vec<(String, String)> {
    let due = queue.due("main", second(now), 100).await.unwrap();
    let named = |payload: &str| serde_json::from_str::<FeedbackPayload>(payload).unwrap().insight;
    due.iter().map(|item| (item.key.clone(), named(&item.payload))).collect()
}

async fn first(queue: &Queue, now: i64) -> ItemId {
    queue.due("main", second(now), 1).await.unwrap()[0].id
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, insight)| ((*key).to_owned(), (*insight).to_owned())).collect()
}

on_both! {
    async fn an_event_comes_back_as_it_was_stored(store: Store) {
        let ledger = store.open().await;
        let heard_at = "2026-03-29T01:30:00.123456Z".parse().unwrap();
        let stored = NewFeedback { action: "OPENED 'twice'; ü \\u0000".into(), heard_at, ..event("call", "article", true) };
        ledger.feedback().store(stored.clone()).await.unwrap();
        let due = ledger.queue(Feedback).due("main", second(0), 10).await.unwrap();
        let payload: FeedbackPayload = serde_json::from_str(&due[0].payload).unwrap();
        assert_eq!((due.len(), due[0].key.as_str(), due[0].attempts, payload.heard_at()), (1, "call", 0, heard_at));
        assert_eq!((payload.insight, payload.action, payload.accepted), ("article".to_owned(), stored.action, true));
    }

    async fn the_same_event_twice_is_one(store: Store) {
        let ledger = store.open().await;
        let same = event("call", "article", true);
        for _ in 0..2 {
            ledger.feedback().store(same.clone()).await.unwrap();
        }
        let queue = ledger.queue(Feedback);
        assert_eq!((queue.pending_count("main"), due(&queue, 0).await.len()), (1, 1));
    }

    async fn only_the_oldest_of_each_key_is_due(store: Store) {
        let ledger = store.open().await;
        for event in [event("a", "1", true), event("a", "2", true), event("b", "1", false)] {
            ledger.feedback().store(event).await.unwrap();
        }
        let queue = ledger.queue(Feedback);
        assert_eq!(due(&queue, 0).await, pairs(&[("a", "1"), ("b", "1")]));
        queue.ended(first(&queue, 0).await, ItemEnd::Arrived).await.unwrap();
        assert_eq!(due(&queue, 0).await, pairs(&[("a", "2"), ("b", "1")]));
        queue.ended(first(&queue, 0).await, ItemEnd::SetAside("422 from CXone".into())).await.unwrap();
        assert_eq!(due(&queue, 0).await, pairs(&[("b", "1")]));
        assert_eq!(queue.pending_count("main"), 1);
    }

    async fn a_retry_holds_back_its_own_key_only(store: Store) {
        let ledger = store.open().await;
        for event in [event("a", "1", true), event("a", "2", true), event("b", "1", true)] {
            ledger.feedback().store(event).await.unwrap();
        }
        let queue = ledger.queue(Feedback);
        let end = ItemEnd::RetryAt(second(100), "503 from CXone".into());
        queue.ended(first(&queue, 0).await, end).await.unwrap();
        assert_eq!(due(&queue, 99).await, pairs(&[("b", "1")]));
        assert_eq!(due(&queue, 100).await, pairs(&[("a", "1"), ("b", "1")]));
        assert_eq!(queue.due("main", second(100), 1).await.unwrap()[0].attempts, 1);
    }

    async fn what_arrived_stays_so(store: Store) {
        let ledger = store.open().await;
        ledger.feedback().store(event("a", "1", true)).await.unwrap();
        let queue = ledger.queue(Feedback);
        let id = first(&queue, 0).await;
        queue.ended(id, ItemEnd::Arrived).await.unwrap();
        queue.ended(id, ItemEnd::RetryAt(second(0), "an answer that came late".into())).await.unwrap();
        assert_eq!((due(&queue, 100).await, queue.pending_count("main")), (vec![], 0));
    }

    async fn profiles_with_the_same_key_stay_apart(store: Store) {
        let ledger = store.open().await;
        ledger.feedback().store(event("a", "1", true)).await.unwrap();
        ledger.feedback().store(NewFeedback { profile: "other".into(), ..event("a", "2", true) }).await.unwrap();
        let queue = ledger.queue(Feedback);
        assert_eq!(queue.due("other", second(0), 10).await.unwrap().len(), 1);
        assert_eq!(queue.pending_profiles(), [("main".to_owned(), 1), ("other".to_owned(), 1)]);
    }

    async fn what_is_set_aside_is_listed_with_its_reason_and_may_be_tried_again(store: Store) {
        let ledger = store.open().await;
        let queue = ledger.queue(Feedback);
        for call in ["a", "b", "c"] {
            ledger.feedback().store(event(call, "1", true)).await.unwrap();
            queue.ended(first(&queue, 0).await, ItemEnd::SetAside(format!("422 for {call}"))).await.unwrap();
        }
        let dead = queue.dead(ItemId(0), 2).await.unwrap();
        let told: Vec<_> = dead.iter().map(|dead| (dead.item.key.as_str(), dead.reason.as_str(), dead.item.attempts)).collect();
        assert_eq!(told, [("a", "422 for a", 1), ("b", "422 for b", 1)]);
        assert_eq!((dead[0].profile.as_str(), dead[0].queued_at), ("main", second(1_700_000_000)));
        let rest = queue.dead(dead[1].item.id, 10).await.unwrap();
        assert_eq!(rest.iter().map(|dead| dead.item.key.as_str()).collect::<Vec<_>>(), ["c"]);
        assert!(ledger.queue(Callback).dead(ItemId(0), 10).await.unwrap().is_empty());

        let again = dead[1].item.id;
        assert!(queue.revive(again).await.unwrap() && !queue.revive(again).await.unwrap());
        assert_eq!((due(&queue, 0).await, queue.pending_count("main")), (pairs(&[("b", "1")]), 1));
        assert_eq!(queue.due("main", second(0), 1).await.unwrap()[0].attempts, 0);
    }

    async fn a_ranking_is_kept_together_with_what_its_caller_wants_to_hear(store: Store) {
        let ledger = store.open().await;
        let payload = r#"{"url":"https://hooks.example/"}"#.to_owned();
        let callback = |payload: &str| NewItem {
            kind: Callback,
            profile: "main".into(),
            key: "s".into(),
            payload: payload.into(),
            queued_at: second(1),
        };
        ledger.rankings().record(entry("s", &["a"]), Some(callback(&payload))).await.unwrap();
        let refused = RankingEntry { latency_ms: f64::NAN, ..entry("s", &["a"]) };
        assert!(ledger.rankings().record(refused, Some(callback("{}"))).await.is_err());
        let due = ledger.queue(Callback).due("main", second(0), 10).await.unwrap();
        assert_eq!(due.iter().map(|item| &item.payload).collect::<Vec<_>>(), [&payload]);
        assert_eq!((ledger.queue(Callback).pending_count("main"), ledger.queue(Feedback).pending_count("main")), (1, 0));
    }

    async fn a_closed_ledger_says_so(store: Store) {
        let ledger = store.open().await;
        ledger.feedback().store(event("a", "1", true)).await.unwrap();
        ledger.close().await;
        ledger.close().await;
        assert!(matches!(ledger.feedback().store(event("a", "2", true)).await, Err(LedgerError::Closed)));
        assert!(!ledger.feedback().store_behind(event("a", "2", true)));
        assert!(matches!(ledger.queue(Feedback).due("main", second(0), 1).await, Err(LedgerError::Closed)));
    }

    async fn concurrent_stores_all_arrive_in_the_order_of_their_key(store: Store) {
        let ledger = store.open().await;
        let started = std::time::Instant::now();
        let five = |call: usize| {
            let feedback = ledger.feedback();
            tokio::spawn(async move {
                for insight in ["1", "2", "3", "4", "5"] {
                    feedback.store(event(&format!("call-{call}"), insight, true)).await.unwrap();
                }
            })
        };
        for task in (0..200).map(five).collect::<Vec<_>>() {
            task.await.unwrap();
        }
        eprintln!("200 tasks: {:.0} stores/s", 1000.0 / started.elapsed().as_secs_f64());
        // Each of the tasks waits for five commits, which it shares with the others.
        let commits = ledger.health().commits;
        assert!((5..=100).contains(&commits), "{commits} commits for 1000 events");
        let queue = ledger.queue(Feedback);
        assert_eq!(queue.pending_count("main"), 1000);
        for expected in ["1", "2", "3", "4", "5"] {
            let due = queue.due("main", second(0), 1000).await.unwrap();
            assert_eq!(due.len(), 200);
            for item in due {
                assert!(item.payload.contains(&format!(r#""insight":"{expected}""#)), "{item:?}");
                queue.ended(item.id, ItemEnd::Arrived).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_closed_ledger_leaves_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("ledger.db").display());
    let ledger = cuecard_ledger::Ledger::open(&url, cuecard_ledger::LedgerOptions::default()).await.unwrap();
    ledger.feedback().store(event("a", "1", true)).await.unwrap();
    ledger.close().await;
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

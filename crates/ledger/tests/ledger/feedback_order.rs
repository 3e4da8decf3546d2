//! The queue gives back what was stored, in order per interaction, and never waits on another's retry.

use cuecard_ledger::{FeedbackId, FeedbackQueue, LedgerError, NewFeedback};

use sqlx::{Connection, SqliteConnection};

use crate::{event, fresh, second, url};

async fn due_ids(queue: &FeedbackQueue, now: i64) -> Vec<FeedbackId> {
    queue.due("main", second(now), 100).await.unwrap().into_iter().map(|pending| pending.id).collect()
}

#[tokio::test]
async fn an_event_comes_back_as_it_was_stored() {
    let (_directory, ledger) = fresh().await;
    let heard_at = "2026-03-29T01:30:00.123456Z".parse().unwrap();
    let stored = NewFeedback { action: "OPENED 'twice'; ü".into(), heard_at, ..event("call", "article", true) };
    let id = ledger.feedback().store(stored.clone()).await.unwrap();
    let due = ledger.feedback().due("main", second(0), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].id, &due[0].feedback, due[0].attempts, due[0].delivery), (id, &stored, 0, None));
}

#[tokio::test]
async fn only_the_oldest_of_each_interaction_is_due() {
    let (_directory, ledger) = fresh().await;
    let queue = ledger.feedback();
    let first = queue.store(event("a", "1", true)).await.unwrap();
    let second_of_a = queue.store(event("a", "2", true)).await.unwrap();
    let other = queue.store(event("b", "1", false)).await.unwrap();
    assert_eq!(due_ids(&queue, 0).await, [first, other]);

    queue.delivered(first).await.unwrap();
    assert_eq!(due_ids(&queue, 0).await, [second_of_a, other]);
    queue.set_aside(second_of_a, "422 from CXone").await.unwrap();
    assert_eq!(due_ids(&queue, 0).await, [other]);
    assert_eq!(queue.pending_count("main"), 1);
}

#[tokio::test]
async fn a_retry_holds_back_its_own_interaction_only() {
    let (_directory, ledger) = fresh().await;
    let queue = ledger.feedback();
    let failing = queue.store(event("a", "1", true)).await.unwrap();
    queue.store(event("a", "2", true)).await.unwrap();
    let other = queue.store(event("b", "1", true)).await.unwrap();
    queue.retry_at(failing, second(100), "503 from CXone").await.unwrap();
    assert_eq!(due_ids(&queue, 99).await, [other]);
    assert_eq!(due_ids(&queue, 100).await, [failing, other]);
    assert_eq!(queue.due("main", second(100), 1).await.unwrap()[0].attempts, 1);
}

#[tokio::test]
async fn a_settled_event_stays_settled() {
    let (_directory, ledger) = fresh().await;
    let queue = ledger.feedback();
    let id = queue.store(event("a", "1", true)).await.unwrap();
    queue.delivered(id).await.unwrap();
    queue.retry_at(id, second(0), "an answer that came late").await.unwrap();
    assert_eq!(due_ids(&queue, 100).await, []);
}

#[tokio::test]
async fn profiles_with_the_same_interaction_stay_apart() {
    let (_directory, ledger) = fresh().await;
    let queue = ledger.feedback();
    queue.store(event("a", "1", true)).await.unwrap();
    let theirs = queue.store(NewFeedback { profile: "other".into(), ..event("a", "1", true) }).await.unwrap();
    let due = queue.due("other", second(0), 10).await.unwrap();
    assert_eq!(due.iter().map(|pending| pending.id).collect::<Vec<_>>(), [theirs]);
    assert_eq!(queue.pending_count("other"), 1);
}

#[tokio::test]
async fn what_is_set_aside_is_kept_with_its_reason() {
    let (directory, ledger) = fresh().await;
    let id = ledger.feedback().store(event("a", "1", true)).await.unwrap();
    ledger.feedback().set_aside(id, "422 from CXone").await.unwrap();
    let mut file = SqliteConnection::connect(&url(&directory)).await.unwrap();
    let kept: Vec<(String, String)> =
        sqlx::query_as("SELECT state, reason FROM feedback").fetch_all(&mut file).await.unwrap();
    assert_eq!(kept, [("set_aside".to_owned(), "422 from CXone".to_owned())]);
}

#[tokio::test]
async fn a_closed_ledger_says_so_and_leaves_one_file() {
    let (directory, ledger) = fresh().await;
    let queue = ledger.feedback();
    queue.store(event("a", "1", true)).await.unwrap();
    ledger.close().await;
    ledger.close().await;
    assert!(matches!(queue.store(event("a", "2", true)).await, Err(LedgerError::Closed)));
    assert!(matches!(queue.due("main", second(0), 1).await, Err(LedgerError::Closed)));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_stores_all_arrive_in_the_order_of_their_interaction() {
    let (_directory, ledger) = fresh().await;
    let queue = ledger.feedback();
    let started = std::time::Instant::now();
    let tasks: Vec<_> = (0..200).map(|task| tokio::spawn(store_five(queue.clone(), task))).collect();
    for task in tasks {
        assert!(task.await.unwrap().is_sorted());
    }
    eprintln!("200 tasks: {:.0} stores/s", 1000.0 / started.elapsed().as_secs_f64());
    assert_eq!(queue.pending_count("main"), 1000);
    assert_eq!(queue.due("main", second(0), 1000).await.unwrap().len(), 200);

    let started = std::time::Instant::now();
    store_five(queue.clone(), 200).await;
    eprintln!("one task: {:.0} stores/s", 5.0 / started.elapsed().as_secs_f64());
}

async fn store_five(queue: FeedbackQueue, task: usize) -> Vec<FeedbackId> {
    let mut ids = Vec::new();
    for insight in ["1", "2", "3", "4", "5"] {
        ids.push(queue.store(event(&format!("call-{task}"), insight, true)).await.unwrap());
    }
    ids
}

//! A ledger that can't be written: whoever waits is told so at once, what nobody waits for waits, and all of it is written when
//! that is over.

use std::time::{Duration, Instant};

use cuecard_ledger::{BehindKind, ItemEnd, Ledger, LedgerError, QueueKind};
use sqlx::Executor;

use crate::deliveries::delivery;
use crate::event;
use crate::rankings::{click, entry};
use crate::stores::Store;
use crate::way::Way;

/// Longer than another process's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// From the first failed write on, until `mend` has ended what the ledger suffers from.
async fn suffers_and_is_well_again(ledger: &Ledger, mend: impl AsyncFnOnce()) {
    let (deliveries, feedback, rankings) = (ledger.deliveries(), ledger.feedback(), ledger.rankings());
    assert!(feedback.store_behind(event("call", "a", true)));
    until("it is known to fail", || ledger.health().failing.is_some()).await;
    for id in 1..=300 {
        assert!(deliveries.record_behind(delivery(id, "call", &["a"])));
        assert!(feedback.store_behind(event("call", "a", true)));
    }
    let waiting = |kind| ledger.waiting().find(|(of, _)| *of == kind).unwrap().1;
    assert_eq!((waiting(BehindKind::Feedback), waiting(BehindKind::Deliveries)), (301, 300));
    // Nobody waits for a lock, or a server, that others have waited for in vain. One try may be under way.
    let started = Instant::now();
    for _ in 0..20 {
        assert!(matches!(rankings.record(entry("s", &["a"]), None).await, Err(LedgerError::Unavailable(_))));
        assert!(matches!(rankings.click(click("s", "a")).await, Err(LedgerError::Unavailable(_))));
    }
    assert!(started.elapsed() < PATIENCE / 2, "{:?}", started.elapsed());

    mend().await;
    until("it is well again", || ledger.health().failing.is_none()).await;
    until("all is written", || ledger.waiting().all(|(_, waiting)| waiting == 0)).await;
    assert_eq!(ledger.queue(QueueKind::Feedback).pending_count("main"), 301);
    assert!(deliveries.acceptance().accepted > 0, "events find what was delivered");
    rankings.record(entry("s", &["a"]), None).await.unwrap();
    rankings.click(click("s", "a")).await.unwrap();
    assert_eq!(rankings.metrics("main").await.unwrap().total_clicks_tracked, 1);
    assert!(ledger.health().errors > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_process_holds() {
    let store = Store::sqlite();
    let ledger = store.open().await;
    let mut other = store.raw().await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let mend = async || {
        other.execute("ROLLBACK").await.unwrap();
    };
    suffers_and_is_well_again(&ledger, mend).await;
}

async fn open(way: &Way) -> Ledger {
    Ledger::open(&way.url, cuecard_ledger::LedgerOptions::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_for_a_while() {
    let Some(store) = Store::postgres().await else { return };
    let way = Way::to(&store.url).await;
    let ledger = open(&way).await;
    way.cut();
    suffers_and_is_well_again(&ledger, async || way.mend()).await;
}

/// What waits is known without asking the database, so it must be right whatever becomes of an answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_counted_once() {
    let Some(store) = Store::postgres().await else { return };
    let way = Way::to(&store.url).await;
    let ledger = open(&way).await;
    let (queue, deliveries) = (ledger.queue(QueueKind::Feedback), ledger.deliveries());
    deliveries.record(delivery(1, "call", &["a"])).await.unwrap();
    way.lose_next_answer();
    assert!(ledger.feedback().store_behind(event("call", "a", true)));
    until("it is written again", || ledger.waiting().all(|(_, waiting)| waiting == 0)).await;
    assert!(ledger.health().errors > 0, "the answer was lost");
    assert_eq!((queue.pending_count("main"), deliveries.acceptance().accepted), (1, 1));

    let due = queue.due("main", crate::second(0), 9).await.unwrap();
    way.lose_next_answer();
    let lost = queue.ended(due[0].id, ItemEnd::Arrived).await;
    assert!(matches!(lost, Err(LedgerError::Unavailable(_))), "{lost:?}");
    until("it is well again", || ledger.health().failing.is_none()).await;
    assert_eq!(queue.pending_count("main"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_silent_keeps_no_reader_and_no_close() {
    let Some(store) = Store::postgres().await else { return };
    let way = Way::to(&store.url).await;
    let ledger = open(&way).await;
    let queue = ledger.queue(QueueKind::Feedback);
    // A connection of the pool is there, and asked whether it is well before it is used again.
    assert!(queue.due("main", crate::second(0), 1).await.unwrap().is_empty());
    let mut held = store.raw().await;
    held.execute("BEGIN").await.unwrap();
    held.execute("LOCK TABLE queue").await.unwrap();
    let reading = tokio::spawn(async move { queue.due("main", crate::second(0), 1).await });
    until_waited_for(&store, "queue").await;
    way.become_black_hole();
    let started = Instant::now();
    tokio::time::timeout(PATIENCE * 2, ledger.close()).await.unwrap();
    let read = tokio::time::timeout(PATIENCE, reading).await.unwrap().unwrap();
    assert!(matches!(read, Err(LedgerError::Read(_))), "{read:?} after {:?}", started.elapsed());
}

/// Waits until somebody waits for the lock of a table.
async fn until_waited_for(store: &Store, table: &str) {
    let mut looking = store.raw().await;
    let waiting = format!("SELECT pid FROM pg_locks WHERE NOT granted AND relation = '{table}'::regclass");
    let started = Instant::now();
    while looking.fetch_all(&*waiting).await.unwrap().is_empty() {
        assert!(started.elapsed() < PATIENCE, "nobody waits for {table}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_can_not_be_written_at_its_end_is_closed_all_the_same() {
    let store = Store::sqlite();
    let ledger = store.open().await;
    let mut other = store.raw().await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    assert!(ledger.feedback().store_behind(event("call", "a", true)));
    tokio::time::timeout(PATIENCE, ledger.close()).await.unwrap();
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let store = Store::sqlite();
    let ledger = store.open().await;
    let mut other = store.raw().await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let kept = (0..30_000).filter(|_| ledger.feedback().store_behind(event("call", "a", true))).count();
    assert_eq!(kept, 20_000);
    // Of another kind there is room.
    assert!(ledger.deliveries().record_behind(delivery(1, "call", &["a"])));
}

#[tokio::test]
async fn a_write_that_is_refused_behind_somebodys_back_is_given_up_alone_and_told() {
    let store = Store::sqlite();
    let ledger = store.open().await;
    let deliveries = ledger.deliveries();
    // The same article twice breaks a rule.
    for (id, articles) in [(1, &["a", "b"][..]), (2, &["a", "a"]), (3, &["a"])] {
        assert!(deliveries.record_behind(delivery(id, "call", articles)));
    }
    until("all is written that can be", || ledger.waiting().all(|(_, waiting)| waiting == 0)).await;
    let health = ledger.health();
    assert_eq!((health.refused, health.failing), (1, None));
    let kept = deliveries.since(crate::second(0), 10).await.unwrap();
    assert_eq!(kept.iter().map(|shown| shown.article_ids.len()).collect::<Vec<_>>(), [2, 1]);
}

#[tokio::test]
async fn what_came_at_once_is_written_without_anything_else_coming() {
    let store = Store::sqlite();
    let ledger = store.open().await;
    for _ in 0..1_000 {
        assert!(ledger.feedback().store_behind(event("call", "a", true)));
    }
    until("all is written", || ledger.waiting().all(|(_, waiting)| waiting == 0)).await;
}

#[tokio::test]
async fn an_interaction_is_erased_from_what_waits_as_well() {
    let store = Store::sqlite();
    let ledger = store.open().await;
    // All of it waits when the erasure is asked for.
    for call in ["hers", "his", "hers"] {
        assert!(ledger.feedback().store_behind(event(call, "a", true)));
    }
    let erased = ledger.erase("hers", Some("main")).await.unwrap();
    assert!(erased.contains(&("waiting", 2)), "{erased:?}");
    until("the rest is written", || ledger.waiting().all(|(_, waiting)| waiting == 0)).await;
    assert_eq!(ledger.queue(QueueKind::Feedback).pending_count("main"), 1);
}

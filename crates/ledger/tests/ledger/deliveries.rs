//! Deliveries come back whole, and feedback finds the latest one that showed its card.

use cuecard_ledger::{DeliveredCard, DeliveryRecord, LedgerError};
use jiff::Timestamp;
use sqlx::{Connection, Row, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{event, fresh, second, url};

pub fn delivery(id: u128, interaction: &str, articles: &[&str]) -> DeliveryRecord {
    let card = |(index, article): (usize, &&str)| DeliveredCard {
        article_id: (*article).into(),
        rank: index as u32 + 1,
        score: 1.0 / (index as f64 + 3.0),
    };
    DeliveryRecord {
        id: Uuid::from_u128(id),
        decision: Uuid::from_u128(id << 64),
        profile: "main".into(),
        interaction: interaction.into(),
        utterance: 7,
        cards: articles.iter().enumerate().map(card).collect(),
        delivered_at: second(1_700_000_000 + id as i64),
        cxone_id: id.is_multiple_of(2).then(|| format!("cxone-{id}")),
        latency_ms: 42,
    }
}

/// What the file holds: each delivery in the order of recording, with its cards by rank.
async fn recorded(directory: &TempDir) -> Vec<DeliveryRecord> {
    let mut file = SqliteConnection::connect(&url(directory)).await.unwrap();
    let rows = sqlx::query("SELECT * FROM deliveries ORDER BY number").fetch_all(&mut file).await.unwrap();
    let mut deliveries = Vec::new();
    for row in rows {
        let id: Uuid = row.get("id");
        let cards: Vec<(String, u32, f64)> =
            sqlx::query_as("SELECT article_id, rank, score FROM delivered_cards WHERE delivery = ?1 ORDER BY rank")
                .bind(id)
                .fetch_all(&mut file)
                .await
                .unwrap();
        let card = |(article_id, rank, score)| DeliveredCard { article_id, rank, score };
        deliveries.push(DeliveryRecord {
            id,
            decision: row.get("decision"),
            profile: row.get("profile"),
            interaction: row.get("interaction"),
            utterance: row.get::<i64, _>("utterance") as u64,
            cards: cards.into_iter().map(card).collect(),
            delivered_at: Timestamp::from_microsecond(row.get("delivered_at_us")).unwrap(),
            cxone_id: row.get("cxone_id"),
            latency_ms: row.get::<i64, _>("latency_ms") as u64,
        });
    }
    deliveries
}

#[tokio::test]
async fn a_delivery_is_kept_as_it_was_recorded() {
    let (directory, ledger) = fresh().await;
    let deliveries = [delivery(1, "call", &["b", "a", "c"]), delivery(2, "call", &["a"])];
    for delivery in &deliveries {
        ledger.deliveries().record(delivery.clone()).await.unwrap();
    }
    assert_eq!(recorded(&directory).await, deliveries);
}

#[tokio::test]
async fn recording_the_same_delivery_again_changes_nothing() {
    let (directory, ledger) = fresh().await;
    let deliveries = ledger.deliveries();
    let first = delivery(1, "call", &["a"]);
    deliveries.record(first.clone()).await.unwrap();
    deliveries.record(DeliveryRecord { latency_ms: 99, ..first.clone() }).await.unwrap();
    assert_eq!(recorded(&directory).await, [first]);
}

#[tokio::test]
async fn a_delivery_is_kept_with_all_its_cards_or_not_at_all() {
    let (directory, ledger) = fresh().await;
    let deliveries = ledger.deliveries();
    let error = deliveries.record(delivery(1, "call", &["a", "a"])).await.unwrap_err();
    assert!(matches!(error, LedgerError::Refused(_)), "{error:?}");
    let mut unscored = delivery(2, "call", &["a", "b"]);
    unscored.cards[1].score = f64::NAN;
    assert!(deliveries.record(unscored).await.is_err());
    assert_eq!(recorded(&directory).await, []);
}

#[tokio::test]
async fn feedback_is_matched_to_the_latest_delivery_of_its_card() {
    let (_directory, ledger) = fresh().await;
    let (deliveries, queue) = (ledger.deliveries(), ledger.feedback());
    deliveries.record(delivery(1, "call", &["a"])).await.unwrap();
    deliveries.record(delivery(2, "call", &["a"])).await.unwrap();
    queue.store(event("call", "a", true)).await.unwrap();
    queue.store(event("another", "a", true)).await.unwrap();
    queue.store(event("quick", "a", true)).await.unwrap();
    deliveries.record(delivery(3, "quick", &["a"])).await.unwrap();
    deliveries.record(DeliveryRecord { profile: "other".into(), ..delivery(4, "call", &["a"]) }).await.unwrap();
    deliveries.record(delivery(5, "older", &["b", "c"])).await.unwrap();
    deliveries.record(delivery(6, "older", &["b"])).await.unwrap();
    queue.store(event("older", "c", true)).await.unwrap();
    let due = queue.due("main", second(0), 10).await.unwrap();
    let matched: Vec<_> = due
        .iter()
        .map(|pending| (pending.feedback.interaction.as_str(), pending.delivery.map(|id| id.as_u128())))
        .collect();
    assert_eq!(matched, [("call", Some(2)), ("another", None), ("quick", Some(3)), ("older", Some(5))]);
}

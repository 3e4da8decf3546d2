//! Deliveries come back whole, and feedback finds the latest one that showed its card.

use std::collections::BTreeMap;

use cuecard_ledger::{DeliveryRecord, Impression, LedgerError, QuestionRecord, judged_deliveries};
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::types::Json;
use sqlx::{Connection, Row, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{event, fresh, second, url};

pub fn delivery(id: u128, interaction: &str, articles: &[&str]) -> DeliveryRecord {
    let impression = |(index, article): (usize, &&str)| Impression {
        article_id: format!("article-{article}"),
        wire_id: (*article).into(),
        content_hash: "0a1b".into(),
        rank: index as u32 + 1,
        score: 1.0 / (index as f64 + 3.0),
        probability: (index == 0).then_some(0.75),
        propensity: Some(0.95),
        features: BTreeMap::from([("newest_cosine".to_owned(), 0.5)]),
    };
    DeliveryRecord {
        id: Uuid::from_u128(id),
        decision: Uuid::from_u128(id << 64),
        profile: "main".into(),
        interaction: interaction.into(),
        utterance: 7,
        impressions: articles.iter().enumerate().map(impression).collect(),
        question: Some(QuestionRecord { num_words: 7, num_turns: 3, vector: Some(vec![0.5, -0.25]) }),
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
        let shown = sqlx::query("SELECT * FROM impressions WHERE delivery = ?1 ORDER BY rank");
        let shown = shown.bind(id).fetch_all(&mut file).await.unwrap();
        let impression = |row: &SqliteRow| Impression {
            article_id: row.get("article_id"),
            wire_id: row.get("wire_id"),
            content_hash: row.get("content_hash"),
            rank: row.get("rank"),
            score: row.get("score"),
            probability: row.get("probability"),
            propensity: row.get("propensity"),
            features: row.get::<Json<_>, _>("features").0,
        };
        let vector: Option<Vec<u8>> = row.get("question_vector");
        let vector = vector.map(|bytes| bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect());
        let question = row.get::<Option<u32>, _>("num_words").map(|num_words| QuestionRecord {
            num_words,
            num_turns: row.get("num_turns"),
            vector,
        });
        deliveries.push(DeliveryRecord {
            id,
            decision: row.get("decision"),
            profile: row.get("profile"),
            interaction: row.get("interaction"),
            utterance: row.get::<i64, _>("utterance") as u64,
            impressions: shown.iter().map(impression).collect(),
            question,
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
    unscored.impressions[1].score = f64::NAN;
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

#[tokio::test]
async fn what_was_judged_is_read_beside_the_writer_with_the_newest_judgement_of_each_card() {
    let (directory, ledger) = fresh().await;
    let (deliveries, queue) = (ledger.deliveries(), ledger.feedback());
    let first = delivery(1, "call", &["a", "b", "c"]);
    let unasked = DeliveryRecord { question: None, ..delivery(3, "older", &["a"]) };
    for delivery in [&first, &delivery(2, "unjudged", &["a"]), &unasked] {
        deliveries.record(delivery.clone()).await.unwrap();
    }
    for (interaction, insight, accepted) in
        [("call", "a", false), ("call", "b", false), ("call", "b", true), ("older", "a", true), ("never", "a", true)]
    {
        queue.store(event(interaction, insight, accepted)).await.unwrap();
    }
    let judged = judged_deliveries(&url(&directory), "main").await.unwrap();
    let verdicts: Vec<Vec<Option<bool>>> =
        judged.iter().map(|delivery| delivery.cards.iter().map(|card| card.accepted).collect()).collect();
    assert_eq!(verdicts, [vec![Some(false), Some(true), None], vec![Some(true)]]);
    let shown: Vec<Impression> = judged[0].cards.iter().map(|card| card.impression.clone()).collect();
    assert_eq!((&shown, &judged[0].question), (&first.impressions, &first.question));
    assert_eq!((judged[1].question.as_ref(), judged[1].interaction.as_str()), (None, "older"));
    assert!(judged_deliveries(&url(&directory), "other").await.unwrap().is_empty());
    let nowhere = judged_deliveries("sqlite:/nowhere/ledger.db", "main").await.unwrap_err();
    assert!(nowhere.to_string().contains("/nowhere/ledger.db"), "{nowhere}");
}

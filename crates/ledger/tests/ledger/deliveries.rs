//! Deliveries come back whole, and feedback finds the latest one that showed its card.

use std::collections::BTreeMap;

use cuecard_ledger::{
    DeliveryRecord, Impression, LedgerError, NewFeedback, QuestionRecord, QueueKind, RejectedArticle, ShownCards,
    judged_deliveries,
};
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{Executor, Row};
use uuid::Uuid;

use crate::stores::{Store, on_both};
use crate::{event, second};

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

/// What the database holds: each delivery in the order of recording, with its cards by rank.
async fn recorded(store: &Store) -> Vec<DeliveryRecord> {
    let mut raw = store.raw().await;
    let mut deliveries = Vec::new();
    for row in raw.fetch_all("SELECT * FROM deliveries ORDER BY number").await.unwrap() {
        let count = |name: &str| row.get::<Option<i64>, _>(name).map(|count| count as u32);
        let shown = sqlx::query("SELECT * FROM impressions WHERE delivery = $1 ORDER BY rank");
        let shown = shown.bind(row.get::<i64, _>("number")).fetch_all(&mut raw).await.unwrap();
        let impression = |row: &AnyRow| Impression {
            article_id: row.get("article_id"),
            wire_id: row.get("wire_id"),
            content_hash: row.get("content_hash"),
            rank: row.get::<i64, _>("rank") as u32,
            score: row.get("score"),
            probability: row.get("probability"),
            propensity: row.get("propensity"),
            features: serde_json::from_str(row.get("features")).unwrap(),
        };
        let vector: Option<Vec<u8>> = row.get("question_vector");
        let vector = vector.map(|bytes| bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect());
        let question = count("num_words").map(|num_words| QuestionRecord {
            num_words,
            num_turns: count("num_turns").unwrap(),
            vector,
        });
        deliveries.push(DeliveryRecord {
            id: Uuid::from_slice(row.get("id")).unwrap(),
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

on_both! {
    async fn a_delivery_is_kept_as_it_was_recorded(store: Store) {
        let ledger = store.open().await;
        let deliveries = [delivery(1, "call", &["b", "a", "c"]), delivery(2, "call", &["a"])];
        for delivery in &deliveries {
            ledger.deliveries().record(delivery.clone()).await.unwrap();
        }
        assert_eq!(recorded(&store).await, deliveries);
    }

    async fn recording_the_same_delivery_again_changes_nothing(store: Store) {
        let ledger = store.open().await;
        let deliveries = ledger.deliveries();
        let first = delivery(1, "call", &["a"]);
        deliveries.record(first.clone()).await.unwrap();
        deliveries.record(DeliveryRecord { latency_ms: 99, ..first.clone() }).await.unwrap();
        assert_eq!(recorded(&store).await, [first]);
    }

    async fn a_delivery_is_kept_with_all_its_cards_or_not_at_all(store: Store) {
        let ledger = store.open().await;
        let deliveries = ledger.deliveries();
        let error = deliveries.record(delivery(1, "call", &["a", "a"])).await.unwrap_err();
        assert!(matches!(error, LedgerError::Refused(_)), "{error:?}");
        let mut unscored = delivery(2, "call", &["a", "b"]);
        unscored.impressions[1].score = f64::NAN;
        assert!(deliveries.record(unscored).await.is_err());
        assert_eq!(recorded(&store).await, []);
    }

    async fn feedback_is_matched_to_the_latest_delivery_of_its_card(store: Store) {
        let ledger = store.open().await;
        let (deliveries, feedback) = (ledger.deliveries(), ledger.feedback());
        deliveries.record(delivery(1, "call", &["a"])).await.unwrap();
        deliveries.record(delivery(2, "call", &["a"])).await.unwrap();
        feedback.store(event("call", "a", true)).await.unwrap();
        feedback.store(event("another", "a", true)).await.unwrap();
        feedback.store(event("quick", "a", true)).await.unwrap();
        deliveries.record(delivery(3, "quick", &["a"])).await.unwrap();
        deliveries.record(DeliveryRecord { profile: "other".into(), ..delivery(4, "call", &["a"]) }).await.unwrap();
        deliveries.record(delivery(5, "older", &["b", "c"])).await.unwrap();
        deliveries.record(delivery(6, "older", &["b"])).await.unwrap();
        feedback.store(event("older", "c", true)).await.unwrap();
        let statement = "SELECT f.interaction, d.id FROM feedback f LEFT JOIN deliveries d ON d.number = f.delivery ORDER BY f.id";
        let rows = store.raw().await.fetch_all(statement).await.unwrap();
        let matched: Vec<(String, Option<u128>)> = rows
            .iter()
            .map(|row| (row.get(0), row.get::<Option<Vec<u8>>, _>(1).map(|id| Uuid::from_slice(&id).unwrap().as_u128())))
            .collect();
        let expected = [("call", Some(2)), ("another", None), ("quick", Some(3)), ("older", Some(5))];
        assert_eq!(matched, expected.map(|(call, id)| (call.to_owned(), id)));
    }

    async fn what_was_judged_is_read_beside_the_writer_with_the_newest_judgement_of_each_card(store: Store) {
        let ledger = store.open().await;
        let (deliveries, feedback) = (ledger.deliveries(), ledger.feedback());
        let first = delivery(1, "call", &["a", "b", "c"]);
        let unasked = DeliveryRecord { question: None, ..delivery(3, "older", &["a"]) };
        for delivery in [&first, &delivery(2, "unjudged", &["a"]), &unasked] {
            deliveries.record(delivery.clone()).await.unwrap();
        }
        for (interaction, insight, accepted) in
            [("call", "a", false), ("call", "b", false), ("call", "b", true), ("older", "a", true), ("never", "a", true)]
        {
            feedback.store(event(interaction, insight, accepted)).await.unwrap();
        }
        let judged = judged_deliveries(&store.url, "main").await.unwrap();
        let verdicts: Vec<Vec<Option<bool>>> =
            judged.iter().map(|delivery| delivery.cards.iter().map(|card| card.accepted).collect()).collect();
        assert_eq!(verdicts, [vec![Some(false), Some(true), None], vec![Some(true)]]);
        let shown: Vec<Impression> = judged[0].cards.iter().map(|card| card.impression.clone()).collect();
        assert_eq!((&shown, &judged[0].question), (&first.impressions, &first.question));
        assert_eq!((judged[1].question.as_ref(), judged[1].interaction.as_str()), (None, "older"));
        assert!(judged_deliveries(&store.url, "other").await.unwrap().is_empty());
        let nowhere = judged_deliveries("sqlite:/nowhere/ledger.db", "main").await.unwrap_err();
        assert!(nowhere.to_string().contains("/nowhere/ledger.db"), "{nowhere}");
    }

    async fn what_nobody_waits_for_is_written_behind_in_its_order(store: Store) {
        let ledger = store.open().await;
        let written: Vec<_> = (1..=600).map(|id| delivery(id, "call", &["a"])).collect();
        for delivery in &written {
            assert!(ledger.deliveries().record_behind(delivery.clone()));
            assert!(ledger.feedback().store_behind(event("call", "a", true)));
        }
        ledger.close().await;
        assert_eq!(recorded(&store).await, written);
        let ledger = store.open().await;
        assert_eq!(ledger.queue(QueueKind::Feedback).pending_count("main"), 600);
        assert!(ledger.waiting().all(|(_, waiting)| waiting == 0));
    }

    async fn what_was_shown_lately_is_read_back(store: Store) {
        let ledger = store.open().await;
        for (id, call, articles) in [(1, "old", ["a", "b"]), (5, "call", ["b", "a"]), (6, "call", ["c", "d"])] {
            ledger.deliveries().record(delivery(id, call, &articles)).await.unwrap();
        }
        let shown = |id: i64, articles: [&str; 2]| ShownCards {
            profile: "main".into(),
            interaction: "call".into(),
            delivered_at: second(1_700_000_000 + id),
            article_ids: articles.map(|article| format!("article-{article}")).to_vec(),
        };
        let since = ledger.deliveries().since(second(1_700_000_005), 100).await.unwrap();
        assert_eq!(since, [shown(5, ["b", "a"]), shown(6, ["c", "d"])]);
        assert_eq!(ledger.deliveries().since(second(0), 1).await.unwrap(), [shown(6, ["c", "d"])]);
    }

    async fn what_was_rejected_lately_is_read_back_by_its_article(store: Store) {
        let ledger = store.open().await;
        let (deliveries, feedback) = (ledger.deliveries(), ledger.feedback());
        deliveries.record(delivery(1, "call", &["a", "b"])).await.unwrap();
        let heard = |at: i64, interaction: &str, insight: &str, accepted: bool| NewFeedback {
            heard_at: second(1_700_000_000 + at),
            ..event(interaction, insight, accepted)
        };
        for event in [
            heard(10, "call", "a", false),
            heard(20, "call", "b", true),
            heard(30, "call", "b", false),
            NewFeedback { profile: "other".into(), ..heard(40, "call", "never-recorded", false) },
        ] {
            feedback.store(event).await.unwrap();
        }
        let rejected = |profile: &str, article: &str, at: i64| RejectedArticle {
            profile: profile.into(),
            interaction: "call".into(),
            article_id: article.into(),
            rejected_at: second(1_700_000_000 + at),
        };
        let (first, last) = (rejected("main", "article-b", 30), rejected("other", "never-recorded", 40));
        assert_eq!(feedback.rejections(second(1_700_000_011), 100).await.unwrap(), [first, last.clone()]);
        assert_eq!(feedback.rejections(second(0), 1).await.unwrap(), [last]);
        assert_eq!(feedback.rejections(second(1_700_000_041), 100).await.unwrap(), []);
    }

    async fn a_card_is_not_rejected_before_it_was_shown(store: Store) {
        let ledger = store.open().await;
        let (deliveries, feedback) = (ledger.deliveries(), ledger.feedback());
        // The agent is quicker than CXone's answer to the push.
        let quick = NewFeedback { heard_at: second(1_700_000_001), ..event("call", "a", false) };
        feedback.store(quick).await.unwrap();
        deliveries.record(delivery(2, "call", &["a", "b"])).await.unwrap();
        let rejections = feedback.rejections(second(0), 100).await.unwrap();
        assert_eq!(rejections.iter().map(|rejected| rejected.rejected_at).collect::<Vec<_>>(), [second(1_700_000_002)]);
    }

    async fn an_event_of_the_same_commit_as_its_delivery_finds_it(store: Store) {
        let ledger = store.open().await;
        let (deliveries, feedback) = (ledger.deliveries(), ledger.feedback());
        let other = NewFeedback { profile: "other".into(), ..event("call", "a", false) };
        // All wait together, whoever was first.
        let (first, second, third) = tokio::join!(
            feedback.store(event("call", "a", true)),
            feedback.store(other),
            deliveries.record(delivery(1, "call", &["a"]))
        );
        assert!(first.is_ok() && second.is_ok() && third.is_ok());
        assert_eq!(deliveries.acceptance().ratio(), Some(1.0));
    }
}

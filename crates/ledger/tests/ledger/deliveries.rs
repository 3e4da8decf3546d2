//! Deliveries come back whole, and feedback finds the latest one that showed its card.

use cuecard_ledger::{Acceptance, DeliveredCard, Delivery, LedgerError, NewFeedback};
use uuid::Uuid;

use crate::{event, fresh, second};

fn delivery(id: u128, interaction: &str, articles: &[&str]) -> Delivery {
    let card = |(index, article): (usize, &&str)| DeliveredCard {
        article_id: (*article).into(),
        rank: index as u32 + 1,
        score: 1.0 / (index as f64 + 3.0),
    };
    Delivery {
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

#[tokio::test]
async fn a_delivery_comes_back_as_it_was_recorded() {
    let (_directory, ledger) = fresh().await;
    let deliveries = ledger.deliveries();
    // By rank, not by name or by order of recording.
    let mut recorded = delivery(1, "call", &["b", "a", "c"]);
    recorded.cards.rotate_left(1);
    deliveries.record(recorded.clone()).await.unwrap();
    recorded.cards.rotate_right(1);
    assert_eq!(deliveries.recent(10).await.unwrap(), [recorded]);
}

#[tokio::test]
async fn recent_gives_the_newest_first_up_to_the_limit() {
    let (_directory, ledger) = fresh().await;
    let deliveries = ledger.deliveries();
    for id in [2, 1, 3] {
        deliveries.record(delivery(id, "call", &["a"])).await.unwrap();
    }
    let ids: Vec<_> = deliveries.recent(2).await.unwrap().iter().map(|delivery| delivery.id.as_u128()).collect();
    assert_eq!(ids, [3, 2]);
}

#[tokio::test]
async fn latest_keeps_profile_interaction_and_article_apart() {
    let (_directory, ledger) = fresh().await;
    let deliveries = ledger.deliveries();
    deliveries.record(delivery(1, "call", &["a", "b"])).await.unwrap();
    deliveries.record(delivery(2, "call", &["a"])).await.unwrap();
    deliveries.record(delivery(3, "another", &["a"])).await.unwrap();
    deliveries.record(Delivery { profile: "other".into(), ..delivery(4, "call", &["a"]) }).await.unwrap();
    for (interaction, article, expected) in
        [("call", "a", Some(2)), ("call", "b", Some(1)), ("another", "a", Some(3)), ("another", "b", None)]
    {
        let found = deliveries.latest("main", interaction, article).await.unwrap();
        assert_eq!(found.map(|delivery| delivery.id.as_u128()), expected, "{interaction} {article}");
    }
}

#[tokio::test]
async fn recording_the_same_delivery_again_changes_nothing() {
    let (_directory, ledger) = fresh().await;
    let deliveries = ledger.deliveries();
    let first = delivery(1, "call", &["a"]);
    deliveries.record(first.clone()).await.unwrap();
    deliveries.record(Delivery { latency_ms: 99, ..first.clone() }).await.unwrap();
    assert_eq!(deliveries.recent(10).await.unwrap(), [first]);
}

#[tokio::test]
async fn a_delivery_is_kept_with_all_its_cards_or_not_at_all() {
    let (_directory, ledger) = fresh().await;
    let deliveries = ledger.deliveries();
    let error = deliveries.record(delivery(1, "call", &["a", "a"])).await.unwrap_err();
    assert!(matches!(error, LedgerError::Write(_)), "{error:?}");
    let mut unscored = delivery(2, "call", &["a", "b"]);
    unscored.cards[1].score = f64::NAN;
    assert!(deliveries.record(unscored).await.is_err());
    assert_eq!(deliveries.recent(10).await.unwrap(), []);
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
    let due = queue.due("main", second(0), 10).await.unwrap();
    let matched: Vec<_> = due
        .iter()
        .map(|pending| (pending.feedback.interaction.as_str(), pending.delivery.map(|id| id.as_u128())))
        .collect();
    assert_eq!(matched, [("call", Some(2)), ("another", None), ("quick", Some(3))]);
}

#[tokio::test]
async fn acceptance_counts_each_delivered_card_once_by_its_newest_event() {
    let (_directory, ledger) = fresh().await;
    let (deliveries, queue) = (ledger.deliveries(), ledger.feedback());
    assert_eq!(deliveries.acceptance().await.unwrap().ratio(), None);
    deliveries.record(delivery(1, "call", &["a", "b", "c"])).await.unwrap();
    deliveries.record(delivery(2, "another", &["a", "b"])).await.unwrap();
    for (interaction, insight, accepted) in [
        ("call", "a", false),
        ("call", "a", true),
        ("call", "b", true),
        ("another", "a", true),
        ("another", "b", false),
        ("never shown", "a", false),
    ] {
        queue.store(event(interaction, insight, accepted)).await.unwrap();
    }
    queue.store(NewFeedback { profile: "other".into(), ..event("call", "c", false) }).await.unwrap();
    let acceptance = deliveries.acceptance().await.unwrap();
    assert_eq!(acceptance, Acceptance { accepted: 3, rejected: 1 });
    assert_eq!(acceptance.ratio(), Some(0.75));
}

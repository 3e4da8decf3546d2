//! Writes down what CXone took, behind the agent's back.

use std::collections::BTreeMap;
use std::time::Duration;

use cuecard_engine::knowledge::ContentHash;
use cuecard_engine::{Query, Ranked, Ranking};
use cuecard_ledger::{Deliveries, DeliveryRecord, Impression, QuestionRecord};
use jiff::Timestamp;
use tokio::time::sleep;

use crate::messages::{Content, Receipt, Ticket, WorkItem};
use crate::telemetry::{ActorDropped, DropReason, Metrics};
use crate::tenant::Learning;

/// A disk that is full or a file that is locked may be well again after this pause.
const PAUSE: Duration = Duration::from_secs(1);
/// A delivery that could not be written for so long is given up: nobody waits for it.
const TRIES: u32 = 30;

/// The record of deliveries.
#[derive(Clone)]
pub struct DeliveryRecords {
    deliveries: Deliveries,
    metrics: Metrics,
}

impl DeliveryRecords {
    /// Records in the ledger.
    pub fn new(deliveries: Deliveries, metrics: Metrics) -> Self {
        Self { deliveries, metrics }
    }

    /// What is to be written down of a delivery; of given snippets the audit has its own record.
    pub(super) fn record(
        item: &WorkItem,
        content: &Content,
        question: Option<QuestionRecord>,
        receipt: &Receipt,
    ) -> Option<DeliveryRecord> {
        let Content::Cards(ranking) = content else { return None };
        Some(DeliveryRecord { question, ..record(item, ranking, receipt) })
    }

    /// What is kept of the question, which ends with its ticket.
    pub(super) fn question(ticket: &Ticket) -> Option<QuestionRecord> {
        ticket.query().map(|query| question(query, ticket.tenant().profile.learning))
    }

    /// Writes it down, for as long as that takes.
    pub(super) async fn write(&self, record: DeliveryRecord) {
        let mut detail = record.id.to_string();
        for _ in 0..TRIES {
            match self.deliveries.record(record.clone()).await {
                Ok(()) => return,
                Err(error) if error.is_final() => {
                    detail = format!("{detail}: {error}");
                    break;
                }
                Err(error) => tracing::error!(%error, "a delivery can't be written down"),
            }
            sleep(PAUSE).await;
        }
        ActorDropped { reason: DropReason::DeliveryUnrecorded, count: 1, detail: &detail }.emit(&self.metrics);
    }
}

fn record(item: &WorkItem, ranking: &Ranking, receipt: &Receipt) -> DeliveryRecord {
    let impression = |(position, ranked): (usize, &Ranked)| Impression {
        article_id: ranked.article().id.clone(),
        wire_id: ranked.article().id.clone(),
        content_hash: ContentHash::of_article(ranked.article()).to_string(),
        rank: u32::try_from(position + 1).unwrap_or(u32::MAX),
        score: if ranked.score.is_finite() { ranked.score } else { 0.0 },
        probability: ranking.order.ranker.gives_probabilities().then_some(ranked.score),
        propensity: ranking.propensities.get(position).copied(),
        features: features(ranked),
    };
    DeliveryRecord {
        id: item.decision,
        decision: item.decision,
        profile: item.key.profile.to_string(),
        interaction: item.key.interaction.to_string(),
        utterance: item.utterance_number,
        impressions: ranking.cards().into_iter().enumerate().map(impression).collect(),
        question: None,
        delivered_at: Timestamp::now(),
        cxone_id: receipt.cxone_id.clone(),
        latency_ms: u64::try_from(item.heard.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

/// Numbers that JSON has.
fn features(ranked: &Ranked) -> BTreeMap<String, f64> {
    let finite = ranked.features.iter().filter(|feature| feature.value.is_finite());
    finite.map(|feature| (feature.name.to_string(), feature.value)).collect()
}

fn question(query: &Query, learning: Learning) -> QuestionRecord {
    let signs = query.signs();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let vector = query.newest_embedding.as_ref().filter(|_| learning.keeps_vectors).cloned();
    QuestionRecord { num_words: count(signs.num_words), num_turns: count(signs.num_turns), vector }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use cuecard_ledger::Ledger;
    use uuid::Uuid;

    use super::*;
    use crate::messages::ProfileName;
    use crate::testing::Logged;

    /// One article stands on it twice.
    #[tokio::test]
    async fn a_record_that_breaks_a_rule_of_the_ledger_is_given_up_at_once_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("ledger.db").display());
        let ledger = Ledger::open(&url).await.unwrap();
        let metrics = Metrics::new(&[ProfileName::new("acme")], Vec::new()).unwrap();
        let card = Impression { article_id: "article".to_owned(), rank: 1, ..Impression::default() };
        let record = DeliveryRecord {
            id: Uuid::from_u128(1),
            decision: Uuid::from_u128(1),
            profile: "acme".to_owned(),
            interaction: "a".to_owned(),
            utterance: 1,
            impressions: vec![card.clone(), card],
            question: None,
            delivered_at: Timestamp::UNIX_EPOCH,
            cxone_id: None,
            latency_ms: 1,
        };
        let logged = Logged::start();
        DeliveryRecords::new(ledger.deliveries(), metrics.clone()).write(record).await;
        assert_eq!(
            (logged.count("can't be written down"), logged.count("breaks a rule")),
            (0, 1),
            "{:?}",
            logged.lines()
        );
        let dropped = r#"cuecard_dropped_total{actor="injector",reason="unrecorded"} 1"#;
        assert!(metrics.render(0.0).unwrap().contains(dropped));
    }
}

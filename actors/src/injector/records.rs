//! Writes down what CXone took, behind the agent's back.

use std::time::Duration;

use cuecard_engine::{Ranked, Ranking};
use cuecard_ledger::{DeliveredCard, Deliveries, DeliveryRecord};
use jiff::Timestamp;
use tokio::time::sleep;

use crate::messages::{Content, Delivery, Receipt};
use crate::telemetry::{ActorDropped, DropReason, Metrics};

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
    pub(super) fn record(delivery: &Delivery, receipt: &Receipt) -> Option<DeliveryRecord> {
        let Content::Cards(ranking) = &delivery.content else { return None };
        Some(record(delivery, ranking, receipt))
    }

    /// Writes it down, for as long as that takes.
    pub(super) async fn write(&self, record: DeliveryRecord) {
        for _ in 0..TRIES {
            match self.deliveries.record(record.clone()).await {
                Ok(()) => return,
                Err(error) if error.is_final() => break,
                Err(error) => tracing::error!(%error, "a delivery can't be written down"),
            }
            sleep(PAUSE).await;
        }
        let detail = record.id.to_string();
        ActorDropped { reason: DropReason::DeliveryUnrecorded, count: 1, detail: &detail }.emit(&self.metrics);
    }
}

fn record(delivery: &Delivery, ranking: &Ranking, receipt: &Receipt) -> DeliveryRecord {
    let card = |(position, ranked): (usize, &Ranked)| DeliveredCard {
        article_id: ranked.article().id.clone(),
        rank: u32::try_from(position + 1).unwrap_or(u32::MAX),
        score: if ranked.score.is_finite() { ranked.score } else { 0.0 },
    };
    let item = &delivery.item;
    DeliveryRecord {
        id: item.decision,
        decision: item.decision,
        profile: item.key.profile.to_string(),
        interaction: item.key.interaction.to_string(),
        utterance: item.utterance_number,
        cards: ranking.cards().iter().enumerate().map(card).collect(),
        delivered_at: Timestamp::now(),
        cxone_id: receipt.cxone_id.clone(),
        latency_ms: u64::try_from(item.heard.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

//! Writes down what CXone took, behind the agent's back.

use std::rc::Rc;
use std::time::Duration;

use cuecard_actors::engine::Ranked;
use cuecard_actors::injector::RecordDelivery;
use cuecard_actors::ledger::{DeliveredCard, Deliveries, Delivery as DeliveryRecord};
use cuecard_actors::messages::{Content, Delivery, Receipt};
use cuecard_actors::telemetry::{ActorDropped, DropReason, Metrics};
use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::sleep;

/// A disk that is full or a file that is locked may be well again after this pause.
const PAUSE: Duration = Duration::from_secs(1);
/// A delivery that could not be written for so long is given up: nobody waits for it.
const TRIES: u32 = 30;

/// Records deliveries in the ledger; of given snippets the audit has its own record.
pub(super) fn record_deliveries(deliveries: Deliveries, metrics: Metrics) -> RecordDelivery {
    Rc::new(move |delivery, receipt| match &delivery.content {
        Content::Cards(cards) => {
            write(deliveries.clone(), metrics.clone(), record(delivery, cards, receipt)).boxed_local()
        }
        Content::Order(_) => std::future::ready(()).boxed_local(),
    })
}

async fn write(deliveries: Deliveries, metrics: Metrics, record: DeliveryRecord) {
    for _ in 0..TRIES {
        match deliveries.record(record.clone()).await {
            Ok(()) => return,
            Err(error) if error.is_final() => break,
            Err(error) => tracing::error!(%error, "a delivery can't be written down"),
        }
        sleep(PAUSE).await;
    }
    let detail = record.id.to_string();
    ActorDropped { reason: DropReason::DeliveryUnrecorded, count: 1, detail: &detail }.emit(&metrics);
}

fn record(delivery: &Delivery, cards: &[Ranked], receipt: &Receipt) -> DeliveryRecord {
    let card = |(position, ranked): (usize, &Ranked)| DeliveredCard {
        article_id: ranked.article.id.clone(),
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
        cards: cards.iter().enumerate().map(card).collect(),
        delivered_at: Timestamp::now(),
        cxone_id: receipt.cxone_id.clone(),
        latency_ms: u64::try_from(item.heard.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

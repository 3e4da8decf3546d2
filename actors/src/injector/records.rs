//! Writes down what CXone took, behind the agent's back.

use std::collections::BTreeMap;

use cuecard_engine::knowledge::ContentHash;
use cuecard_engine::{Query, Ranked, Ranking};
use cuecard_ledger::{Deliveries, DeliveryRecord, Impression, QuestionRecord};
use jiff::Timestamp;

use crate::messages::{Content, Receipt, Ticket, WorkItem};
use crate::telemetry::{ActorDropped, DropReason, Metrics};
use crate::tenant::Learning;

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

    /// Writes it down, at the latest when the ledger can be written again; one for which there is no room is counted.
    pub(super) fn write(&self, record: DeliveryRecord) {
        let detail = record.id.to_string();
        if !self.deliveries.record_behind(record) {
            ActorDropped { reason: DropReason::DeliveryUnrecorded, count: 1, detail: &detail }.emit(&self.metrics);
        }
    }
}

fn record(item: &WorkItem, ranking: &Ranking, receipt: &Receipt) -> DeliveryRecord {
    let impression = |(position, ranked): (usize, &Ranked)| Impression {
        article_id: ranked.article().id.clone(),
        wire_id: ranked.article().id.clone(),
        content_hash: ContentHash::of_article(ranked.article()).short(),
        rank: u32::try_from(position + 1).unwrap_or(u32::MAX),
        score: if ranked.score.is_finite() { ranked.score } else { 0.0 },
        probability: ranking.order.ranker.gives_probabilities().then_some(ranked.score),
        propensity: ranking.propensities.get(position).copied(),
        features: features(ranked),
    };
    DeliveryRecord {
        id: item.decision,
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
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let vector = query.newest_embedding.as_ref().filter(|_| learning.keeps_vectors).cloned();
    QuestionRecord { num_words: count(query.num_words()), num_turns: count(query.turns.len()), vector }
}

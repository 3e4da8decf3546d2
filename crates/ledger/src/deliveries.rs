//! How deliveries are kept.
//!
//! In: a [`DeliveryRecord`] for each push that CXone took. A delivery and its cards are kept together or not at all. What
//! agents did with a card before its delivery was recorded is matched to it; later events find it themselves.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::LedgerError;
use crate::feedback::{Judgement, judge};
use crate::microseconds::Microseconds;
use crate::readers::Readers;
use crate::statement::{Does, Fields, Session, Statement};
use crate::totals::Change;

const ADD: Statement = Statement {
    columns: "id, profile, interaction, utterance, delivered_at_us, cxone_id, latency_ms, num_words, num_turns, question_vector",
    does: Does::Insert { table: "deliveries", then: "ORDER BY place ON CONFLICT (id) DO NOTHING RETURNING number, id" },
};

const ADD_IMPRESSIONS: Statement = Statement {
    columns: "delivery, article_id, wire_id, content_hash, rank, score, probability, propensity, features",
    does: Does::Insert { table: "impressions", then: "ORDER BY place" },
};

const MATCH_EARLIER_FEEDBACK: Statement = Statement {
    columns: "profile, interaction, wire_id, delivery",
    does: Does::Run(
        "
        UPDATE feedback SET delivery = rows.delivery FROM rows
        WHERE feedback.delivery IS NULL AND feedback.profile = rows.profile
          AND feedback.interaction = rows.interaction AND feedback.insight = rows.wire_id
        RETURNING feedback.id, feedback.delivery, feedback.insight, feedback.accepted",
    ),
};

const REJECTED: &str = "
    SELECT d.id FROM impressions i JOIN deliveries d ON d.number = i.delivery
    WHERE i.accepted = 0 AND i.rank = 1 ORDER BY i.delivery DESC LIMIT $1";

/// The cards of the newest `$2` deliveries that came after `$1`.
const SINCE: &str = "
    SELECT d.profile, d.interaction, d.delivered_at_us, i.article_id
    FROM deliveries d JOIN impressions i ON i.delivery = d.number
    WHERE d.number > (SELECT COALESCE(MAX(number), 0) FROM deliveries) - $2 AND d.delivered_at_us >= $1
    ORDER BY d.number, i.rank";

/// A push that CXone took. Times are kept to the microsecond.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryRecord {
    /// Its decision's. Recording the same id again changes nothing.
    pub id: Uuid,
    pub profile: String,
    pub interaction: String,
    pub utterance: u64,
    /// Each article once.
    pub impressions: Vec<Impression>,
    /// What is kept of the question, where a ranker may learn from it.
    pub question: Option<QuestionRecord>,
    pub delivered_at: Timestamp,
    /// What CXone calls it, where it says so.
    pub cxone_id: Option<String>,
    pub latency_ms: u64,
}

/// A card as the agent saw it, and by what it was chosen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Impression {
    pub article_id: String,
    /// What CXone calls the card; feedback names it so.
    pub wire_id: String,
    /// The first digits of the hash of the article as it was shown.
    pub content_hash: String,
    /// From 1, the top.
    pub rank: u32,
    pub score: f64,
    /// The probability that the card is right, where the ranker tells one.
    pub probability: Option<f64>,
    /// How probable it was that the article came at this rank, where ranks are swapped now and then.
    pub propensity: Option<f64>,
    /// What the ranker went by, each number by its name.
    pub features: BTreeMap<String, f64>,
}

/// What is kept of a question: numbers alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QuestionRecord {
    /// Words of the newest customer turn.
    pub num_words: u32,
    /// Turns of the call.
    pub num_turns: u32,
    /// The embedding of the newest customer turn, where the settings keep it.
    pub vector: Option<Vec<f32>>,
}

impl QuestionRecord {
    /// As it lies in the ledger: each value with its four bytes, the lowest first.
    pub(crate) fn vector_of(bytes: &[u8]) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
    }

    fn vector_bytes(&self) -> Option<Vec<u8>> {
        self.vector.as_ref().map(|vector| vector.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

/// The cards of a delivery that may still stand on a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCards {
    pub profile: String,
    pub interaction: String,
    pub delivered_at: Timestamp,
    /// By rank.
    pub article_ids: Vec<String>,
}

/// Records deliveries, and the cards of those that were not there yet.
pub(crate) async fn add(
    session: &mut Session<'_>,
    records: &[&DeliveryRecord],
    change: &mut Change,
) -> sqlx::Result<()> {
    let rows: Vec<_> = records.iter().map(|record| row(record)).collect();
    let mut numbers = HashMap::new();
    for row in session.fetch(ADD, &rows).await? {
        let id = Uuid::from_slice(row.try_get(1)?).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        numbers.insert(id, row.try_get::<i64, _>(0)?);
    }
    let (mut cards, mut by_card) = (Vec::new(), HashMap::new());
    for record in records {
        // The first of two records of one id is the one that was kept.
        let Some(number) = numbers.remove(&record.id) else { continue };
        cards.extend(record.impressions.iter().map(|shown| impression_row(number, shown)));
        let keys = record.impressions.iter().map(|shown| (&record.profile, &record.interaction, &shown.wire_id));
        by_card.extend(keys.map(|key| (key, number)));
    }
    session.run(ADD_IMPRESSIONS, &cards).await?;
    let by_card: Vec<_> =
        by_card.into_iter().map(|((profile, call, card), number)| (profile, call, card, number)).collect();
    let matched = session.fetch(MATCH_EARLIER_FEEDBACK, &by_card).await?;
    let matched: Vec<_> = matched.iter().map(Judgement::read).collect::<Result<_, _>>()?;
    judge(session, matched, change).await
}

fn row(record: &DeliveryRecord) -> impl Fields {
    let question = record.question.as_ref();
    (
        record.id,
        &record.profile,
        &record.interaction,
        i64::try_from(record.utterance).unwrap_or(i64::MAX),
        record.delivered_at.as_microsecond(),
        record.cxone_id.as_deref(),
        i64::try_from(record.latency_ms).unwrap_or(i64::MAX),
        question.map(|question| i64::from(question.num_words)),
        question.map(|question| i64::from(question.num_turns)),
        question.and_then(QuestionRecord::vector_bytes),
    )
}

fn impression_row(number: i64, shown: &Impression) -> impl Fields {
    let Impression { article_id, wire_id, content_hash, rank, score, probability, propensity, features } = shown;
    let features = features_json(features);
    (number, article_id, wire_id, content_hash, i64::from(*rank), *score, *probability, *propensity, features)
}

/// As a JSON object. What JSON can't say is left out: as `null` no card of the profile could be read back.
fn features_json(features: &BTreeMap<String, f64>) -> String {
    let finite: BTreeMap<_, _> = features.iter().filter(|(_, value)| value.is_finite()).collect();
    serde_json::to_string(&finite).unwrap_or_default()
}

/// The ids of the newest deliveries of which an agent rejected the first card, newest first.
pub(crate) async fn rejected(readers: &Readers, most: u32) -> Result<Vec<Uuid>, LedgerError> {
    let rows = readers.rows(sqlx::query(REJECTED).bind(i64::from(most))).await?;
    let id = |row: &AnyRow| Uuid::from_slice(row.try_get(0)?).map_err(|error| sqlx::Error::Decode(Box::new(error)));
    rows.iter().map(id).collect::<Result<_, _>>().map_err(LedgerError::read)
}

/// What was delivered since then, in the order of recording, of the newest `most` deliveries.
pub(crate) async fn since(readers: &Readers, since: Timestamp, most: u32) -> Result<Vec<ShownCards>, LedgerError> {
    let rows = readers.rows(sqlx::query(SINCE).bind(since.as_microsecond()).bind(i64::from(most))).await?;
    shown(&rows).map_err(LedgerError::read)
}

/// The rows of one delivery stand together.
fn shown(rows: &[AnyRow]) -> sqlx::Result<Vec<ShownCards>> {
    let mut deliveries: Vec<ShownCards> = Vec::new();
    for row in rows {
        let delivered_at = Microseconds(row.try_get(2)?).timestamp()?;
        let (profile, interaction): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let is_same = |last: &ShownCards| {
            last.delivered_at == delivered_at && last.profile == profile && last.interaction == interaction
        };
        if !deliveries.last().is_some_and(is_same) {
            deliveries.push(ShownCards { profile, interaction, delivered_at, article_ids: Vec::new() });
        }
        let article = row.try_get(3)?;
        deliveries.last_mut().into_iter().for_each(|last| last.article_ids.push(String::clone(&article)));
    }
    Ok(deliveries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_that_json_can_not_say_is_left_out() {
        let features =
            [("a", f64::NAN), ("b", 0.5), ("c", f64::INFINITY)].map(|(name, value)| (name.to_owned(), value));
        assert_eq!(features_json(&features.into()), r#"{"b":0.5}"#);
    }
}

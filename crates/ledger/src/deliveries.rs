//! How deliveries are kept.
//!
//! In: a [`DeliveryRecord`] for each push that CXone took. A delivery and its cards are kept together or not at all. What
//! agents did with a card before its delivery was recorded is matched to it; later events find it themselves.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::SqliteConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::microseconds::Microseconds;
use crate::totals::Change;

/// A push that CXone took. Times are kept to the microsecond.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryRecord {
    /// Recording the same id again changes nothing.
    pub id: Uuid,
    /// The decision that chose the cards.
    pub decision: Uuid,
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
    /// Of the article as it was shown.
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
        let bytes = |vector: &Vec<f32>| vector.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.vector.as_ref().map(bytes)
    }
}

impl DeliveryRecord {
    pub(crate) async fn insert(&self, change: &mut Change, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let inserted = sqlx::query(
            "INSERT INTO deliveries
                 (id, decision, profile, interaction, utterance, delivered_at_us, cxone_id, latency_ms, num_words,
                  num_turns, question_vector)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO NOTHING",
        )
        .bind(self.id)
        .bind(self.decision)
        .bind(&self.profile)
        .bind(&self.interaction)
        .bind(i64::try_from(self.utterance).unwrap_or(i64::MAX))
        .bind(Microseconds::from(self.delivered_at))
        .bind(&self.cxone_id)
        .bind(i64::try_from(self.latency_ms).unwrap_or(i64::MAX))
        .bind(self.question.as_ref().map(|question| question.num_words))
        .bind(self.question.as_ref().map(|question| question.num_turns))
        .bind(self.question.as_ref().and_then(QuestionRecord::vector_bytes))
        .execute(&mut *connection)
        .await?;
        if inserted.rows_affected() == 0 {
            return Ok(());
        }
        for impression in &self.impressions {
            self.insert_impression(impression, connection).await?;
            if let Some(accepted) = self.match_earlier_feedback(impression, connection).await? {
                change.found(accepted);
            }
        }
        Ok(())
    }

    async fn insert_impression(&self, shown: &Impression, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO impressions
                 (delivery, article_id, wire_id, content_hash, rank, score, probability, propensity, features)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .bind(self.id)
        .bind(&shown.article_id)
        .bind(&shown.wire_id)
        .bind(&shown.content_hash)
        .bind(shown.rank)
        .bind(shown.score)
        .bind(shown.probability)
        .bind(shown.propensity)
        .bind(Json(&shown.features))
        .execute(connection)
        .await?;
        Ok(())
    }

    /// An agent can be quicker than this record: what was heard of the card before it, it spoke of. Whether the newest
    /// of that accepted the card.
    async fn match_earlier_feedback(
        &self,
        shown: &Impression,
        connection: &mut SqliteConnection,
    ) -> sqlx::Result<Option<bool>> {
        let matched: Vec<(i64, bool)> = sqlx::query_as(
            "UPDATE feedback SET delivery = ?4
             WHERE delivery IS NULL AND profile = ?1 AND interaction = ?2 AND insight = ?3
             RETURNING id, accepted",
        )
        .bind(&self.profile)
        .bind(&self.interaction)
        .bind(&shown.wire_id)
        .bind(self.id)
        .fetch_all(connection)
        .await?;
        Ok(matched.into_iter().max().map(|(_, accepted)| accepted))
    }
}

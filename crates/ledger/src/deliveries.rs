//! How deliveries are kept.
//!
//! In: a [`DeliveryRecord`] for each push that CXone took. A delivery and its cards are kept together or not at all. What
//! agents did with a card before its delivery was recorded is matched to it; later events find it themselves.

use jiff::Timestamp;
use sqlx::SqliteConnection;
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
    pub cards: Vec<DeliveredCard>,
    pub delivered_at: Timestamp,
    /// What CXone calls it, where it says so.
    pub cxone_id: Option<String>,
    pub latency_ms: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DeliveredCard {
    pub article_id: String,
    /// From 1, the top.
    pub rank: u32,
    pub score: f64,
}

impl DeliveryRecord {
    pub(crate) async fn insert(&self, change: &mut Change, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let inserted = sqlx::query(
            "INSERT INTO deliveries
                 (id, decision, profile, interaction, utterance, delivered_at_us, cxone_id, latency_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING",
        )
        .bind(self.id)
        .bind(self.decision)
        .bind(&self.profile)
        .bind(&self.interaction)
        .bind(i64::try_from(self.utterance).unwrap_or(i64::MAX))
        .bind(Microseconds::from(self.delivered_at))
        .bind(&self.cxone_id)
        .bind(i64::try_from(self.latency_ms).unwrap_or(i64::MAX))
        .execute(&mut *connection)
        .await?;
        if inserted.rows_affected() == 0 {
            return Ok(());
        }
        for card in &self.cards {
            self.insert_card(card, connection).await?;
            if let Some(accepted) = self.match_earlier_feedback(card, connection).await? {
                change.found(accepted);
            }
        }
        Ok(())
    }

    async fn insert_card(&self, card: &DeliveredCard, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO delivered_cards (delivery, article_id, rank, score) VALUES (?1, ?2, ?3, ?4)")
            .bind(self.id)
            .bind(&card.article_id)
            .bind(card.rank)
            .bind(card.score)
            .execute(connection)
            .await?;
        Ok(())
    }

    /// An agent can be quicker than this record: what was heard of the card before it, it spoke of. Whether the newest
    /// of that accepted the card.
    async fn match_earlier_feedback(
        &self,
        card: &DeliveredCard,
        connection: &mut SqliteConnection,
    ) -> sqlx::Result<Option<bool>> {
        let matched: Vec<(i64, bool)> = sqlx::query_as(
            "UPDATE feedback SET delivery = ?4
             WHERE delivery IS NULL AND profile = ?1 AND interaction = ?2 AND insight = ?3
             RETURNING id, accepted",
        )
        .bind(&self.profile)
        .bind(&self.interaction)
        .bind(&card.article_id)
        .bind(self.id)
        .fetch_all(connection)
        .await?;
        Ok(matched.into_iter().max().map(|(_, accepted)| accepted))
    }
}

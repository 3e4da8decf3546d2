//! The record of deliveries: which cards CXone took for which interaction, and where they stood.
//!
//! In: one [`Delivery`] per push that CXone took. Out: the latest one that showed an article, the newest
//! ones for an operator, and how the cards were received. A delivery and its cards are kept together or
//! not at all.

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use crate::microseconds::Microseconds;
use crate::writer::Write;
use crate::{Ledger, LedgerError};

/// Takes profile, interaction and article. Two of one microsecond are told apart by the order of recording.
pub(crate) const LATEST_DELIVERY: &str = "
    SELECT d.id FROM deliveries d JOIN delivered_cards c ON c.delivery = d.id
    WHERE d.profile = ?1 AND d.interaction = ?2 AND c.article_id = ?3
    ORDER BY d.delivered_at_us DESC, d.number DESC LIMIT 1";

/// A push that CXone took. Times are kept to the microsecond.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Delivery {
    /// Recording the same id again changes nothing.
    pub id: Uuid,
    /// The decision that chose the cards.
    pub decision: Uuid,
    pub profile: String,
    pub interaction: String,
    pub utterance: u64,
    /// Each article once; given back in the order of their ranks.
    #[sqlx(skip)]
    pub cards: Vec<DeliveredCard>,
    #[sqlx(rename = "delivered_at_us", try_from = "Microseconds")]
    pub delivered_at: Timestamp,
    /// What CXone calls it, where it says so.
    pub cxone_id: Option<String>,
    pub latency_ms: u64,
}

#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct DeliveredCard {
    pub article_id: String,
    /// From 1, the top.
    pub rank: u32,
    pub score: f64,
}

/// Delivered cards that agents judged, each counted once, by its newest event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Acceptance {
    pub accepted: u64,
    pub rejected: u64,
}

impl Acceptance {
    /// Accepted ÷ judged; none before the first judgement.
    pub fn ratio(self) -> Option<f64> {
        let judged = self.accepted + self.rejected;
        (judged > 0).then(|| self.accepted as f64 / judged as f64)
    }
}

#[derive(Debug, Clone)]
pub struct Deliveries {
    ledger: Ledger,
}

impl Deliveries {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }

    /// Returns once the delivery is on disk.
    pub async fn record(&self, delivery: Delivery) -> Result<(), LedgerError> {
        self.ledger.writer.write(Write::Delivery(delivery)).await.map(drop)
    }

    /// The latest delivery that showed the article in this interaction.
    pub async fn latest(
        &self,
        profile: &str,
        interaction: &str,
        article_id: &str,
    ) -> Result<Option<Delivery>, LedgerError> {
        let statement = format!("SELECT * FROM deliveries WHERE id = ({LATEST_DELIVERY})");
        let found: Option<Delivery> = sqlx::query_as(&statement)
            .bind(profile)
            .bind(interaction)
            .bind(article_id)
            .fetch_optional(&self.ledger.readers)
            .await
            .map_err(LedgerError::read)?;
        match found {
            Some(delivery) => self.with_cards(delivery).await.map(Some),
            None => Ok(None),
        }
    }

    /// The newest deliveries of all profiles, newest first.
    pub async fn recent(&self, limit: u32) -> Result<Vec<Delivery>, LedgerError> {
        let newest: Vec<Delivery> =
            sqlx::query_as("SELECT * FROM deliveries ORDER BY delivered_at_us DESC, number DESC LIMIT ?1")
                .bind(limit)
                .fetch_all(&self.ledger.readers)
                .await
                .map_err(LedgerError::read)?;
        let mut deliveries = Vec::with_capacity(newest.len());
        for delivery in newest {
            deliveries.push(self.with_cards(delivery).await?);
        }
        Ok(deliveries)
    }

    pub async fn acceptance(&self) -> Result<Acceptance, LedgerError> {
        sqlx::query_as(
            "SELECT COUNT(*) FILTER (WHERE accepted) AS accepted, COUNT(*) FILTER (WHERE NOT accepted) AS rejected
             FROM feedback
             WHERE id IN (SELECT MAX(id) FROM feedback WHERE delivery IS NOT NULL GROUP BY delivery, insight)",
        )
        .fetch_one(&self.ledger.readers)
        .await
        .map_err(LedgerError::read)
    }

    async fn with_cards(&self, delivery: Delivery) -> Result<Delivery, LedgerError> {
        let cards =
            sqlx::query_as("SELECT article_id, rank, score FROM delivered_cards WHERE delivery = ?1 ORDER BY rank")
                .bind(delivery.id)
                .fetch_all(&self.ledger.readers)
                .await
                .map_err(LedgerError::read)?;
        Ok(Delivery { cards, ..delivery })
    }
}

impl Delivery {
    pub(crate) async fn insert(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
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
        }
        Ok(())
    }

    async fn insert_card(&self, card: &DeliveredCard, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO delivered_cards (delivery, article_id, rank, score) VALUES (?1, ?2, ?3, ?4)")
            .bind(self.id)
            .bind(&card.article_id)
            .bind(card.rank)
            .bind(card.score)
            .execute(&mut *connection)
            .await?;
        // An agent can be quicker than this record: what was heard of the card before it, it spoke of.
        sqlx::query(
            "UPDATE feedback SET delivery = ?4
             WHERE delivery IS NULL AND profile = ?1 AND interaction = ?2 AND insight = ?3",
        )
        .bind(&self.profile)
        .bind(&self.interaction)
        .bind(&card.article_id)
        .bind(self.id)
        .execute(connection)
        .await?;
        Ok(())
    }
}

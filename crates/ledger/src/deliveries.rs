//! Deliveries, and what agents did with their cards: how both are kept.
//!
//! In: a [`DeliveryRecord`] for each push that CXone took, and events about its cards. An event is matched to the latest
//! delivery that showed its card, whichever of the two comes first. A delivery and its cards are kept together or not at
//! all. An event is settled by being delivered to CXone or set aside, and stays as it is from then on.

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use crate::totals::Change;

/// Takes profile, interaction and article. Two of one microsecond are told apart by the order of recording.
const LATEST_DELIVERY: &str = "
    SELECT d.id FROM deliveries d JOIN delivered_cards c ON c.delivery = d.id
    WHERE d.profile = ?1 AND d.interaction = ?2 AND c.article_id = ?3
    ORDER BY d.delivered_at_us DESC, d.number DESC LIMIT 1";

/// How a point in time lies in the ledger: microseconds since 1970, an integer that every database sorts.
#[derive(Debug, Clone, Copy, sqlx::Type)]
#[sqlx(transparent)]
pub(crate) struct Microseconds(i64);

impl From<Timestamp> for Microseconds {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp.as_microsecond())
    }
}

impl TryFrom<Microseconds> for Timestamp {
    type Error = jiff::Error;

    fn try_from(microseconds: Microseconds) -> Result<Self, Self::Error> {
        Self::from_microsecond(microseconds.0)
    }
}

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

/// What an agent did with a card. Times are kept to the microsecond.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct NewFeedback {
    pub profile: String,
    pub interaction: String,
    pub insight: String,
    /// As it came and as it is passed on; any text.
    pub action: String,
    pub accepted: bool,
    #[sqlx(rename = "heard_at_us", try_from = "Microseconds")]
    pub heard_at: Timestamp,
}

/// Grows in the order of storing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct FeedbackId(pub i64);

/// An event that waits for its delivery to CXone.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct PendingFeedback {
    pub id: FeedbackId,
    #[sqlx(flatten)]
    pub feedback: NewFeedback,
    /// The delivery that showed the card, where one is known.
    pub delivery: Option<Uuid>,
    /// How often delivery failed so far, for the backoff.
    pub attempts: u32,
}

/// The state of an event, as the schema names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "snake_case")]
pub(crate) enum FeedbackState {
    Pending,
    Delivered,
    SetAside,
}

#[derive(Debug)]
pub(crate) enum FeedbackWrite {
    Store(NewFeedback),
    Attempted(Attempted),
}

/// What became of an event.
#[derive(Debug)]
pub(crate) struct Attempted {
    pub(crate) id: FeedbackId,
    pub(crate) state: FeedbackState,
    /// 0 where it was not even sent.
    pub(crate) attempts: u32,
    pub(crate) retry_at: Option<Timestamp>,
    pub(crate) reason: Option<String>,
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

impl FeedbackWrite {
    /// The id of the event.
    pub(crate) async fn apply(&self, change: &mut Change, connection: &mut SqliteConnection) -> sqlx::Result<i64> {
        match self {
            Self::Store(feedback) => feedback.insert(change, connection).await,
            Self::Attempted(attempted) => attempted.apply(change, connection).await,
        }
    }
}

impl Attempted {
    async fn apply(&self, change: &mut Change, connection: &mut SqliteConnection) -> sqlx::Result<i64> {
        let profile: Option<String> = sqlx::query_scalar(
            "UPDATE feedback SET state = ?2, attempts = attempts + ?3, retry_at_us = ?4, reason = ?5
             WHERE id = ?1 AND state = 'pending' RETURNING profile",
        )
        .bind(self.id)
        .bind(self.state)
        .bind(self.attempts)
        .bind(self.retry_at.map(Microseconds::from))
        .bind(&self.reason)
        .fetch_optional(connection)
        .await?;
        if let Some(profile) = profile
            && self.state != FeedbackState::Pending
        {
            change.settled(profile);
        }
        Ok(self.id.0)
    }
}

impl NewFeedback {
    async fn insert(&self, change: &mut Change, connection: &mut SqliteConnection) -> sqlx::Result<i64> {
        let statement = format!(
            "INSERT INTO feedback (profile, interaction, insight, action, accepted, heard_at_us, delivery)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ({LATEST_DELIVERY})) RETURNING id, delivery"
        );
        let (id, delivery): (i64, Option<Uuid>) = sqlx::query_as(&statement)
            .bind(&self.profile)
            .bind(&self.interaction)
            .bind(&self.insight)
            .bind(&self.action)
            .bind(self.accepted)
            .bind(Microseconds::from(self.heard_at))
            .fetch_one(&mut *connection)
            .await?;
        change.waits(&self.profile);
        if let Some(delivery) = delivery {
            change.judged((id, delivery, &self.insight), self.accepted, connection).await?;
        }
        Ok(id)
    }
}

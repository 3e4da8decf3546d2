//! How what agents did with cards is kept.
//!
//! In: events about cards. An event is matched to the latest delivery that showed its card, whichever of the two comes
//! first. It is settled by being delivered to CXone or set aside, and stays as it is from then on.

use cuecard_text::Spoken;
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use crate::microseconds::Microseconds;
use crate::totals::Change;

/// Takes profile, interaction and article. Two of one microsecond are told apart by the order of recording.
const LATEST_DELIVERY: &str = "
    SELECT d.id FROM deliveries d JOIN impressions i ON i.delivery = d.id
    WHERE d.profile = ?1 AND d.interaction = ?2 AND i.wire_id = ?3
    ORDER BY d.delivered_at_us DESC, d.number DESC LIMIT 1";

/// What an agent did with a card. Times are kept to the microsecond.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct NewFeedback {
    pub profile: String,
    pub interaction: String,
    pub insight: String,
    /// As it came and as it is passed on; any text.
    #[sqlx(try_from = "String")]
    pub action: Spoken,
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
    pub(crate) retry_at: Option<Timestamp>,
    pub(crate) reason: Option<String>,
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
            "UPDATE feedback SET state = ?2, attempts = attempts + 1, retry_at_us = ?3, reason = ?4
             WHERE id = ?1 AND state = 'pending' RETURNING profile",
        )
        .bind(self.id)
        .bind(self.state)
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
            .bind(self.action.verbatim())
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

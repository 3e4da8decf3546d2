//! The durable queue of feedback: what agents did with cards, kept until CXone has taken it.
//!
//! In: events from the stream. Out: for each interaction its oldest event that is not settled, when it is
//! due. An event is settled by being delivered or set aside; nothing else removes it from the queue, and a
//! settled one stays as it is. Events are matched to the latest delivery of the card that they speak of.

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use crate::deliveries::LATEST_DELIVERY;
use crate::microseconds::Microseconds;
use crate::totals::Change;
use crate::writer::Write;
use crate::{Ledger, LedgerError};

/// The states of an event, as the schema has them.
const PENDING: &str = "pending";
const DELIVERED: &str = "delivered";
const SET_ASIDE: &str = "set_aside";

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

#[derive(Debug)]
pub(crate) enum FeedbackWrite {
    Store(NewFeedback),
    Attempted(Attempted),
}

/// What became of an event.
#[derive(Debug)]
pub(crate) struct Attempted {
    id: FeedbackId,
    state: &'static str,
    /// 0 where it was not even sent.
    attempts: u32,
    retry_at: Option<Timestamp>,
    reason: Option<String>,
}

#[derive(Debug, Clone)]
pub struct FeedbackQueue {
    ledger: Ledger,
}

impl FeedbackQueue {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }

    /// Returns once the event is on disk: only then may it be acknowledged.
    pub async fn store(&self, feedback: NewFeedback) -> Result<FeedbackId, LedgerError> {
        self.write(FeedbackWrite::Store(feedback)).await.map(FeedbackId)
    }

    /// The oldest unsettled event of each interaction, oldest first, without those whose retry lies after
    /// `now`: they hold back their own interaction and no other.
    pub async fn due(&self, profile: &str, now: Timestamp, limit: u32) -> Result<Vec<PendingFeedback>, LedgerError> {
        sqlx::query_as(
            "SELECT * FROM feedback
             WHERE id IN (SELECT MIN(id) FROM feedback WHERE state = 'pending' AND profile = ?1 GROUP BY interaction)
               AND (retry_at_us IS NULL OR retry_at_us <= ?2)
             ORDER BY id LIMIT ?3",
        )
        .bind(profile)
        .bind(Microseconds::from(now))
        .bind(limit)
        .fetch_all(&self.ledger.readers)
        .await
        .map_err(LedgerError::read)
    }

    /// CXone took the event.
    pub async fn delivered(&self, id: FeedbackId) -> Result<(), LedgerError> {
        self.attempted(Attempted { id, state: DELIVERED, attempts: 1, retry_at: None, reason: None }).await
    }

    /// The attempt failed for `reason`; the event is not due again before `at`.
    pub async fn retry_at(&self, id: FeedbackId, at: Timestamp, reason: &str) -> Result<(), LedgerError> {
        let (retry_at, reason) = (Some(at), Some(reason.to_owned()));
        self.attempted(Attempted { id, state: PENDING, attempts: 1, retry_at, reason }).await
    }

    /// The event was not sent for `reason`, which counts as no attempt; it is not due again before `at`.
    pub async fn put_off(&self, id: FeedbackId, at: Timestamp, reason: &str) -> Result<(), LedgerError> {
        let (retry_at, reason) = (Some(at), Some(reason.to_owned()));
        self.attempted(Attempted { id, state: PENDING, attempts: 0, retry_at, reason }).await
    }

    /// CXone will never take the event: it is kept with its `reason`, and the next one goes on.
    pub async fn set_aside(&self, id: FeedbackId, reason: &str) -> Result<(), LedgerError> {
        let reason = Some(reason.to_owned());
        self.attempted(Attempted { id, state: SET_ASIDE, attempts: 1, retry_at: None, reason }).await
    }

    /// Events of a profile that are not settled; asks no database.
    pub fn pending_count(&self, profile: &str) -> u64 {
        self.ledger.totals.pending(profile)
    }

    async fn attempted(&self, attempted: Attempted) -> Result<(), LedgerError> {
        self.write(FeedbackWrite::Attempted(attempted)).await.map(drop)
    }

    async fn write(&self, write: FeedbackWrite) -> Result<i64, LedgerError> {
        self.ledger.writer.write(Write::Feedback(write)).await
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
            && self.state != PENDING
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

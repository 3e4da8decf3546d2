//! An open ledger and the handles to its kinds of record.

use jiff::Timestamp;
use sqlx::SqlitePool;

use crate::LedgerError;
use crate::deliveries::DeliveryRecord;
use crate::feedback::{Attempted, FeedbackId, FeedbackState, FeedbackWrite, NewFeedback, PendingFeedback};
use crate::microseconds::Microseconds;
use crate::opening::{self, LedgerState};
use crate::operator_actions::OperatorAction;
use crate::rankings::{Click, RankingEntry, RankingId, RankingMetrics, RankingTotals, RankingWrite};
use crate::totals::{Acceptance, Totals};
use crate::writer::{Write, Writer};

/// A handle to an open ledger; clones are cheap and share the file.
#[derive(Debug, Clone)]
pub struct Ledger {
    readers: SqlitePool,
    writer: Writer,
    totals: Totals,
}

impl Ledger {
    /// Opens `sqlite:<path>`, creating directories and file where missing and bringing the schema up to date.
    ///
    /// Must be called inside a tokio runtime, on which the writer then runs.
    pub async fn open(url: &str) -> Result<Self, LedgerError> {
        let (mut connection, readers) = opening::open(url).await?;
        let totals = Totals::open(&mut connection).await.map_err(LedgerError::read)?;
        let writer = Writer::spawn(connection, totals.clone());
        Ok(Self { readers, writer, totals })
    }

    /// What [`Ledger::open`] would find; nothing is written. No other process may have the ledger open meanwhile.
    pub async fn inspect(url: &str) -> Result<LedgerState, LedgerError> {
        opening::inspect(url).await
    }

    /// The queue of what agents did with cards.
    pub fn feedback(&self) -> FeedbackQueue {
        FeedbackQueue { ledger: self.clone() }
    }

    /// The record of what was shown.
    pub fn deliveries(&self) -> Deliveries {
        Deliveries { ledger: self.clone() }
    }

    /// The record of rankings and of clicks on their snippets.
    pub fn rankings(&self) -> Rankings {
        Rankings { ledger: self.clone() }
    }

    /// What operators decided about articles.
    pub fn operator_actions(&self) -> OperatorActions {
        OperatorActions { ledger: self.clone() }
    }

    /// Waits until the writer is gone without having been told to end; pending for ever after an ordered close. Nothing
    /// can be stored from then on: only a new process helps.
    pub async fn writer_gone(&self) {
        self.writer.gone().await;
    }

    /// Finishes the writes that wait and folds the log into the file; every handle answers
    /// [`LedgerError::Closed`] from then on.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// The durable queue of feedback: what agents did with cards, until CXone has taken it.
#[derive(Debug, Clone)]
pub struct FeedbackQueue {
    ledger: Ledger,
}

impl FeedbackQueue {
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
        self.attempted(Attempted { id, state: FeedbackState::Delivered, retry_at: None, reason: None }).await
    }

    /// The attempt failed for `reason`; the event is not due again before `at`.
    pub async fn retry_at(&self, id: FeedbackId, at: Timestamp, reason: &str) -> Result<(), LedgerError> {
        let (retry_at, reason) = (Some(at), Some(reason.to_owned()));
        self.attempted(Attempted { id, state: FeedbackState::Pending, retry_at, reason }).await
    }

    /// CXone will never take the event: it is kept with its `reason`, and the next one goes on.
    pub async fn set_aside(&self, id: FeedbackId, reason: &str) -> Result<(), LedgerError> {
        let reason = Some(reason.to_owned());
        self.attempted(Attempted { id, state: FeedbackState::SetAside, retry_at: None, reason }).await
    }

    /// Events of a profile that are not settled; asks no database.
    pub fn pending_count(&self, profile: &str) -> u64 {
        self.ledger.totals.pending(profile)
    }

    /// The profiles that have such events, each with how many, in the order of their names; asks no database.
    pub fn pending_profiles(&self) -> Vec<(String, u64)> {
        self.ledger.totals.pending_profiles()
    }

    async fn attempted(&self, attempted: Attempted) -> Result<(), LedgerError> {
        self.write(FeedbackWrite::Attempted(attempted)).await.map(drop)
    }

    async fn write(&self, write: FeedbackWrite) -> Result<i64, LedgerError> {
        self.ledger.writer.write(Write::Feedback(write)).await
    }
}

/// The record of what was shown.
#[derive(Debug, Clone)]
pub struct Deliveries {
    ledger: Ledger,
}

impl Deliveries {
    /// Returns once the delivery is on disk.
    pub async fn record(&self, delivery: DeliveryRecord) -> Result<(), LedgerError> {
        self.ledger.writer.write(Write::Delivery(delivery)).await.map(drop)
    }

    /// How the cards were received so far; asks no database.
    pub fn acceptance(&self) -> Acceptance {
        self.ledger.totals.acceptance()
    }
}

/// The record of rankings and of clicks on their snippets.
#[derive(Debug, Clone)]
pub struct Rankings {
    ledger: Ledger,
}

impl Rankings {
    /// Returns once the entry is on disk.
    pub async fn record(&self, entry: RankingEntry) -> Result<RankingId, LedgerError> {
        self.write(RankingWrite::Record(entry)).await.map(RankingId)
    }

    /// Returns once the click is on disk: only then may it be acknowledged.
    pub async fn click(&self, click: Click) -> Result<(), LedgerError> {
        self.write(RankingWrite::Click(click)).await.map(drop)
    }

    pub async fn metrics(&self, profile: &str) -> Result<RankingMetrics, LedgerError> {
        let totals: Option<RankingTotals> = sqlx::query_as("SELECT * FROM ranking_totals WHERE profile = ?1")
            .bind(profile)
            .fetch_optional(&self.ledger.readers)
            .await
            .map_err(LedgerError::read)?;
        Ok(totals.map(RankingMetrics::from).unwrap_or_default())
    }

    async fn write(&self, write: RankingWrite) -> Result<i64, LedgerError> {
        self.ledger.writer.write(Write::Ranking(write)).await
    }
}

/// What operators decided about articles.
#[derive(Debug, Clone)]
pub struct OperatorActions {
    ledger: Ledger,
}

impl OperatorActions {
    /// Returns once the action is on disk.
    pub async fn record(&self, action: OperatorAction) -> Result<(), LedgerError> {
        self.ledger.writer.write(Write::OperatorAction(action)).await.map(drop)
    }

    /// The newest action on each article of a profile, newest first, also where it ended or released the article.
    pub async fn newest(&self, profile: &str) -> Result<Vec<OperatorAction>, LedgerError> {
        sqlx::query_as(
            "SELECT * FROM operator_actions
             WHERE number IN (SELECT MAX(number) FROM operator_actions WHERE profile = ?1 GROUP BY article_id)
             ORDER BY number DESC",
        )
        .bind(profile)
        .fetch_all(&self.ledger.readers)
        .await
        .map_err(LedgerError::read)
    }
}

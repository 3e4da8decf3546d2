//! The record of rankings: an audit entry for each submission, the clicks on snippets, and the metrics of both.
//!
//! In: a [`RankingEntry`] per submission, a [`Click`] per click. Out: the newest entries, and
//! [`RankingMetrics`], which are running totals and so take the same time however much is kept.
//! An entry is never changed or deleted: the schema refuses it. A write that breaks a rule of the schema
//! (a latency that is not finite, negative or above a day; a rank of 0) is refused and leaves nothing.

mod batch;

use jiff::Timestamp;
use sqlx::FromRow;

pub(crate) use batch::RankingBatch;

use crate::microseconds::Microseconds;
use crate::writer::Write;
use crate::{Ledger, LedgerError};

/// A submission of a ranking and how it ended. Times and latencies are kept to the microsecond.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct RankingEntry {
    pub profile: String,
    pub session: String,
    #[sqlx(rename = "at_us", try_from = "Microseconds")]
    pub at: Timestamp,
    /// Snippets submitted, after the cut to the window.
    pub snippet_count: u32,
    pub latency_ms: f64,
    pub max_window: u32,
    pub status: RankingStatus,
    /// Of the answer; none for a failure.
    pub checksum: Option<String>,
    /// The ids of the snippets that CXone took, the top one first. What a failure names is kept and counts as nothing
    /// delivered.
    #[sqlx(json)]
    pub delivered: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "lowercase")]
pub enum RankingStatus {
    Success,
    Failed,
}

impl RankingStatus {
    /// As it stands in an audit entry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }
}

/// An agent opened a snippet. Times are kept to the microsecond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Click {
    pub profile: String,
    pub session: String,
    pub snippet: String,
    /// From 1, the top.
    pub rank_position: u32,
    pub at: Timestamp,
}

/// Grows in the order of storing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct RankingId(pub i64);

/// An audit entry as it is kept.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct RecordedRanking {
    pub id: RankingId,
    #[sqlx(flatten)]
    pub entry: RankingEntry,
}

/// What a profile's entries and clicks come to, unrounded.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RankingMetrics {
    /// Of the successes; 0.0 before the first.
    pub average_latency_ms: f64,
    /// Every click, repeated ones and those on snippets that were never delivered too.
    pub total_clicks_tracked: u64,
    pub audit_entries_count: u64,
    /// Distinct (session, snippet) delivered and clicked ÷ distinct (session, snippet) delivered, within 0..=1;
    /// 0.0 before the first delivery. Which of the two came first makes no difference.
    pub click_through_rate: f64,
}

#[derive(FromRow)]
struct Totals {
    entries: u64,
    successes: u64,
    latency_us: u64,
    clicks: u64,
    delivered: u64,
    delivered_clicked: u64,
}

#[derive(Debug)]
pub(crate) enum RankingWrite {
    Record(RankingEntry),
    Click(Click),
}

#[derive(Debug, Clone)]
pub struct Rankings {
    ledger: Ledger,
}

impl Rankings {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }

    /// Returns once the entry is on disk.
    pub async fn record(&self, entry: RankingEntry) -> Result<RankingId, LedgerError> {
        self.write(RankingWrite::Record(entry)).await.map(RankingId)
    }

    /// Returns once the click is on disk: only then may it be acknowledged.
    pub async fn click(&self, click: Click) -> Result<(), LedgerError> {
        self.write(RankingWrite::Click(click)).await.map(drop)
    }

    pub async fn metrics(&self, profile: &str) -> Result<RankingMetrics, LedgerError> {
        let totals: Option<Totals> = sqlx::query_as("SELECT * FROM ranking_totals WHERE profile = ?1")
            .bind(profile)
            .fetch_optional(&self.ledger.readers)
            .await
            .map_err(LedgerError::read)?;
        Ok(totals.map(RankingMetrics::from).unwrap_or_default())
    }

    /// The audit entries that were stored last, newest first.
    pub async fn entries(&self, profile: &str, limit: u32) -> Result<Vec<RecordedRanking>, LedgerError> {
        sqlx::query_as(
            "SELECT *, latency_us / 1000.0 AS latency_ms FROM ranking_audit
             WHERE profile = ?1 ORDER BY id DESC LIMIT ?2",
        )
        .bind(profile)
        .bind(limit)
        .fetch_all(&self.ledger.readers)
        .await
        .map_err(LedgerError::read)
    }

    async fn write(&self, write: RankingWrite) -> Result<i64, LedgerError> {
        self.ledger.writer.write(Write::Ranking(write)).await
    }
}

impl From<Totals> for RankingMetrics {
    fn from(totals: Totals) -> Self {
        Self {
            average_latency_ms: ratio(totals.latency_us, totals.successes) / 1000.0,
            total_clicks_tracked: totals.clicks,
            audit_entries_count: totals.entries,
            click_through_rate: ratio(totals.delivered_clicked, totals.delivered),
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

//! The ledger: what must outlive the process, in one SQLite file.
//!
//! It takes events and deliveries from the actors and gives them back after a restart, whatever ended the
//! process. A write is acknowledged once its commit is synced to disk, never before; writes that wait
//! together share one commit. Everything is keyed by (profile, interaction), so that two tenants whose
//! interaction ids coincide stay apart.
//!
//! All writes pass through the one connection of [`writer`], reads through a small pool of read-only ones.
//! Each kind of record has a module and a handle of its own ([`FeedbackQueue`], [`Deliveries`],
//! [`Rankings`]).
//! On failure every call answers a [`LedgerError`]; nothing is half written. A writer that is gone is told by
//! [`Ledger::writer_gone`].

mod deliveries;
mod error;
mod feedback;
mod microseconds;
mod opening;
mod rankings;
mod totals;
mod writer;

pub use deliveries::{DeliveredCard, Deliveries, Delivery};
pub use error::LedgerError;
pub use feedback::{FeedbackId, FeedbackQueue, NewFeedback, PendingFeedback};
pub use rankings::{Click, RankingEntry, RankingId, RankingMetrics, RankingStatus, Rankings, RecordedRanking};
pub use totals::Acceptance;

use sqlx::SqlitePool;
use totals::Totals;
use writer::Writer;

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

    /// The queue of what agents did with cards.
    pub fn feedback(&self) -> FeedbackQueue {
        FeedbackQueue::new(self.clone())
    }

    /// The record of what was shown.
    pub fn deliveries(&self) -> Deliveries {
        Deliveries::new(self.clone())
    }

    /// The record of rankings and of clicks on their snippets.
    pub fn rankings(&self) -> Rankings {
        Rankings::new(self.clone())
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

//! How delivered cards were received, in figures that are counted along with the writes.
//!
//! In: what each commit changes. Out: [`Acceptance`], at any time and without asking the database, which is only counted
//! over when the ledger is opened. Nothing of a commit that failed is counted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

/// Delivered cards that agents judged, each counted once, by its newest event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
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

    /// Counts everything that was ever stored.
    async fn count(connection: &mut SqliteConnection) -> sqlx::Result<Self> {
        sqlx::query_as(
            "SELECT COUNT(*) FILTER (WHERE accepted) AS accepted, COUNT(*) FILTER (WHERE NOT accepted) AS rejected
             FROM feedback
             WHERE id IN (SELECT MAX(id) FROM feedback WHERE delivery IS NOT NULL GROUP BY delivery, insight)",
        )
        .fetch_one(connection)
        .await
    }
}

/// What one commit changes.
#[derive(Debug, Default)]
pub(crate) struct AcceptanceChange {
    accepted: i64,
    rejected: i64,
}

impl AcceptanceChange {
    /// An event about a delivered card was stored as the newest: it stands for the card instead of the one before it.
    pub(crate) async fn judged(
        &mut self,
        (event, delivery, insight): (i64, Uuid, &str),
        accepted: bool,
        connection: &mut SqliteConnection,
    ) -> sqlx::Result<()> {
        let before: Option<bool> = sqlx::query_scalar(
            "SELECT accepted FROM feedback WHERE delivery = ?1 AND insight = ?2 AND id < ?3 ORDER BY id DESC LIMIT 1",
        )
        .bind(delivery)
        .bind(insight)
        .bind(event)
        .fetch_optional(connection)
        .await?;
        if let Some(before) = before {
            self.add(before, -1);
        }
        self.add(accepted, 1);
        Ok(())
    }

    /// A card was delivered that had been judged already.
    pub(crate) fn found(&mut self, accepted: bool) {
        self.add(accepted, 1);
    }

    fn add(&mut self, accepted: bool, cards: i64) {
        *(if accepted { &mut self.accepted } else { &mut self.rejected }) += cards;
    }
}

/// The running figures; clones are one.
#[derive(Debug, Clone)]
pub(crate) struct AcceptanceTotals {
    totals: Arc<Mutex<Acceptance>>,
}

impl AcceptanceTotals {
    pub(crate) async fn open(connection: &mut SqliteConnection) -> sqlx::Result<Self> {
        Ok(Self { totals: Arc::new(Mutex::new(Acceptance::count(connection).await?)) })
    }

    pub(crate) fn get(&self) -> Acceptance {
        *self.lock()
    }

    /// Takes over what a commit changed, once it is on disk.
    pub(crate) fn apply(&self, change: &AcceptanceChange) {
        let mut totals = self.lock();
        totals.accepted = totals.accepted.saturating_add_signed(change.accepted);
        totals.rejected = totals.rejected.saturating_add_signed(change.rejected);
    }

    fn lock(&self) -> MutexGuard<'_, Acceptance> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

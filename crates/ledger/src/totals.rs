//! What the feedback comes to, in figures that are counted along with the writes: how delivered cards were received,
//! and how many events wait for CXone.
//!
//! In: what each commit changes. Out: [`Acceptance`] and the events that wait, at any time and without asking the
//! database, which is only counted over when the ledger is opened. Nothing of a commit that failed is counted.

use std::collections::HashMap;
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
pub(crate) struct Change {
    accepted: i64,
    rejected: i64,
    pending: HashMap<String, i64>,
}

impl Change {
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

    /// An event of this profile waits for CXone.
    pub(crate) fn waits(&mut self, profile: &str) {
        *self.pending.entry(profile.to_owned()).or_default() += 1;
    }

    /// An event of this profile is settled.
    pub(crate) fn settled(&mut self, profile: String) {
        *self.pending.entry(profile).or_default() -= 1;
    }

    fn add(&mut self, accepted: bool, cards: i64) {
        *(if accepted { &mut self.accepted } else { &mut self.rejected }) += cards;
    }
}

/// The running figures; clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Totals {
    figures: Arc<Mutex<Figures>>,
}

#[derive(Debug)]
struct Figures {
    acceptance: Acceptance,
    /// By profile.
    pending: HashMap<String, u64>,
}

impl Totals {
    pub(crate) async fn open(connection: &mut SqliteConnection) -> sqlx::Result<Self> {
        let acceptance = Acceptance::count(connection).await?;
        let pending: Vec<(String, u64)> =
            sqlx::query_as("SELECT profile, COUNT(*) FROM feedback WHERE state = 'pending' GROUP BY profile")
                .fetch_all(connection)
                .await?;
        let figures = Figures { acceptance, pending: pending.into_iter().collect() };
        Ok(Self { figures: Arc::new(Mutex::new(figures)) })
    }

    pub(crate) fn acceptance(&self) -> Acceptance {
        self.lock().acceptance
    }

    /// Events of a profile that wait for CXone.
    pub(crate) fn pending(&self, profile: &str) -> u64 {
        self.lock().pending.get(profile).copied().unwrap_or_default()
    }

    /// The profiles that have such events, by name.
    pub(crate) fn pending_profiles(&self) -> Vec<(String, u64)> {
        let figures = self.lock();
        let waiting = figures.pending.iter().filter(|(_, events)| **events > 0);
        let mut waiting: Vec<_> = waiting.map(|(profile, events)| (profile.clone(), *events)).collect();
        waiting.sort_unstable();
        waiting
    }

    /// Takes over what a commit changed, once it is on disk.
    pub(crate) fn apply(&self, change: &Change) {
        let mut figures = self.lock();
        let acceptance = &mut figures.acceptance;
        acceptance.accepted = acceptance.accepted.saturating_add_signed(change.accepted);
        acceptance.rejected = acceptance.rejected.saturating_add_signed(change.rejected);
        for (profile, events) in &change.pending {
            let pending = figures.pending.entry(profile.clone()).or_default();
            *pending = pending.saturating_add_signed(*events);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

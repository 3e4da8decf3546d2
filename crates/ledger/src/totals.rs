//! What the records come to, in figures that are counted along with the writes: how delivered cards were received, and how much
//! waits in the queue.
//!
//! In: what each commit changes. Out: [`Acceptance`] and what waits, at any time and without asking the database, which is
//! asked when the ledger is opened, and where a commit's answer was lost. Nothing of a commit that failed is counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::{AnyConnection, Executor, Row};

use crate::queue::QueueKind;
use crate::statement::{Does, Session, Statement};

/// Adds to the figures of a profile; the counts may be negative.
const ADD_ACCEPTANCE: Statement = Statement {
    columns: "profile, accepted, rejected",
    does: Does::Insert {
        table: "acceptance",
        then: "ON CONFLICT (profile) DO UPDATE SET
            accepted = acceptance.accepted + excluded.accepted, rejected = acceptance.rejected + excluded.rejected",
    },
};

/// Delivered cards that agents judged, each counted once, by its newest event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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

/// Verdicts on the cards of one rank since the ledger was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// From 1, the top of the push.
    pub rank: u32,
    pub accepted: bool,
    /// An agent who thinks better of it gives another one.
    pub verdicts: u64,
}

/// A profile, a rank, and whether the card was accepted.
type JudgedKey = (String, u32, bool);

/// What one commit changes.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// Accepted and rejected cards, by profile.
    acceptance: HashMap<String, (i64, i64)>,
    judged: HashMap<JudgedKey, u64>,
    pending: HashMap<(QueueKind, String), i64>,
}

impl Change {
    /// A card is judged for the first time, or anew.
    pub(crate) fn judged(&mut self, profile: &str, rank: u32, before: Option<bool>, now: bool) {
        if before != Some(now) {
            *self.judged.entry((profile.to_owned(), rank, now)).or_default() += 1;
        }
        let (accepted, rejected) = self.acceptance.entry(profile.to_owned()).or_default();
        let mut add = |verdict: bool, cards: i64| *(if verdict { &mut *accepted } else { &mut *rejected }) += cards;
        if let Some(before) = before {
            add(before, -1);
        }
        add(now, 1);
    }

    /// So much more of a kind waits; less where it is negative.
    pub(crate) fn waits(&mut self, kind: QueueKind, profile: String, items: i64) {
        *self.pending.entry((kind, profile)).or_default() += items;
    }

    /// Writes down what is kept of it.
    pub(crate) async fn write(&self, session: &mut Session<'_>) -> sqlx::Result<()> {
        let rows: Vec<_> = self.acceptance.iter().map(|(profile, (yes, no))| (profile, yes, no)).collect();
        session.run(ADD_ACCEPTANCE, &rows).await
    }
}

/// The running figures; clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Totals {
    figures: Arc<Mutex<Figures>>,
}

/// What the records come to.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    acceptance: Acceptance,
    /// Of the profiles of the settings, and of few ranks.
    judged: HashMap<JudgedKey, u64>,
    pending: HashMap<(QueueKind, String), u64>,
}

impl Figures {
    /// As the database has them.
    pub(crate) async fn read(connection: &mut AnyConnection) -> sqlx::Result<Self> {
        let mut figures = Self::default();
        for row in connection.fetch_all("SELECT accepted, rejected FROM acceptance").await? {
            let [accepted, rejected] = [row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?];
            figures.acceptance.accepted += accepted.unsigned_abs();
            figures.acceptance.rejected += rejected.unsigned_abs();
        }
        let waiting = "SELECT kind, profile, COUNT(*) FROM queue WHERE state = 'pending' GROUP BY kind, profile";
        for row in connection.fetch_all(waiting).await? {
            let kind = QueueKind::named(row.try_get(0)?)?;
            figures.pending.insert((kind, row.try_get(1)?), row.try_get::<i64, _>(2)?.unsigned_abs());
        }
        Ok(figures)
    }
}

impl Totals {
    pub(crate) fn new(figures: Figures) -> Self {
        Self { figures: Arc::new(Mutex::new(figures)) }
    }

    /// Takes the database's figures in place of those that were counted; ranks are counted here alone.
    pub(crate) fn correct(&self, Figures { acceptance, pending, .. }: Figures) {
        let mut figures = self.lock();
        (figures.acceptance, figures.pending) = (acceptance, pending);
    }

    pub(crate) fn acceptance(&self) -> Acceptance {
        self.lock().acceptance
    }

    /// How the cards of a profile were received since the ledger was opened, in no order.
    pub(crate) fn judged(&self, profile: &str) -> Vec<Judged> {
        let figures = self.lock();
        let of_profile = figures.judged.iter().filter(|((of, ..), _)| of == profile);
        of_profile
            .map(|((_, rank, accepted), verdicts)| Judged { rank: *rank, accepted: *accepted, verdicts: *verdicts })
            .collect()
    }

    /// What of a kind waits of a profile.
    pub(crate) fn pending(&self, kind: QueueKind, profile: &str) -> u64 {
        self.lock().pending.get(&(kind, profile.to_owned())).copied().unwrap_or_default()
    }

    /// The profiles of which something of a kind waits, by name.
    pub(crate) fn pending_profiles(&self, kind: QueueKind) -> Vec<(String, u64)> {
        let figures = self.lock();
        let waiting = figures.pending.iter().filter(|((of, _), items)| *of == kind && **items > 0);
        let mut waiting: Vec<_> = waiting.map(|((_, profile), items)| (profile.clone(), *items)).collect();
        waiting.sort_unstable();
        waiting
    }

    /// Takes over what a commit changed, once it is kept.
    pub(crate) fn apply(&self, change: &Change) {
        let mut figures = self.lock();
        for (accepted, rejected) in change.acceptance.values() {
            let acceptance = &mut figures.acceptance;
            acceptance.accepted = acceptance.accepted.saturating_add_signed(*accepted);
            acceptance.rejected = acceptance.rejected.saturating_add_signed(*rejected);
        }
        for (of, verdicts) in &change.judged {
            *figures.judged.entry(of.clone()).or_default() += verdicts;
        }
        for (of, items) in &change.pending {
            let pending = figures.pending.entry(of.clone()).or_default();
            *pending = pending.saturating_add_signed(*items);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! How the ledger is: whether it can be written, since when not, and what waits for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::LedgerError;
use crate::behind::BehindKind;

/// How often it is said again that the ledger can't be written.
const SAID_EVERY: std::time::Duration = std::time::Duration::from_mins(1);

/// How the ledger is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LedgerHealth {
    /// Since when it can't be written, and why not.
    pub failing: Option<(Timestamp, Arc<str>)>,
    /// Since when another session has the schema of the server: another service's, or one of this service that a network
    /// cut off.
    pub claimed_elsewhere: Option<Timestamp>,
    /// What a check of its pages found.
    pub damage: Option<Arc<str>>,
    /// Commits that were kept, and that failed.
    pub commits: u64,
    pub errors: u64,
    /// Writes behind somebody's back that broke a rule of the schema.
    pub refused: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Health {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    shown: LedgerHealth,
    /// When its failing was logged last.
    said: Option<Instant>,
}

impl Health {
    pub(crate) fn shown(&self) -> LedgerHealth {
        self.lock().shown.clone()
    }

    /// What whoever would write is told while it is failing.
    pub(crate) fn refusal(&self) -> Option<LedgerError> {
        let failing = self.lock().shown.failing.clone();
        failing.map(|(_, reason)| LedgerError::Unavailable(reason))
    }

    /// A commit failed; said once a minute, with what waits.
    pub(crate) fn failed(&self, error: &sqlx::Error, waiting: impl Fn() -> usize) -> LedgerError {
        let mut state = self.lock();
        state.shown.errors += 1;
        let reason: Arc<str> = error.to_string().into();
        let since = state.shown.failing.as_ref().map_or_else(Timestamp::now, |(since, _)| *since);
        state.shown.failing = Some((since, Arc::clone(&reason)));
        if state.said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
            state.said = Some(Instant::now());
            let waiting = waiting();
            tracing::error!(%error, %since, waiting, "the ledger can't be written; cards go on, and what agents do waits in memory");
        }
        LedgerError::Unavailable(reason)
    }

    /// A commit was kept.
    pub(crate) fn wrote(&self) {
        let mut state = self.lock();
        state.shown.commits += 1;
        if let Some((since, _)) = state.shown.failing.take() {
            tracing::info!(%since, "the ledger is written again");
        }
    }

    pub(crate) fn refused(&self, kind: Option<BehindKind>, error: &LedgerError) {
        self.lock().shown.refused += 1;
        tracing::error!(%error, kind = kind.map_or("other", BehindKind::name), "a record is given up");
    }

    /// Whether the ledger is this service's alone; gives whether it was not until now.
    pub(crate) fn claimed(&self, is_ours: bool) -> bool {
        let elsewhere = &mut self.lock().shown.claimed_elsewhere;
        match (is_ours, *elsewhere) {
            (true, Some(since)) => {
                *elsewhere = None;
                tracing::info!(%since, "the ledger is this service's alone again");
                true
            }
            (false, None) => {
                *elsewhere = Some(Timestamp::now());
                tracing::error!(
                    "another session has the ledger's schema; where it is another service's, stop that one"
                );
                false
            }
            _ => false,
        }
    }

    pub(crate) fn damaged(&self, damage: Option<String>) {
        if let Some(damage) = &damage {
            tracing::error!(damage, "the ledger's file is damaged");
        }
        self.lock().shown.damage = damage.map(Arc::from);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

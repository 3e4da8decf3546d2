//! The ledger: what must outlive the process, in one SQLite file.
//!
//! It takes events and deliveries from the actors and gives them back after a restart, whatever ended the
//! process. A write is acknowledged once its commit is synced to disk, never before; writes that wait
//! together share one commit. Everything is keyed by (profile, interaction), so that two tenants whose
//! interaction ids coincide stay apart.
//!
//! All writes pass through the one connection of [`writer`], reads through a small pool of read-only ones.
//! Each kind of record has a handle of its own ([`FeedbackQueue`], [`Deliveries`],
//! [`Rankings`], [`OperatorActions`]).
//! On failure every call answers a [`LedgerError`]; nothing is half written. A writer that is gone is told by
//! [`Ledger::writer_gone`].

mod deliveries;
mod error;
mod feedback;
mod judged;
mod ledger;
mod microseconds;
mod opening;
mod operator_actions;
mod rankings;
mod totals;
mod writer;

pub use deliveries::{DeliveryRecord, Impression, QuestionRecord};
pub use error::LedgerError;
pub use feedback::{FeedbackId, NewFeedback, PendingFeedback};
pub use judged::{JudgedCard, JudgedDelivery, judged_deliveries};
pub use ledger::{Deliveries, FeedbackQueue, Ledger, OperatorActions, Rankings};
pub use opening::LedgerState;
pub use operator_actions::{ArticleAction, OperatorAction};
pub use rankings::{Click, RankingEntry, RankingId, RankingMetrics, RankingStatus};
pub use totals::Acceptance;

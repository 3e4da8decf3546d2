//! The ledger: what must outlive the process, in a SQLite file or in a PostgreSQL database.
//!
//! It takes events, deliveries, rankings and decisions and gives them back after a restart, whatever ended the process. A write
//! for which somebody waits is acknowledged once its commit is kept, never before; writes that wait together share one commit.
//! What nobody waits for is written behind, from bounded memory. Everything is keyed by (profile, interaction), so that two
//! tenants whose interaction ids coincide stay apart.
//!
//! All writes pass through the one connection of [`writer`], reads through a small pool. Each kind of record has a handle of its
//! own ([`Feedback`], [`Queue`], [`Deliveries`], [`Rankings`], [`OperatorActions`], [`Decisions`]). A commit runs
//! [statements](statement) over rows; what the two databases write differently stands in [`dialect`] and in their migrations.
//! On failure every call answers a [`LedgerError`]; nothing is half written. That nothing can be written is told by
//! [`Ledger::health`], and that the writer is gone by [`Ledger::writer_gone`].

mod behind;
mod database;
mod decisions;
mod deliveries;
mod dialect;
mod error;
mod feedback;
mod health;
mod judged;
mod ledger;
mod microseconds;
mod opening;
mod operator_actions;
mod queue;
mod rankings;
mod readers;
mod retention;
mod statement;
mod totals;
mod upkeep;
mod writer;
mod writes;

pub use behind::BehindKind;
pub use decisions::{DecisionKey, DecisionRecord, NumberedDecision};
pub use deliveries::{DeliveryRecord, Impression, QuestionRecord, ShownCards};
pub use error::LedgerError;
pub use feedback::{FeedbackPayload, NewFeedback, RejectedArticle};
pub use health::LedgerHealth;
pub use judged::{JudgedCard, JudgedDelivery, judged_deliveries};
pub use ledger::{
    Decisions, Deliveries, Durability, Feedback, Ledger, LedgerOptions, OperatorActions, Queue, Rankings,
};
pub use opening::{Damaged, LedgerState};
pub use operator_actions::{ArticleAction, OperatorAction, newest_actions};
pub use queue::{DeadItem, DueItem, ItemEnd, ItemId, NewItem, QueueKind};
pub use rankings::{Click, RankingEntry, RankingMetrics, RankingStatus};
pub use retention::{RecordKind, Retention, Rows};
pub use totals::{Acceptance, Judged};
pub use upkeep::{LedgerStats, QueueStats, TableStats, backup, erase, name, purge, stats};

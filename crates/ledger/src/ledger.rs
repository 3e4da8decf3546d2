//! An open ledger and the handles to its kinds of record.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::Row;
use strum::IntoEnumIterator;
use tokio::time::sleep;
use uuid::Uuid;

use crate::LedgerError;
use crate::behind::{Behind, BehindKind};
use crate::database::Database;
use crate::decisions::{self, DecisionRecord, NumberedDecision};
use crate::deliveries::{self, DeliveryRecord, ShownCards};
use crate::dialect::Sync;
use crate::feedback::{self, NewFeedback, RejectedArticle};
use crate::health::{Health, LedgerHealth};
use crate::opening::{self, Damaged, LedgerState};
use crate::operator_actions::{self, OperatorAction};
use crate::queue::{self, DeadItem, DueItem, ItemEnd, ItemId, NewItem, QueueKind};
use crate::rankings::{self, Click, RankingEntry, RankingMetrics};
use crate::readers::Readers;
use crate::retention::{Purge, Retention, Rows, Window};
use crate::totals::{Acceptance, Figures, Judged, Totals};
use crate::writer::{Writer, WriterParts};
use crate::writes::{Alone, Write};

/// How sure what agents do (feedback, clicks, the audit, what operators decide) is before it is acknowledged. What is written
/// behind somebody's back survives the process in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// It survives a loss of power: each commit is synced to disk.
    #[default]
    Power,
    /// It survives the process, killed at any instant; a loss of power may cost the last commits.
    Process,
}

/// How a ledger is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct LedgerOptions {
    pub durability: Durability,
    pub damaged: Damaged,
}

/// A handle to an open ledger; clones are cheap and share the database.
#[derive(Debug, Clone)]
pub struct Ledger {
    database: Database,
    readers: Readers,
    writer: Writer,
    behind: Behind,
    health: Health,
    totals: Totals,
}

impl Ledger {
    /// Opens `sqlite:<path>`, creating directories and file where missing, or `postgres://…`, and brings the schema up to date.
    ///
    /// Must be called inside a tokio runtime, on which the writer then runs.
    pub async fn open(url: &str, options: LedgerOptions) -> Result<Self, LedgerError> {
        let database = Database::named(url)?;
        let (mut connection, readers) = opening::open(&database, options.damaged).await?;
        let totals = Totals::new(Figures::read(&mut connection).await.map_err(LedgerError::read)?);
        let (behind, health) = (Behind::default(), Health::default());
        let durable = match options.durability {
            Durability::Power => Sync::Power,
            Durability::Process => Sync::Process,
        };
        let (totals_kept, behind_kept, health_kept) = (totals.clone(), behind.clone(), health.clone());
        let parts = WriterParts {
            database: database.clone(),
            connection,
            totals: totals_kept,
            behind: behind_kept,
            health: health_kept,
            durable,
        };
        Ok(Self { database, readers, writer: Writer::spawn(parts), behind, health, totals })
    }

    /// What [`Ledger::open`] would find; nothing is written. No other process may have a file open meanwhile.
    pub async fn inspect(url: &str) -> Result<LedgerState, LedgerError> {
        opening::inspect(&Database::named(url)?).await
    }

    /// What agents did with cards.
    pub fn feedback(&self) -> Feedback {
        Feedback { ledger: self.clone() }
    }

    /// What has to reach somebody.
    pub fn queue(&self, kind: QueueKind) -> Queue {
        Queue { ledger: self.clone(), kind }
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

    /// What was decided about each question.
    pub fn decisions(&self) -> Decisions {
        Decisions { ledger: self.clone() }
    }

    /// Whether it can be written, and what was found wrong with it.
    pub fn health(&self) -> LedgerHealth {
        self.health.shown()
    }

    /// What waits to be written behind somebody's back, by kind.
    pub fn waiting(&self) -> impl Iterator<Item = (BehindKind, usize)> {
        BehindKind::iter().map(|kind| (kind, self.behind.count(kind)))
    }

    /// Reads all pages of a file; what is found is told by [`Ledger::health`].
    pub async fn verify(&self) -> Result<(), LedgerError> {
        let mut connection = self.readers.connection().await?;
        let damage = self.database.dialect.damage(&mut connection).await.map_err(LedgerError::read)?;
        self.health.damaged(damage);
        Ok(())
    }

    /// What the whole database takes on disk.
    pub async fn num_bytes(&self) -> Result<u64, LedgerError> {
        let row = self.readers.row(sqlx::query(self.database.dialect.size())).await?;
        row.try_get::<i64, _>(0).map(i64::unsigned_abs).map_err(LedgerError::read)
    }

    /// Takes away what is older than it is kept, in small steps with `pause` between them; gives the rows by kind.
    pub async fn purge(&self, retention: Retention, pause: std::time::Duration) -> Result<Rows, LedgerError> {
        let mut purge = Purge::new(retention);
        while let Some(step) = purge.next_step() {
            let row = self.readers.row(sqlx::query(&step.look())).await?;
            if let Some(removal) = purge.saw(Window::read(&row).map_err(LedgerError::read)?) {
                purge.took(&self.alone(Alone::Purge(removal)).await?);
            }
            sleep(pause).await;
        }
        Ok(purge.purged)
    }

    /// Takes an interaction's rows away everywhere, of one profile or of all; figures and the audit's entries stay.
    pub async fn erase(&self, interaction: &str, profile: Option<&str>) -> Result<Rows, LedgerError> {
        // What is being written just now is in the file when its turn comes.
        let waiting = self.behind.erase(interaction, profile) as u64;
        let profile = profile.map(str::to_owned);
        let mut erased = self.alone(Alone::Erase { interaction: interaction.to_owned(), profile }).await?;
        erased.push(("waiting", waiting));
        Ok(erased)
    }

    /// Waits until the writer is gone without having been told to end; pending for ever after an ordered close. Nothing
    /// can be stored from then on: only a new process helps.
    pub async fn writer_gone(&self) {
        self.writer.gone().await;
    }

    /// Writes what waits, unless nothing can be written, and folds the log into the file; every handle answers
    /// [`LedgerError::Closed`] from then on.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn write(&self, write: Write) -> Result<(), LedgerError> {
        self.writer.write(write).await.map(drop)
    }

    async fn alone(&self, alone: Alone) -> Result<Rows, LedgerError> {
        self.writer.write(Write::Alone(alone)).await
    }

    fn write_behind(&self, kind: BehindKind, write: Write) -> bool {
        !self.writer.is_closed() && self.behind.add(kind, write)
    }
}

/// What agents did with cards.
#[derive(Debug, Clone)]
pub struct Feedback {
    ledger: Ledger,
}

impl Feedback {
    /// Returns once the event is kept: only then may it be acknowledged.
    pub async fn store(&self, feedback: NewFeedback) -> Result<(), LedgerError> {
        self.ledger.write(Write::Feedback(feedback)).await
    }

    /// Stores the event as soon as the ledger can be written; `false` where too much waits already, or it is closed.
    #[must_use]
    pub fn store_behind(&self, feedback: NewFeedback) -> bool {
        self.ledger.write_behind(BehindKind::Feedback, Write::Feedback(feedback))
    }

    /// What was rejected since then, in the order of recording, of the newest `most` events.
    pub async fn rejections(&self, since: Timestamp, most: u32) -> Result<Vec<RejectedArticle>, LedgerError> {
        feedback::rejections(&self.ledger.readers, since, most).await
    }
}

/// What of one kind has to reach somebody.
#[derive(Debug, Clone)]
pub struct Queue {
    ledger: Ledger,
    kind: QueueKind,
}

impl Queue {
    /// The oldest item of each key, oldest first, without those whose next attempt lies after `now`: they hold back their own
    /// key and no other.
    pub async fn due(&self, profile: &str, now: Timestamp, limit: u32) -> Result<Vec<DueItem>, LedgerError> {
        queue::due(&self.ledger.readers, (self.kind, profile), now, limit).await
    }

    /// Notes what became of an item; returns once that is kept.
    pub async fn ended(&self, id: ItemId, end: ItemEnd) -> Result<(), LedgerError> {
        self.ledger.write(Write::Ended(id, end)).await
    }

    /// What was set aside, oldest first, from the one after `after` on.
    pub async fn dead(&self, after: ItemId, limit: u32) -> Result<Vec<DeadItem>, LedgerError> {
        queue::dead(&self.ledger.readers, self.kind, after, limit).await
    }

    /// Lets an item that was set aside wait again; `false` where there is none of this id.
    pub async fn revive(&self, id: ItemId) -> Result<bool, LedgerError> {
        Ok(self.ledger.alone(Alone::Revive(id)).await?.iter().any(|(_, rows)| *rows > 0))
    }

    /// What waits of a profile; asks no database.
    pub fn pending_count(&self, profile: &str) -> u64 {
        self.ledger.totals.pending(self.kind, profile)
    }

    /// The profiles of which something waits, each with how much, in the order of their names; asks no database.
    pub fn pending_profiles(&self) -> Vec<(String, u64)> {
        self.ledger.totals.pending_profiles(self.kind)
    }
}

/// The record of what was shown.
#[derive(Debug, Clone)]
pub struct Deliveries {
    ledger: Ledger,
}

impl Deliveries {
    /// Returns once the delivery is kept.
    pub async fn record(&self, delivery: DeliveryRecord) -> Result<(), LedgerError> {
        self.ledger.write(Write::Delivery(delivery)).await
    }

    /// Records the delivery as soon as the ledger can be written; `false` where too much waits already, or it is closed.
    #[must_use]
    pub fn record_behind(&self, delivery: DeliveryRecord) -> bool {
        self.ledger.write_behind(BehindKind::Deliveries, Write::Delivery(delivery))
    }

    /// The decisions of the newest deliveries of which an agent rejected the first card, newest first.
    pub async fn rejected(&self, most: u32) -> Result<Vec<Uuid>, LedgerError> {
        deliveries::rejected(&self.ledger.readers, most).await
    }

    /// What was shown since then, in the order of recording, of the newest `most` deliveries.
    pub async fn since(&self, since: Timestamp, most: u32) -> Result<Vec<ShownCards>, LedgerError> {
        deliveries::since(&self.ledger.readers, since, most).await
    }

    /// How the cards were received so far; asks no database.
    pub fn acceptance(&self) -> Acceptance {
        self.ledger.totals.acceptance()
    }

    /// How the cards of a profile were received since the ledger was opened, by their rank; asks no database.
    pub fn judged(&self, profile: &str) -> Vec<Judged> {
        self.ledger.totals.judged(profile)
    }
}

/// The record of rankings and of clicks on their snippets.
#[derive(Debug, Clone)]
pub struct Rankings {
    ledger: Ledger,
}

impl Rankings {
    /// Returns once the entry is kept, together with what its caller wants to hear of it.
    pub async fn record(&self, entry: RankingEntry, callback: Option<NewItem>) -> Result<(), LedgerError> {
        self.ledger.write(Write::Ranking(entry, callback)).await
    }

    /// Returns once the click is kept: only then may it be acknowledged.
    pub async fn click(&self, click: Click) -> Result<(), LedgerError> {
        self.ledger.write(Write::Click(click)).await
    }

    pub async fn metrics(&self, profile: &str) -> Result<RankingMetrics, LedgerError> {
        rankings::metrics(&self.ledger.readers, profile).await
    }
}

/// What operators decided about articles.
#[derive(Debug, Clone)]
pub struct OperatorActions {
    ledger: Ledger,
}

impl OperatorActions {
    /// Returns once the action is kept.
    pub async fn record(&self, action: OperatorAction) -> Result<(), LedgerError> {
        self.ledger.write(Write::OperatorAction(action)).await
    }

    /// The newest action on each article of a profile, newest first, also where it ended or released the article.
    pub async fn newest(&self, profile: &str) -> Result<Vec<OperatorAction>, LedgerError> {
        operator_actions::newest(&self.ledger.readers, profile).await
    }
}

/// What was decided about each question.
#[derive(Debug, Clone)]
pub struct Decisions {
    ledger: Ledger,
}

impl Decisions {
    /// Keeps the decision as soon as the ledger can be written; `false` where too much waits already, or it is closed.
    #[must_use]
    pub fn record_behind(&self, decision: DecisionRecord) -> bool {
        self.ledger.write_behind(BehindKind::Decisions, Write::Decision(Arc::new(decision)))
    }

    /// The JSON of a decision.
    pub async fn find(&self, id: Uuid) -> Result<Option<String>, LedgerError> {
        decisions::find(&self.ledger.readers, id).await
    }

    /// The newest decisions, of those before this number where there is one, newest first.
    pub async fn newest(&self, before: Option<i64>, most: u32) -> Result<Vec<NumberedDecision>, LedgerError> {
        decisions::newest(&self.ledger.readers, before, most).await
    }

    /// The ids of the newest decisions about an interaction, newest first.
    pub async fn of_interaction(&self, interaction: &str, most: u32) -> Result<Vec<Uuid>, LedgerError> {
        decisions::of_interaction(&self.ledger.readers, interaction, most).await
    }
}

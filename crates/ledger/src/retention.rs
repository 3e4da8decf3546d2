//! What is kept for how long, and what a customer's interaction leaves when it is erased.
//!
//! A purge takes away what is older than its kind is kept, in steps that are commits of their own, oldest first, so that no
//! write waits long behind one. The figures that the rows came to stay.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sqlx::{Executor, Row};
use strum::IntoEnumIterator;

use crate::dialect::{Session, text};
use crate::queue::QueueKind;
use crate::totals::Change;

/// Rows looked at in one step.
const STEP: u32 = 500;

/// A kind of record that is kept for a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum RecordKind {
    /// What was decided about each question.
    Decisions,
    /// What was shown, with its cards.
    Deliveries,
    /// What agents did with cards.
    Feedback,
    /// Sessions of rankings, with their clicks.
    Rankings,
    /// The audit of rankings.
    Audit,
    /// What nobody would take.
    Dead,
}

impl RecordKind {
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Takes away rows that are older than `$1`, of the oldest `$2`. Rows lie in the order of recording, which is nearly that
    /// of their times: none that is a little out of order is missed for long.
    fn step(self) -> &'static str {
        match self {
            Self::Decisions => {
                "DELETE FROM decisions WHERE at_us < $1
                 AND number IN (SELECT number FROM decisions ORDER BY number LIMIT $2)"
            }
            Self::Deliveries => {
                "DELETE FROM deliveries WHERE delivered_at_us < $1
                 AND number IN (SELECT number FROM deliveries ORDER BY number LIMIT $2)"
            }
            Self::Feedback => {
                "DELETE FROM feedback WHERE heard_at_us < $1 AND id IN (SELECT id FROM feedback ORDER BY id LIMIT $2)"
            }
            Self::Rankings => {
                "DELETE FROM ranking_sessions WHERE at_us < $1
                 AND number IN (SELECT number FROM ranking_sessions ORDER BY number LIMIT $2)"
            }
            Self::Audit => {
                "DELETE FROM ranking_audit WHERE at_us < $1
                 AND id IN (SELECT id FROM ranking_audit ORDER BY id LIMIT $2)"
            }
            Self::Dead => {
                "DELETE FROM queue WHERE state = 'dead' AND queued_at_us < $1
                 AND id IN (SELECT id FROM queue WHERE state = 'dead' ORDER BY id LIMIT $2)"
            }
        }
    }
}

/// How long each kind of record is kept; none is kept for good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    pub decisions: Option<Duration>,
    pub deliveries: Option<Duration>,
    pub feedback: Option<Duration>,
    pub rankings: Option<Duration>,
    pub audit: Option<Duration>,
    pub dead: Option<Duration>,
}

impl Retention {
    /// Before when a kind's records are taken away.
    pub(crate) fn cutoff(self, kind: RecordKind, now: Timestamp) -> Option<Timestamp> {
        let kept = match kind {
            RecordKind::Decisions => self.decisions,
            RecordKind::Deliveries => self.deliveries,
            RecordKind::Feedback => self.feedback,
            RecordKind::Rankings => self.rankings,
            RecordKind::Audit => self.audit,
            RecordKind::Dead => self.dead,
        };
        now.checked_sub(SignedDuration::try_from(kept?).ok()?).ok()
    }
}

/// One step of a purge; gives how many rows it took away.
pub(crate) async fn step(session: &mut Session<'_>, kind: RecordKind, before: Timestamp) -> sqlx::Result<u64> {
    let before = before.as_microsecond();
    let note = "INSERT INTO purges (kind, before_us) VALUES ($1, $2)
                ON CONFLICT (kind) DO UPDATE SET before_us = excluded.before_us
                WHERE purges.before_us < excluded.before_us";
    sqlx::query(note).bind(kind.name()).bind(before).execute(&mut *session.connection).await?;
    let step = sqlx::query(kind.step()).bind(before).bind(i64::from(STEP));
    Ok(step.execute(&mut *session.connection).await?.rows_affected())
}

/// The steps of a purge, a commit each: of every kind one after the other, until one takes nothing away.
pub(crate) struct Purge {
    retention: Retention,
    now: Timestamp,
    kinds: std::vec::IntoIter<RecordKind>,
    /// The kind whose turn it is, and before when.
    current: Option<(RecordKind, Timestamp)>,
    /// Rows by kind.
    pub(crate) purged: Rows,
}

impl Purge {
    pub(crate) fn new(retention: Retention) -> Self {
        let kinds = RecordKind::iter().collect::<Vec<_>>().into_iter();
        Self { retention, now: Timestamp::now(), kinds, current: None, purged: Rows::new() }
    }

    /// What to take away next; none where all is done.
    pub(crate) fn next_step(&mut self) -> Option<(RecordKind, Timestamp)> {
        while self.current.is_none() {
            let kind = self.kinds.next()?;
            if let Some(before) = self.retention.cutoff(kind, self.now) {
                self.current = Some((kind, before));
                self.purged.push((kind.name(), 0));
            }
        }
        self.current
    }

    /// The step took so many rows away.
    pub(crate) fn took(&mut self, rows: u64) {
        if rows == 0 {
            self.current = None;
        }
        self.purged.last_mut().into_iter().for_each(|(_, sum)| *sum += rows);
    }
}

/// How many rows, by what they were.
pub type Rows = Vec<(&'static str, u64)>;

/// The tables that name an interaction, and by what.
const ERASURES: [(&str, &str); 4] = [
    ("decisions", "DELETE FROM decisions WHERE interaction = $1 AND ($2 = '' OR profile = $2)"),
    ("deliveries", "DELETE FROM deliveries WHERE interaction = $1 AND ($2 = '' OR profile = $2)"),
    ("feedback", "DELETE FROM feedback WHERE interaction = $1 AND ($2 = '' OR profile = $2)"),
    // With the key to its pseudonym in the audit, its clicks and snippets.
    ("sessions", "DELETE FROM ranking_sessions WHERE session = $1 AND ($2 = '' OR profile = $2)"),
];

const ERASE_QUEUED: &str = "
    DELETE FROM queue WHERE key = $1 AND ($2 = '' OR profile = $2) RETURNING kind, profile, state";

/// Takes an interaction's rows away everywhere, of one profile or of all. Figures stay, and so do the audit's entries: nobody
/// finds out any more whose they were.
pub(crate) async fn erase(
    session: &mut Session<'_>,
    interaction: &str,
    profile: Option<&str>,
    change: &mut Change,
) -> sqlx::Result<Rows> {
    let (interaction, profile) = (text(interaction).into_owned(), text(profile.unwrap_or_default()).into_owned());
    let mut erased = Vec::new();
    for (table, statement) in ERASURES {
        let query = sqlx::query(statement).bind(interaction.clone()).bind(profile.clone());
        erased.push((table, query.execute(&mut *session.connection).await?.rows_affected()));
    }
    let query = sqlx::query(ERASE_QUEUED).bind(interaction).bind(profile);
    let queued = query.fetch_all(&mut *session.connection).await?;
    for row in &queued {
        if row.try_get::<&str, _>(2)? == "pending" {
            change.waits(QueueKind::named(row.try_get(0)?)?, row.try_get(1)?, -1);
        }
    }
    erased.push(("queue", queued.len() as u64));
    Ok(erased)
}

/// Writes one row, to find out whether anything can be written.
pub(crate) async fn probe(session: &mut Session<'_>) -> sqlx::Result<()> {
    let statement = format!("UPDATE probe SET at_us = {} WHERE id = 1", Timestamp::now().as_microsecond());
    session.connection.execute(&*statement).await.map(drop)
}

//! What is kept for how long, and what a customer's interaction leaves when it is erased.
//!
//! A purge takes away what is older than its kind is kept, in steps, oldest first: each looks at some hundred rows, and what of
//! them is too old goes in a commit of its own, so that no write waits long behind one. The figures that the rows came to stay.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{Executor, Row};
use strum::IntoEnumIterator;

use crate::queue::QueueKind;
use crate::statement::{Session, text};
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

    /// Its table, the number in the order of recording, the time, and which rows of the table are of it.
    fn columns(self) -> [&'static str; 4] {
        match self {
            Self::Decisions => ["decisions", "number", "at_us", "TRUE"],
            Self::Deliveries => ["deliveries", "number", "delivered_at_us", "TRUE"],
            Self::Feedback => ["feedback", "id", "heard_at_us", "TRUE"],
            Self::Rankings => ["ranking_sessions", "number", "at_us", "TRUE"],
            Self::Audit => ["ranking_audit", "id", "at_us", "TRUE"],
            Self::Dead => ["queue", "id", "queued_at_us", "state = 'dead'"],
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

/// A step of a purge: it looks at the oldest rows of a kind after a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    kind: RecordKind,
    /// What is older is taken away.
    before: Timestamp,
    now: Timestamp,
    /// The last row that was looked at before.
    after: i64,
}

impl Step {
    /// The statement that looks; its one row is a [`Window`].
    pub(crate) fn look(self) -> String {
        let [table, number, time, of_kind] = self.kind.columns();
        let (before, now, after) = (self.before.as_microsecond(), self.now.as_microsecond(), self.after);
        format!(
            "SELECT COUNT(*), COUNT(*) FILTER (WHERE at_us < {before}),
                    COUNT(*) FILTER (WHERE at_us BETWEEN {before} AND {now}), COALESCE(MAX(number), {after})
             FROM (SELECT {number} AS number, {time} AS at_us FROM {table} WHERE {number} > {after} AND {of_kind}
                   ORDER BY {number} LIMIT {STEP}) AS oldest"
        )
    }
}

/// What a step saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    rows: i64,
    /// Of them too old.
    old: i64,
    /// Of them neither too old nor of the future.
    present: i64,
    /// The last row.
    last: i64,
}

impl Window {
    pub(crate) fn read(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self { rows: row.try_get(0)?, old: row.try_get(1)?, present: row.try_get(2)?, last: row.try_get(3)? })
    }

    /// Whether anything may be too old behind it. Rows lie in the order of recording, which is nearly that of their times: none
    /// that is a little out of order is missed for long. A clock that was ahead says nothing of what was recorded afterwards.
    fn goes_on(self) -> bool {
        self.rows == i64::from(STEP) && (self.old > 0 || self.present == 0)
    }
}

/// What is taken away in one commit: what is too old of the rows that a step saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Removal {
    step: Step,
    last: i64,
}

impl Removal {
    /// Gives how many rows it took away.
    pub(crate) async fn run(self, session: &mut Session<'_>) -> sqlx::Result<Rows> {
        let Self { step: Step { kind, before, after, .. }, last } = self;
        let before = before.as_microsecond();
        let note = "INSERT INTO purges (kind, before_us) VALUES ($1, $2)
                    ON CONFLICT (kind) DO UPDATE SET before_us = excluded.before_us
                    WHERE purges.before_us < excluded.before_us";
        sqlx::query(note).bind(kind.name()).bind(before).execute(&mut *session.connection).await?;
        let [table, number, time, of_kind] = kind.columns();
        let removal = format!(
            "DELETE FROM {table}
             WHERE {time} < {before} AND {number} > {after} AND {number} <= {last} AND {of_kind}"
        );
        Ok(vec![(kind.name(), session.connection.execute(&*removal).await?.rows_affected())])
    }
}

/// The steps of a purge: of every kind one after the other.
pub(crate) struct Purge {
    retention: Retention,
    now: Timestamp,
    kinds: std::vec::IntoIter<RecordKind>,
    current: Option<Step>,
    /// Rows by kind.
    pub(crate) purged: Rows,
}

impl Purge {
    pub(crate) fn new(retention: Retention) -> Self {
        let kinds = RecordKind::iter().collect::<Vec<_>>().into_iter();
        Self { retention, now: Timestamp::now(), kinds, current: None, purged: Rows::new() }
    }

    /// Where to look next; none where all is done.
    pub(crate) fn next_step(&mut self) -> Option<Step> {
        while self.current.is_none() {
            let kind = self.kinds.next()?;
            if let Some(before) = self.retention.cutoff(kind, self.now) {
                self.current = Some(Step { kind, before, now: self.now, after: 0 });
                self.purged.push((kind.name(), 0));
            }
        }
        self.current
    }

    /// The current step saw this; gives what to take away, if anything.
    pub(crate) fn saw(&mut self, window: Window) -> Option<Removal> {
        let step = self.current?;
        self.current = window.goes_on().then_some(Step { after: window.last, ..step });
        (window.old > 0).then_some(Removal { step, last: window.last })
    }

    /// So many rows of the kind are gone.
    pub(crate) fn took(&mut self, rows: &Rows) {
        let taken: u64 = rows.iter().map(|(_, rows)| rows).sum();
        self.purged.last_mut().into_iter().for_each(|(_, sum)| *sum += taken);
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

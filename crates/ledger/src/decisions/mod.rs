//! Decisions, kept for whoever asks later why an agent saw what.
//!
//! In: a decision's JSON, which whoever keeps it has freed of what names a person or an account.

mod body;

use std::io;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::LedgerError;
use crate::readers::Readers;
use crate::statement::{Does, Fields, Session, Statement, text};

const ADD: Statement = Statement {
    columns: "id, profile, interaction, outcome, at_us, body",
    does: Does::Insert { table: "decisions", then: "ORDER BY place ON CONFLICT (id) DO NOTHING" },
};

const FIND: &str = "SELECT body FROM decisions WHERE id = $1";

const OF_INTERACTION: &str = "
    SELECT id FROM decisions WHERE interaction = $1 ORDER BY number DESC LIMIT $2";

const NEWEST: &str = "SELECT body, number FROM decisions WHERE number < $1 ORDER BY number DESC LIMIT $2";

/// A decision as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRecord {
    pub id: Uuid,
    pub profile: String,
    pub interaction: String,
    /// Its label.
    pub outcome: String,
    pub at: Timestamp,
    /// A JSON object, compressed.
    body: Vec<u8>,
}

/// A decision as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedDecision {
    /// In the order of recording; none is given twice.
    pub number: i64,
    /// A JSON object; none where the ledger is damaged at it, or another version wrote it in another form.
    pub json: Option<String>,
}

/// What a decision is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionKey {
    pub id: Uuid,
    pub profile: String,
    pub interaction: String,
    /// Its label.
    pub outcome: String,
    pub at: Timestamp,
}

impl DecisionRecord {
    /// A decision of this JSON; an error where there is no memory left to compress it.
    pub fn new(key: DecisionKey, json: &str) -> io::Result<Self> {
        let DecisionKey { id, profile, interaction, outcome, at } = key;
        Ok(Self { id, profile, interaction, outcome, at, body: body::compressed(json)? })
    }

    /// What it takes in memory while it waits.
    pub(crate) fn num_bytes(&self) -> usize {
        self.body.len() + self.interaction.len() + self.profile.len() + size_of::<Self>()
    }
}

pub(crate) async fn add(session: &mut Session<'_>, decisions: &[&DecisionRecord]) -> sqlx::Result<()> {
    session.run(ADD, &decisions.iter().map(|decision| row(decision)).collect::<Vec<_>>()).await
}

fn row(decision: &DecisionRecord) -> impl Fields {
    let DecisionRecord { id, profile, interaction, outcome, at, body } = decision;
    (id, profile, interaction, outcome, at.as_microsecond(), body)
}

/// The JSON of a decision.
pub(crate) async fn find(readers: &Readers, id: Uuid) -> Result<Option<String>, LedgerError> {
    let rows = readers.rows(sqlx::query(FIND).bind(id.as_bytes().to_vec())).await?;
    rows.first().map(json).transpose().map_err(LedgerError::read)
}

/// The ids of the newest decisions about an interaction, newest first.
pub(crate) async fn of_interaction(readers: &Readers, interaction: &str, most: u32) -> Result<Vec<Uuid>, LedgerError> {
    let query = sqlx::query(OF_INTERACTION).bind(text(interaction).into_owned()).bind(i64::from(most));
    let id = |row: &AnyRow| Uuid::from_slice(row.try_get(0)?).map_err(|error| sqlx::Error::Decode(Box::new(error)));
    readers.rows(query).await?.iter().map(id).collect::<Result<_, _>>().map_err(LedgerError::read)
}

/// The newest decisions, of those before this number where there is one, newest first. Others that are recorded meanwhile move
/// none from one page to the next.
pub(crate) async fn newest(
    readers: &Readers,
    before: Option<i64>,
    most: u32,
) -> Result<Vec<NumberedDecision>, LedgerError> {
    let query = sqlx::query(NEWEST).bind(before.unwrap_or(i64::MAX)).bind(i64::from(most));
    let numbered = |row: &AnyRow| Ok(NumberedDecision { number: row.try_get(1)?, json: json(row).ok() });
    readers.rows(query).await?.iter().map(numbered).collect::<Result<_, _>>().map_err(LedgerError::read)
}

fn json(row: &AnyRow) -> sqlx::Result<String> {
    let unreadable = |error| format!("a decision that is damaged, or that another version of cuecard wrote ({error})");
    body::json(row.try_get(0)?).map_err(|error| sqlx::Error::Decode(unreadable(error).into()))
}

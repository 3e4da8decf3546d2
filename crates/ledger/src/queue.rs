//! The durable queue: what has to reach somebody, until it did.
//!
//! An item has a kind, a key and a payload that is the kind's own. Of each key the oldest goes first, one at a time; one that is
//! to be tried again holds back its own key and no other. What arrived is taken away. What will never be taken is set aside with
//! its reason, listed, and may be tried again by an operator.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::LedgerError;
use crate::microseconds::Microseconds;
use crate::readers::Readers;
use crate::statement::{Does, Fields, Session, Statement, text};
use crate::totals::Change;

const ADD: Statement = Statement {
    columns: "kind, profile, key, payload, queued_at_us",
    does: Does::Run(
        "
        INSERT INTO queue (kind, profile, key, payload, state, attempts, retry_at_us, queued_at_us)
        SELECT kind, profile, key, payload, 'pending', 0, 0, queued_at_us FROM rows ORDER BY place",
    ),
};

const TAKE_AWAY: Statement = Statement {
    columns: "id",
    does: Does::Run(
        "DELETE FROM queue WHERE state = 'pending' AND id IN (SELECT id FROM rows) RETURNING kind, profile",
    ),
};

const ATTEMPTED: Statement = Statement {
    columns: "id, state, retry_at_us, reason",
    does: Does::Run(
        "
        UPDATE queue SET state = rows.state, attempts = attempts + 1, retry_at_us = rows.retry_at_us, reason = rows.reason
        FROM rows WHERE queue.id = rows.id AND queue.state = 'pending'
        RETURNING queue.kind, queue.profile, queue.state",
    ),
};

const REVIVE: Statement = Statement {
    columns: "id",
    does: Does::Run(
        "
        UPDATE queue SET state = 'pending', attempts = 0, retry_at_us = 0
        WHERE state = 'dead' AND id IN (SELECT id FROM rows) RETURNING kind, profile",
    ),
};

const DUE: &str = "
    SELECT id, key, payload, attempts FROM queue
    WHERE id IN (SELECT MIN(id) FROM queue WHERE state = 'pending' AND kind = $1 AND profile = $2 GROUP BY key)
      AND retry_at_us <= $3
    ORDER BY id LIMIT $4";

const DEAD: &str = "
    SELECT id, key, payload, attempts, profile, queued_at_us, reason FROM queue
    WHERE state = 'dead' AND kind = $1 AND id > $2 ORDER BY id LIMIT $3";

/// What kinds of things have to reach somebody.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, strum::IntoStaticStr, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum QueueKind {
    /// What an agent did with a card.
    Feedback,
    /// The result of a ranking, where its caller wants it.
    Callback,
}

impl QueueKind {
    /// As it stands in the ledger.
    pub fn name(self) -> &'static str {
        self.into()
    }

    pub(crate) fn named(name: &str) -> sqlx::Result<Self> {
        name.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
    }
}

/// Something that has to reach somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItem {
    pub kind: QueueKind,
    pub profile: String,
    /// Items of one key go one after the other.
    pub key: String,
    /// A JSON object.
    pub payload: String,
    pub queued_at: Timestamp,
}

/// Grows in the order of storing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ItemId(pub i64);

/// An item whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueItem {
    pub id: ItemId,
    pub key: String,
    pub payload: String,
    /// How often it was tried in vain, for the backoff.
    pub attempts: u32,
}

/// An item that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadItem {
    pub item: DueItem,
    pub profile: String,
    pub queued_at: Timestamp,
    /// Of the last attempt.
    pub reason: String,
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemEnd {
    /// It arrived.
    Arrived,
    /// The attempt failed for the reason; it is not due again before then.
    RetryAt(Timestamp, String),
    /// Nobody will ever take it, for the reason.
    SetAside(String),
}

/// Adds items.
pub(crate) async fn add(session: &mut Session<'_>, items: &[&NewItem], change: &mut Change) -> sqlx::Result<()> {
    session.run(ADD, &items.iter().map(|item| row(item)).collect::<Vec<_>>()).await?;
    for item in items {
        change.waits(item.kind, item.profile.clone(), 1);
    }
    Ok(())
}

fn row(item: &NewItem) -> impl Fields {
    let NewItem { kind, profile, key, payload, queued_at } = item;
    (kind.name(), profile, key, payload, queued_at.as_microsecond())
}

/// Notes what became of items.
pub(crate) async fn end(
    session: &mut Session<'_>,
    ends: &[(ItemId, &ItemEnd)],
    change: &mut Change,
) -> sqlx::Result<()> {
    let (mut arrived, mut attempted) = (Vec::new(), Vec::new());
    for (ItemId(id), end) in ends {
        match end {
            ItemEnd::Arrived => arrived.push((*id,)),
            ItemEnd::RetryAt(at, reason) => attempted.push((*id, "pending", at.as_microsecond(), reason.as_str())),
            ItemEnd::SetAside(reason) => attempted.push((*id, "dead", 0, reason.as_str())),
        }
    }
    for row in session.fetch(TAKE_AWAY, &arrived).await? {
        settled(change, &row, -1)?;
    }
    for row in session.fetch(ATTEMPTED, &attempted).await? {
        if row.try_get::<&str, _>(2)? == "dead" {
            settled(change, &row, -1)?;
        }
    }
    Ok(())
}

/// Lets items that were set aside wait again; gives how many.
pub(crate) async fn revive(session: &mut Session<'_>, id: ItemId, change: &mut Change) -> sqlx::Result<u64> {
    let revived = session.fetch(REVIVE, &[(id.0,)]).await?;
    for row in &revived {
        settled(change, row, 1)?;
    }
    Ok(revived.len() as u64)
}

fn settled(change: &mut Change, row: &AnyRow, items: i64) -> sqlx::Result<()> {
    change.waits(QueueKind::named(row.try_get(0)?)?, row.try_get(1)?, items);
    Ok(())
}

/// The oldest item of each key, oldest first, without those whose next attempt lies after `now`.
pub(crate) async fn due(
    readers: &Readers,
    (kind, profile): (QueueKind, &str),
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DueItem>, LedgerError> {
    let query = sqlx::query(DUE).bind(kind.name()).bind(text(profile).into_owned());
    let rows = readers.rows(query.bind(now.as_microsecond()).bind(i64::from(limit))).await?;
    rows.iter().map(due_item).collect::<Result<_, _>>().map_err(LedgerError::read)
}

/// What was set aside, oldest first, from the one after `after` on.
pub(crate) async fn dead(
    readers: &Readers,
    kind: QueueKind,
    after: ItemId,
    limit: u32,
) -> Result<Vec<DeadItem>, LedgerError> {
    let query = sqlx::query(DEAD).bind(kind.name()).bind(after.0).bind(i64::from(limit));
    readers.rows(query).await?.iter().map(dead_item).collect::<Result<_, _>>().map_err(LedgerError::read)
}

fn due_item(row: &AnyRow) -> sqlx::Result<DueItem> {
    Ok(DueItem {
        id: ItemId(row.try_get(0)?),
        key: row.try_get(1)?,
        payload: row.try_get(2)?,
        attempts: u32::try_from(row.try_get::<i64, _>(3)?).unwrap_or(u32::MAX),
    })
}

fn dead_item(row: &AnyRow) -> sqlx::Result<DeadItem> {
    Ok(DeadItem {
        item: due_item(row)?,
        profile: row.try_get(4)?,
        queued_at: Microseconds(row.try_get(5)?).timestamp()?,
        reason: row.try_get::<Option<String>, _>(6)?.unwrap_or_default(),
    })
}

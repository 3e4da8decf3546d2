//! How what agents did with cards is kept.
//!
//! In: events about cards. An event is matched to the latest delivery that showed its card, whichever of the two comes first,
//! and waits in the queue for whoever it is passed on to.

use std::collections::{HashMap, HashSet};

use cuecard_text::Spoken;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::LedgerError;
use crate::microseconds::Microseconds;
use crate::queue::{self, NewItem, QueueKind};
use crate::readers::Readers;
use crate::statement::{Does, Fields, Session, Statement};
use crate::totals::Change;

/// Two deliveries of one microsecond are told apart by the order of recording.
const ADD: Statement = Statement {
    columns: "event, profile, interaction, insight, action, accepted, heard_at_us",
    does: Does::Run(
        "
        INSERT INTO feedback (event, profile, interaction, insight, action, accepted, heard_at_us, delivery)
        SELECT event, profile, interaction, insight, action, accepted, heard_at_us,
               (SELECT d.number FROM deliveries d JOIN impressions i ON i.delivery = d.number
                WHERE d.profile = rows.profile AND d.interaction = rows.interaction AND i.wire_id = rows.insight
                ORDER BY d.delivered_at_us DESC, d.number DESC LIMIT 1)
        FROM rows WHERE TRUE ORDER BY place
        ON CONFLICT (event) DO NOTHING RETURNING id, delivery, insight, accepted, event",
    ),
};

const JUDGED_BEFORE: Statement = Statement {
    columns: "delivery, wire_id, accepted",
    does: Does::Run(
        "
        SELECT i.delivery, i.wire_id, i.accepted, d.profile, i.rank
        FROM rows JOIN impressions i ON i.delivery = rows.delivery AND i.wire_id = rows.wire_id
        JOIN deliveries d ON d.number = i.delivery",
    ),
};

const JUDGE: Statement = Statement {
    columns: "delivery, wire_id, accepted",
    does: Does::Run(
        "
        UPDATE impressions SET accepted = rows.accepted FROM rows
        WHERE impressions.delivery = rows.delivery AND impressions.wire_id = rows.wire_id",
    ),
};

/// The rejections among the newest `$2` events that came after `$1`, by the article that was shown. An event whose delivery is not
/// recorded names its card itself. An agent may be quicker than CXone's answer to the push, from which the delivery has its time:
/// no card counts as rejected before it was shown.
const REJECTIONS: &str = "
    SELECT f.profile, f.interaction,
           CASE WHEN d.delivered_at_us > f.heard_at_us THEN d.delivered_at_us ELSE f.heard_at_us END,
           COALESCE(i.article_id, f.insight)
    FROM feedback f LEFT JOIN deliveries d ON d.number = f.delivery
    LEFT JOIN impressions i ON i.delivery = f.delivery AND i.wire_id = f.insight
    WHERE f.id > (SELECT COALESCE(MAX(id), 0) FROM feedback) - $2 AND f.heard_at_us >= $1 AND f.accepted = 0
    ORDER BY f.id";

/// What an agent did with a card. Times are kept to the microsecond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFeedback {
    /// Made where it was heard: storing it again changes nothing.
    pub event: Uuid,
    pub profile: String,
    pub interaction: String,
    pub insight: String,
    /// Any text, as it is kept and passed on: whoever heard it has masked it.
    pub action: Spoken,
    pub accepted: bool,
    pub heard_at: Timestamp,
}

/// What waits in the queue of an event: what is passed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackPayload {
    pub insight: String,
    #[serde(serialize_with = "cuecard_text::verbatim")]
    pub action: Spoken,
    pub accepted: bool,
    pub heard_at_us: i64,
}

impl FeedbackPayload {
    pub fn heard_at(&self) -> Timestamp {
        Timestamp::from_microsecond(self.heard_at_us).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// An article that an agent did not want to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedArticle {
    pub profile: String,
    pub interaction: String,
    pub article_id: String,
    pub rejected_at: Timestamp,
}

/// Whether an agent accepted a card of a delivery.
#[derive(Debug)]
pub(crate) struct Judgement {
    event: i64,
    delivery: Option<i64>,
    card: String,
    accepted: bool,
}

impl Judgement {
    /// From the event's id, the delivery's number, the card and the verdict.
    pub(crate) fn read(row: &AnyRow) -> sqlx::Result<Self> {
        let accepted = row.try_get::<i64, _>(3)? != 0;
        Ok(Self { event: row.try_get(0)?, delivery: row.try_get(1)?, card: row.try_get(2)?, accepted })
    }
}

/// Stores events that are not there yet, and lets them wait for their way on.
pub(crate) async fn add(session: &mut Session<'_>, events: &[&NewFeedback], change: &mut Change) -> sqlx::Result<()> {
    let stored = session.fetch(ADD, &events.iter().map(|event| row(event)).collect::<Vec<_>>()).await?;
    let mut judgements = Vec::new();
    let mut new = HashSet::new();
    for row in &stored {
        judgements.push(Judgement::read(row)?);
        new.insert(row.try_get::<Vec<u8>, _>(4)?);
    }
    let items: Vec<_> =
        events.iter().filter(|event| new.remove(event.event.as_bytes().as_slice())).map(|event| item(event)).collect();
    queue::add(session, &items.iter().collect::<Vec<_>>(), change).await?;
    judge(session, judgements, change).await
}

fn row(event: &NewFeedback) -> impl Fields {
    let NewFeedback { event, profile, interaction, insight, action, accepted, heard_at } = event;
    let (accepted, heard_at_us) = (i64::from(*accepted), heard_at.as_microsecond());
    (event, profile, interaction, insight, action.verbatim(), accepted, heard_at_us)
}

fn item(event: &NewFeedback) -> NewItem {
    let NewFeedback { profile, interaction, insight, action, accepted, heard_at, .. } = event.clone();
    let payload = FeedbackPayload { insight, action, accepted, heard_at_us: heard_at.as_microsecond() };
    // Of texts and numbers alone: there is nothing in it that JSON can't say.
    let payload = serde_json::to_string(&payload).unwrap_or_default();
    NewItem { kind: QueueKind::Feedback, profile, key: interaction, payload, queued_at: heard_at }
}

/// Notes on each card what the newest of these events made of it.
pub(crate) async fn judge(
    session: &mut Session<'_>,
    mut judgements: Vec<Judgement>,
    change: &mut Change,
) -> sqlx::Result<()> {
    judgements.sort_unstable_by_key(|judgement| judgement.event);
    let mut newest = HashMap::new();
    for Judgement { delivery, card, accepted, .. } in judgements {
        if let Some(delivery) = delivery {
            newest.insert((delivery, card), accepted);
        }
    }
    let verdicts: Vec<_> =
        newest.iter().map(|((delivery, card), verdict)| (*delivery, card, i64::from(*verdict))).collect();
    for row in session.fetch(JUDGED_BEFORE, &verdicts).await? {
        let card = (row.try_get::<i64, _>(0)?, row.try_get::<String, _>(1)?);
        let before = row.try_get::<Option<i64>, _>(2)?.map(|verdict| verdict != 0);
        if let Some(now) = newest.get(&card) {
            let rank = u32::try_from(row.try_get::<i64, _>(4)?).unwrap_or(u32::MAX);
            change.judged(row.try_get(3)?, rank, before, *now);
        }
    }
    session.run(JUDGE, &verdicts).await
}

/// What was rejected since then, in the order of recording, of the newest `most` events.
pub(crate) async fn rejections(
    readers: &Readers,
    since: Timestamp,
    most: u32,
) -> Result<Vec<RejectedArticle>, LedgerError> {
    let rows = readers.rows(sqlx::query(REJECTIONS).bind(since.as_microsecond()).bind(i64::from(most))).await?;
    let rejected = |row: &AnyRow| -> sqlx::Result<RejectedArticle> {
        Ok(RejectedArticle {
            profile: row.try_get(0)?,
            interaction: row.try_get(1)?,
            article_id: row.try_get(3)?,
            rejected_at: Microseconds(row.try_get(2)?).timestamp()?,
        })
    };
    rows.iter().map(rejected).collect::<Result<_, _>>().map_err(LedgerError::read)
}

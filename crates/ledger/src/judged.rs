//! What agents saw and what they made of it, for whoever learns from that.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use crate::LedgerError;
use crate::database::Database;
use crate::deliveries::{Impression, QuestionRecord};
use crate::microseconds::Microseconds;
use crate::opening;
use crate::statement::text;

const JUDGED: &str = "
    SELECT d.id, d.interaction, d.delivered_at_us, d.num_words, d.num_turns, d.question_vector,
           i.article_id, i.wire_id, i.content_hash, i.rank, i.score, i.probability, i.propensity, i.features, i.accepted
    FROM deliveries d JOIN impressions i ON i.delivery = d.number
    WHERE d.profile = $1
      AND EXISTS (SELECT 1 FROM impressions j WHERE j.delivery = d.number AND j.accepted IS NOT NULL)
    ORDER BY d.number, i.rank";

/// A delivery of which an agent judged a card at least.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedDelivery {
    pub id: Uuid,
    pub interaction: String,
    pub delivered_at: Timestamp,
    /// None where it was recorded before a ranker could learn from it.
    pub question: Option<QuestionRecord>,
    /// By rank.
    pub cards: Vec<JudgedCard>,
}

/// A card, and whether the agent accepted it.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedCard {
    pub impression: Impression,
    /// By the newest event; none where the agent did nothing with it.
    pub accepted: Option<bool>,
}

/// The judged deliveries of a profile, in the order of recording. Reads beside a service that has the ledger open.
pub async fn judged_deliveries(url: &str, profile: &str) -> Result<Vec<JudgedDelivery>, LedgerError> {
    let mut connection = opening::reader(&Database::named(url)?).await?;
    read(&mut connection, profile).await.map_err(LedgerError::read)
}

async fn read(connection: &mut AnyConnection, profile: &str) -> sqlx::Result<Vec<JudgedDelivery>> {
    let rows = sqlx::query(JUDGED).bind(text(profile).into_owned()).fetch_all(connection).await?;
    let mut deliveries: Vec<JudgedDelivery> = Vec::new();
    for row in &rows {
        let id = Uuid::from_slice(row.try_get(0)?).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        if deliveries.last().is_none_or(|last| last.id != id) {
            deliveries.push(delivery(id, row)?);
        }
        let card = card(row)?;
        deliveries.last_mut().into_iter().for_each(|last| last.cards.push(card.clone()));
    }
    Ok(deliveries)
}

fn delivery(id: Uuid, row: &AnyRow) -> sqlx::Result<JudgedDelivery> {
    let signs = (count(row, 3)?, count(row, 4)?);
    let vector: Option<Vec<u8>> = row.try_get(5)?;
    let question = match signs {
        (Some(num_words), Some(num_turns)) => {
            Some(QuestionRecord { num_words, num_turns, vector: vector.as_deref().map(QuestionRecord::vector_of) })
        }
        _ => None,
    };
    Ok(JudgedDelivery {
        id,
        interaction: row.try_get(1)?,
        delivered_at: Microseconds(row.try_get(2)?).timestamp()?,
        question,
        cards: Vec::new(),
    })
}

fn card(row: &AnyRow) -> sqlx::Result<JudgedCard> {
    let features: BTreeMap<String, f64> =
        serde_json::from_str(row.try_get(13)?).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(JudgedCard {
        impression: Impression {
            article_id: row.try_get(6)?,
            wire_id: row.try_get(7)?,
            content_hash: row.try_get(8)?,
            rank: count(row, 9)?.unwrap_or_default(),
            score: row.try_get(10)?,
            probability: row.try_get(11)?,
            propensity: row.try_get(12)?,
            features,
        },
        accepted: row.try_get::<Option<i64>, _>(14)?.map(|verdict| verdict != 0),
    })
}

fn count(row: &AnyRow, field: usize) -> sqlx::Result<Option<u32>> {
    Ok(row.try_get::<Option<i64>, _>(field)?.map(|count| u32::try_from(count).unwrap_or(u32::MAX)))
}

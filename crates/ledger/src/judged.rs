//! What agents saw and what they made of it, for whoever learns from that.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::types::Json;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use crate::LedgerError;
use crate::deliveries::{Impression, QuestionRecord};
use crate::microseconds::Microseconds;
use crate::opening;

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
    let mut connection = opening::reader(url).await?;
    read(&mut connection, profile).await.map_err(LedgerError::read)
}

async fn read(connection: &mut SqliteConnection, profile: &str) -> sqlx::Result<Vec<JudgedDelivery>> {
    let rows = sqlx::query(
        "SELECT d.id, d.interaction, d.delivered_at_us, d.num_words, d.num_turns, d.question_vector, i.*,
             (SELECT accepted FROM feedback f WHERE f.delivery = d.id AND f.insight = i.wire_id
              ORDER BY f.id DESC LIMIT 1) AS accepted
         FROM deliveries d JOIN impressions i ON i.delivery = d.id
         WHERE d.profile = ?1 AND EXISTS (SELECT 1 FROM feedback f WHERE f.delivery = d.id)
         ORDER BY d.number, i.rank",
    )
    .bind(profile)
    .fetch_all(connection)
    .await?;
    let mut deliveries: Vec<JudgedDelivery> = Vec::new();
    for row in &rows {
        let id: Uuid = row.try_get("id")?;
        if deliveries.last().is_none_or(|last| last.id != id) {
            deliveries.push(delivery(id, row)?);
        }
        let card = card(row)?;
        deliveries.last_mut().into_iter().for_each(|last| last.cards.push(card.clone()));
    }
    Ok(deliveries)
}

fn delivery(id: Uuid, row: &SqliteRow) -> sqlx::Result<JudgedDelivery> {
    let at: Microseconds = row.try_get("delivered_at_us")?;
    let signs = (row.try_get::<Option<u32>, _>("num_words")?, row.try_get::<Option<u32>, _>("num_turns")?);
    let vector: Option<Vec<u8>> = row.try_get("question_vector")?;
    let question = match signs {
        (Some(num_words), Some(num_turns)) => {
            Some(QuestionRecord { num_words, num_turns, vector: vector.as_deref().map(QuestionRecord::vector_of) })
        }
        _ => None,
    };
    Ok(JudgedDelivery {
        id,
        interaction: row.try_get("interaction")?,
        delivered_at: Timestamp::try_from(at).map_err(|error| sqlx::Error::Decode(error.into()))?,
        question,
        cards: Vec::new(),
    })
}

fn card(row: &SqliteRow) -> sqlx::Result<JudgedCard> {
    let Json(features): Json<BTreeMap<String, f64>> = row.try_get("features")?;
    Ok(JudgedCard {
        impression: Impression {
            article_id: row.try_get("article_id")?,
            wire_id: row.try_get("wire_id")?,
            content_hash: row.try_get("content_hash")?,
            rank: row.try_get("rank")?,
            score: row.try_get("score")?,
            probability: row.try_get("probability")?,
            propensity: row.try_get("propensity")?,
            features,
        },
        accepted: row.try_get("accepted")?,
    })
}

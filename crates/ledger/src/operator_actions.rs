//! What operators decided about articles, kept as it was done: the newest action on an article is the one in effect.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use utoipa::ToSchema;

use crate::LedgerError;
use crate::database::Database;
use crate::microseconds::Microseconds;
use crate::opening;
use crate::readers::Readers;
use crate::statement::{Does, Fields, Session, Statement, text};

const ADD: Statement = Statement {
    columns: "profile, article_id, action, reason, at_us, ends_at_us",
    does: Does::Insert { table: "operator_actions", then: "ORDER BY place" },
};

const NEWEST: &str = "
    SELECT article_id, action, reason, at_us, ends_at_us FROM operator_actions
    WHERE number IN (SELECT MAX(number) FROM operator_actions WHERE profile = $1 GROUP BY article_id)
    ORDER BY number DESC";

/// What an operator does with an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ArticleAction {
    /// It comes first.
    Pin,
    /// It is not shown.
    Mute,
    /// It is an article like any other again.
    Release,
}

/// An action of an operator. Times are kept to the microsecond.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OperatorAction {
    #[serde(skip)]
    pub profile: String,
    pub article_id: String,
    pub action: ArticleAction,
    /// In the operator's words.
    pub reason: String,
    pub at: Timestamp,
    /// When it ends by itself, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
}

pub(crate) async fn add(session: &mut Session<'_>, actions: &[&OperatorAction]) -> sqlx::Result<()> {
    session.run(ADD, &actions.iter().map(|action| row(action)).collect::<Vec<_>>()).await
}

fn row(action: &OperatorAction) -> impl Fields {
    let OperatorAction { profile, article_id, action, reason, at, ends_at } = action;
    let (action, ends_at): (&str, _) = (action.into(), ends_at.map(Timestamp::as_microsecond));
    (profile, article_id, action, reason, at.as_microsecond(), ends_at)
}

/// The newest action on each article of a profile, newest first, also where it ended or released the article.
pub(crate) async fn newest(readers: &Readers, profile: &str) -> Result<Vec<OperatorAction>, LedgerError> {
    let rows = readers.rows(sqlx::query(NEWEST).bind(text(profile).into_owned())).await?;
    rows.iter().map(|row| read(profile, row)).collect::<Result<_, _>>().map_err(LedgerError::read)
}

/// The same of the ledger at a URL. Reads beside a service that has the ledger open.
pub async fn newest_actions(url: &str, profile: &str) -> Result<Vec<OperatorAction>, LedgerError> {
    let mut connection = opening::reader(&Database::named(url)?).await?;
    let rows = sqlx::query(NEWEST).bind(text(profile).into_owned()).fetch_all(&mut connection).await;
    let rows = rows.map_err(LedgerError::read)?;
    rows.iter().map(|row| read(profile, row)).collect::<Result<_, _>>().map_err(LedgerError::read)
}

fn read(profile: &str, row: &AnyRow) -> sqlx::Result<OperatorAction> {
    let action = row.try_get::<&str, _>(1)?.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(OperatorAction {
        profile: profile.to_owned(),
        article_id: row.try_get(0)?,
        action,
        reason: row.try_get(2)?,
        at: Microseconds(row.try_get(3)?).timestamp()?,
        ends_at: row.try_get::<Option<i64>, _>(4)?.map(|at| Microseconds(at).timestamp()).transpose()?,
    })
}

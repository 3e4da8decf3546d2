//! What operators decided about articles, kept as it was done: the newest action on an article is the one in effect.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use crate::microseconds::Microseconds;

/// What an operator does with an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(rename_all = "snake_case")]
pub enum ArticleAction {
    /// It comes first.
    Pin,
    /// It is not shown.
    Mute,
    /// It is an article like any other again.
    Release,
}

/// An action of an operator. Times are kept to the microsecond.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

impl OperatorAction {
    pub(crate) async fn insert(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO operator_actions (profile, article_id, action, reason, at_us, ends_at_us)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(&self.profile)
        .bind(&self.article_id)
        .bind(self.action)
        .bind(&self.reason)
        .bind(Microseconds::from(self.at))
        .bind(self.ends_at.map(Microseconds::from))
        .execute(connection)
        .await
        .map(drop)
    }
}

impl FromRow<'_, SqliteRow> for OperatorAction {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let time = |at: Microseconds| Timestamp::try_from(at).map_err(|error| sqlx::Error::Decode(error.into()));
        Ok(Self {
            profile: row.try_get("profile")?,
            article_id: row.try_get("article_id")?,
            action: row.try_get("action")?,
            reason: row.try_get("reason")?,
            at: time(row.try_get("at_us")?)?,
            ends_at: row.try_get::<Option<Microseconds>, _>("ends_at_us")?.map(time).transpose()?,
        })
    }
}

//! The rankings and clicks of one commit, written together.
//!
//! A statement's way to SQLite's thread and back costs more than most rows, and a ranking brings up to fifty
//! snippets. So each kind of row goes over as one statement for each profile, with the rows as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteQueryResult;

use super::{Click, RankingEntry, RankingStatus, RankingWrite};

/// Rows of either kind begin with the session.
const ADD_SESSIONS: &str = "
    INSERT INTO ranking_sessions (profile, session)
    SELECT ?1, value ->> 0 FROM json_each(?2) WHERE TRUE
    ON CONFLICT DO NOTHING";

/// Ids follow each other in the order of the rows: [`RankingBatch::apply`] counts on it.
const ADD_ENTRIES: &str = "
    INSERT INTO ranking_audit
        (profile, session, status, delivered, at_us, snippet_count, latency_us, max_window, checksum)
    SELECT ?1, value ->> 0, value ->> 1, value -> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
    FROM json_each(?2) ORDER BY key";

/// Changes a row for each snippet that was not delivered in its session before.
const ADD_DELIVERED: &str = "
    WITH entry AS MATERIALIZED (
        SELECT s.number, value -> 2 AS delivered
        FROM json_each(?2) CROSS JOIN ranking_sessions s ON s.profile = ?1 AND s.session = value ->> 0
        WHERE value ->> 1 = 'success'
    )
    INSERT INTO ranked_snippets (session, snippet, delivered, clicked)
    SELECT entry.number, snippet.value, 1, 0 FROM entry, json_each(entry.delivered) AS snippet WHERE TRUE
    ON CONFLICT (session, snippet) DO UPDATE SET delivered = 1 WHERE NOT delivered";

const ADD_CLICKS: &str = "
    INSERT INTO ranking_clicks (session, snippet, rank_position, clicked_at_us)
    SELECT s.number, value ->> 1, value ->> 2, value ->> 3
    FROM json_each(?2) CROSS JOIN ranking_sessions s ON s.profile = ?1 AND s.session = value ->> 0
    ORDER BY key";

const ADD_CLICKED: &str = "
    INSERT INTO ranked_snippets (session, snippet, delivered, clicked)
    SELECT s.number, value ->> 1, 0, 1
    FROM json_each(?2) CROSS JOIN ranking_sessions s ON s.profile = ?1 AND s.session = value ->> 0 WHERE TRUE
    ON CONFLICT (session, snippet) DO UPDATE SET clicked = 1 WHERE NOT clicked";

const ADD_TO_TOTALS: &str = "
    INSERT INTO ranking_totals (profile, entries, successes, latency_us, clicks, delivered)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (profile) DO UPDATE SET
        entries = entries + excluded.entries,
        successes = successes + excluded.successes,
        latency_us = latency_us + excluded.latency_us,
        clicks = clicks + excluded.clicks,
        delivered = delivered + excluded.delivered";

/// As [`ADD_ENTRIES`] reads it.
type EntryRow<'a> = (&'a str, &'static str, &'a [String], i64, u32, Option<i64>, u32, Option<&'a str>);

/// As [`ADD_CLICKS`] reads it.
type ClickRow<'a> = (&'a str, &'a str, u32, i64);

#[derive(Debug, Default)]
pub(crate) struct RankingBatch<'a> {
    profiles: BTreeMap<&'a str, ProfileBatch<'a>>,
}

#[derive(Debug, Default)]
struct ProfileBatch<'a> {
    /// The place in the commit of each of `entries`.
    places: Vec<usize>,
    entries: Vec<EntryRow<'a>>,
    clicks: Vec<ClickRow<'a>>,
    successes: i64,
    latency_us: i64,
}

impl<'a> RankingBatch<'a> {
    /// `place` tells the caller of [`RankingBatch::apply`] whose row is whose.
    pub(crate) fn add(&mut self, place: usize, write: &'a RankingWrite) {
        match write {
            RankingWrite::Record(entry) => self.profiles.entry(&entry.profile).or_default().add_entry(place, entry),
            RankingWrite::Click(click) => self.profiles.entry(&click.profile).or_default().add_click(click),
        }
    }

    /// The places and ids of the entries.
    pub(crate) async fn apply(self, connection: &mut SqliteConnection) -> sqlx::Result<Vec<(usize, i64)>> {
        let mut ids = Vec::new();
        for (profile, batch) in self.profiles {
            let first = batch.apply(profile, connection).await?;
            ids.extend(batch.places.into_iter().zip(first..));
        }
        Ok(ids)
    }
}

impl<'a> ProfileBatch<'a> {
    fn add_entry(&mut self, place: usize, entry: &'a RankingEntry) {
        let latency_us = latency_us(entry.latency_ms);
        if entry.status == RankingStatus::Success {
            self.successes += 1;
            self.latency_us = self.latency_us.saturating_add(latency_us.unwrap_or_default());
        }
        self.places.push(place);
        self.entries.push((
            &entry.session,
            entry.status.as_str(),
            &entry.delivered,
            entry.at.as_microsecond(),
            entry.snippet_count,
            latency_us,
            entry.max_window,
            entry.checksum.as_deref(),
        ));
    }

    fn add_click(&mut self, click: &'a Click) {
        self.clicks.push((&click.session, &click.snippet, click.rank_position, click.at.as_microsecond()));
    }

    /// The id of the first entry.
    async fn apply(&self, profile: &str, connection: &mut SqliteConnection) -> sqlx::Result<i64> {
        let (mut first_id, mut newly_delivered) = (0, 0);
        if !self.entries.is_empty() {
            (first_id, newly_delivered) = self.write_entries(profile, connection).await?;
        }
        if !self.clicks.is_empty() {
            self.write_clicks(profile, connection).await?;
        }
        self.write_totals(profile, newly_delivered, connection).await?;
        Ok(first_id)
    }

    /// The id of the first entry, and how many snippets are delivered that were not before.
    async fn write_entries(&self, profile: &str, connection: &mut SqliteConnection) -> sqlx::Result<(i64, u64)> {
        let rows = json(&self.entries)?;
        write(ADD_SESSIONS, profile, &rows, connection).await?;
        let last_id = write(ADD_ENTRIES, profile, &rows, connection).await?.last_insert_rowid();
        let delivered = write(ADD_DELIVERED, profile, &rows, connection).await?.rows_affected();
        Ok((last_id + 1 - integer(self.entries.len()), delivered))
    }

    async fn write_clicks(&self, profile: &str, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let rows = json(&self.clicks)?;
        for statement in [ADD_SESSIONS, ADD_CLICKS, ADD_CLICKED] {
            write(statement, profile, &rows, connection).await?;
        }
        Ok(())
    }

    async fn write_totals(&self, profile: &str, delivered: u64, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        sqlx::query(ADD_TO_TOTALS)
            .bind(profile)
            .bind(integer(self.entries.len()))
            .bind(self.successes)
            .bind(self.latency_us)
            .bind(integer(self.clicks.len()))
            .bind(integer(delivered))
            .execute(connection)
            .await?;
        Ok(())
    }
}

async fn write(
    statement: &str,
    profile: &str,
    rows: &str,
    connection: &mut SqliteConnection,
) -> sqlx::Result<SqliteQueryResult> {
    sqlx::query(statement).bind(profile).bind(rows).execute(connection).await
}

fn json<T: Serialize>(rows: &[T]) -> sqlx::Result<String> {
    serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// None, which the schema refuses, for what is not finite.
fn latency_us(latency_ms: f64) -> Option<i64> {
    latency_ms.is_finite().then(|| (latency_ms * 1000.0).round() as i64)
}

/// As SQLite counts; no commit holds more than it reaches to.
fn integer(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

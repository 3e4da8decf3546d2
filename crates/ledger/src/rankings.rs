//! The record of rankings: an audit entry for each submission, the clicks on snippets, and the metrics of both.
//!
//! In: a [`RankingEntry`] per submission, a [`Click`] per click. Out: [`RankingMetrics`], which are running totals and so
//! take the same time however much is kept.
//! An entry is never changed or deleted: the schema refuses it. A write that breaks a rule of the schema
//! (a latency that is not finite, negative or above a day; a rank of 0) is refused and leaves nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{FromRow, SqliteConnection};

/// `?1` is the profile, `?2` the entries as [`EntryRow`]s, `?3` their count, `?4` how many succeeded, `?5` the latency
/// of these. The ids of the entries follow each other in the order of the rows: [`RankingBatch::apply`] counts on it.
///
/// The third statement changes a row for each snippet that was not delivered in its session before, and the fourth
/// counts them by `changes()`.
const ADD_ENTRIES: &str = "
    INSERT INTO ranking_sessions (profile, session)
    SELECT ?1, value ->> 0 FROM json_each(?2) WHERE TRUE
    ON CONFLICT DO NOTHING;

    INSERT INTO ranking_audit
        (profile, session, status, delivered, at_us, snippet_count, latency_us, max_window, checksum)
    SELECT ?1, value ->> 0, value ->> 1, value -> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
    FROM json_each(?2) ORDER BY key;

    WITH entry AS MATERIALIZED (
        SELECT s.number, value -> 2 AS delivered
        FROM json_each(?2) CROSS JOIN ranking_sessions s ON s.profile = ?1 AND s.session = value ->> 0
        WHERE value ->> 1 = 'success'
    )
    INSERT INTO ranked_snippets (session, snippet, delivered, clicked)
    SELECT entry.number, snippet.value, 1, 0 FROM entry, json_each(entry.delivered) AS snippet WHERE TRUE
    ON CONFLICT (session, snippet) DO UPDATE SET delivered = 1 WHERE NOT delivered;

    INSERT INTO ranking_totals (profile, delivered, entries, successes, latency_us)
    VALUES (?1, changes(), ?3, ?4, ?5)
    ON CONFLICT (profile) DO UPDATE SET
        delivered = delivered + excluded.delivered,
        entries = entries + excluded.entries,
        successes = successes + excluded.successes,
        latency_us = latency_us + excluded.latency_us";

/// `?1` is the profile, `?2` the clicks as [`ClickRow`]s, `?3` their count.
const ADD_CLICKS: &str = "
    INSERT INTO ranking_sessions (profile, session)
    SELECT ?1, value ->> 0 FROM json_each(?2) WHERE TRUE
    ON CONFLICT DO NOTHING;

    INSERT INTO ranking_clicks (session, snippet, rank_position, clicked_at_us)
    SELECT s.number, value ->> 1, value ->> 2, value ->> 3
    FROM json_each(?2) CROSS JOIN ranking_sessions s ON s.profile = ?1 AND s.session = value ->> 0
    ORDER BY key;

    INSERT INTO ranked_snippets (session, snippet, delivered, clicked)
    SELECT s.number, value ->> 1, 0, 1
    FROM json_each(?2) CROSS JOIN ranking_sessions s ON s.profile = ?1 AND s.session = value ->> 0 WHERE TRUE
    ON CONFLICT (session, snippet) DO UPDATE SET clicked = 1 WHERE NOT clicked;

    INSERT INTO ranking_totals (profile, clicks) VALUES (?1, ?3)
    ON CONFLICT (profile) DO UPDATE SET clicks = clicks + excluded.clicks";

/// As [`ADD_ENTRIES`] reads it.
type EntryRow<'a> = (&'a str, &'static str, &'a [String], i64, u32, Option<i64>, u32, Option<&'a str>);

/// As [`ADD_CLICKS`] reads it.
type ClickRow<'a> = (&'a str, &'a str, u32, i64);

/// A submission of a ranking and how it ended. Times and latencies are kept to the microsecond.
#[derive(Debug, Clone, PartialEq)]
pub struct RankingEntry {
    pub profile: String,
    pub session: String,
    pub at: Timestamp,
    /// Snippets submitted, after the cut to the window.
    pub snippet_count: u32,
    pub latency_ms: f64,
    pub max_window: u32,
    pub status: RankingStatus,
    /// Of the answer; none for a failure.
    pub checksum: Option<String>,
    /// The ids of the snippets that CXone took, the top one first. What a failure names is kept and counts as nothing
    /// delivered.
    pub delivered: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum RankingStatus {
    Success,
    Failed,
}

impl RankingStatus {
    /// As it stands in an audit entry.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// An agent opened a snippet. Times are kept to the microsecond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Click {
    pub profile: String,
    pub session: String,
    pub snippet: String,
    /// From 1, the top.
    pub rank_position: u32,
    pub at: Timestamp,
}

/// Grows in the order of storing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RankingId(pub i64);

/// What a profile's entries and clicks come to, unrounded.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RankingMetrics {
    /// Of the successes; 0.0 before the first.
    pub average_latency_ms: f64,
    /// Every click, repeated ones and those on snippets that were never delivered too.
    pub total_clicks_tracked: u64,
    pub audit_entries_count: u64,
    /// Distinct (session, snippet) delivered and clicked ÷ distinct (session, snippet) delivered, within 0..=1;
    /// 0.0 before the first delivery. Which of the two came first makes no difference.
    pub click_through_rate: f64,
}

/// The running totals of a profile.
#[derive(FromRow)]
pub(crate) struct RankingTotals {
    entries: u64,
    successes: u64,
    latency_us: u64,
    clicks: u64,
    delivered: u64,
    delivered_clicked: u64,
}

#[derive(Debug)]
pub(crate) enum RankingWrite {
    Record(RankingEntry),
    Click(Click),
}

/// The rankings and clicks of one commit, written together: the way to SQLite's thread and back costs more than most
/// rows, and a ranking brings up to fifty snippets. So each kind of row goes over once for each profile, all its
/// statements together, with the rows as JSON.
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
            entry.status.name(),
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

    /// The id of the first entry, or 0 without any.
    async fn apply(&self, profile: &str, connection: &mut SqliteConnection) -> sqlx::Result<i64> {
        if !self.clicks.is_empty() {
            self.write_clicks(profile, connection).await?;
        }
        if self.entries.is_empty() { Ok(0) } else { self.write_entries(profile, connection).await }
    }

    async fn write_entries(&self, profile: &str, connection: &mut SqliteConnection) -> sqlx::Result<i64> {
        let count = integer(self.entries.len());
        let written = sqlx::query(ADD_ENTRIES)
            .bind(profile)
            .bind(json(&self.entries)?)
            .bind(count)
            .bind(self.successes)
            .bind(self.latency_us)
            .execute(connection)
            .await?;
        // Neither of the tables that are written after the audit has row ids.
        Ok(written.last_insert_rowid() + 1 - count)
    }

    async fn write_clicks(&self, profile: &str, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        sqlx::query(ADD_CLICKS)
            .bind(profile)
            .bind(json(&self.clicks)?)
            .bind(integer(self.clicks.len()))
            .execute(connection)
            .await?;
        Ok(())
    }
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

impl From<RankingTotals> for RankingMetrics {
    fn from(totals: RankingTotals) -> Self {
        Self {
            average_latency_ms: ratio(totals.latency_us, totals.successes) / 1000.0,
            total_clicks_tracked: totals.clicks,
            audit_entries_count: totals.entries,
            click_through_rate: ratio(totals.delivered_clicked, totals.delivered),
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

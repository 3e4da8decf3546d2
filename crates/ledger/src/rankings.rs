//! The record of rankings: an audit entry for each submission, the clicks on snippets, and the metrics of both.
//!
//! In: a [`RankingEntry`] per submission, a [`Click`] per click. Out: [`RankingMetrics`], which are running totals and so
//! take the same time however much is kept.
//! An entry is never changed, and deleted by its age alone: the schema refuses anything else. It names its session by a
//! pseudonym, to which the table of sessions is the key. A write that breaks a rule of the schema (a latency that is not
//! finite, negative or above a day; a rank of 0) is refused and leaves nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use sqlx::Row;
use uuid::Uuid;

use crate::LedgerError;
use crate::readers::Readers;
use crate::statement::{Does, Session, Statement, text};

const ADD_SESSIONS: Statement = Statement {
    columns: "profile, session, pseudonym, at_us",
    does: Does::Insert {
        table: "ranking_sessions",
        then: "ON CONFLICT (session, profile) DO NOTHING RETURNING number, profile, session, pseudonym",
    },
};

const KNOWN_SESSIONS: Statement = Statement {
    columns: "profile, session",
    does: Does::Run(
        "
        SELECT s.number, s.profile, s.session, s.pseudonym
        FROM rows JOIN ranking_sessions s ON s.profile = rows.profile AND s.session = rows.session",
    ),
};

const ADD_ENTRIES: Statement = Statement {
    columns: "profile, pseudonym, at_us, snippet_count, latency_us, max_window, status, checksum, delivered",
    does: Does::Insert { table: "ranking_audit", then: "ORDER BY place" },
};

const ADD_CLICKS: Statement = Statement {
    columns: "session, snippet, rank_position, clicked_at_us",
    does: Does::Insert { table: "ranking_clicks", then: "ORDER BY place" },
};

const KNOWN_SNIPPETS: Statement = Statement {
    columns: "session, snippet",
    does: Does::Run(
        "
        SELECT s.session, s.snippet, s.delivered, s.clicked
        FROM rows JOIN ranked_snippets s ON s.session = rows.session AND s.snippet = rows.snippet",
    ),
};

const ADD_SNIPPETS: Statement = Statement {
    columns: "session, snippet, delivered, clicked",
    does: Does::Insert {
        table: "ranked_snippets",
        then: "ON CONFLICT (session, snippet) DO UPDATE SET delivered = excluded.delivered, clicked = excluded.clicked",
    },
};

const ADD_TOTALS: Statement = Statement {
    columns: "profile, entries, successes, latency_us, clicks, delivered, delivered_clicked",
    does: Does::Insert {
        table: "ranking_totals",
        then: "ON CONFLICT (profile) DO UPDATE SET
            entries = ranking_totals.entries + excluded.entries,
            successes = ranking_totals.successes + excluded.successes,
            latency_us = ranking_totals.latency_us + excluded.latency_us,
            clicks = ranking_totals.clicks + excluded.clicks,
            delivered = ranking_totals.delivered + excluded.delivered,
            delivered_clicked = ranking_totals.delivered_clicked + excluded.delivered_clicked",
    },
};

const METRICS: &str = "
    SELECT entries, successes, latency_us, clicks, delivered, delivered_clicked FROM ranking_totals WHERE profile = $1";

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

/// What is added to a profile's totals.
#[derive(Debug, Clone, Default)]
struct Added {
    entries: i64,
    successes: i64,
    latency_us: i64,
    clicks: i64,
    delivered: i64,
    delivered_clicked: i64,
}

/// A profile and a session of it.
type SessionKey<'a> = (&'a str, &'a str);

#[derive(Debug, Clone)]
struct KnownSession {
    number: i64,
    pseudonym: Uuid,
}

/// Whether a snippet of a session was delivered, and whether it was clicked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    delivered: bool,
    clicked: bool,
}

impl Seen {
    fn and(self, other: Self) -> Self {
        Self { delivered: self.delivered || other.delivered, clicked: self.clicked || other.clicked }
    }
}

/// Records entries and clicks of one commit together: a ranking brings up to fifty snippets, and the way to the database and
/// back costs more than most rows.
pub(crate) async fn add(session: &mut Session<'_>, entries: &[&RankingEntry], clicks: &[&Click]) -> sqlx::Result<()> {
    if entries.is_empty() && clicks.is_empty() {
        return Ok(());
    }
    let (sessions, new) = sessions(session, entries, clicks).await?;
    let mut totals: BTreeMap<&str, Added> = BTreeMap::new();
    add_entries(session, entries, &sessions, &mut totals).await?;
    add_clicks(session, clicks, &sessions, &mut totals).await?;
    add_snippets(session, seen_of(entries, clicks), (&sessions, &new), &mut totals).await?;
    let rows: Vec<_> = totals.into_iter().map(|(profile, added)| added.row(profile)).collect();
    session.run(ADD_TOTALS, &rows).await
}

/// The sessions of these writes, and the numbers of those that are new.
async fn sessions<'a>(
    session: &mut Session<'_>,
    entries: &[&'a RankingEntry],
    clicks: &[&'a Click],
) -> sqlx::Result<(HashMap<SessionKey<'a>, KnownSession>, BTreeSet<i64>)> {
    let mut at: BTreeMap<SessionKey<'a>, Timestamp> = BTreeMap::new();
    let of_entries = entries.iter().map(|entry| ((&*entry.profile, &*entry.session), entry.at));
    at.extend(of_entries.chain(clicks.iter().map(|click| ((&*click.profile, &*click.session), click.at))));
    let row = |(key, at): (&SessionKey<'a>, &Timestamp)| (key.0, key.1, Uuid::new_v4(), at.as_microsecond());
    let made = session.fetch(ADD_SESSIONS, &at.iter().map(row).collect::<Vec<_>>()).await?;
    let mut known: HashMap<(String, String), KnownSession> = HashMap::new();
    for row in &made {
        known.insert((row.try_get(1)?, row.try_get(2)?), known_session(row)?);
    }
    let new = known.values().map(|session| session.number).collect();
    let is_kept = |key: &SessionKey<'a>| known.contains_key(&(text(key.0).into_owned(), text(key.1).into_owned()));
    let others: Vec<_> = at.keys().filter(|key| !is_kept(key)).copied().collect();
    for row in &session.fetch(KNOWN_SESSIONS, &others).await? {
        known.insert((row.try_get(1)?, row.try_get(2)?), known_session(row)?);
    }
    let named = |key: SessionKey<'a>| {
        let session = known.get(&(text(key.0).into_owned(), text(key.1).into_owned())).cloned();
        session.map(|session| (key, session)).ok_or(sqlx::Error::RowNotFound)
    };
    Ok((at.into_keys().map(named).collect::<Result<_, _>>()?, new))
}

fn known_session(row: &sqlx::any::AnyRow) -> sqlx::Result<KnownSession> {
    let pseudonym = Uuid::from_slice(row.try_get(3)?).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(KnownSession { number: row.try_get(0)?, pseudonym })
}

async fn add_entries<'a>(
    session: &mut Session<'_>,
    entries: &[&'a RankingEntry],
    sessions: &HashMap<SessionKey<'a>, KnownSession>,
    totals: &mut BTreeMap<&'a str, Added>,
) -> sqlx::Result<()> {
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let latency_us = latency_us(entry.latency_ms);
        let added = totals.entry(&entry.profile).or_default();
        added.entries += 1;
        if entry.status == RankingStatus::Success {
            added.successes += 1;
            added.latency_us = added.latency_us.saturating_add(latency_us.unwrap_or_default());
        }
        rows.push((
            &entry.profile,
            sessions.get(&(&*entry.profile, &*entry.session)).map(|session| session.pseudonym),
            entry.at.as_microsecond(),
            i64::from(entry.snippet_count),
            latency_us,
            i64::from(entry.max_window),
            entry.status.name(),
            entry.checksum.as_deref(),
            delivered_json(&entry.delivered),
        ));
    }
    session.run(ADD_ENTRIES, &rows).await
}

async fn add_clicks<'a>(
    session: &mut Session<'_>,
    clicks: &[&'a Click],
    sessions: &HashMap<SessionKey<'a>, KnownSession>,
    totals: &mut BTreeMap<&'a str, Added>,
) -> sqlx::Result<()> {
    let mut rows = Vec::with_capacity(clicks.len());
    for click in clicks {
        totals.entry(&click.profile).or_default().clicks += 1;
        let number = sessions.get(&(&*click.profile, &*click.session)).map(|session| session.number);
        rows.push((number, &click.snippet, i64::from(click.rank_position), click.at.as_microsecond()));
    }
    session.run(ADD_CLICKS, &rows).await
}

/// What these writes say of each snippet.
fn seen_of<'a>(entries: &[&'a RankingEntry], clicks: &[&'a Click]) -> BTreeMap<(SessionKey<'a>, &'a str), Seen> {
    let mut seen: BTreeMap<(SessionKey<'a>, &'a str), Seen> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.status == RankingStatus::Success) {
        for snippet in &entry.delivered {
            seen.entry(((&entry.profile, &entry.session), snippet)).or_default().delivered = true;
        }
    }
    for click in clicks {
        seen.entry(((&click.profile, &click.session), &click.snippet)).or_default().clicked = true;
    }
    seen
}

async fn add_snippets<'a>(
    session: &mut Session<'_>,
    seen: BTreeMap<(SessionKey<'a>, &'a str), Seen>,
    (sessions, new): (&HashMap<SessionKey<'a>, KnownSession>, &BTreeSet<i64>),
    totals: &mut BTreeMap<&'a str, Added>,
) -> sqlx::Result<()> {
    let number = |key: &SessionKey<'a>| sessions.get(key).map_or(0, |session| session.number);
    // Two ids may be one as they are written.
    let mut numbered: BTreeMap<(&str, i64, Cow<'_, str>), Seen> = BTreeMap::new();
    for ((key, snippet), now) in seen {
        let written = numbered.entry((key.0, number(&key), text(snippet))).or_default();
        *written = written.and(now);
    }
    // A session that is new has no snippets yet.
    let asked = numbered.keys().filter(|(_, number, _)| !new.contains(number));
    let asked: Vec<_> = asked.map(|(_, number, snippet)| (*number, &**snippet)).collect();
    let mut before: HashMap<(i64, String), Seen> = HashMap::new();
    for row in session.fetch(KNOWN_SNIPPETS, &asked).await? {
        let seen = Seen { delivered: row.try_get::<i64, _>(2)? != 0, clicked: row.try_get::<i64, _>(3)? != 0 };
        before.insert((row.try_get(0)?, row.try_get(1)?), seen);
    }
    let mut rows = Vec::new();
    for ((profile, number, snippet), now) in &numbered {
        let before = before.get(&(*number, snippet.clone().into_owned())).copied().unwrap_or_default();
        let after = before.and(*now);
        if after != before {
            let added = totals.entry(profile).or_default();
            added.delivered += i64::from(after.delivered) - i64::from(before.delivered);
            let both = |seen: Seen| i64::from(seen.delivered && seen.clicked);
            added.delivered_clicked += both(after) - both(before);
            rows.push((*number, &**snippet, i64::from(after.delivered), i64::from(after.clicked)));
        }
    }
    session.run(ADD_SNIPPETS, &rows).await
}

/// The ids as a JSON array.
fn delivered_json(ids: &[String]) -> String {
    let ids: Vec<_> = ids.iter().map(|id| text(id)).collect();
    // Of texts alone: there is nothing in it that JSON can't say.
    serde_json::to_string(&ids).unwrap_or_default()
}

/// None, which the schema refuses, for what is not finite.
fn latency_us(latency_ms: f64) -> Option<i64> {
    latency_ms.is_finite().then(|| (latency_ms * 1000.0).round() as i64)
}

impl Added {
    fn row(self, profile: &str) -> (&str, i64, i64, i64, i64, i64, i64) {
        let Self { entries, successes, latency_us, clicks, delivered, delivered_clicked } = self;
        (profile, entries, successes, latency_us, clicks, delivered, delivered_clicked)
    }
}

pub(crate) async fn metrics(readers: &Readers, profile: &str) -> Result<RankingMetrics, LedgerError> {
    let rows = readers.rows(sqlx::query(METRICS).bind(text(profile).into_owned())).await?;
    let Some(row) = rows.first() else { return Ok(RankingMetrics::default()) };
    let sum = |field: usize| row.try_get::<i64, _>(field).map(i64::unsigned_abs).map_err(LedgerError::read);
    Ok(RankingMetrics {
        average_latency_ms: ratio(sum(2)?, sum(1)?) / 1000.0,
        total_clicks_tracked: sum(3)?,
        audit_entries_count: sum(0)?,
        click_through_rate: ratio(sum(5)?, sum(4)?),
    })
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

//! What the service must answer for: what it acknowledged, and what it had committed when it was killed, against what its
//! ledger and CXone hold when the night is over.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AnyConnection, Connection, Row};

use crate::people::{Judged, Told};

/// What a ledger holds.
#[derive(Debug, Default)]
pub struct Kept {
    /// What agents did.
    pub judged: BTreeSet<Judged>,
    /// What CXone has refused for good of it.
    pub set_aside: BTreeSet<Judged>,
    /// What still waits to be sent.
    pub waiting: usize,
    /// Sessions of rankings that CXone took, with their checksums.
    pub ranked: BTreeMap<String, Option<String>>,
    pub clicked: BTreeSet<String>,
}

impl Kept {
    /// Reads a ledger as another process does.
    pub async fn read(url: &str) -> sqlx::Result<Self> {
        let mut connection = AnyConnection::connect(url).await?;
        let mut kept = Self::default();
        for row in rows(&mut connection, "SELECT interaction, insight FROM feedback").await? {
            kept.judged.insert((row.try_get(0)?, row.try_get(1)?));
        }
        let queued = "SELECT state, key, payload FROM queue WHERE kind = 'feedback'";
        for row in rows(&mut connection, queued).await? {
            let (state, interaction, payload): (String, String, String) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let payload: serde_json::Value = serde_json::from_str(&payload).unwrap();
            let judged = (interaction, payload["insight"].as_str().unwrap().to_owned());
            if state == "dead" {
                kept.set_aside.insert(judged);
            } else {
                kept.waiting += 1;
            }
        }
        let audit = "
            SELECT s.session, a.checksum FROM ranking_audit a
            JOIN ranking_sessions s ON s.profile = a.profile AND s.pseudonym = a.pseudonym
            WHERE a.status = 'success'";
        for row in rows(&mut connection, audit).await? {
            kept.ranked.insert(row.try_get(0)?, row.try_get(1)?);
        }
        let clicks = "SELECT s.session FROM ranking_clicks c JOIN ranking_sessions s ON s.number = c.session";
        for row in rows(&mut connection, clicks).await? {
            kept.clicked.insert(row.try_get(0)?);
        }
        connection.close().await?;
        Ok(kept)
    }
}

async fn rows(connection: &mut AnyConnection, query: &str) -> sqlx::Result<Vec<sqlx::any::AnyRow>> {
    sqlx::query(query).fetch_all(connection).await
}

/// The figures of a night, and what was promised and not kept.
#[derive(Debug, Default)]
pub struct Account {
    /// Feedback that was in the ledger at some moment: by the end CXone has it, or has refused it for good.
    pub committed: BTreeSet<Judged>,
    pub broken: Vec<String>,
}

impl Account {
    /// What was committed at this moment must be there at the end.
    pub fn note(&mut self, kept: Kept) {
        self.committed.extend(kept.judged);
    }

    /// A promise that was not kept.
    pub fn breaks(&mut self, what: impl Into<String>) {
        let what = what.into();
        println!("BROKEN: {what}");
        self.broken.push(what);
    }

    /// Compares what was told with what is kept at the end of the night.
    pub fn close(&mut self, told: &Told, kept: &Kept) {
        let committed = std::mem::take(&mut self.committed);
        let is_kept = |event: &&Judged| kept.judged.contains(*event);
        self.all(&committed, is_kept, "feedback events that were committed are gone from the ledger");
        let has_arrived = |event: &&Judged| told.arrived.contains(*event) || kept.set_aside.contains(*event);
        self.all(&kept.judged, has_arrived, "feedback events that are kept never arrived");
        let is_audited = |session: &&String| kept.ranked.contains_key(*session);
        self.all(told.ranked.keys(), is_audited, "rankings that were answered 200 are not in the audit");
        let is_true =
            |(session, told): &(&String, &Option<String>)| kept.ranked.get(*session).is_none_or(|kept| kept == *told);
        self.all(&told.ranked, is_true, "checksums of the audit are not those that were told");
        let is_counted = |session: &&String| kept.clicked.contains(*session);
        self.all(&told.clicked, is_counted, "clicks that were answered 204 are not kept");
        let has_one_each = |(asked, keys): &(&String, &BTreeSet<String>)| {
            told.questions.get(*asked).is_some_and(|questions| keys.len() <= *questions)
        };
        self.all(&told.keys, has_one_each, "interactions had more pushes than questions");
        if kept.waiting > 0 {
            self.breaks(format!("{} feedback events still wait", kept.waiting));
        }
        self.committed = committed;
    }

    /// All of them are fine, or else a promise is broken.
    fn all<T: std::fmt::Debug>(&mut self, all: impl IntoIterator<Item = T>, is_fine: impl Fn(&T) -> bool, else_: &str) {
        let wrong: Vec<_> = all.into_iter().filter(|item| !is_fine(item)).collect();
        if let Some(first) = wrong.first() {
            self.breaks(format!("{} {else_}, for example {first:?}", wrong.len()));
        }
    }
}

//! The memory of a simulator: every request that arrived, when, and what became of it.
//!
//! Input: one [`Entry`] per request or stray frame. Output: the newest of them as [`Received`], and counts over all.
//! When the limit of entries or of bytes is reached the oldest entries go; counts stay. Bodies are kept as they came, and
//! read as JSON with their secrets masked only for whoever looks, because most are never looked at.

use std::collections::VecDeque;
use std::time::Instant;

use actix_web::web::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::secrets;
use crate::base::contracts::Route;

/// Bytes kept of all entries together: a load test's pushes of a few KiB, all twenty thousand of them, and not as many of
/// the largest that are read, which would fill the machine.
const MAX_BYTES_KEPT: usize = 256 * 1024 * 1024;

/// Characters kept of a body that is no JSON.
const MAX_TEXT_KEPT: usize = 2000;

/// Violations that get a log line each; a client that breaks the contract once breaks it thousands of times a second.
const MAX_LOGGED: u64 = 50;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verdict {
    /// Good, and acted upon.
    Accepted,
    /// A repetition under the same idempotency key: answered as before, not shown again.
    Repeated,
    /// A push that no turn waits for.
    Duplicate,
    /// Turned away for something that the client could not know (token revoked, interaction ended meanwhile, session
    /// locked).
    Refused {
        /// What the answer said.
        reason: String,
    },
    /// The client broke the contract.
    Violation {
        /// What the answer said.
        reason: String,
    },
    /// A scripted fault answered in place of the route.
    Scripted,
}

impl Verdict {
    /// Whether the client was turned away.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Violation { .. })
    }
}

/// One request, or one frame that a client should not have sent.
#[derive(Clone, Debug, Serialize)]
pub struct Received {
    /// Counts from 0 over the life of the simulator.
    pub sequence: u64,
    /// When its head was read, monotonic.
    #[serde(skip)]
    pub at: Instant,
    /// The same since the simulator's start, for people.
    pub since_start_ms: f64,
    /// Where it knocked.
    pub route: Route,
    /// HTTP method; `FRAME` for a frame.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// What follows the path, its secrets masked.
    pub query: Option<String>,
    /// The client whose token it carried, or that asked for one.
    pub client_id: Option<String>,
    /// Answered status; `None` when the connection was cut instead, or for a frame.
    pub status: Option<u16>,
    /// What became of it.
    pub verdict: Verdict,
    /// The header of that name.
    pub idempotency_key: Option<String>,
    /// The header of that name.
    pub if_modified_since: Option<String>,
    /// The body as JSON, a form as an object, both with their secrets masked, anything else as text; `None` when empty.
    pub body: Option<Value>,
}

/// A [`Received`] as it is kept: its body is read for whoever looks.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) request: Received,
    body: Bytes,
}

impl Entry {
    /// One of which no more is known yet.
    pub(crate) fn new(at: Instant, route: Route, method: &str, path: &str, body: Bytes) -> Self {
        let request = Received {
            sequence: 0,
            at,
            since_start_ms: 0.0,
            route,
            method: method.to_owned(),
            path: path.to_owned(),
            query: None,
            client_id: None,
            status: None,
            verdict: Verdict::Accepted,
            idempotency_key: None,
            if_modified_since: None,
            body: None,
        };
        Self { request, body }
    }

    fn received(&self) -> Received {
        Received { body: read(&self.body), ..self.request.clone() }
    }

    /// Bytes of what the client chose the length of.
    fn size(&self) -> usize {
        let Received { path, query, idempotency_key, if_modified_since, .. } = &self.request;
        let optional = [query, idempotency_key, if_modified_since].into_iter().flatten();
        self.body.len() + path.len() + optional.map(String::len).sum::<usize>()
    }
}

fn read(body: &[u8]) -> Option<Value> {
    if body.is_empty() {
        return None;
    }
    let text = || json!(String::from_utf8_lossy(body).chars().take(MAX_TEXT_KEPT).collect::<String>());
    let mut body = serde_json::from_slice(body).unwrap_or_else(|_| text());
    secrets::mask(&mut body);
    Some(body)
}

fn log_violation(number: u64, request: &Received, reason: &str) {
    if number <= MAX_LOGGED {
        let Received { route, method, path, .. } = request;
        tracing::warn!(?route, %method, %path, %reason, "contract violated");
    }
    if number == MAX_LOGGED {
        tracing::warn!("further violations are not logged, see /_sim/faults or /_sim/received?refused=true");
    }
}

/// All that arrived.
pub(crate) struct Record {
    started_at: Instant,
    entries: VecDeque<Entry>,
    limit: usize,
    /// Of all entries.
    num_bytes: usize,
    next_sequence: u64,
    num_violations: u64,
}

impl Record {
    pub(crate) fn new(limit: usize) -> Self {
        let started_at = Instant::now();
        Self {
            started_at,
            entries: VecDeque::new(),
            limit: limit.max(1),
            num_bytes: 0,
            next_sequence: 0,
            num_violations: 0,
        }
    }

    /// Keeps `entry` under the next sequence number.
    pub(crate) fn push(&mut self, mut entry: Entry) {
        let request = &mut entry.request;
        request.sequence = self.next_sequence;
        request.since_start_ms = request.at.saturating_duration_since(self.started_at).as_secs_f64() * 1000.0;
        self.next_sequence += 1;
        if let Verdict::Violation { reason } = &request.verdict {
            self.num_violations += 1;
            log_violation(self.num_violations, request, reason);
        }
        self.num_bytes += entry.size();
        while (self.entries.len() >= self.limit || self.num_bytes > MAX_BYTES_KEPT)
            && let Some(oldest) = self.entries.pop_front()
        {
            self.num_bytes -= oldest.size();
        }
        self.entries.push_back(entry);
    }

    /// What `wanted` holds for, oldest first, from sequence number `from` on.
    pub(crate) fn received<'a>(
        &'a self,
        from: u64,
        wanted: impl Fn(&Received) -> bool + 'a,
    ) -> impl DoubleEndedIterator<Item = Received> + 'a {
        let first = self.next_sequence - self.entries.len() as u64;
        let skipped = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX).min(self.entries.len());
        self.entries.range(skipped..).filter(move |entry| wanted(&entry.request)).map(Entry::received)
    }

    pub(crate) fn num_violations(&self) -> u64 {
        self.num_violations
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(verdict: Verdict, body: &'static [u8]) -> Entry {
        let mut entry = Entry::new(Instant::now(), Route::Unknown, "GET", "/x", Bytes::from_static(body));
        entry.request.verdict = verdict;
        entry
    }

    #[test]
    fn the_oldest_entry_goes_and_the_counts_stay() {
        let mut record = Record::new(2);
        record.push(entry(Verdict::Violation { reason: "x".into() }, b""));
        record.push(entry(Verdict::Accepted, b""));
        record.push(entry(Verdict::Refused { reason: "y".into() }, b""));
        let sequences = |from| -> Vec<u64> { record.received(from, |_| true).map(|entry| entry.sequence).collect() };
        assert_eq!((sequences(0), sequences(2), sequences(9)), (vec![1, 2], vec![2], vec![]));
        let refused: Vec<u64> =
            record.received(0, |entry| entry.verdict.is_refusal()).map(|entry| entry.sequence).collect();
        assert_eq!(refused, [2]);
        assert_eq!(record.num_violations(), 1);
    }

    #[test]
    fn the_oldest_bodies_go_when_they_are_too_much() {
        const NUM_KEPT: usize = 255;
        // One text that all entries share, so that the test needs no such memory itself.
        let megabyte = Bytes::from(vec![b'x'; 1024 * 1024]);
        let mut record = Record::new(20_000);
        for _ in 0..NUM_KEPT + 10 {
            record.push(Entry::new(Instant::now(), Route::Rag, "POST", "/x", megabyte.clone()));
        }
        assert_eq!(record.entries.len(), NUM_KEPT, "their paths count too");
        record.push(entry(Verdict::Accepted, b""));
        assert_eq!(record.entries.len(), NUM_KEPT + 1, "there is room for small ones");
        let first = record.received(0, |_| true).next().map(|entry| entry.sequence);
        assert_eq!(first, Some(10), "the oldest went");
    }

    #[test]
    fn bodies_are_shown_as_what_they_are() {
        let shown = |body| {
            let mut record = Record::new(1);
            record.push(entry(Verdict::Accepted, body));
            record.received(0, |_| true).next().unwrap().body
        };
        assert_eq!(shown(b""), None);
        assert_eq!(shown(br#"{"a":1}"#), Some(json!({"a": 1})));
        assert_eq!(shown(br#"[{"clientSecret":"s3cret"}]"#), Some(json!([{"clientSecret": "***"}])));
        assert_eq!(shown(b"{\xff"), Some(json!("{\u{fffd}")));
    }
}

//! The memory of a simulator: every request that arrived, when, and what became of it.
//!
//! Input: one [`Received`] per request or stray frame. Output: the newest of them with bodies, and counts over all.
//! When the limit is reached the oldest entry goes; counts stay.

use std::collections::VecDeque;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The places where a client can knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// `POST /oauth/token`
    Token,
    /// `GET /cxoneapi/v2/agentassist/stream`
    Stream,
    /// `POST /api/v2/agentassist/insights`
    Insights,
    /// `POST /api/v2/ai/training/feedback`
    Feedback,
    /// `GET /api/v2/knowledge/articles/search`
    Knowledge,
    /// Everything that the contract does not have.
    Unknown,
}

pub(crate) const TOKEN_PATH: &str = "/oauth/token";
pub(crate) const STREAM_PATH: &str = "/cxoneapi/v2/agentassist/stream";
pub(crate) const INSIGHTS_PATH: &str = "/api/v2/agentassist/insights";
pub(crate) const FEEDBACK_PATH: &str = "/api/v2/ai/training/feedback";
pub(crate) const KNOWLEDGE_PATH: &str = "/api/v2/knowledge/articles/search";

impl Route {
    /// The route of a path; nothing for the simulator's own pages and control calls.
    pub(crate) fn of(path: &str) -> Option<Self> {
        match path {
            "/" => None,
            own if own.starts_with("/_sim/") => None,
            TOKEN_PATH => Some(Self::Token),
            STREAM_PATH => Some(Self::Stream),
            INSIGHTS_PATH => Some(Self::Insights),
            FEEDBACK_PATH => Some(Self::Feedback),
            KNOWLEDGE_PATH => Some(Self::Knowledge),
            _ => Some(Self::Unknown),
        }
    }
}

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
    /// Turned away for something that the client could not know (token revoked, interaction ended meanwhile).
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
    /// HTTP method.
    pub method: String,
    /// Path without the query, which may hold a token.
    pub path: String,
    /// Answered status; `None` when the connection was cut instead, or for a frame.
    pub status: Option<u16>,
    /// What became of it.
    pub verdict: Verdict,
    /// The header of that name.
    pub idempotency_key: Option<String>,
    /// The body as JSON, a form as an object with the secret masked, anything else as text; `None` when empty.
    pub body: Option<Value>,
}

/// All that arrived.
pub(crate) struct Record {
    entries: VecDeque<Received>,
    limit: usize,
    next_sequence: u64,
    num_violations: u64,
}

impl Record {
    pub(crate) fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), limit: limit.max(1), next_sequence: 0, num_violations: 0 }
    }

    /// Keeps `entry` under the next sequence number.
    pub(crate) fn push(&mut self, mut entry: Received) {
        entry.sequence = self.next_sequence;
        self.next_sequence += 1;
        if let Verdict::Violation { reason } = &entry.verdict {
            self.num_violations += 1;
            tracing::warn!(route = ?entry.route, method = %entry.method, path = %entry.path, %reason, "contract violated");
        }
        if self.entries.len() == self.limit {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Received> {
        self.entries.iter()
    }

    pub(crate) fn num_violations(&self) -> u64 {
        self.num_violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(verdict: Verdict) -> Received {
        Received {
            sequence: 0,
            at: Instant::now(),
            since_start_ms: 0.0,
            route: Route::Unknown,
            method: "GET".into(),
            path: "/x".into(),
            status: Some(404),
            verdict,
            idempotency_key: None,
            body: None,
        }
    }

    #[test]
    fn the_oldest_entry_goes_and_the_counts_stay() {
        let mut record = Record::new(2);
        record.push(entry(Verdict::Violation { reason: "x".into() }));
        record.push(entry(Verdict::Accepted));
        record.push(entry(Verdict::Refused { reason: "y".into() }));
        let kept: Vec<u64> = record.entries().map(|entry| entry.sequence).collect();
        assert_eq!(kept, [1, 2]);
        assert_eq!(record.num_violations(), 1);
    }

    #[test]
    fn routes_by_path() {
        let cases = [
            ("/", None),
            ("/_sim/feed", None),
            ("/oauth/token", Some(Route::Token)),
            ("/oauth/token/", Some(Route::Unknown)),
            ("/api/v2/agentassist/insights", Some(Route::Insights)),
            ("/api/v2/agentassist/insight", Some(Route::Unknown)),
        ];
        for (path, route) in cases {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}

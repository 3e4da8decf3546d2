//! Contract 004: the snippets of a session are put in order.
//!
//! | item | input | output |
//! |---|---|---|
//! | [`RankingRequest`] | the caller's body | checked snippets, or an [`InvalidRanking`] that names field and id |
//! | [`order`] | a request | the [`RankingSubmission`] that CXone gets |
//! | [`ranking_checksum`] | CXone's answer | the checksum of the audit |
//!
//! All of it is pure.

mod order;
mod python_json;
mod request;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

pub use order::order;
pub use request::{InvalidRanking, RankingRequest, SnippetToRank};

use crate::interaction_id::InteractionId;

/// The engine shows no more snippets than this.
pub const MAX_RESULT_WINDOW: u32 = 50;
/// What a caller who names no window gets.
pub const DEFAULT_RESULT_WINDOW: u32 = 10;

/// What CXone gets: the new order of a session, as one unit.
#[derive(Clone, Debug, PartialEq)]
pub struct RankingSubmission {
    pub max_result_window: u32,
    /// In their order, no more than the window. Shared, for each stage hands them on.
    pub snippets: Arc<[RankedSnippet]>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RankedSnippet {
    pub snippet_id: String,
    /// From 0 to 1, to four places.
    pub relevance_score: f64,
    /// As the caller gave it; the score holds it already.
    pub boost_factor: f64,
    pub metadata: BTreeMap<String, String>,
}

/// What looking at a session takes, and part of what ordering its snippets takes.
pub const SESSION_SCOPE: &str = "agentassist:session:write";

/// Where a session says whether it is locked; below the base URL, and the id needs no escape.
pub fn session_path(session: &InteractionId) -> String {
    format!("/api/v2/agentassist/sessions/{session}")
}

/// SHA-256 in lower-case hex of [`python_json::sorted_dump`]; none for an answer that Python's `json` can't read either.
pub fn ranking_checksum(answer: &[u8]) -> Option<String> {
    let dump = python_json::sorted_dump(answer).ok()?;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(dump.as_bytes()) {
        // Writing into a string never fails.
        let _ = write!(hex, "{byte:02x}");
    }
    Some(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python 3.11: `hashlib.sha256(json.dumps(json.loads(answer), sort_keys=True).encode()).hexdigest()`.
    #[test]
    fn checksums_are_those_of_the_document() {
        for (answer, expected) in [
            ("{}", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
            (
                r#"{"status":"ok","ranked":[{"snippet_id":"KB-001","score":1.0}],"session_id":"s-1"}"#,
                "9e948133e47f0250c8f392955227e3c0c7791acd2876ecf0e04b0602cd757678",
            ),
            (
                r#"{"b":1e-5,"a":"é\ud83d\ude42","z":[null,true,-0.0]}"#,
                "3b63feb7a53f881da692a064dfeecf19d6ba21b4fb5c6756c7ddf9807223a559",
            ),
            ("null", "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"),
        ] {
            assert_eq!(ranking_checksum(answer.as_bytes()).as_deref(), Some(expected), "{answer}");
        }
        assert_eq!(ranking_checksum(b"accepted"), None);
        assert_eq!(ranking_checksum(b""), None);
    }
}

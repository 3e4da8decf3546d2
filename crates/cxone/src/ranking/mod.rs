//! Contract 004: the snippets of a session are put in order.
//!
//! | item | input | output |
//! |---|---|---|
//! | [`RankingRequest`] | the caller's body | checked snippets, or an [`InvalidRanking`] that names field and id |
//! | [`order`] | a request | the [`RankingSubmission`] that CXone gets |
//! | [`ranking_checksum`] | CXone's answer | the checksum of the audit |
//!
//! All of it is pure.

mod checksum;
mod invalid;
mod order;
mod python_json;
mod request;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

pub use checksum::ranking_checksum;
pub use invalid::InvalidRanking;
pub use order::order;
pub use request::{RankingRequest, SnippetToRank};

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

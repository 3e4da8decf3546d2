//! Schemas of answers that are sent as stored text or as hand-made JSON. They serve the port's document alone; the tests hold
//! the answers against them.

use std::collections::BTreeMap;

use cuecard_actors::decisions::Said;
use cuecard_actors::messages::Decision;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Decisions, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Deliveries {
    deliveries: Vec<Kept>,
}

/// A decision as it is kept.
#[derive(Serialize, ToSchema)]
struct Kept {
    #[serde(flatten)]
    decision: Decision,
    /// What was said, oldest first, masked; left out where the profile keeps no words (`keep_words`).
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<Said>>,
}

/// A decision with its reasons.
#[derive(Serialize, ToSchema)]
pub(super) struct Explained {
    #[serde(flatten)]
    kept: Kept,
    /// How it ended, and why its cards were shown or not, in sentences; left out where another version wrote the decision in
    /// another form.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Vec<String>>,
    /// Why it has no `words`, where something was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    words_left_out: Option<String>,
    /// What each part of its score gave each article, by the article's id and the part's name: weight times value, in log-odds.
    /// Empty where the ranker's score is no sum of parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    contributions: Option<BTreeMap<String, BTreeMap<String, f64>>>,
    /// The same of a second ranker, where one is watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow_why: Option<Vec<String>>,
}

/// Every setting by its key.
#[derive(Serialize, ToSchema)]
pub(super) struct ShownSettings {
    settings: BTreeMap<String, ShownSetting>,
}

/// A setting in force.
#[derive(Serialize, ToSchema)]
struct ShownSetting {
    /// A secret is `***`.
    value: Value,
    /// `default`, `file` or `environment`.
    from: String,
    /// The file, or the variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

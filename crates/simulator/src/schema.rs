//! The JSON Schemas that every body must satisfy, written from the contract's document and from nothing of the client.
//!
//! Input: a parsed body. Output: nothing, or one line that names each offending place. What a schema can't say (order
//! of priorities, one interaction per push) is in [`check_push_rules`].

use std::collections::HashSet;

use jsonschema::{Draft, Validator};
use serde_json::Value;

/// Reasons listed in one refusal; more would hide the first.
const MAX_REASONS: usize = 3;

/// The compiled schemas of contract 003.
pub(crate) struct Schemas {
    pub(crate) token_request: Validator,
    pub(crate) insights_push: Validator,
    pub(crate) training_feedback: Validator,
}

impl Schemas {
    pub(crate) fn compile() -> Result<Self, String> {
        Ok(Self {
            token_request: compile(include_str!("../schemas/token_request.json"))?,
            insights_push: compile(include_str!("../schemas/insights_push.json"))?,
            training_feedback: compile(include_str!("../schemas/training_feedback.json"))?,
        })
    }
}

fn compile(text: &str) -> Result<Validator, String> {
    let schema: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .build(&schema)
        .map_err(|error| error.to_string())
}

/// All reasons why `body` does not satisfy `schema`, joined.
pub(crate) fn check(schema: &Validator, body: &Value) -> Result<(), String> {
    let reasons: Vec<String> = schema
        .iter_errors(body)
        .take(MAX_REASONS)
        .map(|error| format!("at '{}': {error}", error.instance_path))
        .collect();
    if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) }
}

/// The interaction of a push that the schema accepted: priorities count from 1, no article appears twice, and all
/// insights belong to one interaction.
pub(crate) fn check_push_rules(body: &Value) -> Result<String, String> {
    let insights = body["insights"].as_array().map_or(&[][..], Vec::as_slice);
    let mut interaction = None;
    let mut seen = HashSet::new();
    for (index, insight) in insights.iter().enumerate() {
        if insight["priority"].as_f64() != Some((index + 1) as f64) {
            return Err(format!("at '/insights/{index}/priority': priorities must count from 1 in order"));
        }
        let id = insight["id"].as_str().unwrap_or_default();
        if !seen.insert(id) {
            return Err(format!("at '/insights/{index}/id': the article {id} is there twice"));
        }
        let own = insight["interactionId"].as_str().unwrap_or_default();
        if *interaction.get_or_insert(own) != own {
            return Err(format!("at '/insights/{index}/interactionId': one push serves one interaction"));
        }
    }
    interaction.map(str::to_owned).ok_or_else(|| "at '/insights': empty".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn insight(id: &str, priority: u32, interaction: &str) -> Value {
        json!({"id": id, "title": "t", "priority": priority, "score": 0.5, "citation": "", "snippet": "s",
               "interactionId": interaction})
    }

    #[test]
    fn pushes_beyond_the_schema() {
        let cases = [
            (vec![insight("a", 1, "i"), insight("b", 2, "i")], true),
            (vec![insight("a", 1, "i"), insight("b", 3, "i")], false),
            (vec![insight("a", 2, "i"), insight("b", 1, "i")], false),
            (vec![insight("a", 1, "i"), insight("a", 2, "i")], false),
            (vec![insight("a", 1, "i"), insight("b", 2, "j")], false),
        ];
        for (insights, good) in cases {
            let body = json!({"insights": insights, "displayType": "CARD", "autoDismiss": true});
            check(&Schemas::compile().unwrap().insights_push, &body).unwrap();
            assert_eq!(check_push_rules(&body).is_ok(), good, "{body}");
        }
    }

    #[test]
    fn a_timestamp_is_rfc_3339_in_utc() {
        let schemas = Schemas::compile().unwrap();
        let cases = [
            ("2025-03-01T10:00:00Z", true),
            ("2025-03-01T10:00:00.123456Z", true),
            ("2025-03-01T10:00:00+00:00", true),
            ("2025-03-01T10:00:00+01:00", false),
            ("2025-03-01T10:00:00", false),
            ("2025-13-01T10:00:00Z", false),
            ("yesterday", false),
        ];
        for (timestamp, good) in cases {
            let body = json!({"interactionId": "i", "insightId": "a", "action": "ACCEPTED", "timestamp": timestamp});
            assert_eq!(check(&schemas.training_feedback, &body).is_ok(), good, "{timestamp}");
        }
    }

    #[test]
    fn a_snippet_is_counted_in_characters() {
        let schemas = Schemas::compile().unwrap();
        for (length, good) in [(150, true), (151, false)] {
            let mut card = insight("a", 1, "i");
            card["snippet"] = json!("é".repeat(length));
            let body = json!({"insights": [card], "displayType": "CARD", "autoDismiss": true});
            assert_eq!(check(&schemas.insights_push, &body).is_ok(), good, "{length}");
        }
    }
}

//! The JSON Schemas that every body must satisfy, written from the contracts' documents and from nothing of the client.
//!
//! Input: a parsed body. Output: nothing, or one line that names each offending place. What a schema can't say (the
//! order of scores, one interaction per push) stands with the route that demands it. What only a strict stand-in demands,
//! because a document's own program may send something else, stands in the schema under `strict`.

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

/// Reasons listed in one refusal; more would hide the first.
const MAX_REASONS: usize = 3;
/// Characters of one reason; a reason quotes what offends, which may be long.
const MAX_REASON_LENGTH: usize = 300;

/// The compiled schemas, one for each body.
pub(crate) struct Schemas {
    pub(crate) token_request: Validator,
    pub(crate) rag_push: Validator,
    pub(crate) snippets_push: Validator,
    pub(crate) graph_push: Validator,
    pub(crate) insights_push: Validator,
    pub(crate) ranking_push: Validator,
    pub(crate) training_feedback: Validator,
}

impl Schemas {
    pub(crate) fn compile(strict: bool) -> Result<Self, String> {
        let compile = |text| compile(text, strict);
        Ok(Self {
            token_request: compile(include_str!("../../schemas/token_request.json"))?,
            rag_push: compile(include_str!("../../schemas/rag_push.json"))?,
            snippets_push: compile(include_str!("../../schemas/snippets_push.json"))?,
            graph_push: compile(include_str!("../../schemas/graph_push.json"))?,
            insights_push: compile(include_str!("../../schemas/insights_push.json"))?,
            ranking_push: compile(include_str!("../../schemas/ranking_push.json"))?,
            training_feedback: compile(include_str!("../../schemas/training_feedback.json"))?,
        })
    }
}

fn compile(text: &str, strict: bool) -> Result<Validator, String> {
    let mut schema: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let demands = schema["strict"].take();
    if strict && demands.is_object() {
        schema["allOf"] = json!([demands]);
    }
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .build(&schema)
        .map_err(|error| error.to_string())
}

/// All reasons why `body` does not satisfy `schema`, joined. Whether it does is found out first, which is much faster.
pub(crate) fn check(schema: &Validator, body: &Value) -> Result<(), String> {
    if schema.is_valid(body) {
        return Ok(());
    }
    let reason = |error: jsonschema::ValidationError<'_>| {
        let text = format!("at '{}': {error}", error.instance_path);
        text.chars().take(MAX_REASON_LENGTH).collect::<String>()
    };
    let reasons: Vec<String> = schema.iter_errors(body).take(MAX_REASONS).map(reason).collect();
    Err(reasons.join("; "))
}

/// Whether a score has at most the four decimal places that the contracts send.
pub(crate) fn has_four_places(score: &Value) -> bool {
    // A score of four places is off by less than 1e-9 when it is read as binary and multiplied.
    score.as_f64().map(|score| score * 10_000.0).is_some_and(|scaled| (scaled - scaled.round()).abs() < 1e-6)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_timestamp_is_rfc_3339_in_utc() {
        let schemas = Schemas::compile(true).unwrap();
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
    fn a_long_offence_is_cut_in_the_reason() {
        let schemas = Schemas::compile(true).unwrap();
        let reason = check(&schemas.rag_push, &json!({"conversationId": "x".repeat(5000)})).unwrap_err();
        assert!(reason.contains("at '") && reason.len() < 4 * MAX_REASON_LENGTH, "{reason}");
    }

    #[test]
    fn places_of_a_score() {
        for (score, good) in
            [(0.8123, true), (1.0, true), (0.3001, true), (-0.25, true), (0.81234, false), (1e-5, false)]
        {
            assert_eq!(has_four_places(&json!(score)), good, "{score}");
        }
        assert!(has_four_places(&json!(1)) && !has_four_places(&json!("0.5")));
    }
}

//! Why a ranking can't be taken, and the rules that it has to keep.
//!
//! Each rule is checked before anything is sent; the first one that is broken is told.

use std::collections::HashSet;
use std::fmt;

use super::MAX_RESULT_WINDOW;
use super::request::{RankingRequest, SnippetToRank};
use crate::interaction_id::InteractionId;

/// So much of a caller's own text is repeated to it.
const MAX_CHARACTERS_SHOWN: usize = 100;

/// For the caller: a field, the snippet it belongs to, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRanking {
    pub field: String,
    /// The id of the snippet; none for a field of the body itself, or of a snippet without an id.
    pub snippet_id: Option<String>,
    pub reason: String,
}

impl InvalidRanking {
    pub(super) fn of_body(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: shown(&field.into()), snippet_id: None, reason: reason.into() }
    }

    pub(super) fn of_snippet(field: &str, snippet_id: &str, reason: impl Into<String>) -> Self {
        Self { field: field.to_owned(), snippet_id: Some(shown(snippet_id)), reason: reason.into() }
    }
}

impl fmt::Display for InvalidRanking {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.snippet_id {
            Some(id) => write!(formatter, "{} of snippet '{id}' {}", self.field, self.reason),
            None => write!(formatter, "{} {}", self.field, self.reason),
        }
    }
}

impl std::error::Error for InvalidRanking {}

/// Cut to what fits into a message, and without control characters.
fn shown(text: &str) -> String {
    text.chars()
        .take(MAX_CHARACTERS_SHOWN)
        .map(|letter| if letter.is_control() { '\u{fffd}' } else { letter })
        .collect()
}

impl RankingRequest {
    /// Checks what the types leave open, against the session that the path names.
    pub fn validate(&self, path_session: &InteractionId) -> Result<(), InvalidRanking> {
        if self.session_id.as_deref().is_some_and(|session| session != path_session.as_str()) {
            return Err(InvalidRanking::of_body("session_id", format!("is not '{path_session}', as in the path")));
        }
        if !(1..=i64::from(MAX_RESULT_WINDOW)).contains(&self.max_result_window) {
            let reason = format!("is {}, it must lie between 1 and {MAX_RESULT_WINDOW}", self.max_result_window);
            return Err(InvalidRanking::of_body("max_result_window", reason));
        }
        if self.snippets.is_empty() {
            return Err(InvalidRanking::of_body("snippets", "is empty, there is nothing to rank"));
        }
        let mut seen = HashSet::new();
        self.snippets.iter().enumerate().try_for_each(|(index, snippet)| snippet.validate(index, &mut seen))
    }
}

impl SnippetToRank {
    fn validate<'a>(&'a self, index: usize, seen: &mut HashSet<&'a str>) -> Result<(), InvalidRanking> {
        let id = &self.snippet_id;
        if id.trim().is_empty() {
            return Err(InvalidRanking::of_body(format!("snippets[{index}].snippet_id"), "is blank"));
        }
        if !seen.insert(id) {
            return Err(InvalidRanking::of_snippet("snippet_id", id, "stands there twice"));
        }
        // Written so that what is no number fails too.
        if !(0.0..=1.0).contains(&self.relevance_score) {
            let reason = format!("is {}, it must lie between 0 and 1", self.relevance_score);
            return Err(InvalidRanking::of_snippet("relevance_score", id, reason));
        }
        if !(self.boost_factor.is_finite() && self.boost_factor >= 0.0) {
            let reason = format!("is {}, it must be a number from 0 up", self.boost_factor);
            return Err(InvalidRanking::of_snippet("boost_factor", id, reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn told(body: &Value) -> Result<(), String> {
        let request: RankingRequest = serde_json::from_str(&body.to_string()).map_err(|error| error.to_string())?;
        request.validate(&"s-1".parse().unwrap()).map_err(|error| error.to_string())
    }

    fn with(field: &str, value: Value) -> Value {
        let mut body = json!({"snippets": [{"snippet_id": "KB-1", "relevance_score": 0.5}]});
        body[field] = value;
        body
    }

    fn with_snippet(field: &str, value: Value) -> Value {
        let mut body = with("max_result_window", json!(10));
        body["snippets"][0][field] = value;
        body
    }

    #[test]
    fn what_the_contract_allows_is_taken() {
        let good = [
            with("max_result_window", json!(1)),
            with("max_result_window", json!(50)),
            with("max_result_window", json!(10.0)),
            with("session_id", json!("s-1")),
            with("session_id", json!(null)),
            with("callback_url", json!(null)),
            with("callback_url", json!("https://hook.example")),
            with_snippet("relevance_score", json!(0)),
            with_snippet("relevance_score", json!(1)),
            with_snippet("boost_factor", json!(0)),
            with_snippet("boost_factor", json!(1e300)),
            with_snippet("metadata", json!({})),
            with_snippet("metadata", json!({"category": "billing", "": "é\u{0}"})),
            with_snippet("unknown", json!([1, 2])),
            with_snippet("snippet_id", json!(" KB/1?\u{7}é ")),
        ];
        for body in good {
            assert_eq!(told(&body), Ok(()), "{body}");
        }
    }

    #[test]
    fn every_broken_rule_names_its_field_and_the_snippet() {
        let two =
            |id: &str| json!([{"snippet_id": "KB-1", "relevance_score": 1}, {"snippet_id": id, "relevance_score": 1}]);
        let table = [
            (json!([]), "body is no json object"),
            (json!("x"), "body is no json object"),
            (json!({}), "snippets is missing"),
            (with("snippet", json!([])), "snippet is unknown, a ranking has only "),
            (with("snippets", json!(null)), "snippets is no list"),
            (with("snippets", json!({})), "snippets is no list"),
            (with("snippets", json!([])), "snippets is empty"),
            (with("snippets", json!(["KB-1"])), "snippets[0] is no json object"),
            (with("snippets", two("KB-1")), "snippet_id of snippet 'KB-1' stands there twice"),
            (with("snippets", two(" \n")), "snippets[1].snippet_id is blank"),
            (with("snippets", json!([{"relevance_score": 1}])), "snippets[0].snippet_id is missing"),
            (with("max_result_window", json!(0)), "max_result_window is 0, it must lie between 1 and 50"),
            (with("max_result_window", json!(51)), "max_result_window is 51"),
            (with("max_result_window", json!(-1)), "max_result_window is -1"),
            (with("max_result_window", json!(2.5)), "max_result_window is no whole number"),
            (with("max_result_window", json!("10")), "max_result_window is no whole number"),
            (with("max_result_window", json!(null)), "max_result_window is no whole number"),
            (with("max_result_window", json!(1e300)), "max_result_window is no whole number"),
            (with("max_result_window", json!(18_446_744_073_709_551_615_u64)), "max_result_window is no whole number"),
            (with("session_id", json!("s-2")), "session_id is not 's-1', as in the path"),
            (with("session_id", json!(1)), "session_id is no text"),
            (with("callback_url", json!(["a"])), "callback_url is no text"),
            (with_snippet("snippet_id", json!(7)), "snippets[0].snippet_id is no text"),
            (with_snippet("snippet_id", json!(null)), "snippets[0].snippet_id is no text"),
            (
                with_snippet("relevance_score", json!(1.0001)),
                "relevance_score of snippet 'KB-1' is 1.0001, it must lie",
            ),
            (with_snippet("relevance_score", json!(-0.1)), "relevance_score of snippet 'KB-1' is -0.1"),
            (with_snippet("relevance_score", json!("0.5")), "relevance_score of snippet 'KB-1' is no number"),
            (with_snippet("relevance_score", json!(null)), "relevance_score of snippet 'KB-1' is no number"),
            (with_snippet("relevance_score", json!(true)), "relevance_score of snippet 'KB-1' is no number"),
            (with_snippet("boost_factor", json!(-0.5)), "boost_factor of snippet 'KB-1' is -0.5, it must be a number"),
            (with_snippet("boost_factor", json!("2")), "boost_factor of snippet 'KB-1' is no number"),
            (with_snippet("metadata", json!([])), "metadata of snippet 'KB-1' is no json object of texts"),
            (with_snippet("metadata", json!(null)), "metadata of snippet 'KB-1' is no json object of texts"),
            (with_snippet("metadata", json!({"rank": 1})), "metadata.rank of snippet 'KB-1' is no text"),
        ];
        for (body, expected) in table {
            let error = told(&body).unwrap_err();
            assert!(error.starts_with(expected), "{body}: {error}");
        }
        let missing = json!({"snippets": [{"snippet_id": "KB-1"}]});
        assert_eq!(told(&missing).unwrap_err(), "relevance_score of snippet 'KB-1' is missing");
    }

    #[test]
    fn scores_that_are_no_numbers_are_refused() {
        let mut request: RankingRequest = serde_json::from_value(with("session_id", json!("s-1"))).unwrap();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            request.snippets[0].relevance_score = value;
            let error = request.validate(&"s-1".parse().unwrap()).unwrap_err();
            assert_eq!((error.field.as_str(), error.snippet_id.as_deref()), ("relevance_score", Some("KB-1")));
            request.snippets[0].relevance_score = 0.5;
            request.snippets[0].boost_factor = value;
            let error = request.validate(&"s-1".parse().unwrap()).unwrap_err();
            assert_eq!(error.field, "boost_factor");
            request.snippets[0].boost_factor = 1.0;
        }
    }

    #[test]
    fn a_callers_text_comes_back_short_and_clean() {
        let id = format!("a\u{1b}[31m{}", "x".repeat(10_000));
        let error = told(&with("snippets", json!([{"snippet_id": id, "relevance_score": 2}]))).unwrap_err();
        assert!(error.len() < 300 && !error.contains('\u{1b}'), "{error}");
        let error = told(&with(&"y".repeat(10_000), json!(1))).unwrap_err();
        assert!(error.len() < 300, "{error}");
    }
}

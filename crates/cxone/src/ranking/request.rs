//! The body of a caller who wants snippets ranked, and the rules that it has to keep.
//!
//! Input: JSON. Output: a [`RankingRequest`] whose fields have the right types; [`RankingRequest::validate`] checks their
//! values before anything is sent, and tells the first rule that is broken. On failure an [`InvalidRanking`] that names
//! field and id; reading hides it in serde's error. Unknown fields of a snippet are passed over, those of the body are
//! refused.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use cuecard_text::MAX_ID_BYTES;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{DEFAULT_RESULT_WINDOW, MAX_RESULT_WINDOW};
use crate::interaction_id::InteractionId;

/// So much of a caller's own text is repeated to it.
const MAX_CHARACTERS_SHOWN: usize = 100;
const FIELDS: [&str; 4] = ["max_result_window", "snippets", "callback_url", "session_id"];

/// Snippets to be ranked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Value", deny_unknown_fields)]
pub struct RankingRequest {
    /// How many snippets the agent shall see at most.
    #[schema(minimum = 1, maximum = 50, default = 10, required = false)]
    pub max_result_window: i64,
    /// No two of them may have one id.
    #[schema(min_items = 1)]
    pub snippets: Vec<SnippetToRank>,
    /// Where the result is sent as well; its host must be one that the settings allow.
    pub callback_url: Option<String>,
    /// The path's, where it is given at all.
    pub session_id: Option<String>,
}

/// One of them. Other fields are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SnippetToRank {
    #[schema(pattern = r"\S")]
    pub snippet_id: String,
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub relevance_score: f64,
    /// The score is multiplied by it.
    #[schema(minimum = 0.0, default = 1.0, required = false)]
    pub boost_factor: f64,
    #[schema(required = false)]
    pub metadata: BTreeMap<String, String>,
}

/// For the caller: a field, the snippet it belongs to, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRanking {
    pub field: String,
    /// The id of the snippet; none for a field of the body itself, or of a snippet without an id.
    pub snippet_id: Option<String>,
    pub reason: String,
}

impl InvalidRanking {
    fn of_body(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: shown(&field.into()), snippet_id: None, reason: reason.into() }
    }

    fn of_snippet(field: &str, snippet_id: &str, reason: impl Into<String>) -> Self {
        Self { field: shown(field), snippet_id: Some(shown(snippet_id)), reason: reason.into() }
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

impl TryFrom<Value> for RankingRequest {
    type Error = InvalidRanking;

    fn try_from(body: Value) -> Result<Self, InvalidRanking> {
        let Value::Object(mut body) = body else {
            return Err(InvalidRanking::of_body("body", "is no json object"));
        };
        if let Some(unknown) = body.keys().find(|field| !FIELDS.contains(&field.as_str())) {
            let reason = format!("is unknown, a ranking has only {}", FIELDS.join(", "));
            return Err(InvalidRanking::of_body(unknown.as_str(), reason));
        }
        Ok(Self {
            max_result_window: window(body.get("max_result_window"))?,
            callback_url: optional_text(&mut body, "callback_url")?,
            session_id: optional_text(&mut body, "session_id")?,
            snippets: snippets(body.remove("snippets"))?,
        })
    }
}

/// A whole number may be written as 10.0, as some callers' serialisers do.
fn window(value: Option<&Value>) -> Result<i64, InvalidRanking> {
    let Some(value) = value else {
        return Ok(i64::from(DEFAULT_RESULT_WINDOW));
    };
    let as_float = || value.as_f64().filter(|window| window.fract() == 0.0 && window.abs() < 1e9);
    let whole = value.as_i64().or_else(|| as_float().map(|window| window as i64));
    whole.ok_or_else(|| InvalidRanking::of_body("max_result_window", "is no whole number"))
}

fn optional_text(body: &mut Map<String, Value>, field: &'static str) -> Result<Option<String>, InvalidRanking> {
    match body.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(InvalidRanking::of_body(field, "is no text")),
    }
}

fn snippets(value: Option<Value>) -> Result<Vec<SnippetToRank>, InvalidRanking> {
    match value {
        Some(Value::Array(snippets)) => {
            snippets.into_iter().enumerate().map(|(index, value)| snippet(index, value)).collect()
        }
        Some(_) => Err(InvalidRanking::of_body("snippets", "is no list")),
        None => Err(InvalidRanking::of_body("snippets", "is missing")),
    }
}

fn snippet(index: usize, value: Value) -> Result<SnippetToRank, InvalidRanking> {
    let Value::Object(mut fields) = value else {
        return Err(InvalidRanking::of_body(format!("snippets[{index}]"), "is no json object"));
    };
    let without_id = |reason| InvalidRanking::of_body(format!("snippets[{index}].snippet_id"), reason);
    let snippet_id = match fields.remove("snippet_id") {
        Some(Value::String(id)) => id,
        Some(_) => return Err(without_id("is no text")),
        None => return Err(without_id("is missing")),
    };
    let score = number(&fields, "relevance_score", &snippet_id)?;
    let missing = || InvalidRanking::of_snippet("relevance_score", &snippet_id, "is missing");
    Ok(SnippetToRank {
        relevance_score: score.ok_or_else(missing)?,
        boost_factor: number(&fields, "boost_factor", &snippet_id)?.unwrap_or(1.0),
        metadata: metadata(fields.remove("metadata"), &snippet_id)?,
        snippet_id,
    })
}

fn number(fields: &Map<String, Value>, field: &str, snippet_id: &str) -> Result<Option<f64>, InvalidRanking> {
    let no_number = || InvalidRanking::of_snippet(field, snippet_id, "is no number");
    fields.get(field).map(|value| value.as_f64().ok_or_else(no_number)).transpose()
}

fn metadata(value: Option<Value>, snippet_id: &str) -> Result<BTreeMap<String, String>, InvalidRanking> {
    let entries = match value {
        None => return Ok(BTreeMap::new()),
        Some(Value::Object(entries)) => entries,
        Some(_) => return Err(InvalidRanking::of_snippet("metadata", snippet_id, "is no json object of texts")),
    };
    let text = |(key, value)| match value {
        Value::String(text) => Ok((key, text)),
        _ => Err(InvalidRanking::of_snippet(&format!("metadata.{key}"), snippet_id, "is no text")),
    };
    entries.into_iter().map(text).collect()
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
        if id.len() > MAX_ID_BYTES {
            let reason = format!("has {} bytes, it may have {MAX_ID_BYTES}", id.len());
            return Err(InvalidRanking::of_body(format!("snippets[{index}].snippet_id"), reason));
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

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_caller_leaves_out_has_the_documents_value() {
        let request: RankingRequest =
            serde_json::from_str(r#"{"snippets":[{"snippet_id":"KB-1","relevance_score":0.5}]}"#).unwrap();
        let snippet = SnippetToRank {
            snippet_id: "KB-1".into(),
            relevance_score: 0.5,
            boost_factor: 1.0,
            metadata: BTreeMap::new(),
        };
        let expected =
            RankingRequest { max_result_window: 10, snippets: vec![snippet], callback_url: None, session_id: None };
        assert_eq!(request, expected);
    }

    #[test]
    fn everything_that_is_given_is_read() {
        let body = concat!(
            r#"{"session_id":"s-1","callback_url":"https://hook.example/x","max_result_window":15,"snippets":["#,
            r#"{"snippet_id":"KB-1","relevance_score":0.92,"boost_factor":1.2,"metadata":{"b":"2","a":"1"},"note":7}]}"#
        );
        let request: RankingRequest = serde_json::from_str(body).unwrap();
        assert_eq!(request.session_id.as_deref(), Some("s-1"));
        assert_eq!(request.callback_url.as_deref(), Some("https://hook.example/x"));
        assert_eq!(request.max_result_window, 15);
        let snippet = &request.snippets[0];
        assert_eq!((snippet.relevance_score, snippet.boost_factor), (0.92, 1.2));
        let metadata = [("a", "1"), ("b", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(snippet.metadata, BTreeMap::from(metadata));
    }

    proptest! {
        #[test]
        fn any_body_is_a_request_or_a_named_reason(
            field in "snippets|max_result_window|session_id|snippet_id|relevance_score|metadata|\\PC*",
            value in "\\PC*|null|\\[\\]|7|-1e9|\\{\\}|[0-9]{1,40}",
        ) {
            let snippet = format!("{{\"snippet_id\":\"a\",\"relevance_score\":0.5,\"{field}\":{value}}}");
            for body in [format!("{{\"{field}\":{value}}}"), format!("{{\"snippets\":[{snippet}]}}"), value] {
                if let Ok(request) = serde_json::from_str::<RankingRequest>(&body) {
                    let _ = request.validate(&"s-1".parse().unwrap());
                }
            }
        }
    }

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
            (with("snippets", two(&"x".repeat(1025))), "snippets[1].snippet_id has 1025 bytes, it may have 1024"),
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
        let metadata = json!({format!("k\u{1b}{}", "z".repeat(10_000)): 1});
        let snippet = json!({"snippet_id": "KB-1", "relevance_score": 0.5, "metadata": metadata});
        let error = told(&with("snippets", json!([snippet]))).unwrap_err();
        assert!(error.len() < 300 && !error.contains('\u{1b}'), "{error}");
    }
}

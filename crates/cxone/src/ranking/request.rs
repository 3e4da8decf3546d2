//! The body of a caller who wants snippets ranked.
//!
//! Input: JSON. Output: a [`RankingRequest`] whose fields have the right types; their values are checked by
//! [`RankingRequest::validate`]. On failure serde's error holds an [`InvalidRanking`] that names field and id. Unknown
//! fields of a snippet are passed over, those of the body are refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::DEFAULT_RESULT_WINDOW;
use super::invalid::InvalidRanking;

const FIELDS: [&str; 4] = ["max_result_window", "snippets", "callback_url", "session_id"];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct RankingRequest {
    /// How many snippets the agent shall see at most. Default 10.
    pub max_result_window: i64,
    pub snippets: Vec<SnippetToRank>,
    pub callback_url: Option<String>,
    /// The path's, where it is given at all.
    pub session_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SnippetToRank {
    pub snippet_id: String,
    /// From 0 to 1.
    pub relevance_score: f64,
    /// From 0 up. Default 1.
    pub boost_factor: f64,
    /// Default none.
    pub metadata: BTreeMap<String, String>,
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

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
}

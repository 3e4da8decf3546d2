//! Contract 003's search for a text.
//!
//! Input: the body of a 200. Output: its hits, in CXone's order. A field that is missing or of another kind has the
//! contract's value for a missing one; an entity without an id names no article and is left out. On failure a
//! [`SearchError`].

use std::fmt;

use serde_json::Value;

use super::{take, take_id, take_text};

/// Below the base URL.
pub const PATH: &str = "/api/v2/knowledge/articles/search";

/// One article that CXone found. `Debug` shows its id, its score and its size.
#[derive(Clone, PartialEq)]
pub struct SearchHit {
    pub id: String,
    pub title: String,
    /// 0 where CXone gives none.
    pub score: f64,
    pub url: String,
    pub body: String,
}

/// Messages never repeat the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    #[error("the search answer is no json object")]
    NotJson,
    #[error("the search answer's 'entities' is no list")]
    NoEntities,
}

/// Reads the body of a 200. An answer without `entities` found nothing.
pub fn parse(answer: &[u8]) -> Result<Vec<SearchHit>, SearchError> {
    let Ok(Value::Object(mut answer)) = serde_json::from_slice(answer) else {
        return Err(SearchError::NotJson);
    };
    match answer.remove("entities") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(entities)) => Ok(entities.into_iter().filter_map(hit).collect()),
        Some(_) => Err(SearchError::NoEntities),
    }
}

fn hit(mut entity: Value) -> Option<SearchHit> {
    Some(SearchHit {
        id: take_id(&mut entity)?,
        title: take_text(&mut entity, "title"),
        score: take(&mut entity, "score").as_f64().unwrap_or(0.0),
        url: take_text(&mut entity, "url"),
        body: take_text(&mut entity, "body"),
    })
}

impl fmt::Debug for SearchHit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SearchHit")
            .field("id", &self.id)
            .field("score", &self.score)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn read(answer: &Value) -> Vec<SearchHit> {
        parse(answer.to_string().as_bytes()).unwrap()
    }

    fn hit_of(id: &str, title: &str, score: f64, url: &str, body: &str) -> SearchHit {
        SearchHit { id: id.into(), title: title.into(), score, url: url.into(), body: body.into() }
    }

    #[test]
    fn hits_keep_their_order_and_lack_nothing() {
        let hits = read(&json!({"page": 1, "entities": [
            {"id": "b", "title": "Fees", "score": 0.75, "url": "https://kb/b", "body": "No fees.", "rank": 1},
            {"id": "a"},
            {"id": 7, "title": null, "score": "high", "url": 1, "body": []},
            {"id": "c", "score": 3, "body": "</b>\u{7}"},
        ]}));
        let expected = [
            hit_of("b", "Fees", 0.75, "https://kb/b", "No fees."),
            hit_of("a", "", 0.0, "", ""),
            hit_of("7", "", 0.0, "", ""),
            hit_of("c", "", 3.0, "", "</b>\u{7}"),
        ];
        assert_eq!(hits, expected);
    }

    #[test]
    fn an_entity_without_an_id_is_left_out() {
        let answer = json!({"entities": [{"title": "T"}, {"id": ""}, {"id": null}, "x", 7, null, {"id": "a"}]});
        assert_eq!(read(&answer), [hit_of("a", "", 0.0, "", "")]);
    }

    #[test]
    fn no_entities_is_nothing_found_and_no_object_is_an_error() {
        assert!(read(&json!({})).is_empty());
        assert!(read(&json!({"entities": null})).is_empty());
        assert!(read(&json!({"entities": []})).is_empty());
        assert_eq!(parse(br#"{"entities":{}}"#), Err(SearchError::NoEntities));
        for answer in ["", "[]", "<html>", "{\"entities\":["] {
            assert_eq!(parse(answer.as_bytes()), Err(SearchError::NotJson), "{answer}");
        }
    }

    #[test]
    fn debug_shows_no_content() {
        let shown = format!("{:?}", hit_of("a", "private", 0.5, "private", "private"));
        assert!(shown.contains("\"a\"") && !shown.contains("private"), "{shown}");
    }
}

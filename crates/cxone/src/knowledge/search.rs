//! Contract 003's search for a text.
//!
//! Input: the body of a 200. Output: its hits, in CXone's order. A field that is missing or of another kind has the
//! contract's value for a missing one; an entity without an id names no article and is left out. On failure a
//! [`SearchError`].

use std::fmt;

use cuecard_text::json::{self, LeftOut, Parsed, Repairs, Row};
use serde::Deserialize;
use serde_json::Value;

use super::{BadEntity, Labels, take, take_id, take_text};

/// Below the base URL.
pub const PATH: &str = "/api/v2/knowledge/articles/search";

/// One article that CXone found. `Debug` shows its id, its score and its size.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub struct SearchHit {
    pub id: String,
    pub title: String,
    /// 0 where CXone gives none.
    pub score: f64,
    pub url: String,
    pub body: String,
    pub labels: Labels,
}

/// What CXone found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchResults {
    pub hits: Vec<SearchHit>,
    /// The entities that can't be used.
    pub left_out: LeftOut,
    /// What of the answer had to be repaired.
    pub repairs: Repairs,
}

/// Messages never repeat the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    #[error("the search answer is no json object")]
    NotJson,
    #[error("the search answer's 'entities' is no list")]
    NoEntities,
}

#[derive(Deserialize)]
struct Answer {
    entities: Option<Vec<Row<SearchHit>>>,
}

/// Reads the body of a 200. An answer without `entities` found nothing.
pub fn parse(answer: &[u8]) -> Result<SearchResults, SearchError> {
    let Parsed { value: answer, repairs } =
        json::parse_object::<Answer>(answer).map_err(|error| match error.field() {
            Some(_) if !error.is_syntax() => SearchError::NoEntities,
            _ => SearchError::NotJson,
        })?;
    let (hits, left_out) = json::sift("entities", answer.entities.unwrap_or_default());
    Ok(SearchResults { hits, left_out, repairs })
}

impl TryFrom<Value> for SearchHit {
    type Error = BadEntity;

    fn try_from(mut entity: Value) -> Result<Self, BadEntity> {
        Ok(Self {
            id: take_id(&mut entity)?,
            title: take_text(&mut entity, "title"),
            score: take(&mut entity, "score").as_f64().unwrap_or(0.0),
            url: take_text(&mut entity, "url"),
            body: take_text(&mut entity, "body"),
            labels: Labels::take(&mut entity),
        })
    }
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
        parse(answer.to_string().as_bytes()).unwrap().hits
    }

    fn hit_of(id: &str, title: &str, score: f64, url: &str, body: &str) -> SearchHit {
        let labels = Labels::default();
        SearchHit { id: id.into(), title: title.into(), score, url: url.into(), body: body.into(), labels }
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
    fn what_an_entity_says_of_who_may_see_it_comes_along() {
        let hit = read(&json!({"entities": [{"id": "a", "status": "Archived", "language": "de"}]})).remove(0);
        let labels = Labels { status: Some("Archived".into()), language: Some("de".into()), audience: None };
        assert_eq!(hit.labels, labels);
    }

    #[test]
    fn an_entity_without_an_id_is_left_out_and_named() {
        let answer = json!({"entities": [{"title": "T"}, {"id": ""}, {"id": null}, "x", 7, null, {"id": "a"}]});
        let SearchResults { hits, left_out, .. } = parse(answer.to_string().as_bytes()).unwrap();
        assert_eq!(hits, [hit_of("a", "", 0.0, "", "")]);
        assert_eq!((left_out.count, left_out.named[2].as_str()), (6, "entities[2]: no id"));
    }

    #[test]
    fn an_answer_that_has_to_be_repaired_is_read_all_the_same() {
        let answer =
            b"\xef\xbb\xbf{\"entities\":[{\"id\":\"a\",\"body\":\"\\ud83d caf\xe9\",\"score\":NaN},{\"id\":\"b\"}]}";
        let SearchResults { hits, repairs, .. } = parse(answer).unwrap();
        assert_eq!(hits, [hit_of("a", "", 0.0, "", "\u{fffd} caf\u{fffd}"), hit_of("b", "", 0.0, "", "")]);
        assert_eq!(repairs, Repairs { byte_order_marks: 1, invalid_utf8: 1, lone_surrogates: 1, non_numbers: 1 });
    }

    #[test]
    fn no_entities_is_nothing_found_and_no_object_is_an_error() {
        assert!(read(&json!({})).is_empty());
        assert!(read(&json!({"entities": null})).is_empty());
        assert!(read(&json!({"entities": []})).is_empty());
        assert_eq!(parse(br#"{"entities":{}}"#), Err(SearchError::NoEntities));
        for answer in ["", "[]", r#"[[{"id":"a"}]]"#, "7", "<html>", "{\"entities\":["] {
            assert_eq!(parse(answer.as_bytes()), Err(SearchError::NotJson), "{answer}");
        }
    }

    #[test]
    fn debug_shows_no_content() {
        let shown = format!("{:?}", hit_of("a", "private", 0.5, "private", "private"));
        assert!(shown.contains("\"a\"") && !shown.contains("private"), "{shown}");
    }
}

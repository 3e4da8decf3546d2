//! Contract 004: the order of a session's snippets, `POST /api/v2/agentassist/sessions/{id}/snippets/ranking`, and whether
//! the session takes one now, `GET /api/v2/agentassist/sessions/{id}`.
//!
//! Input: a body of the schema, or nothing. Output of an order: as every push; a session that is locked, or a snippet that
//! is there twice, is a conflict: 409. Of a session: `{id, state}`, the state being `active`, `locked` or `ended`; 401 and
//! 403 for the token, 400 for an id that is not safe, 404 for a session that nobody knows.

use std::collections::HashSet;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use jsonschema::Validator;
use serde_json::{Value, json};

use super::answer::{self, Refusal};
use super::push::{Dialect, list, timestamp};
use crate::base::contracts::Route;
use crate::serve::hub::Hub;
use crate::serve::interactions::Standing;
use crate::serve::schema::{self, Schemas};
use crate::serve::state::State;

pub(super) struct Ranking;

impl Dialect for Ranking {
    const ROUTE: Route = Route::Ranking;
    const BRINGS_INTO_BEING: bool = true;

    fn schema(schemas: &Schemas) -> &Validator {
        &schemas.ranking_push
    }

    fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
        let sent = answer::header(headers, "x-cxone-client-version").unwrap_or_default();
        if is_version(sent) {
            return Ok(());
        }
        Err(Refusal::bad_request(format!(
            "the header X-CXone-Client-Version is '{sent}' and must be a version such as 1.0.0"
        )))
    }

    fn interaction(request: &HttpRequest, body: &Value) -> Result<String, Refusal> {
        let id = answer::path_id(request)?;
        if body["session_id"] != id.as_str() {
            return Err(Refusal::bad_request(format!("at '/session_id': the path says {id}")));
        }
        check_order(body).map_err(Refusal::bad_request)?;
        check_unique(body)?;
        Ok(id)
    }

    fn conflict(state: &State, id: &str) -> Result<(), Refusal> {
        if state.is_locked(id) {
            return Err(Refusal::refused(409, format!("the session {id} is locked")));
        }
        Ok(())
    }

    fn answer(id: &str, body: &Value, number: u64) -> Value {
        json!({
            "id": format!("RANK-{number:08}"),
            "session_id": id,
            "status": "applied",
            "snippet_count": list(body, "snippets").len(),
            "timestamp": timestamp(),
        })
    }
}

/// Three numbers with dots between them.
fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.len() == 3 && parts.iter().all(is_number)
}

/// At most as many snippets as the window, by score, best first, in scores of at most 4 places.
fn check_order(body: &Value) -> Result<(), String> {
    let snippets = list(body, "snippets");
    let window = body["max_result_window"].as_f64().unwrap_or_default();
    if snippets.len() as f64 > window {
        return Err(format!("at '/snippets': {} snippets are more than the window of {window}", snippets.len()));
    }
    let mut before = f64::INFINITY;
    for (index, snippet) in snippets.iter().enumerate() {
        let score = &snippet["relevance_score"];
        if !schema::has_four_places(score) {
            return Err(format!("at '/snippets/{index}/relevance_score': more than 4 decimal places"));
        }
        let score = score.as_f64().unwrap_or_default();
        if score > before {
            return Err(format!("at '/snippets/{index}/relevance_score': higher than the one before"));
        }
        before = score;
    }
    Ok(())
}

fn check_unique(body: &Value) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for (index, snippet) in list(body, "snippets").iter().enumerate() {
        let id = snippet["snippet_id"].as_str().unwrap_or_default();
        if !seen.insert(id) {
            let reason = format!("at '/snippets/{index}/snippet_id': duplicate snippet {id}");
            return Err(Refusal::violation(409, reason));
        }
    }
    Ok(())
}

pub(super) async fn look_at_session(hub: web::Data<Hub>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let client = answer::authorise(&hub, &request, Route::Session)?;
    let id = answer::path_id(&request)?;
    let state = hub.read(|state| match state.standing(&client, &id) {
        _ if state.is_locked(&id) => Some("locked"),
        Standing::Live => Some("active"),
        Standing::Ended => Some("ended"),
        Standing::Unknown => None,
    });
    let state = state.ok_or_else(|| Refusal::violation(404, format!("the session {id} is unknown")))?;
    Ok(answer::accepted(json!({"id": id, "state": state}).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rankings_beyond_the_schema() {
        let cases = [
            (10, vec![("a", 1.0), ("b", 0.5), ("c", 0.5), ("d", 0.0)], true, true),
            (2, vec![("a", 1.0), ("b", 0.5), ("c", 0.5)], false, true),
            (10, vec![("a", 0.5), ("b", 0.5001)], false, true),
            (10, vec![("a", 0.50001)], false, true),
            (10, vec![("a", 0.5), ("a", 0.4)], true, false),
        ];
        for (window, snippets, in_order, unique) in cases {
            let snippet = |(id, score): (&str, f64)| json!({"snippet_id": id, "relevance_score": score});
            let snippets: Vec<Value> = snippets.into_iter().map(snippet).collect();
            let body = json!({"max_result_window": window, "snippets": snippets});
            assert_eq!((check_order(&body).is_ok(), check_unique(&body).is_ok()), (in_order, unique), "{body}");
        }
    }

    #[test]
    fn versions() {
        for (text, good) in
            [("1.0.0", true), ("0.12.3", true), ("1.0", false), ("", false), ("1.0.x", false), ("1..0", false)]
        {
            assert_eq!(is_version(text), good, "{text}");
        }
    }
}

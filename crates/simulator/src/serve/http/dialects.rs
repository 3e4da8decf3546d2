//! The pushes of three contracts, each by its own rules: context (000), message cards (001), articles of a graph (002).
//!
//! Input: a body that its schema accepted. Output: the interaction that it is for, or the rule beyond the schema that it
//! breaks, and the answer of the contract's document.

use actix_web::HttpRequest;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::answer::{self, Refusal};
use super::push::{Dialect, list, timestamp};
use crate::base::contracts::Route;
use crate::serve::schema::{self, Schemas};

/// Characters of the article in a card's body.
const MAX_EXCERPT: usize = 200;

/// `POST /api/v2/assist/agentassists`: all passages in one text.
pub(super) struct Rag;

impl Dialect for Rag {
    const ROUTE: Route = Route::Rag;
    const BRINGS_INTO_BEING: bool = true;

    fn schema(schemas: &Schemas) -> &Validator {
        &schemas.rag_push
    }

    fn interaction(_request: &HttpRequest, body: &Value) -> Result<String, Refusal> {
        Ok(body["conversationId"].as_str().unwrap_or_default().to_owned())
    }

    fn answer(id: &str, _body: &Value, number: u64) -> Value {
        json!({"id": format!("ASSIST-{number:08}"), "conversationId": id, "status": "delivered"})
    }
}

/// `POST /api/v2/agentassist/interactions/{id}/content`
pub(super) struct Graph;

impl Dialect for Graph {
    const ROUTE: Route = Route::Graph;
    const BRINGS_INTO_BEING: bool = true;

    fn schema(schemas: &Schemas) -> &Validator {
        &schemas.graph_push
    }

    fn interaction(request: &HttpRequest, _body: &Value) -> Result<String, Refusal> {
        answer::path_id(request)
    }

    fn answer(id: &str, _body: &Value, number: u64) -> Value {
        json!({
            "interactionId": id,
            "contentId": format!("CONT-{number:08}"),
            "status": "delivered",
            "timestamp": timestamp(),
        })
    }
}

/// `POST /api/v2/interactions/{id}/assist`
pub(super) struct Snippets;

impl Dialect for Snippets {
    const ROUTE: Route = Route::Snippets;
    const BRINGS_INTO_BEING: bool = false;

    fn schema(schemas: &Schemas) -> &Validator {
        &schemas.snippets_push
    }

    fn interaction(request: &HttpRequest, body: &Value) -> Result<String, Refusal> {
        check_rules(body).map_err(Refusal::bad_request)?;
        answer::path_id(request)
    }

    fn answer(id: &str, body: &Value, number: u64) -> Value {
        let count = list(body, "messages").len();
        json!({"id": format!("MSG-{number:08}"), "interactionId": id, "accepted": count})
    }
}

/// Titles count from 1, excerpts have at most 200 characters, scores at most 4 places.
fn check_rules(body: &Value) -> Result<(), String> {
    for (message, number) in list(body, "messages").iter().zip(1..) {
        let content = &message["content"];
        let at = format!("at '/messages/{}/content", number - 1);
        if content["title"] != format!("KB Result {number}") {
            return Err(format!("{at}/title': titles must count from 1 in order"));
        }
        if !has_short_excerpt(content["body"].as_str().unwrap_or_default()) {
            return Err(format!("{at}/body': more than 200 characters between the title and the dots"));
        }
        if !schema::has_four_places(&content["score"]) {
            return Err(format!("{at}/score': more than 4 decimal places"));
        }
    }
    Ok(())
}

/// The title may itself hold what ends a title, so any reading that is short enough will do.
fn has_short_excerpt(body: &str) -> bool {
    let excerpt = body.strip_suffix("...").unwrap_or_default();
    let mut ends = excerpt.match_indices("**\n").filter(|(place, _)| *place >= 2);
    ends.any(|(place, end)| excerpt[place + end.len()..].chars().count() <= MAX_EXCERPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_beyond_the_schema() {
        let excerpt = |length| format!("**t**\n{}...", "é".repeat(length));
        let cases = [
            (vec![("KB Result 1", excerpt(200), 0.8123), ("KB Result 2", excerpt(0), -0.1)], true),
            (vec![("KB Result 2", excerpt(1), 0.5)], false),
            (vec![("KB Result 1", excerpt(1), 0.5), ("KB Result 1", excerpt(1), 0.5)], false),
            (vec![("KB Result 1", excerpt(201), 0.5)], false),
            (vec![("KB Result 1", format!("**a**\n{}**\nb...", "x".repeat(300)), 0.5)], true),
            (vec![("KB Result 1", excerpt(1), 0.81234)], false),
        ];
        for (messages, good) in cases {
            let message = |(title, body, score): (&str, String, f64)| json!({"type": "card", "content": {"title": title, "body": body, "score": score}});
            let body = json!({"messages": messages.into_iter().map(message).collect::<Vec<_>>()});
            assert_eq!(check_rules(&body).is_ok(), good, "{body}");
        }
    }
}

//! `POST /api/v2/interactions/{id}/assist`: cards of contract 001.

use actix_web::HttpRequest;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::{Dialect, bad_body, list};
use crate::routes::Route;
use crate::schema::{self, Schemas};
use crate::server::answer::{self, Refusal};

/// Characters of the article in a card's body.
const MAX_EXCERPT: usize = 200;

pub(in crate::server) struct Snippets;

impl Dialect for Snippets {
    const ROUTE: Route = Route::Snippets;
    const BRINGS_INTO_BEING: bool = false;

    fn schema(schemas: &Schemas) -> &Validator {
        &schemas.snippets_push
    }

    fn interaction(request: &HttpRequest, body: &Value) -> Result<String, Refusal> {
        check_rules(body).map_err(bad_body)?;
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
    let mut ends = excerpt.match_indices("**\n").filter(|(place, _)| *place > 2);
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

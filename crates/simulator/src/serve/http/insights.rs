//! Contract 003: cards, `POST /api/v2/agentassist/insights`, and what the agent thought of one,
//! `POST /api/v2/ai/training/feedback`.
//!
//! Input: a body of the schema. Output of cards: as every push. Of feedback: 204; 401 and 403 for the token, 415 for the
//! content type, 400 for the body, 404 for an interaction that this client does not know. Feedback for an ended
//! interaction is welcome: it is stored and may be sent long after.

use std::collections::HashSet;

use actix_web::{HttpRequest, HttpResponse, web};
use jsonschema::Validator;
use serde_json::{Value, json};

use super::answer::{self, Refusal};
use super::observe::Body;
use super::push::{Dialect, list};
use crate::base::contracts::Route;
use crate::desktop::Of;
use crate::serve::hub::Hub;
use crate::serve::interactions::Standing;
use crate::serve::schema::{self, Schemas};

pub(super) struct Insights;

impl Dialect for Insights {
    const ROUTE: Route = Route::Insights;
    const BRINGS_INTO_BEING: bool = false;

    fn schema(schemas: &Schemas) -> &Validator {
        &schemas.insights_push
    }

    fn interaction(_request: &HttpRequest, body: &Value) -> Result<String, Refusal> {
        check_rules(body).map_err(Refusal::bad_request)
    }

    fn answer(_id: &str, _body: &Value, number: u64) -> Value {
        json!({"id": format!("INS-{number:08}"), "status": "delivered"})
    }
}

/// Priorities count from 1, no article appears twice, and all insights belong to one interaction, which is returned.
fn check_rules(body: &Value) -> Result<String, String> {
    let mut interaction = None;
    let mut seen = HashSet::new();
    for (index, insight) in list(body, "insights").iter().enumerate() {
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

pub(super) async fn take_feedback(
    hub: web::Data<Hub>,
    request: HttpRequest,
    body: web::ReqData<Body>,
) -> Result<HttpResponse, Refusal> {
    let client = answer::authorise(&hub, &request, Route::Feedback)?;
    answer::demand_content_type(request.headers(), "application/json")?;
    let body = answer::parse(&body.0)?;
    schema::check(&hub.schemas.training_feedback, &body).map_err(Refusal::bad_request)?;
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let (id, insight_id) = (text("interactionId"), text("insightId"));
    hub.update(|state| {
        if state.standing(&client, id) == Standing::Unknown {
            return Err(Refusal::violation(404, format!("the interaction {id} is unknown")));
        }
        state.desk.note_training(Of { client: &client, id }, insight_id);
        Ok(answer::empty(204))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
            schema::check(&Schemas::compile(true).unwrap().insights_push, &body).unwrap();
            assert_eq!(check_rules(&body).is_ok(), good, "{body}");
        }
    }

    #[test]
    fn a_snippet_is_counted_in_characters() {
        let schemas = Schemas::compile(true).unwrap();
        for (length, good) in [(150, true), (151, false)] {
            let mut card = insight("a", 1, "i");
            card["snippet"] = json!("é".repeat(length));
            let body = json!({"insights": [card], "displayType": "CARD", "autoDismiss": true});
            assert_eq!(schema::check(&schemas.insights_push, &body).is_ok(), good, "{length}");
        }
    }
}

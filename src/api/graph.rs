//! Contract 002: an agent asks, and what the knowledge graph relates to the question goes to the agent's desktop.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use cuecard_actors::cxone::Contract;
use cuecard_actors::engine::conversation::Utterance;
use cuecard_actors::messages::{Ask, Failure, Outcome, Refusal};
use cuecard_actors::text::{Spoken, json as tolerant};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::answer::{as_it_came, delivered};
use super::body::{self, Body};
use super::problem::Problem;

#[derive(Deserialize)]
struct GraphQuery {
    interaction_id: String,
    query: Spoken,
    agent_id: String,
}

/// `POST /agent-assist/query`
pub(super) async fn query(api: web::Data<Api>, request: HttpRequest, body: Body) -> Result<HttpResponse, Problem> {
    let tenant = api.tenant(&request, Contract::Graph)?;
    let asked: GraphQuery = body::read(&request, body)?;
    body::filled(asked.query.verbatim(), "query cannot be empty")?;
    body::filled(&asked.interaction_id, "interaction_id cannot be empty")?;
    let interaction = body::interaction("interaction_id", &asked.interaction_id)?;
    let item =
        tenant.question(interaction, Some(asked.agent_id), Ask::Cards(Arc::new(Utterance::question(asked.query))));
    let outcome = api.outcome(item).await;
    if let Some(Outcome::Failed(Failure::NoBackend { is_overload: false, .. })) = &outcome {
        return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Knowledge graph traversal failed"));
    }
    Ok(HttpResponse::Ok().json(match delivered(outcome, wording)? {
        // What is no JSON is passed on as the text that it is.
        Some(receipt) => {
            let answer = tolerant::parse(&receipt.answer).map(|parsed| parsed.value);
            let answer = answer.unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&receipt.answer).into_owned()));
            json!({"status": "success", "cxone_response": answer})
        }
        None => json!({"status": "no_results", "message": "No related articles found in knowledge graph"}),
    }))
}

fn wording(status: u16, refusal: &Refusal) -> Problem {
    let persistent = "Persistent rate limit or authentication failure";
    match status {
        401 => Problem::new(StatusCode::UNAUTHORIZED, persistent),
        403 => Problem::new(StatusCode::FORBIDDEN, "Missing agentassist:interactions:write scope"),
        404 => Problem::new(StatusCode::NOT_FOUND, "CXone interaction not found or inactive"),
        429 => Problem::new(StatusCode::TOO_MANY_REQUESTS, persistent),
        _ => as_it_came(status, refusal),
    }
}

//! Contract 000: an agent asks, and what the knowledge says goes to the agent's desktop.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use cuecard_actors::cxone::Contract;
use cuecard_actors::engine::conversation::Utterance;
use cuecard_actors::messages::{Ask, Refusal};
use cuecard_actors::text::Spoken;
use serde::Deserialize;
use serde_json::json;

use super::Api;
use super::answer::{as_it_came, delivered};
use super::body::{self, Body};
use super::problem::Problem;

#[derive(Deserialize)]
struct AgentQuery {
    conversation_id: String,
    agent_id: String,
    query_text: Spoken,
}

/// `POST /assist/push`
pub(super) async fn push(api: web::Data<Api>, request: HttpRequest, body: Body) -> Result<HttpResponse, Problem> {
    let tenant = api.tenant(&request, Contract::Rag)?;
    let query: AgentQuery = body::read(&request, body)?;
    body::filled(query.query_text.verbatim(), "Query text cannot be empty")?;
    body::filled(&query.conversation_id, "conversation_id cannot be empty")?;
    body::filled(&query.agent_id, "agent_id cannot be empty")?;
    let conversation = body::interaction("conversation_id", &query.conversation_id)?;
    let item = tenant.question(
        conversation,
        Some(query.agent_id),
        Ask::Cards(Arc::new(Utterance::question(query.query_text))),
    );
    Ok(HttpResponse::Ok().json(match delivered(api.outcome(item).await, wording)? {
        Some(receipt) => {
            json!({"status": "injected", "assist_id": receipt.cxone_id, "chunks_returned": receipt.count})
        }
        None => json!({"status": "no_match", "message": "No relevant knowledge base chunks found"}),
    }))
}

fn wording(status: u16, refusal: &Refusal) -> Problem {
    match status {
        401 => Problem::new(StatusCode::UNAUTHORIZED, "Authentication expired"),
        403 => Problem::new(StatusCode::FORBIDDEN, "Missing agentassists:write scope"),
        429 => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "CXone API rate limit exceeded after retries"),
        _ => as_it_came(status, refusal),
    }
}

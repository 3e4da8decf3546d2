//! Contract 002: an agent asks, and what the knowledge graph relates to the question goes to the agent's desktop.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use cuecard_actors::cxone::{Contract, InteractionId};
use cuecard_actors::engine::conversation::Utterance;
use cuecard_actors::messages::{Ask, Failure, Outcome, Refusal};
use cuecard_actors::text::{Spoken, json as tolerant};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use super::answer::{FailureAnswers, TooManyForCxone, as_it_came, delivered};
use super::body::{self, Body};
use super::problem::Problem;
use crate::detail::Detail;

/// An agent's question. Other fields are ignored.
#[derive(Deserialize, ToSchema)]
struct GraphQuery {
    /// CXone's id of the interaction.
    #[schema(value_type = InteractionId)]
    interaction_id: String,
    /// What the agent asks the graph for.
    #[schema(value_type = String, pattern = r"\S")]
    query: Spoken,
    /// Who asks.
    agent_id: String,
}

/// What became of the question.
#[derive(Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Related {
    /// The articles are on the agent's desktop.
    Success {
        /// What CXone answered, as it came; a text where it is no JSON.
        cxone_response: Value,
    },
    /// The graph relates nothing to the question.
    NoResults {
        /// In words.
        message: &'static str,
    },
}

/// Contract 002.
#[utoipa::path(
    post, path = "/agent-assist/query", operation_id = "push_related_articles", tag = "graph",
    summary = "Push the articles that the graph relates to a question",
    description = "Up to five articles go to the agent's desktop, those of the highest priority first.",
    request_body(content = GraphQuery, example = json!({
        "interaction_id": "call-1", "agent_id": "agent-7", "query": "billing dispute"
    })),
    responses(
        FailureAnswers,
        TooManyForCxone,
        (status = 200, description = "pushed, or nothing was found", body = Related,
            example = json!({"status": "success", "cxone_response": {
                "interactionId": "call-1", "contentId": "content-1", "status": "delivered",
                "timestamp": "2026-03-01T09:30:00Z"
            }})),
        (status = 400, description = "a text or an id is blank, or the body can't be read to its end; or CXone's own 400",
            body = Detail),
    ),
)]
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
            Related::Success { cxone_response: answer }
        }
        None => Related::NoResults { message: "No related articles found in knowledge graph" },
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

//! Contract 000: an agent asks, and what the knowledge says goes to the agent's desktop.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use cuecard_actors::cxone::{Contract, InteractionId};
use cuecard_actors::engine::conversation::Utterance;
use cuecard_actors::messages::{Ask, Refusal};
use cuecard_actors::text::Spoken;
use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoResponses, ToSchema};

use super::Api;
use super::answer::{FailureAnswers, as_it_came, delivered};
use super::body::{self, Body};
use super::problem::Problem;
use crate::openapi::refusals;

/// An agent's question. Other fields are ignored.
#[derive(Deserialize, ToSchema)]
struct AgentQuery {
    /// CXone's id of the conversation.
    #[schema(value_type = InteractionId)]
    conversation_id: String,
    /// Whose desktop the context goes to.
    #[schema(pattern = r"\S")]
    agent_id: String,
    /// The question in the agent's words.
    #[schema(value_type = String, pattern = r"\S")]
    query_text: Spoken,
}

/// What became of the question.
#[derive(Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Pushed {
    /// The passages are on the agent's desktop.
    Injected {
        /// CXone's id of what was pushed, where it gave one.
        assist_id: Option<String>,
        /// Passages that were pushed.
        chunks_returned: usize,
    },
    /// Nothing in the knowledge fits.
    NoMatch {
        /// In words.
        message: &'static str,
    },
}

/// What differs from what all contracts have in common.
struct OwnAnswers;

impl IntoResponses for OwnAnswers {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&[
            ("400", "a text or an id is blank, or the body can't be read to its end; or CXone's own 400 with its text"),
            (
                "503",
                "too much waits, CXone can't be reached, or it asks to wait for longer than the answer is worth, also by a 429",
            ),
        ])
    }
}

/// Contract 000.
#[utoipa::path(
    post, path = "/assist/push", operation_id = "push_context", tag = "rag",
    summary = "Push context for an agent's question",
    description = "The three passages nearest to the question go to the agent's desktop as reference context.",
    request_body(content = AgentQuery, example = json!({
        "conversation_id": "call-1", "agent_id": "agent-7", "query_text": "Can I take my router when I move?"
    })),
    responses(
        FailureAnswers,
        OwnAnswers,
        (status = 200, description = "pushed, or nothing was found", body = Pushed,
            example = json!({"status": "injected", "assist_id": "assist-1", "chunks_returned": 3})),
    ),
)]
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
        Some(receipt) => Pushed::Injected { assist_id: receipt.cxone_id, chunks_returned: receipt.count },
        None => Pushed::NoMatch { message: "No relevant knowledge base chunks found" },
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

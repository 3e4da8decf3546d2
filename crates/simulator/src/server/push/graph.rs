//! `POST /api/v2/agentassist/interactions/{id}/content`: articles of contract 002.

use actix_web::HttpRequest;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::{Dialect, timestamp};
use crate::routes::Route;
use crate::schema::Schemas;
use crate::server::answer::{self, Refusal};

pub(in crate::server) struct Graph;

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

//! `POST /api/v2/assist/agentassists`: context of contract 000, all of it in one text.

use actix_web::HttpRequest;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::Dialect;
use crate::routes::Route;
use crate::schema::Schemas;
use crate::server::answer::Refusal;

pub(in crate::server) struct Rag;

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

//! Reads a JSON body, repaired where it has to be. Every complaint says which field is wrong.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpRequest};
use cuecard_actors::cxone::InteractionId;
use cuecard_actors::telemetry::{JsonRepaired, JsonSource};
use cuecard_text::json::{self, Parsed};
use serde::de::DeserializeOwned;

use super::Api;
use super::problem::Problem;

/// The body as the workers read it: too long a one is an error.
pub(super) type Body = Result<Bytes, Error>;

/// Reads the body as a value of this type.
pub(super) fn read<T: DeserializeOwned>(request: &HttpRequest, body: Body) -> Result<T, Problem> {
    check_content_type(request)?;
    let bytes = body.map_err(|error| match error.as_response_error().status_code() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
        _ => Problem::new(StatusCode::BAD_REQUEST, format!("the body can't be read: {error}")),
    })?;
    let Parsed { value, repairs } = json::parse_object(&bytes).map_err(|error| {
        let kind = if error.is_syntax() { "the body is not valid JSON: " } else { "" };
        Problem::unprocessable(format!("{kind}{error}"))
    })?;
    if let Some(api) = request.app_data::<Data<Api>>() {
        JsonRepaired { source: JsonSource::Request, repairs }.emit(&api.metrics);
    }
    Ok(value)
}

fn check_content_type(request: &HttpRequest) -> Result<(), Problem> {
    let sent = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    let detail = "the body must be JSON: send `Content-Type: application/json`";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

/// An id that may stand in CXone's path.
pub(super) fn interaction(field: &str, text: &str) -> Result<InteractionId, Problem> {
    text.parse().map_err(|error| Problem::unprocessable(format!("{field}: {error}")))
}

/// A text that the contract wants filled.
pub(super) fn filled(text: &str, complaint: &str) -> Result<(), Problem> {
    if text.trim().is_empty() { Err(Problem::new(StatusCode::BAD_REQUEST, complaint)) } else { Ok(()) }
}

//! Answers and the verdicts that travel with them to the record.
//!
//! Input: what a handler found. Output: a JSON answer that carries its [`Verdict`] as an extension.

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::auth::{self, Denial};
use crate::hub::Hub;
use crate::record::Verdict;
use crate::routes::Route;

/// Longest interaction or session id.
const MAX_ID_LENGTH: usize = 200;

/// Why a request is turned away.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    verdict: Verdict,
}

impl Refusal {
    /// The client broke the contract.
    pub(super) fn violation(status: u16, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { status, verdict: Verdict::Violation { reason } }
    }

    /// The client could not know better.
    pub(super) fn refused(status: u16, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { status, verdict: Verdict::Refused { reason } }
    }

    pub(super) fn into_response(self) -> HttpResponse {
        let body = match &self.verdict {
            Verdict::Violation { reason } | Verdict::Refused { reason } => error_body(self.status, reason),
            _ => error_body(self.status, ""),
        };
        respond(self.status, body.to_string(), self.verdict)
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self { status: denial.status(), verdict: denial.verdict() }
    }
}

/// A JSON answer with its verdict.
pub(super) fn respond(status: u16, json: impl Into<web::Bytes>, verdict: Verdict) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status).content_type("application/json").body(json.into());
    response.extensions_mut().insert(verdict);
    response
}

/// An answer without a body.
pub(super) fn empty(status: u16) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::new(status);
    response.extensions_mut().insert(Verdict::Accepted);
    response
}

/// The shape of every error answer.
pub(super) fn error_body(status: u16, message: &str) -> Value {
    let error = match status {
        400 => "invalid_request",
        401 => "unauthorized",
        403 => "insufficient_scope",
        404 => "not_found",
        409 => "conflict",
        429 => "too_many_requests",
        _ => "error",
    };
    json!({"error": error, "message": message})
}

/// A header as text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Demands a bearer token that opens `route`; whose it is.
pub(super) fn authorise(hub: &Hub, request: &HttpRequest, route: Route) -> Result<Arc<str>, Refusal> {
    let sent = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    admit(hub, auth::bearer(sent)?, route)
}

/// Demands that `token` opens `route`; whose it is. A fault may have delayed the request: the token must be good now.
pub(super) fn admit(hub: &Hub, token: &str, route: Route) -> Result<Arc<str>, Refusal> {
    Ok(hub.read(|state| state.tokens.check(token, route.scopes(), Instant::now()))?)
}

/// Demands `Content-Type: <expected>`, parameters aside.
pub(super) fn demand_content_type(headers: &HeaderMap, expected: &str) -> Result<(), Refusal> {
    let sent = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        Ok(())
    } else {
        Err(Refusal::violation(415, format!("content type '{sent}' is not {expected}")))
    }
}

/// Demands `Accept: application/json`.
pub(super) fn demand_accept_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let sent = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if sent == "application/json" {
        Ok(())
    } else {
        Err(Refusal::violation(406, format!("accept header '{sent}' is not application/json")))
    }
}

/// The `{id}` of the path, which must be safe.
pub(super) fn path_id(request: &HttpRequest) -> Result<String, Refusal> {
    let id = request.match_info().query("id");
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:@-".contains(&byte);
    if !id.is_empty() && id.len() <= MAX_ID_LENGTH && id.bytes().all(is_safe) {
        Ok(id.to_owned())
    } else {
        Err(Refusal::violation(400, format!("the id '{id}' in the path is not 1 to 200 of A-Z a-z 0-9 . _ ~ : @ -")))
    }
}

/// The body as JSON.
pub(super) fn parse(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::violation(400, format!("the body is no JSON: {error}")))
}

pub(super) async fn unknown_route(request: HttpRequest) -> HttpResponse {
    Refusal::violation(404, format!("no such route: {}", request.path())).into_response()
}

pub(super) async fn wrong_method(request: HttpRequest) -> HttpResponse {
    let reason = format!("{} is not the method of {}", request.method(), request.path());
    Refusal::violation(405, reason).into_response()
}

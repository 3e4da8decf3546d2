//! Answers and the verdicts that travel with them to the record, and what every call is checked for.
//!
//! Input: a request, or what a handler found. Output: a JSON answer that carries its [`Verdict`] as an extension, or a
//! [`Refusal`], which becomes one.

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, Accept, CONTENT_TYPE, Header as _, HeaderMap, QualityItem};
use actix_web::mime::Mime;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use serde_json::{Value, json};

use crate::base::contracts::{MAX_ID_LENGTH, Route, is_of_id};
use crate::serve::hub::Hub;
use crate::serve::record::Verdict;
use crate::serve::tokens::{self, Denial};

/// Why a request is turned away.
#[derive(Debug, thiserror::Error)]
#[error("answered {status}: {verdict:?}")]
pub(super) struct Refusal {
    status: u16,
    verdict: Verdict,
}

impl Refusal {
    /// The client broke the contract.
    pub(super) fn violation(status: u16, reason: impl Into<String>) -> Self {
        Self { status, verdict: Verdict::Violation { reason: reason.into() } }
    }

    /// The client could not know better.
    pub(super) fn refused(status: u16, reason: impl Into<String>) -> Self {
        Self { status, verdict: Verdict::Refused { reason: reason.into() } }
    }

    /// The token does not open the route.
    pub(super) fn denied(denial: &Denial, hub: &Hub) -> Self {
        Self { status: denial.status(), verdict: denial.verdict(hub.settings.strict) }
    }

    /// A body or a header that is not the contract's.
    pub(super) fn bad_request(reason: impl Into<String>) -> Self {
        Self::violation(400, reason)
    }
}

impl ResponseError for Refusal {
    fn error_response(&self) -> HttpResponse {
        let reason = match &self.verdict {
            Verdict::Violation { reason } | Verdict::Refused { reason } => reason,
            _ => "",
        };
        respond(self.status, error_body(self.status, reason).to_string(), self.verdict.clone())
    }
}

/// A JSON answer with its verdict.
pub(super) fn respond(status: u16, json: impl Into<web::Bytes>, verdict: Verdict) -> HttpResponse {
    with_verdict(HttpResponse::build(code(status)).content_type("application/json").body(json.into()), verdict)
}

/// A good JSON answer.
pub(super) fn accepted(json: impl Into<web::Bytes>) -> HttpResponse {
    respond(200, json, Verdict::Accepted)
}

/// A good answer without a body.
pub(super) fn empty(status: u16) -> HttpResponse {
    with_verdict(HttpResponse::new(code(status)), Verdict::Accepted)
}

/// An answer whose verdict the record shall have.
pub(super) fn with_verdict(mut response: HttpResponse, verdict: Verdict) -> HttpResponse {
    response.extensions_mut().insert(verdict);
    response
}

pub(super) fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
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
    let sent = header(request.headers(), AUTHORIZATION.as_str());
    admit(hub, tokens::bearer(sent).map_err(|denial| Refusal::denied(&denial, hub))?, route)
}

/// Demands that `token` opens `route`; whose it is. A fault may have delayed the request: the token must be good now.
pub(super) fn admit(hub: &Hub, token: &str, route: Route) -> Result<Arc<str>, Refusal> {
    let found = hub.read(|state| state.tokens.check(token, route.scopes(), Instant::now()));
    found.map_err(|denial| Refusal::denied(&denial, hub))
}

/// Demands `Content-Type: <expected>`, parameters aside.
pub(super) fn demand_content_type(headers: &HeaderMap, expected: &str) -> Result<(), Refusal> {
    let sent = header(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        Ok(())
    } else {
        Err(Refusal::violation(415, format!("content type '{sent}' is not {expected}")))
    }
}

/// Demands `Accept: application/json`, or without strict rules anything that takes JSON, as no such header does.
pub(super) fn demand_accept_json(hub: &Hub, request: &HttpRequest) -> Result<(), Refusal> {
    let sent = header(request.headers(), ACCEPT.as_str());
    let takes_json =
        |range: &QualityItem<Mime>| matches!(range.item.essence_str(), "application/json" | "application/*" | "*/*");
    let is_good = match sent {
        _ if hub.settings.strict => sent == Some("application/json"),
        None => true,
        Some(_) => Accept::parse(request).is_ok_and(|ranges| ranges.iter().any(takes_json)),
    };
    if is_good {
        return Ok(());
    }
    Err(Refusal::violation(406, format!("accept header '{}' is not application/json", sent.unwrap_or_default())))
}

/// The `{id}` of the path, which must be safe.
pub(super) fn path_id(request: &HttpRequest) -> Result<String, Refusal> {
    let id = request.match_info().query("id");
    if !id.is_empty() && id.len() <= MAX_ID_LENGTH && id.chars().all(is_of_id) {
        Ok(id.to_owned())
    } else {
        Err(Refusal::bad_request(format!("the id '{id}' in the path is not 1 to 200 of A-Z a-z 0-9 . _ ~ : @ -")))
    }
}

/// The body as JSON.
pub(super) fn parse(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("the body is no JSON: {error}")))
}

pub(super) async fn unknown_route(request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Err(Refusal::violation(404, format!("no such route: {}", request.path())))
}

pub(super) async fn wrong_method(request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let reason = format!("{} is not the method of {}", request.method(), request.path());
    Err(Refusal::violation(405, reason))
}

//! Around every route: the moment of arrival, the scripted fault if one is due, the entry in the record.
//!
//! Input: each request to a route of the contract, or to none. Output: its answer, or a broken connection. This is the
//! only place where faults act, so that a new kind of fault is one more arm here.

use std::time::{Instant, SystemTime};

use actix_web::body::{BodyStream, BoxBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HttpDate, RETRY_AFTER};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};
use futures_util::stream;
use serde_json::{Value, json};

use super::answer;
use crate::faults::{CutMoment, FaultKind, RetryAfter};
use crate::hub::Hub;
use crate::record::{Received, Route, Verdict};

/// Characters kept of a body that is no JSON.
const MAX_TEXT_KEPT: usize = 2000;

/// When a request's head was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival(pub(super) Instant);

pub(super) async fn observe(
    hub: web::Data<Hub>,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(route) = Route::of(request.path()) else {
        return next.call(request).await;
    };
    let now = Instant::now();
    request.extensions_mut().insert(Arrival(now));
    let body = match read_body(&mut request, route).await {
        Ok(body) => body,
        Err(refusal) => {
            let entry = entry(&hub, &request, route, now, &[]);
            let response = request.into_response(refusal.into_response());
            return Ok(file(&hub, entry, response));
        }
    };
    let entry = entry(&hub, &request, route, now, &body);
    match hub.update(|state| state.faults.take(route)) {
        Some(FaultKind::Answer { status, retry_after, body }) => {
            let response = request.into_response(scripted(status, retry_after, body));
            Ok(file(&hub, entry, response))
        }
        Some(FaultKind::Cut { moment: CutMoment::BeforeHandling }) => {
            file_cut(&hub, entry, Verdict::Scripted);
            Ok(request.into_response(cut()))
        }
        Some(FaultKind::Cut { moment: CutMoment::AfterHandling }) => {
            let response = next.call(request).await?;
            file_cut(&hub, entry, verdict_of(&response));
            Ok(response.into_response(cut()))
        }
        Some(FaultKind::Delay { by }) => {
            tokio::time::sleep(by).await;
            Ok(file(&hub, entry, next.call(request).await?))
        }
        None => Ok(file(&hub, entry, next.call(request).await?)),
    }
}

/// Reads the body and puts it back for the handler; a stream's payload is left alone.
async fn read_body(request: &mut ServiceRequest, route: Route) -> Result<web::Bytes, answer::Refusal> {
    if route == Route::Stream {
        return Ok(web::Bytes::new());
    }
    let body = request
        .extract::<web::Bytes>()
        .await
        .map_err(|error| answer::Refusal::violation(413, format!("the body can't be read: {error}")))?;
    request.set_payload(Payload::from(body.clone()));
    Ok(body)
}

fn entry(hub: &Hub, request: &ServiceRequest, route: Route, at: Instant, body: &[u8]) -> Received {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    Received {
        sequence: 0,
        at,
        since_start_ms: at.saturating_duration_since(hub.started_at).as_secs_f64() * 1000.0,
        route,
        method: request.method().to_string(),
        path: request.path().to_owned(),
        status: None,
        verdict: Verdict::Accepted,
        idempotency_key: header("idempotency-key").map(str::to_owned),
        body: body_value(route, body),
    }
}

fn body_value(route: Route, body: &[u8]) -> Option<Value> {
    if body.is_empty() {
        return None;
    }
    if route == Route::Token {
        let fields = super::token::fields(body).into_iter().map(|(name, value)| {
            let shown = if name == "client_secret" { "***".to_owned() } else { value };
            (name, json!(shown))
        });
        return Some(Value::Object(fields.collect()));
    }
    let text = || json!(String::from_utf8_lossy(body).chars().take(MAX_TEXT_KEPT).collect::<String>());
    Some(serde_json::from_slice(body).unwrap_or_else(|_| text()))
}

fn verdict_of(response: &ServiceResponse<BoxBody>) -> Verdict {
    let found = response.response().extensions().get::<Verdict>().cloned();
    found.unwrap_or_else(|| Verdict::Violation { reason: format!("answered {} before any handler", response.status()) })
}

fn file(hub: &Hub, mut entry: Received, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    entry.status = Some(response.status().as_u16());
    entry.verdict = verdict_of(&response);
    hub.update(|state| state.record.push(entry));
    response
}

fn file_cut(hub: &Hub, mut entry: Received, verdict: Verdict) {
    entry.verdict = verdict;
    hub.update(|state| state.record.push(entry));
}

fn scripted(status: u16, retry_after: Option<RetryAfter>, body: Option<String>) -> HttpResponse {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = HttpResponse::build(code);
    match retry_after {
        Some(RetryAfter::Seconds(seconds)) => {
            builder.insert_header((RETRY_AFTER, seconds));
        }
        Some(RetryAfter::DateIn(later)) => {
            builder.insert_header((RETRY_AFTER, HttpDate::from(SystemTime::now() + later)));
        }
        Some(RetryAfter::Literal(text)) => {
            builder.insert_header((RETRY_AFTER, text));
        }
        None => {}
    }
    let mut response = match body {
        Some(body) => builder.content_type("application/json").body(body),
        None => builder.json(answer::error_body(status, "scripted fault")),
    };
    response.extensions_mut().insert(Verdict::Scripted);
    response
}

/// An answer whose body fails before its first byte: the server drops the connection with the head unsent.
fn cut() -> HttpResponse {
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
    let body = stream::iter([Err::<web::Bytes, _>(broken)]);
    HttpResponse::Ok().body(BodyStream::new(body))
}

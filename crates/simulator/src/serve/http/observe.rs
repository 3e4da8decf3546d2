//! Around every route: the moment of arrival, the scripted fault if one is due, the entry in the record.
//!
//! Input: each request to a route of the contracts, or to none. Output: its answer, or a broken connection. A stray look
//! at a path that is nobody's is answered and not recorded. This is the only place where faults act; what they look like
//! stands in `faulty`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MODIFIED_SINCE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, ResponseError, web};

use super::{answer, faulty, form};
use crate::base::contracts::Route;
use crate::serve::faults::{CutMoment, FaultKind};
use crate::serve::hub::Hub;
use crate::serve::record::{Entry, Verdict};
use crate::serve::tokens;

/// Longer than any client waits, and an end to what a client that never gives up would hold.
const NEVER: Duration = Duration::from_mins(10);

/// A body of this type is read as a form on any route, for the secrets that it may hold.
const FORM: &str = "application/x-www-form-urlencoded";

/// When a request's head was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival(pub(super) Instant);

/// On the stream that a request opens no close frame is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoClose;

/// A request's body.
#[derive(Clone, Debug)]
pub(super) struct Body(pub(super) web::Bytes);

pub(super) async fn observe(
    hub: web::Data<Hub>,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(route) = Route::of(request.path()).filter(|route| *route != Route::Unknown || is_of_a_client(&request))
    else {
        return next.call(request).await;
    };
    let now = Instant::now();
    request.extensions_mut().insert(Arrival(now));
    let body = match read_body(&mut request, route).await {
        Ok(body) => body,
        Err(refusal) => {
            let entry = entry(&hub, &request, route, now, web::Bytes::new());
            let response = request.into_response(refusal.error_response());
            return Ok(file(&hub, entry, response));
        }
    };
    let entry = entry(&hub, &request, route, now, body);
    match hub.change_quietly(|state| state.faults.take(route)) {
        None => Ok(file(&hub, entry, next.call(request).await?)),
        Some(fault) => meet(fault, &hub, entry, request, next).await,
    }
}

/// Whether somebody who looks around in a browser or by curl would not send this.
fn is_of_a_client(request: &ServiceRequest) -> bool {
    request.method() != Method::GET
        || request.headers().contains_key(AUTHORIZATION)
        || Route::is_of_an_api(request.path())
}

/// What a request meets for which a fault is scripted.
async fn meet(
    fault: FaultKind,
    hub: &Hub,
    entry: Entry,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Some(answer) = faulty::in_place_of_the_handler(&fault) {
        return Ok(file(hub, entry, request.into_response(answer)));
    }
    match &fault {
        FaultKind::Delay { by } => tokio::time::sleep(*by).await,
        FaultKind::Interim { status } => faulty::send_interim(&request, *status)?,
        FaultKind::NoClose => drop(request.extensions_mut().insert(NoClose)),
        FaultKind::NoAnswer | FaultKind::Cut { moment: CutMoment::BeforeHandling } => {
            file_unanswered(hub, entry, Verdict::Scripted);
            if fault == FaultKind::NoAnswer {
                tokio::time::sleep(NEVER).await;
            }
            return Ok(request.into_response(faulty::cut()));
        }
        _ => {}
    }
    let response = next.call(request).await?;
    let response = match fault {
        FaultKind::Cut { moment } => {
            file_unanswered(hub, entry, verdict_of(&response));
            let has_body = !matches!(response.response().body().size(), BodySize::None | BodySize::Sized(0));
            return Ok(match moment {
                CutMoment::InBody if has_body => response.map_body(|_, body| faulty::cut_in_body(body)),
                _ => response.into_response(faulty::cut()),
            });
        }
        FaultKind::Gzip => response.map_body(faulty::gzip),
        FaultKind::Edit { find, replace } => response.map_body(|head, body| faulty::edit(head, body, &find, &replace)),
        _ => response,
    };
    Ok(file(hub, entry, response))
}

/// Reads the body once for record and handler; a stream's payload is left alone.
async fn read_body(request: &mut ServiceRequest, route: Route) -> Result<web::Bytes, answer::Refusal> {
    if route.is_stream() {
        return Ok(web::Bytes::new());
    }
    let body = request
        .extract::<web::Bytes>()
        .await
        .map_err(|error| answer::Refusal::violation(413, format!("the body can't be read: {error}")))?;
    // What was read into holds 8 KiB at least, and the record keeps twenty thousand of them.
    let body = web::Bytes::copy_from_slice(&body);
    request.extensions_mut().insert(Body(body.clone()));
    Ok(body)
}

fn entry(hub: &Hub, request: &ServiceRequest, route: Route, at: Instant, body: web::Bytes) -> Entry {
    let header = |name: &str| answer::header(request.headers(), name);
    let in_query;
    let presented = if route == Route::Stream {
        in_query = form::fields(request.query_string().as_bytes());
        in_query.iter().find(|(name, _)| name == "access_token").map(|(_, token)| token.as_str())
    } else {
        tokens::bearer(header(AUTHORIZATION.as_str())).ok()
    };
    let is_form = route == Route::Token || header(CONTENT_TYPE.as_str()).is_some_and(names_a_form);
    let shown = is_form.then(|| form::masked_form(&body));
    let asked = shown.as_ref().and_then(|form| form["client_id"].as_str()).map(Arc::from);
    let client = asked.or_else(|| hub.read(|state| state.tokens.owner(presented?)));
    let body = shown.map_or(body, |form| form.to_string().into());
    let mut entry = Entry::new(at, route, request.method().as_str(), request.path(), body);
    let query = Some(request.query_string()).filter(|query| !query.is_empty());
    entry.request.query = query.map(form::masked_query);
    entry.request.client_id = client.map(|client| client.to_string());
    entry.request.idempotency_key = header("idempotency-key").map(str::to_owned);
    entry.request.if_modified_since = header(IF_MODIFIED_SINCE.as_str()).map(str::to_owned);
    entry
}

fn names_a_form(content_type: &str) -> bool {
    content_type.get(..FORM.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(FORM))
}

fn verdict_of(response: &ServiceResponse<BoxBody>) -> Verdict {
    let found = response.response().extensions().get::<Verdict>().cloned();
    found.unwrap_or_else(|| Verdict::Violation { reason: format!("answered {} before any handler", response.status()) })
}

fn file(hub: &Hub, mut entry: Entry, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    entry.request.status = Some(response.status().as_u16());
    entry.request.verdict = verdict_of(&response);
    hub.update(|state| state.record.push(entry));
    response
}

fn file_unanswered(hub: &Hub, mut entry: Entry, verdict: Verdict) {
    entry.request.verdict = verdict;
    hub.update(|state| state.record.push(entry));
}

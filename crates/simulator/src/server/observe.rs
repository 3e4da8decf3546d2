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
use actix_web::{Error, HttpMessage, web};

use super::{answer, faulty, masking, token};
use crate::auth;
use crate::faults::{CutMoment, FaultKind};
use crate::hub::Hub;
use crate::record::{Entry, KeptBody, Verdict};
use crate::routes::Route;

/// Longer than any client waits, and an end to what a client that never gives up would hold.
const NEVER: Duration = Duration::from_mins(10);

/// A body of this type may hold a secret on any route.
const FORM: &str = "application/x-www-form-urlencoded";

/// When a request's head was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival(pub(super) Instant);

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
            let response = request.into_response(refusal.into_response());
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
    match fault {
        FaultKind::Answer { status, retry_after, body } => {
            let response = request.into_response(faulty::answer(status, retry_after, body));
            Ok(file(hub, entry, response))
        }
        FaultKind::Delay { by } => {
            tokio::time::sleep(by).await;
            Ok(file(hub, entry, next.call(request).await?))
        }
        FaultKind::NoAnswer => {
            file_unanswered(hub, entry, Verdict::Scripted);
            tokio::time::sleep(NEVER).await;
            Ok(request.into_response(faulty::cut()))
        }
        FaultKind::Cut { moment: CutMoment::BeforeHandling } => {
            file_unanswered(hub, entry, Verdict::Scripted);
            Ok(request.into_response(faulty::cut()))
        }
        FaultKind::Cut { moment: CutMoment::AfterHandling } => {
            let response = next.call(request).await?;
            file_unanswered(hub, entry, verdict_of(&response));
            Ok(response.into_response(faulty::cut()))
        }
        FaultKind::Cut { moment: CutMoment::InBody } => {
            let response = next.call(request).await?;
            file_unanswered(hub, entry, verdict_of(&response));
            if matches!(response.response().body().size(), BodySize::None | BodySize::Sized(0)) {
                return Ok(response.into_response(faulty::cut()));
            }
            Ok(response.map_body(|_, body| faulty::cut_in_body(body)))
        }
    }
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
        in_query = token::fields(request.query_string().as_bytes());
        in_query.iter().find(|(name, _)| name == "access_token").map(|(_, token)| token.as_str())
    } else {
        auth::bearer(header(AUTHORIZATION.as_str())).ok()
    };
    let query = Some(request.query_string()).filter(|query| !query.is_empty());
    let is_form = route == Route::Token || header(CONTENT_TYPE.as_str()).is_some_and(names_a_form);
    let form = is_form.then(|| masking::form(&body));
    let asked = form.as_ref().and_then(|form| form["client_id"].as_str()).map(Arc::from);
    Entry {
        at,
        route,
        method: request.method().to_string(),
        path: request.path().to_owned(),
        query: query.map(masking::query),
        client: asked.or_else(|| hub.read(|state| state.tokens.owner(presented?))),
        status: None,
        verdict: Verdict::Accepted,
        idempotency_key: header("idempotency-key").map(str::to_owned),
        if_modified_since: header(IF_MODIFIED_SINCE.as_str()).map(str::to_owned),
        body: form.map_or(KeptBody::Raw(body), KeptBody::Shown),
    }
}

fn names_a_form(content_type: &str) -> bool {
    content_type.get(..FORM.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(FORM))
}

fn verdict_of(response: &ServiceResponse<BoxBody>) -> Verdict {
    let found = response.response().extensions().get::<Verdict>().cloned();
    found.unwrap_or_else(|| Verdict::Violation { reason: format!("answered {} before any handler", response.status()) })
}

fn file(hub: &Hub, mut entry: Entry, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    entry.status = Some(response.status().as_u16());
    entry.verdict = verdict_of(&response);
    hub.update(|state| state.record.push(entry));
    response
}

fn file_unanswered(hub: &Hub, mut entry: Entry, verdict: Verdict) {
    entry.verdict = verdict;
    hub.update(|state| state.record.push(entry));
}

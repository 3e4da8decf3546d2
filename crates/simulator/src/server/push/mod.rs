//! A push of cards to the agent's desktop: what the five dialects have in common.
//!
//! Input: a bearer token with the route's scopes, the headers that every push carries, a body of the dialect's schema and
//! rules, an idempotency key. Output: 200 with what the dialect answers, shown on the desk once. 401 and 403 for the
//! token, 415 and 406 for headers, 400 for the body, the path, a missing header or a missing or misused key, 404 for an
//! interaction that is unknown or has ended, 409 for what a ranking conflicts with.

mod graph;
mod insights;
mod rag;
mod ranking;
mod snippets;

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use jsonschema::Validator;
use serde_json::Value;

use super::answer::{self, Refusal};
use super::observe::{Arrival, Body};
use crate::desk::Of;
use crate::hub::Hub;
use crate::idempotency::{self, KeyUse};
use crate::ledger::{Attribution, Standing};
use crate::record::Verdict;
use crate::routes::Route;
use crate::schema::{self, Schemas};
use crate::state::State;
pub(super) use graph::Graph;
pub(super) use insights::Insights;
pub(super) use rag::Rag;
pub(super) use ranking::Ranking;
pub(super) use snippets::Snippets;

/// Longest idempotency key; clients send a UUID.
const MAX_KEY_LENGTH: usize = 255;

/// How one contract pushes.
pub(super) trait Dialect {
    const ROUTE: Route;
    /// Whether a push makes an interaction that nobody has named.
    const BRINGS_INTO_BEING: bool;

    fn schema(schemas: &Schemas) -> &Validator;

    /// Headers beyond those that every push carries.
    fn check_headers(_headers: &HeaderMap) -> Result<(), Refusal> {
        Ok(())
    }

    /// The interaction of a body that the schema accepted, or the rule beyond the schema that it breaks.
    fn interaction(request: &HttpRequest, body: &Value) -> Result<String, Refusal>;

    /// What stands against a push for a live interaction now.
    fn conflict(_state: &State, _id: &str) -> Result<(), Refusal> {
        Ok(())
    }

    /// The answer to the push with this number.
    fn answer(id: &str, body: &Value, number: u64) -> Value;
}

pub(super) async fn push<D: Dialect>(
    hub: web::Data<Hub>,
    request: HttpRequest,
    arrival: web::ReqData<Arrival>,
    body: web::ReqData<Body>,
) -> HttpResponse {
    let arrived = arrival.into_inner().0;
    let taken = check::<D>(&hub, &request, body.into_inner().0)
        .and_then(|push| hub.update(|state| show::<D>(&hub, state, push, arrived)));
    match taken {
        Ok((answer, verdict)) => answer::respond(200, answer, verdict),
        Err(refusal) => refusal.into_response(),
    }
}

/// A push that is good by itself.
struct Checked {
    client: Arc<str>,
    key: String,
    interaction_id: String,
    fingerprint: u64,
    raw: web::Bytes,
    body: Value,
}

fn check<D: Dialect>(hub: &Hub, request: &HttpRequest, raw: web::Bytes) -> Result<Checked, Refusal> {
    let client = answer::authorise(hub, request, D::ROUTE)?;
    answer::demand_content_type(request.headers(), "application/json")?;
    answer::demand_accept_json(request.headers())?;
    D::check_headers(request.headers())?;
    let body = answer::parse(&raw)?;
    schema::check(D::schema(&hub.schemas), &body).map_err(bad_body)?;
    let interaction_id = D::interaction(request, &body)?;
    let key = idempotency_key(request.headers())?;
    Ok(Checked { client, key, interaction_id, fingerprint: idempotency::fingerprint(&raw), raw, body })
}

fn bad_body(reason: impl Into<String>) -> Refusal {
    Refusal::violation(400, reason)
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, Refusal> {
    let key = answer::header(headers, "idempotency-key").filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| bad_body("the header Idempotency-Key is missing"))?;
    if key.len() > MAX_KEY_LENGTH {
        return Err(bad_body("the header Idempotency-Key is longer than 255 characters"));
    }
    Ok(key.to_owned())
}

/// Shows a push, unless its key or its interaction forbids it.
fn show<D: Dialect>(
    hub: &Hub,
    state: &mut State,
    push: Checked,
    arrived: Instant,
) -> Result<(web::Bytes, Verdict), Refusal> {
    match state.tenant(&push.client).keys.look_up(&push.key, push.fingerprint) {
        KeyUse::Repeated(first) => return Ok((first, Verdict::Repeated)),
        KeyUse::Misused => return Err(bad_body("the Idempotency-Key was used with another body before")),
        KeyUse::New => {}
    }
    let id = &push.interaction_id;
    demand_live::<D>(hub, state, &push.client, id, arrived)?;
    D::conflict(state, id)?;
    let of = Of { client: &push.client, id };
    let attribution = state.place(of, D::ROUTE, (push.fingerprint, push.raw), arrived);
    let answer = D::answer(id, &push.body, state.next_answer()).to_string();
    let answer = web::Bytes::from(answer);
    state.tenant(&push.client).keys.keep(&push.key, push.fingerprint, answer.clone(), arrived);
    let verdict = match attribution {
        Attribution::Duplicate => Verdict::Duplicate,
        Attribution::Turn { .. } | Attribution::Unprompted => Verdict::Accepted,
    };
    Ok((answer, verdict))
}

/// Demands an interaction of this client that is live, or makes one where the contract has nobody to name it.
fn demand_live<D: Dialect>(
    hub: &Hub,
    state: &mut State,
    client: &Arc<str>,
    id: &str,
    now: Instant,
) -> Result<(), Refusal> {
    match state.standing(client, id) {
        Standing::Live => Ok(()),
        Standing::Ended => Err(Refusal::refused(404, format!("the interaction {id} has ended"))),
        Standing::Unknown if D::BRINGS_INTO_BEING && !hub.settings.known_interactions_only => {
            state.tenant(client).ledger.open(id, now);
            Ok(())
        }
        Standing::Unknown if !D::BRINGS_INTO_BEING && state.belongs_to_another(client, id) => {
            Err(Refusal::violation(403, format!("the interaction {id} belongs to another client")))
        }
        Standing::Unknown => Err(Refusal::violation(404, format!("the interaction {id} is unknown"))),
    }
}

/// The list under `field`; the schema has seen that it is one.
fn list<'a>(body: &'a Value, field: &str) -> &'a [Value] {
    body[field].as_array().map_or(&[][..], Vec::as_slice)
}

/// Now, to the second, as the documents write it.
fn timestamp() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

//! A push of cards to the agent's desktop: what the five dialects have in common.
//!
//! Input: a bearer token with the route's scopes, the headers that every push carries, a body of the dialect's schema and
//! rules, an idempotency key. Output: 200 with what the dialect answers, shown on the desk once. 401 and 403 for the
//! token, 415 and 406 for headers, 400 for the body, the path, a missing header or a missing or misused key, 404 for an
//! interaction that is unknown or has ended, 409 for what a ranking conflicts with.

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use jsonschema::Validator;
use serde_json::Value;

use super::answer::{self, Refusal};
use super::observe::{Arrival, Body};
use crate::base::contracts::Route;
use crate::base::turns::Attribution;
use crate::desktop::{Of, Push};
use crate::serve::hub::Hub;
use crate::serve::idempotency::{self, KeyUse};
use crate::serve::interactions::Standing;
use crate::serve::record::Verdict;
use crate::serve::schema::{self, Schemas};
use crate::serve::state::State;

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
) -> Result<HttpResponse, Refusal> {
    let push = check::<D>(&hub, &request, body.into_inner().0)?;
    let (answer, verdict) = hub.update(|state| show::<D>(&hub, state, push, arrival.0))?;
    Ok(answer::respond(200, answer, verdict))
}

/// A push that is good by itself.
struct Checked {
    client: Arc<str>,
    key: Option<String>,
    interaction_id: String,
    fingerprint: u64,
    raw: web::Bytes,
    body: Value,
}

fn check<D: Dialect>(hub: &Hub, request: &HttpRequest, raw: web::Bytes) -> Result<Checked, Refusal> {
    let client = answer::authorise(hub, request, D::ROUTE)?;
    answer::demand_content_type(request.headers(), "application/json")?;
    answer::demand_accept_json(hub, request)?;
    D::check_headers(request.headers())?;
    let body = answer::parse(&raw)?;
    schema::check(D::schema(&hub.schemas), &body).map_err(Refusal::bad_request)?;
    let interaction_id = D::interaction(request, &body)?;
    let key = idempotency_key(hub, request.headers())?;
    Ok(Checked { client, key, interaction_id, fingerprint: idempotency::fingerprint(&raw), raw, body })
}

fn idempotency_key(hub: &Hub, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    match answer::header(headers, "idempotency-key").filter(|key| !key.is_empty()) {
        None if hub.settings.strict => Err(Refusal::bad_request("the header Idempotency-Key is missing")),
        Some(key) if key.len() > MAX_KEY_LENGTH => {
            Err(Refusal::bad_request("the header Idempotency-Key is longer than 255 characters"))
        }
        key => Ok(key.map(str::to_owned)),
    }
}

/// Shows a push, unless its key or its interaction forbids it.
fn show<D: Dialect>(
    hub: &Hub,
    state: &mut State,
    push: Checked,
    arrived: Instant,
) -> Result<(web::Bytes, Verdict), Refusal> {
    let keys = &state.tenant(&push.client).keys;
    match push.key.as_ref().map(|key| keys.look_up(key, push.fingerprint)) {
        Some(KeyUse::Repeated(first)) => return Ok((first, Verdict::Repeated)),
        Some(KeyUse::Misused) => {
            return Err(Refusal::bad_request("the Idempotency-Key was used with another body before"));
        }
        Some(KeyUse::New) | None => {}
    }
    let id = &push.interaction_id;
    demand_live::<D>(hub, state, &push.client, id, arrived)?;
    D::conflict(state, id)?;
    let of = Of { client: &push.client, id };
    let decision = push.key.as_ref().and_then(|key| key.parse().ok());
    let shown = Push { route: D::ROUTE, body: push.raw, decision };
    let attribution = state.place(of, shown, push.fingerprint, arrived);
    let answer = D::answer(id, &push.body, state.next_answer()).to_string();
    let answer = web::Bytes::from(answer);
    if let Some(key) = &push.key {
        state.tenant(&push.client).keys.keep(key, push.fingerprint, answer.clone(), arrived);
    }
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
            state.tenant(client).interactions.open(id, now);
            Ok(())
        }
        Standing::Unknown if !D::BRINGS_INTO_BEING && state.belongs_to_another(client, id) => {
            Err(Refusal::violation(403, format!("the interaction {id} belongs to another client")))
        }
        Standing::Unknown => Err(Refusal::violation(404, format!("the interaction {id} is unknown"))),
    }
}

/// The list under `field`; the schema has seen that it is one.
pub(super) fn list<'a>(body: &'a Value, field: &str) -> &'a [Value] {
    body[field].as_array().map_or(&[][..], Vec::as_slice)
}

/// Now, to the second, as the documents write it.
pub(super) fn timestamp() -> String {
    format!("{:.0}", jiff::Timestamp::now())
}

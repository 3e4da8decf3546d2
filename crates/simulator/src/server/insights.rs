//! `POST /api/v2/agentassist/insights`: a push of cards to the agent's desktop.
//!
//! Input: a body of the schema, a bearer token, an idempotency key. Output: 200 with an id, shown on the desk once.
//! 401 and 403 for the token, 415 and 406 for headers, 400 for the body or a missing or misused key, 404 for an
//! interaction that is unknown or has ended.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::answer::{self, Refusal};
use super::observe::Arrival;
use crate::hub::{Hub, State};
use crate::idempotency::KeyUse;
use crate::ledger::{Attribution, Standing};
use crate::record::Verdict;
use crate::schema;
use crate::settings::SCOPE_INSIGHTS;

pub(super) async fn push(
    hub: web::Data<Hub>,
    request: HttpRequest,
    arrival: web::ReqData<Arrival>,
    body: web::Bytes,
) -> HttpResponse {
    let arrived = arrival.into_inner().0;
    let taken = check(&hub, &request, &body).and_then(|checked| hub.update(|state| show(state, &checked, arrived)));
    match taken {
        Ok((answer, verdict)) => answer::respond(200, &answer, verdict),
        Err(refusal) => refusal.into_response(),
    }
}

/// A push that is good by itself.
struct Checked {
    key: String,
    interaction_id: String,
    body: Value,
}

fn check(hub: &Hub, request: &HttpRequest, body: &[u8]) -> Result<Checked, Refusal> {
    // A fault may have delayed the request: the token must be good now.
    answer::authorise(hub, request, SCOPE_INSIGHTS, Instant::now())?;
    answer::demand_content_type(request.headers(), "application/json")?;
    answer::demand_accept_json(request.headers())?;
    let body = answer::parse(body)?;
    let bad_body = |reason| Refusal::violation(400, reason);
    schema::check(&hub.schemas.insights_push, &body).map_err(bad_body)?;
    let interaction_id = schema::check_push_rules(&body).map_err(bad_body)?;
    let key = request.headers().get("idempotency-key").and_then(|value| value.to_str().ok());
    let key = key
        .filter(|key| !key.is_empty())
        .ok_or_else(|| Refusal::violation(400, "the header Idempotency-Key is missing"))?
        .to_owned();
    Ok(Checked { key, interaction_id, body })
}

/// Shows a push, unless its key or its interaction forbids it.
fn show(state: &mut State, push: &Checked, arrived: Instant) -> Result<(Value, Verdict), Refusal> {
    match state.keys.look_up(&push.key, &push.body) {
        KeyUse::Repeated(first) => return Ok((first, Verdict::Repeated)),
        KeyUse::Misused => {
            return Err(Refusal::violation(400, "the Idempotency-Key was used with another body before"));
        }
        KeyUse::New => {}
    }
    let id = &push.interaction_id;
    match state.ledger.standing(id) {
        Standing::Unknown => return Err(Refusal::violation(404, format!("the interaction {id} is unknown"))),
        Standing::Ended => return Err(Refusal::refused(404, format!("the interaction {id} has ended"))),
        Standing::Live => {}
    }
    let insights = push.body["insights"].as_array().map_or(&[][..], Vec::as_slice);
    let attribution = state.ledger.place(id, fingerprint(&push.body["insights"]), arrived);
    state.desk.show(id, insights, attribution);
    let answer = json!({"id": uuid::Uuid::new_v4().to_string(), "status": "delivered"});
    state.keys.keep(&push.key, &push.body, &answer);
    let verdict = match attribution {
        Attribution::Duplicate => Verdict::Duplicate,
        Attribution::Turn { .. } | Attribution::Unprompted => Verdict::Accepted,
    };
    Ok((answer, verdict))
}

fn fingerprint(insights: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    insights.to_string().hash(&mut hasher);
    hasher.finish()
}

//! `GET /api/v2/agentassist/sessions/{id}`: whether a session takes a ranking now.
//!
//! Input: a bearer token. Output: `{id, state}`, the state being `active`, `locked` or `ended`. 401 and 403 for the
//! token, 400 for an id that is not safe, 404 for a session that nobody knows.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::answer::{self, Refusal};
use crate::hub::Hub;
use crate::ledger::Standing;
use crate::record::Verdict;
use crate::routes::Route;

pub(super) async fn look(hub: web::Data<Hub>, request: HttpRequest) -> HttpResponse {
    match state_of(&hub, &request) {
        Ok(session) => answer::respond(200, session.to_string(), Verdict::Accepted),
        Err(refusal) => refusal.into_response(),
    }
}

fn state_of(hub: &Hub, request: &HttpRequest) -> Result<Value, Refusal> {
    let client = answer::authorise(hub, request, Route::Session)?;
    let id = answer::path_id(request)?;
    let state = hub.read(|state| match state.standing(&client, &id) {
        _ if state.is_locked(&id) => Some("locked"),
        Standing::Live => Some("active"),
        Standing::Ended => Some("ended"),
        Standing::Unknown => None,
    });
    let state = state.ok_or_else(|| Refusal::violation(404, format!("the session {id} is unknown")))?;
    Ok(json!({"id": id, "state": state}))
}

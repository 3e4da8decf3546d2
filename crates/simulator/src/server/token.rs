//! `POST /oauth/token`: client credentials for a token.
//!
//! Input: a form with exactly `grant_type`, `client_id` and `client_secret`. Output: a token that lasts as long as the
//! settings say. 401 for a client that is not known, 400 for anything else that is wrong.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::answer::{self, Refusal};
use super::observe::Arrival;
use crate::hub::Hub;
use crate::record::Verdict;
use crate::schema;

pub(super) async fn issue(
    hub: web::Data<Hub>,
    request: HttpRequest,
    arrival: web::ReqData<Arrival>,
    body: web::Bytes,
) -> HttpResponse {
    match grant(&hub, &request, arrival.into_inner(), &body) {
        Ok(token) => answer::respond(200, &token, Verdict::Accepted),
        Err(refusal) => refusal.into_response(),
    }
}

fn grant(hub: &Hub, request: &HttpRequest, arrival: Arrival, body: &[u8]) -> Result<Value, Refusal> {
    answer::demand_content_type(request.headers(), "application/x-www-form-urlencoded")?;
    let form = form(body)?;
    schema::check(&hub.schemas.token_request, &form).map_err(|reason| Refusal::violation(400, reason))?;
    let client = hub
        .settings
        .clients
        .iter()
        .find(|client| form["client_id"] == client.id.as_str() && form["client_secret"] == client.secret.as_str())
        .ok_or_else(|| Refusal::violation(401, "unknown client, or a wrong secret"))?;
    let token = format!("sim-{}", uuid::Uuid::new_v4().simple());
    let lifetime = hub.settings.token_lifetime;
    hub.update(|state| state.tokens.issue(token.clone(), client, lifetime, arrival.0));
    Ok(json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": lifetime.as_secs(),
        "scope": client.scopes.join(" "),
    }))
}

/// The form as an object; a field that is there twice is refused.
fn form(body: &[u8]) -> Result<Value, Refusal> {
    let mut object = serde_json::Map::new();
    for (name, value) in fields(body) {
        if object.insert(name.clone(), json!(value)).is_some() {
            return Err(Refusal::violation(400, format!("the field {name} is there twice")));
        }
    }
    Ok(Value::Object(object))
}

/// The fields of a form; none when it can't be read.
pub(super) fn fields(body: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(body);
    web::Query::<Vec<(String, String)>>::from_query(&text).map_or_else(|_| Vec::new(), web::Query::into_inner)
}

//! `POST /oauth/token`, `/oauth2/token` and `/api/v2/oauth/token`: client credentials for a token.
//!
//! Input: a form of `grant_type`, `client_id`, `client_secret` and at most a `scope`. Output: a token that lasts as long
//! as the settings say and grants what was asked for, or all that the client may have. 401 for a client that is not
//! known, 400 for anything else that is wrong.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::answer::{self, Refusal};
use super::observe::{Arrival, Body};
use crate::auth;
use crate::hub::Hub;
use crate::record::Verdict;
use crate::schema;

pub(super) async fn issue(
    hub: web::Data<Hub>,
    request: HttpRequest,
    arrival: web::ReqData<Arrival>,
    body: web::ReqData<Body>,
) -> HttpResponse {
    match grant(&hub, &request, arrival.into_inner(), &body.0) {
        Ok(token) => answer::respond(200, token.to_string(), Verdict::Accepted),
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
    let scopes = auth::granted(client, form["scope"].as_str()).map_err(|reason| Refusal::violation(400, reason))?;
    let token = format!("sim-{}", uuid::Uuid::new_v4().simple());
    let lifetime = hub.settings.token_lifetime;
    let scope = scopes.join(" ");
    hub.update(|state| state.tokens.issue(&token, &client.id, scopes, lifetime, arrival.0));
    Ok(json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": lifetime.as_secs(),
        "scope": scope,
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

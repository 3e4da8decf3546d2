//! `POST /oauth/token`, `/oauth2/token` and `/api/v2/oauth/token`: client credentials for a token.
//!
//! Input: a form of `grant_type`, `client_id`, `client_secret` and at most a `scope`. Output: a token that lasts as long
//! as the settings say and grants what was asked for, or all that the client may have. 401 for a client that is not
//! known, 400 for anything else that is wrong.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::answer::{self, Refusal};
use super::form;
use super::observe::{Arrival, Body};
use crate::serve::hub::Hub;
use crate::serve::schema;
use crate::serve::tokens;

pub(super) async fn issue(
    hub: web::Data<Hub>,
    request: HttpRequest,
    arrival: web::ReqData<Arrival>,
    body: web::ReqData<Body>,
) -> Result<HttpResponse, Refusal> {
    answer::demand_content_type(request.headers(), "application/x-www-form-urlencoded")?;
    let form = read(&body.0)?;
    schema::check(&hub.schemas.token_request, &form).map_err(Refusal::bad_request)?;
    let client = hub
        .settings
        .clients
        .iter()
        .find(|client| form["client_id"] == client.id.as_str() && form["client_secret"] == client.secret.as_str())
        .ok_or_else(|| Refusal::violation(401, "unknown client, or a wrong secret"))?;
    let scopes = tokens::granted(client, form["scope"].as_str()).map_err(Refusal::bad_request)?;
    let token = format!("sim-{}", uuid::Uuid::new_v4().simple());
    let lifetime = hub.settings.token_lifetime;
    let scope = scopes.join(" ");
    hub.update(|state| state.tokens.issue(&token, &client.id, scopes, lifetime, arrival.0));
    let granted = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": lifetime.as_secs(),
        "scope": scope,
    });
    Ok(answer::accepted(granted.to_string()))
}

/// The form as an object; a field that is there twice is refused.
fn read(body: &[u8]) -> Result<Value, Refusal> {
    let mut object = serde_json::Map::new();
    for (name, value) in form::fields(body) {
        if object.insert(name.clone(), json!(value)).is_some() {
            return Err(Refusal::bad_request(format!("the field {name} is there twice")));
        }
    }
    Ok(Value::Object(object))
}

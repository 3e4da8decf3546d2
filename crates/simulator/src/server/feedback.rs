//! `POST /api/v2/ai/training/feedback`: what the agent thought of a card.
//!
//! Input: a body of the schema and a bearer token. Output: 204. 401 and 403 for the token, 415 for the content type, 400
//! for the body, 404 for an interaction that this client does not know. Feedback for an ended interaction is welcome: it
//! is stored and may be sent long after.

use actix_web::{HttpRequest, HttpResponse, web};

use super::answer::{self, Refusal};
use super::observe::Body;
use crate::desk::Of;
use crate::hub::Hub;
use crate::ledger::Standing;
use crate::routes::Route;
use crate::schema;

pub(super) async fn take(hub: web::Data<Hub>, request: HttpRequest, body: web::ReqData<Body>) -> HttpResponse {
    match learn(&hub, &request, &body.0) {
        Ok(()) => answer::empty(204),
        Err(refusal) => refusal.into_response(),
    }
}

fn learn(hub: &Hub, request: &HttpRequest, body: &[u8]) -> Result<(), Refusal> {
    let client = answer::authorise(hub, request, Route::Feedback)?;
    answer::demand_content_type(request.headers(), "application/json")?;
    let body = answer::parse(body)?;
    schema::check(&hub.schemas.training_feedback, &body).map_err(|reason| Refusal::violation(400, reason))?;
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let (id, insight_id) = (text("interactionId"), text("insightId"));
    hub.update(|state| {
        if state.standing(&client, id) == Standing::Unknown {
            return Err(Refusal::violation(404, format!("the interaction {id} is unknown")));
        }
        state.desk.note_training(Of { client: &client, id }, insight_id);
        Ok(())
    })
}

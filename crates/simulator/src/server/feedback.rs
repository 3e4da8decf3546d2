//! `POST /api/v2/ai/training/feedback`: what the agent thought of a card.
//!
//! Input: a body of the schema and a bearer token. Output: 204. 401 and 403 for the token, 415 for the content type, 400
//! for the body, 404 for an interaction that nobody knows. Feedback for an ended interaction is welcome: it is stored
//! and may be sent long after.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, web};

use super::answer::{self, Refusal};
use crate::hub::Hub;
use crate::ledger::Standing;
use crate::record::Verdict;
use crate::schema;
use crate::settings::SCOPE_TRAINING;

pub(super) async fn take(hub: web::Data<Hub>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    match learn(&hub, &request, &body) {
        Ok(()) => {
            let mut response = HttpResponse::NoContent().finish();
            response.extensions_mut().insert(Verdict::Accepted);
            response
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn learn(hub: &Hub, request: &HttpRequest, body: &[u8]) -> Result<(), Refusal> {
    answer::authorise(hub, request, SCOPE_TRAINING, Instant::now())?;
    answer::demand_content_type(request.headers(), "application/json")?;
    let body = answer::parse(body)?;
    schema::check(&hub.schemas.training_feedback, &body).map_err(|reason| Refusal::violation(400, reason))?;
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let (id, insight_id) = (text("interactionId"), text("insightId"));
    hub.update(|state| {
        if state.ledger.standing(id) == Standing::Unknown {
            return Err(Refusal::violation(404, format!("the interaction {id} is unknown")));
        }
        state.desk.note_training(id, insight_id);
        Ok(())
    })
}

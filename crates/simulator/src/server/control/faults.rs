//! Calls that make things go wrong: faults, tokens, interactions, locks.

use std::time::Instant;

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::streams::WhichStreams;
use super::{done, found, refused};
use crate::faults::FaultOrder;
use crate::hub::Hub;
use crate::routes::Route;

pub(super) fn routes(service: &mut web::ServiceConfig) {
    service
        .route("/faults", web::post().to(add_fault))
        .route("/faults", web::delete().to(clear_faults))
        .route("/tokens/expire", web::post().to(expire_tokens))
        .route("/interactions/{id}", web::post().to(open_interaction))
        .route("/interactions/{id}/end", web::post().to(end_interaction))
        .route("/sessions/{id}/lock", web::post().to(lock_session))
        .route("/sessions/{id}/unlock", web::post().to(unlock_session));
}

async fn add_fault(hub: web::Data<Hub>, order: web::Json<FaultOrder>) -> HttpResponse {
    let (fault, every) = match order.into_inner().checked() {
        Ok(checked) => checked,
        Err(reason) => return refused(400, &reason),
    };
    if hub.update(|state| state.faults.add(fault, every)) {
        done()
    } else {
        refused(409, "there are too many faults on this route, clear them first")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnRoute {
    route: Option<Route>,
}

async fn clear_faults(hub: web::Data<Hub>, on: web::Query<OnRoute>) -> HttpResponse {
    hub.update(|state| state.faults.clear(on.route));
    done()
}

async fn expire_tokens(hub: web::Data<Hub>) -> HttpResponse {
    hub.update(|state| state.tokens.revoke_all());
    done()
}

async fn open_interaction(hub: web::Data<Hub>, id: web::Path<String>) -> HttpResponse {
    hub.update(|state| state.open_interaction(&id, Instant::now()));
    done()
}

async fn end_interaction(hub: web::Data<Hub>, id: web::Path<String>, which: web::Query<WhichStreams>) -> HttpResponse {
    let audience = which.into_inner().into();
    let was_live = hub.update(|state| state.end_interaction(&audience, &id, Instant::now()));
    found(was_live, "no live interaction of that id")
}

async fn lock_session(hub: web::Data<Hub>, id: web::Path<String>) -> HttpResponse {
    if hub.update(|state| state.lock_session(&id)) { done() } else { refused(409, "too many sessions are locked") }
}

async fn unlock_session(hub: web::Data<Hub>, id: web::Path<String>) -> HttpResponse {
    found(hub.update(|state| state.unlock_session(&id)), "no locked session of that id")
}

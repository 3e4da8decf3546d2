//! How the service is at a glance: readiness, profiles, actors, and the totals of the flow, from which the page makes rates.

use std::sync::PoisonError;
use std::time::Duration;

use actix_web::web::Bytes;
use cuecard_actors::messages::ProfileName;
use cuecard_actors::tenant::{Tenant, Tenants};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::{AdminState, routes};
use super::feed;

/// What is seen.
fn glance(state: &AdminState) -> Value {
    let tenants: Vec<_> = state.tenants.get().into_iter().flat_map(Tenants::iter).collect();
    let names: Vec<&ProfileName> = tenants.iter().map(|tenant| tenant.name()).collect();
    let acceptance = state.ledger.get().map(|ledger| ledger.deliveries().acceptance());
    json!({
        "at_seconds": state.started.elapsed().as_secs_f64(),
        "version": env!("CARGO_PKG_VERSION"),
        "readiness": routes::readiness(state).1,
        "actors": state.metrics.cells().iter().map(|cell| cell.report()).collect::<Vec<_>>(),
        "flow": state.metrics.flow(&names),
        "acceptance": acceptance.map(|judged| json!({ "accepted": judged.accepted, "rejected": judged.rejected })),
        "profiles": tenants.iter().map(|tenant| profile(state, tenant)).collect::<Vec<_>>(),
    })
}

fn profile(state: &AdminState, tenant: &Tenant) -> Value {
    let settings = &tenant.profile;
    let index = tenant.knowledge.index.as_ref().map(|handle| {
        let index = handle.current();
        json!({
            "generation": index.generation(),
            "articles": index.len(),
            "built_at": index.manifest().built_at,
        })
    });
    let polls = settings.knowledge.sync.is_some().then(|| state.metrics.polls(tenant.name()));
    json!({
        "name": settings.name,
        "contract": settings.contract.to_string(),
        "dialect": settings.dialect.to_string(),
        "ranker": settings.plan.ranker.name(),
        "pushes": settings.pushes,
        "keeps_words": settings.learning.keeps_words,
        "has_shadow": tenant.shadow.is_some(),
        "shedding": state.metrics.shedding(tenant.name()),
        "health": tenant.health.report(),
        "index": index,
        "polls": polls,
    })
}

/// The event that all feeds send, made anew when it is as old as the time between two of them.
pub(super) fn event(state: &AdminState, every: Duration) -> Bytes {
    let mut sample = state.console.sample.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    match &*sample {
        // The feeds' clocks differ: half of the time, so that each gets a fresh one of its own or of its neighbour.
        Some((made, event)) if now.duration_since(*made) < every / 2 => event.clone(),
        _ => {
            let event = Bytes::from(feed::event("state", &glance(state)));
            *sample = Some((now, event.clone()));
            event
        }
    }
}

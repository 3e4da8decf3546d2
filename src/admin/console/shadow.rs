//! What shadow mode would have shown: the cards of profiles that push none, and what second rankers would have shown instead.

use actix_web::{HttpResponse, web};
use cuecard_actors::decisions::DecisionFilter;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::AdminState;
use super::super::routes::loading;
use super::decisions::{Summary, summary};
use crate::detail::Detail;

/// Decisions that are looked through, the newest; each is some 20 KiB.
const LOOKED_THROUGH: usize = 500;

/// What shadow mode has something to say of.
#[derive(Serialize, ToSchema)]
struct Shadowed {
    /// Decisions that were looked through, the newest.
    looked_through: usize,
    /// Those of them, newest first.
    decisions: Vec<Summary>,
}

/// Of the newest decisions those that shadow mode has something to say of, newest first.
#[utoipa::path(
    get, path = "/console/shadow", operation_id = "list_shadowed", tag = "console",
    summary = "What shadow mode would have shown",
    responses(
        (status = 200, description = "the newest first", body = Shadowed),
        (status = 500, description = "the decisions can't be read", body = Detail),
        (status = 503, description = "the service is still loading", body = Detail),
    ),
)]
pub async fn list(state: web::Data<AdminState>) -> HttpResponse {
    let Some(recent) = state.recent.get().cloned() else { return loading() };
    let Ok(_busy) = state.console.busy.acquire().await else { return loading() };
    let read = web::block(move || {
        let newest = recent.newest(&DecisionFilter::default(), LOOKED_THROUGH);
        let shadowed: Vec<_> = newest.iter().filter_map(|json| summary(json)).filter(is_shadowed).collect();
        (newest.len(), shadowed)
    });
    match read.await {
        Ok((looked_through, decisions)) => HttpResponse::Ok().json(Shadowed { looked_through, decisions }),
        Err(error) => HttpResponse::InternalServerError().json(Detail::new(error.to_string())),
    }
}

/// Whether a card was held back, or a second ranker would have changed what the agent sees first.
fn is_shadowed(decision: &Summary) -> bool {
    let first = |cards: &[String]| cards.first().cloned();
    let differs = |shadow: &super::decisions::Answered| first(&shadow.cards) != first(&decision.live.cards);
    decision.outcome == "withheld" || decision.shadow.as_ref().is_some_and(differs)
}

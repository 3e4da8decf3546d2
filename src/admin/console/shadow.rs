//! What shadow mode would have shown: the cards of profiles that push none, and what second rankers would have shown instead.

use actix_web::{HttpResponse, web};
use cuecard_actors::decisions::DecisionFilter;
use serde_json::json;

use super::super::AdminState;
use super::super::routes::loading;
use super::decisions::{Summary, summary};

/// Decisions that are looked through, the newest; each is some 20 KiB.
const LOOKED_THROUGH: usize = 500;

/// Of the newest decisions those that shadow mode has something to say of, newest first.
pub async fn list(state: web::Data<AdminState>) -> HttpResponse {
    let Some(recent) = state.recent.get().cloned() else { return loading() };
    let Ok(_busy) = state.console.busy.acquire().await else { return loading() };
    let read = web::block(move || {
        let newest = recent.newest(&DecisionFilter::default(), LOOKED_THROUGH);
        let shadowed: Vec<_> = newest.iter().filter_map(|json| summary(json)).filter(is_shadowed).collect();
        (newest.len(), shadowed)
    });
    match read.await {
        Ok((looked_through, decisions)) => {
            HttpResponse::Ok().json(json!({ "looked_through": looked_through, "decisions": decisions }))
        }
        Err(error) => HttpResponse::InternalServerError().json(json!({ "detail": error.to_string() })),
    }
}

/// Whether a card was held back, or a second ranker would have changed what the agent sees first.
fn is_shadowed(decision: &Summary) -> bool {
    let first = |cards: &[String]| cards.first().cloned();
    let differs = |shadow: &super::decisions::Answered| first(&shadow.cards) != first(&decision.live.cards);
    decision.outcome == "withheld" || decision.shadow.as_ref().is_some_and(differs)
}

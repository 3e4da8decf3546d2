//! The ledger by the admin port: how it is, what was set aside, and what of a customer's interaction is erased.

use std::collections::HashSet;

use actix_web::{HttpResponse, web};
use cuecard_actors::ledger::{DeadItem, FeedbackPayload, ItemId, Ledger, LedgerError, QueueKind};
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::routes::{loading, not_found, unavailable, unprocessable};

/// Items that are listed at most, and if nobody says how many.
const MOST_LISTED: u32 = 1000;
const LISTED: u32 = 100;

/// What is wrong with the ledger.
pub(super) fn trouble(ledger: &Ledger) -> Option<String> {
    let health = ledger.health();
    let failing = health.failing.map(|(since, reason)| format!("can't be written since {since}: {reason}"));
    let elsewhere = health.claimed_elsewhere.map(|since| {
        format!(
            "another session has its schema since {since}: another service, which must be stopped, or one of this service that \
             a network cut off, which the server misses within minutes"
        )
    });
    failing.or(elsewhere).or_else(|| health.damage.map(|damage| damage.to_string()))
}

/// How the ledger is, for `/readyz`: cards go on without it.
pub(super) fn readiness(ledger: &Ledger) -> Value {
    let Some(reason) = trouble(ledger) else { return json!({ "state": "ready" }) };
    let waiting: serde_json::Map<String, Value> =
        ledger.waiting().map(|(kind, records)| (kind.name().to_owned(), records.into())).collect();
    json!({ "state": "degraded", "reason": reason, "waiting": waiting })
}

/// What is asked for of the items that were set aside.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadQuery {
    /// Only those after this id.
    #[serde(default)]
    after: i64,
    limit: Option<u32>,
}

/// The kinds by the name of their route.
fn kind(name: &str) -> Option<QueueKind> {
    match name {
        "feedback" => Some(QueueKind::Feedback),
        "callbacks" => Some(QueueKind::Callback),
        _ => None,
    }
}

/// What nobody would take, oldest first, with the reason of the last attempt.
pub(super) async fn set_aside(
    state: web::Data<AdminState>,
    name: web::Path<String>,
    asked: Result<web::Query<DeadQuery>, actix_web::Error>,
) -> HttpResponse {
    let DeadQuery { after, limit } = match asked {
        Ok(asked) => asked.into_inner(),
        Err(error) => return unprocessable(&error.to_string()),
    };
    let (Some(ledger), Some(kind)) = (state.ledger.get(), kind(&name)) else { return loading() };
    match ledger.queue(kind).dead(ItemId(after), limit.unwrap_or(LISTED).min(MOST_LISTED)).await {
        Ok(items) => {
            let items: Vec<Value> = items.iter().map(shown).collect();
            HttpResponse::Ok().json(json!({ "dead": items }))
        }
        Err(error) => unavailable(&error),
    }
}

/// Of a callback neither the address, which may hold a secret, nor the body.
fn shown(dead: &DeadItem) -> Value {
    let mut line = json!({
        "id": dead.item.id,
        "profile": dead.profile,
        "interaction": dead.item.key,
        "attempts": dead.item.attempts,
        "reason": dead.reason,
        "queued_at": dead.queued_at,
    });
    if let Ok(payload) = serde_json::from_str::<FeedbackPayload>(&dead.item.payload) {
        line["insight"] = payload.insight.into();
        line["accepted"] = payload.accepted.into();
    }
    line
}

/// Tries again what was set aside.
pub(super) async fn try_again(state: web::Data<AdminState>, path: web::Path<(String, String)>) -> HttpResponse {
    let (name, id) = path.into_inner();
    let (Some(ledger), Some(kind)) = (state.ledger.get(), kind(&name)) else { return loading() };
    let Ok(id) = id.parse::<i64>() else {
        return unprocessable("an item's id is a number; the list of what was set aside has it");
    };
    match ledger.queue(kind).revive(ItemId(id)).await {
        Ok(true) => {
            tracing::info!(kind = name, id, "an operator lets what was set aside wait again");
            HttpResponse::Accepted().json(json!({ "status": "waits again" }))
        }
        Ok(false) => not_found("nothing of this id was set aside"),
        Err(error) => unavailable(&error),
    }
}

/// Whose rows are erased.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Erasure {
    interaction: String,
    /// Of all profiles where it does not say.
    profile: Option<String>,
}

/// Takes an interaction's rows away everywhere, in memory as well. Figures stay, and so do the audit's entries, which say no
/// more whose they are.
pub(super) async fn erase(
    state: web::Data<AdminState>,
    body: Result<web::Json<Erasure>, actix_web::Error>,
) -> HttpResponse {
    let Erasure { interaction, profile } = match body {
        Ok(body) => body.into_inner(),
        Err(error) => return unprocessable(&error.to_string()),
    };
    let (Some(ledger), Some(recent), Some(decisions)) = (state.ledger.get(), state.recent.get(), state.decisions.get())
    else {
        return loading();
    };
    // What is still on its way there would come back after the erasure.
    if !decisions.written_down().await {
        return unavailable(&LedgerError::Closed);
    }
    recent.erase(&interaction, profile.as_deref());
    match ledger.erase(&interaction, profile.as_deref()).await {
        Ok(erased) => {
            // Whose it was is what was to be forgotten.
            tracing::info!(?profile, ?erased, "an interaction was erased");
            let rows: serde_json::Map<String, Value> =
                erased.into_iter().map(|(table, rows)| (table.to_owned(), rows.into())).collect();
            HttpResponse::Ok().json(json!({ "erased": rows }))
        }
        Err(error) => unavailable(&error),
    }
}

/// What is asked for of an interaction's decisions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfInteraction {
    interaction: String,
}

/// The ids of an interaction's decisions that are kept, newest first, whether or not they are among the newest of all.
pub(super) async fn of_interaction(
    state: web::Data<AdminState>,
    asked: Result<web::Query<OfInteraction>, actix_web::Error>,
) -> HttpResponse {
    let OfInteraction { interaction } = match asked {
        Ok(asked) => asked.into_inner(),
        Err(error) => return unprocessable(&error.to_string()),
    };
    let (Some(ledger), Some(recent)) = (state.ledger.get(), state.recent.get()) else { return loading() };
    let mut ids = recent.of_interaction(&interaction);
    let kept = match ledger.decisions().of_interaction(&interaction, MOST_LISTED).await {
        Ok(kept) => kept,
        Err(error) => return unavailable(&error),
    };
    let newest: HashSet<_> = ids.iter().copied().collect();
    ids.extend(kept.into_iter().filter(|id| !newest.contains(id)));
    HttpResponse::Ok().json(json!({ "decisions": ids }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::time::Duration;

    use arc_swap::ArcSwap;
    use cuecard_actors::decisions::{DecisionFilter, DecisionRecords, Decisions, RecentDecisions, Shadows};
    use cuecard_actors::engine::conversation::Utterance;
    use cuecard_actors::ledger::LedgerOptions;
    use cuecard_actors::messages::{Ask, Decision, InteractionKey, Outcome, ProfileName, WorkItem};
    use cuecard_actors::telemetry::Metrics;
    use cuecard_actors::tenant::Tenants;
    use tempfile::TempDir;
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;
    use crate::access::Access;
    use crate::reload::Reloader;
    use crate::service::Controls;
    use crate::settings::Settings;

    fn decision(interaction: &str) -> Decision {
        let item = WorkItem {
            decision: Uuid::new_v4(),
            key: InteractionKey { profile: ProfileName::new("acme"), interaction: interaction.parse().unwrap() },
            utterance_number: 1,
            agent_id: None,
            heard_at: jiff::Timestamp::now(),
            ask: Ask::Cards(Arc::new(Utterance::question("does my dog need a cabin"))),
            heard: Instant::now(),
            deadline: Instant::now(),
        };
        Decision { outcome: Outcome::Shed, ..Decision::opened(&item, Arc::default()) }
    }

    fn state(metrics: &Metrics) -> web::Data<AdminState> {
        let tenant = ["CXONE_CONTRACT=insights", "CXONE_CLIENT_ID=client", "CXONE_CLIENT_SECRET=opensesame"];
        let tenant = tenant.iter().filter_map(|set| set.split_once('='));
        let settings = Settings::load(None, tenant.map(|(name, value)| (name.into(), value.into()))).unwrap();
        let access = Arc::new(ArcSwap::from_pointee(Access::new(Vec::new(), true, true)));
        web::Data::from(AdminState::new(metrics.clone(), Reloader::new(settings, access, Controls::default())))
    }

    #[actix_rt::test]
    async fn a_decision_that_is_still_on_its_way_is_erased_as_well() {
        let directory = TempDir::new().unwrap();
        let url = format!("sqlite:{}", directory.path().join("ledger.db").display());
        let ledger = Ledger::open(&url, LedgerOptions::default()).await.unwrap();
        let metrics = Metrics::new(&[ProfileName::new("acme")], Vec::new()).unwrap();
        let (decisions, tap) = Decisions::new(metrics.clone());
        let (recent, tenants) = (RecentDecisions::default(), Tenants::from_iter([]));
        let state = state(&metrics);
        assert!(state.decisions.set(decisions.clone()).is_ok() && state.recent.set(recent.clone()).is_ok());
        state.ledger.set(ledger.clone()).unwrap();
        for interaction in ["hers", "his"] {
            decisions.ended(Box::new(decision(interaction)));
        }
        let hers = Erasure { interaction: "hers".to_owned(), profile: None };
        let erasing = actix_rt::spawn(erase(state, Ok(web::Json(hers))));
        let records = DecisionRecords::new(tenants.clone(), metrics.clone(), Some(ledger.decisions()));
        let shadows = Shadows::new(tenants, metrics, 1, Duration::from_secs(1));
        // Whoever writes decisions down comes to them only after the erasure has begun.
        actix_rt::spawn(recent.clone().keep(tap, shadows, records, None));
        assert!(erasing.await.unwrap().status().is_success());
        let kept = recent.newest(&DecisionFilter::default(), 9);
        assert!(kept.len() == 1 && kept[0].contains("his"), "{kept:?}");
        while ledger.waiting().any(|(_, waiting)| waiting > 0) {
            tokio::task::yield_now().await;
        }
        assert!(ledger.decisions().of_interaction("hers", 9).await.unwrap().is_empty());
        assert_eq!(ledger.decisions().of_interaction("his", 9).await.unwrap().len(), 1);
    }
}

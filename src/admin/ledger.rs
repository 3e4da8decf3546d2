//! The ledger by the admin port: how it is, what was set aside, and what of a customer's interaction is erased.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use cuecard_actors::ledger::{DeadItem, FeedbackPayload, ItemId, Ledger, LedgerError, QueueKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::AdminState;
use super::routes::{loading, not_found, unavailable, unprocessable};
use crate::detail::Detail;

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

/// How the ledger is: cards go on without it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum LedgerReadiness {
    Ready,
    Degraded {
        /// What is wrong with it.
        reason: String,
        /// Records that wait to be written, by their kind.
        waiting: BTreeMap<&'static str, usize>,
    },
}

/// For `/readyz`.
pub(super) fn readiness(ledger: &Ledger) -> LedgerReadiness {
    let Some(reason) = trouble(ledger) else { return LedgerReadiness::Ready };
    LedgerReadiness::Degraded {
        reason,
        waiting: ledger.waiting().map(|(kind, records)| (kind.name(), records)).collect(),
    }
}

/// What is asked for of the items that were set aside.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadQuery {
    /// Only those after this id.
    #[serde(default)]
    #[param(example = 0)]
    after: i64,
    /// How many at most; 100 where it does not say, never more than 1000.
    #[param(value_type = Option<i64>, minimum = 0, maximum = 4_294_967_295_u32, example = 10)]
    limit: Option<u32>,
}

/// What is sent from a durable queue.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sent {
    /// What agents thought of cards.
    Feedback,
    /// Results of rankings.
    Callbacks,
}

impl Sent {
    fn kind(self) -> QueueKind {
        match self {
            Self::Feedback => QueueKind::Feedback,
            Self::Callbacks => QueueKind::Callback,
        }
    }
}

/// What nobody would take, oldest first.
#[derive(Serialize, ToSchema)]
struct SetAside {
    dead: Vec<DeadLine>,
}

/// One of them. Of a callback neither the address, which may hold a secret, nor the body.
#[derive(Serialize, ToSchema)]
struct DeadLine {
    #[schema(value_type = i64)]
    id: ItemId,
    profile: String,
    /// The interaction, or the session.
    interaction: String,
    attempts: u32,
    /// Why the last attempt came to nothing.
    reason: String,
    queued_at: Timestamp,
    /// Of feedback: the card that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    insight: Option<String>,
    /// Of feedback: whether the agent took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<bool>,
}

/// What nobody would take, oldest first, with the reason of the last attempt.
#[utoipa::path(
    get, path = "/{kind:feedback|callbacks}/dead", operation_id = "list_dead", tag = "ledger",
    summary = "What was set aside because nobody would take it",
    params(("kind" = inline(Sent), Path, description = "what was to be sent", example = "feedback"), DeadQuery),
    responses(
        (status = 200, description = "the oldest first", body = SetAside),
        (status = 404, description = "nothing else is sent from a queue", body = Detail),
        (status = 422, description = "a parameter is unknown or wrong", body = Detail),
        (status = 503, description = "the service is still loading, or the ledger can't be read", body = Detail),
    ),
)]
pub(super) async fn set_aside(
    state: web::Data<AdminState>,
    sent: web::Path<Sent>,
    web::Query(DeadQuery { after, limit }): web::Query<DeadQuery>,
) -> HttpResponse {
    let Some(ledger) = state.ledger.get() else { return loading() };
    match ledger.queue(sent.kind()).dead(ItemId(after), limit.unwrap_or(LISTED).min(MOST_LISTED)).await {
        Ok(items) => HttpResponse::Ok().json(SetAside { dead: items.into_iter().map(DeadLine::from).collect() }),
        Err(error) => unavailable(&error),
    }
}

impl From<DeadItem> for DeadLine {
    fn from(dead: DeadItem) -> Self {
        let DeadItem { item, profile, reason, queued_at } = dead;
        let feedback = serde_json::from_str::<FeedbackPayload>(&item.payload).ok();
        let (insight, accepted) = feedback.map(|payload| (payload.insight, payload.accepted)).unzip();
        Self {
            id: item.id,
            profile,
            interaction: item.key,
            attempts: item.attempts,
            reason,
            queued_at,
            insight,
            accepted,
        }
    }
}

/// It is sent as soon as its turn comes.
#[derive(Serialize, ToSchema)]
#[serde(tag = "status")]
enum Revived {
    #[serde(rename = "waits again")]
    WaitsAgain,
}

/// Tries again what was set aside.
#[utoipa::path(
    post, path = "/{kind:feedback|callbacks}/dead/{id}/retry", operation_id = "retry_dead", tag = "ledger",
    summary = "Send again what was set aside",
    params(
        ("kind" = inline(Sent), Path, description = "what was to be sent", example = "feedback"),
        ("id" = i64, Path, description = "the item's id, as the list has it", example = 1),
    ),
    responses(
        (status = 202, description = "it waits for its turn", body = Revived, example = json!({"status": "waits again"})),
        (status = 404, description = "nothing of this id was set aside", body = Detail),
        (status = 422, description = "this is no id", body = Detail),
        (status = 503, description = "the service is still loading, or the ledger can't be written", body = Detail),
    ),
)]
pub(super) async fn try_again(state: web::Data<AdminState>, path: web::Path<(Sent, String)>) -> HttpResponse {
    let (sent, id) = path.into_inner();
    let Some(ledger) = state.ledger.get() else { return loading() };
    let Ok(id) = id.parse::<i64>() else {
        return unprocessable("an item's id is a number; the list of what was set aside has it");
    };
    match ledger.queue(sent.kind()).revive(ItemId(id)).await {
        Ok(true) => {
            tracing::info!(kind = sent.kind().name(), id, "an operator lets what was set aside wait again");
            HttpResponse::Accepted().json(Revived::WaitsAgain)
        }
        Ok(false) => not_found("nothing of this id was set aside"),
        Err(error) => unavailable(&error),
    }
}

/// Whose rows are erased.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Erasure {
    interaction: String,
    /// Of all profiles where it does not say.
    profile: Option<String>,
}

/// What was erased.
#[derive(Serialize, ToSchema)]
struct Erased {
    /// Rows by their table.
    erased: BTreeMap<&'static str, u64>,
}

/// Takes an interaction's rows away everywhere, in memory as well. Figures stay, and so do the audit's entries, which say no
/// more whose they are.
#[utoipa::path(
    post, path = "/ledger/erase", operation_id = "erase_interaction", tag = "ledger",
    summary = "Forget a customer's interaction",
    description = "Its rows go, in memory as well. Figures stay, and so do the audit's entries, which say no more whose they \
                   are.",
    request_body(content = Erasure, example = json!({"interaction": "call-9"})),
    responses(
        (status = 200, description = "the rows that went", body = Erased, example = json!({"erased": {"decisions": 4}})),
        (status = 422, description = "the body is no JSON, or a field is unknown, missing or mistyped", body = Detail),
        (status = 503, description = "the service is still loading, or the ledger can't be written", body = Detail),
    ),
)]
pub(super) async fn erase(
    state: web::Data<AdminState>,
    web::Json(Erasure { interaction, profile }): web::Json<Erasure>,
) -> HttpResponse {
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
            HttpResponse::Ok().json(Erased { erased: erased.into_iter().collect() })
        }
        Err(error) => unavailable(&error),
    }
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
        let erasing = actix_rt::spawn(erase(state, web::Json(hers)));
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

//! What became of questions: the newest decisions, those of an interaction, and one of them with its reasons. They come as the
//! JSON that they are kept as.

use std::collections::HashSet;

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, web};
use cuecard_actors::decisions::{DecisionFilter, KeptDecision, ending};
use cuecard_actors::engine::{Ranked, Ranking, contributions, why};
use cuecard_actors::messages::Asked;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::AdminState;
use super::outcome_name::OutcomeName;
use super::routes::{loading, not_found, unavailable, unprocessable};
use super::shapes::{Deliveries, Explained};
use crate::detail::Detail;

/// Decisions that are shown at most, and if nobody says how many.
const MAX_DECISIONS: usize = 1000;
const SHOWN_DECISIONS: usize = 50;
/// Ids of one interaction that are listed at most.
const MOST_OF_INTERACTION: u32 = 1000;

/// What `/deliveries` is asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveriesQuery {
    /// Only those that ended so.
    #[param(inline, example = "delivered")]
    outcome: Option<OutcomeName>,
    /// Only those of this profile.
    #[param(example = "insights")]
    profile: Option<String>,
    /// How many at most; 50 where it does not say, never more than 1000.
    #[param(example = 10)]
    limit: Option<usize>,
}

/// The newest decisions, newest first: what was pushed, what was not, and why.
#[utoipa::path(
    get, path = "/deliveries", tag = "decisions", summary = "The newest decisions, newest first",
    description = "What was pushed, what was not, and how each question ended.",
    params(DeliveriesQuery),
    responses(
        (status = 200, description = "those that are kept in memory", body = Deliveries),
        (status = 422, description = "a parameter is unknown or wrong", body = Detail),
        (status = 503, description = "the service is still loading", body = Detail),
    ),
)]
pub(super) async fn deliveries(
    state: web::Data<AdminState>,
    web::Query(asked): web::Query<DeliveriesQuery>,
) -> HttpResponse {
    let DeliveriesQuery { outcome, profile, limit } = asked;
    let Some(recent) = state.recent.get() else { return loading() };
    let limit = limit.unwrap_or(SHOWN_DECISIONS).min(MAX_DECISIONS);
    let decisions = recent.newest(&DecisionFilter { outcome: outcome.map(String::from), profile }, limit);
    json_text(format!(r#"{{"deliveries":[{}]}}"#, decisions.join(",")))
}

/// One decision with everything that is known of it.
#[utoipa::path(
    get, path = "/explain/{decision}", tag = "decisions", summary = "Why a question got its card, or none",
    params(("decision" = Uuid, Path, description = "the decision's id", example = "0196a3f2-7d1c-7000-8000-000000000000")),
    responses(
        (status = 200, description = "everything that is known of it, with its reasons in sentences", body = Explained),
        (status = 404, description = "no decision of this id is kept", body = Detail),
        (status = 422, description = "this is no id", body = Detail),
        (status = 503, description = "the service is still loading, or the ledger can't be read", body = Detail),
    ),
)]
pub(super) async fn explain(state: web::Data<AdminState>, decision: web::Path<String>) -> HttpResponse {
    let Some(recent) = state.recent.get() else { return loading() };
    let Ok(id) = decision.parse() else {
        return unprocessable(
            "a decision's id looks like 0196a3f2-7d1c-7000-8000-000000000000; /deliveries lists them",
        );
    };
    let decision = match (recent.find(id), state.ledger.get()) {
        (Some(decision), _) => Some(decision),
        // It is not of the newest.
        (None, Some(ledger)) => match ledger.decisions().find(id).await {
            Ok(decision) => decision,
            Err(error) => return unavailable(&error),
        },
        (None, None) => None,
    };
    let are_kept = state.reloader().settings().data.keep_decisions.is_on();
    decision.map_or_else(|| not_found(gone(are_kept)), |decision| json_text(with_reasons(decision)))
}

/// Why there is no decision of an id.
fn gone(are_kept: bool) -> &'static str {
    if are_kept {
        "no decision of this id is kept; /deliveries lists the newest, and retention.decisions says how long others are"
    } else {
        "no decision of this id is kept: data.keep_decisions is off, so only the newest are, in memory; /deliveries lists them"
    }
}

/// The decision with its reasons in sentences: how it ended first, then how its ranking came about, where there is one; and
/// those of a second ranker. Where what was said is not kept, that is said. One that another version wrote in another form has
/// none of it.
fn with_reasons(json: String) -> String {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(&json) else { return json };
    let Ok(KeptDecision { decision, words }) = KeptDecision::read(&json) else { return json };
    let of_ranking = decision.ranking.iter().flat_map(|ranking| why(ranking));
    let sentences: Vec<String> = std::iter::once(ending(&decision)).chain(of_ranking).collect();
    fields.insert("why".to_owned(), sentences.into());
    // Of given snippets nothing was said.
    if words.is_none() && matches!(decision.asked, Asked::Cards(_)) {
        fields.insert("words_left_out".to_owned(), words_left_out(decision.profile.as_str()).into());
    }
    if let Some(ranking) = &decision.ranking {
        fields.insert("contributions".to_owned(), contributions_by_article(ranking));
    }
    if let Some(shadow) = &decision.shadow {
        fields.insert("shadow_why".to_owned(), why(shadow).into());
    }
    Value::Object(fields).to_string()
}

/// Why a decision about a conversation has none of its words.
fn words_left_out(profile: &str) -> String {
    format!("what was said is not kept: keep_words of profile `{profile}` was off when this was decided")
}

/// What each part of its score gave each article that is on record, by name.
fn contributions_by_article(ranking: &Ranking) -> Value {
    let of_article = |ranked: &Ranked| {
        let parts = contributions(ranked, &ranking.order).into_iter();
        let parts = parts.map(|part| (part.name.into_owned(), part.adds.into()));
        (ranked.article().id.clone(), Value::Object(parts.collect()))
    };
    Value::Object(ranking.order.ranked.iter().map(of_article).collect())
}

fn json_text(json: String) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(json)
}

/// What is asked for of an interaction's decisions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct OfInteraction {
    /// CXone's id of it.
    #[param(example = "call-1")]
    interaction: String,
}

/// Ids of decisions, newest first.
#[derive(Serialize, ToSchema)]
struct DecisionIds {
    decisions: Vec<Uuid>,
}

/// The ids of an interaction's decisions that are kept, newest first, whether or not they are among the newest of all.
#[utoipa::path(
    get, path = "/decisions", operation_id = "decisions_of_interaction", tag = "decisions",
    summary = "The decisions of an interaction",
    description = "Those that are kept, newest first. `/explain/{decision}` tells each.",
    params(OfInteraction),
    responses(
        (status = 200, description = "their ids", body = DecisionIds,
            example = json!({"decisions": ["0196a3f2-7d1c-7000-8000-000000000000"]})),
        (status = 422, description = "a parameter is unknown or missing", body = Detail),
        (status = 503, description = "the service is still loading, or the ledger can't be read", body = Detail),
    ),
)]
pub(super) async fn of_interaction(
    state: web::Data<AdminState>,
    web::Query(OfInteraction { interaction }): web::Query<OfInteraction>,
) -> HttpResponse {
    let (Some(ledger), Some(recent)) = (state.ledger.get(), state.recent.get()) else { return loading() };
    let mut ids = recent.of_interaction(&interaction);
    let kept = match ledger.decisions().of_interaction(&interaction, MOST_OF_INTERACTION).await {
        Ok(kept) => kept,
        Err(error) => return unavailable(&error),
    };
    let newest: HashSet<_> = ids.iter().copied().collect();
    ids.extend(kept.into_iter().filter(|id| !newest.contains(id)));
    HttpResponse::Ok().json(DecisionIds { decisions: ids })
}

//! Pinning and muting articles by hand: the routes under `/profiles/{name}` that operators call.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use cuecard_actors::ledger::{ArticleAction, OperatorAction};
use cuecard_actors::tenant::MarkError;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoResponses, ToSchema};

use super::AdminState;
use super::routes::{loading, not_found, unprocessable};
use crate::detail::Detail;

/// Characters of an operator's words.
const MAX_REASON: usize = 500;

/// What an operator decides.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Decided {
    /// The article's id.
    article: String,
    /// Who did it and why.
    #[schema(pattern = r"\S", max_length = 500)]
    reason: String,
    /// For how long, for example `8h` or `30 days`; until it is released where it does not say.
    #[schema(
        value_type = Option<String>,
        pattern = r"^([0-9]{1,4} ?(weeks?|w|days?|d|hours?|h|minutes?|min|m|seconds?|sec|s) ?){1,4}$"
    )]
    #[serde(default, rename = "for", with = "humantime_serde::option")]
    lasts: Option<Duration>,
}

/// What operators decided about a profile's articles.
#[derive(Serialize, ToSchema)]
struct Marks {
    marks: Vec<OperatorAction>,
}

/// The article comes first wherever it is found and a card is wanted.
#[utoipa::path(
    post, path = "/profiles/{name}/pin", tag = "articles", summary = "Show an article first",
    description = "Wherever it is found and a card is wanted.",
    params(("name" = String, Path, description = "the profile's name", example = "insights")),
    request_body(content = Decided, example = json!({
        "article": "pets", "reason": "Jo: the ferries of the holidays are full", "for": "8h"
    })),
    responses(MarkAnswers),
)]
pub(super) async fn pin(
    state: web::Data<AdminState>,
    name: web::Path<String>,
    decided: web::Json<Decided>,
) -> HttpResponse {
    record(&state, name.into_inner(), ArticleAction::Pin, decided.into_inner()).await
}

/// The article is not shown.
#[utoipa::path(
    post, path = "/profiles/{name}/mute", tag = "articles", summary = "Don't show an article",
    params(("name" = String, Path, description = "the profile's name", example = "insights")),
    request_body(content = Decided, example = json!({"article": "pets", "reason": "Jo: the fare is out of date"})),
    responses(MarkAnswers),
)]
pub(super) async fn mute(
    state: web::Data<AdminState>,
    name: web::Path<String>,
    decided: web::Json<Decided>,
) -> HttpResponse {
    record(&state, name.into_inner(), ArticleAction::Mute, decided.into_inner()).await
}

/// The article is one like any other again.
#[utoipa::path(
    post, path = "/profiles/{name}/release", tag = "articles", summary = "End what was decided about an article",
    params(("name" = String, Path, description = "the profile's name", example = "insights")),
    request_body(content = Decided, example = json!({"article": "pets", "reason": "Jo: the fare is right again"})),
    responses(MarkAnswers),
)]
pub(super) async fn release(
    state: web::Data<AdminState>,
    name: web::Path<String>,
    decided: web::Json<Decided>,
) -> HttpResponse {
    record(&state, name.into_inner(), ArticleAction::Release, decided.into_inner()).await
}

/// The newest action on each article, also where it has ended.
#[utoipa::path(
    get, path = "/profiles/{name}/marks", operation_id = "list_marks", tag = "articles",
    summary = "What was decided about articles",
    description = "The newest action on each article, also where it has ended.",
    params(("name" = String, Path, description = "the profile's name", example = "insights")),
    responses(
        (status = 200, description = "the newest first", body = Marks),
        (status = 404, description = "there is no such profile", body = Detail),
        (status = 422, description = "the profile has no articles", body = Detail),
        (status = 503, description = "the service is still loading, or the ledger can't be read", body = Detail),
    ),
)]
pub(super) async fn list(state: web::Data<AdminState>, name: web::Path<String>) -> HttpResponse {
    let Some(marks) = state.marks.get() else { return loading() };
    match marks.newest(&name).await {
        Ok(actions) => HttpResponse::Ok().json(Marks { marks: actions }),
        Err(error) => refused(&error),
    }
}

/// What an operator is answered, for the document of the port.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it says what is answered, and is never made")]
enum MarkAnswers {
    /// It is kept, and in effect.
    #[response(status = 200)]
    Kept(OperatorAction),
    /// There is no such profile, or no such article.
    #[response(status = 404)]
    Unknown(Detail),
    /// The body is wrong, which the detail says, or the profile has no articles.
    #[response(status = 422)]
    Wrong(Detail),
    /// The service is still loading, or the ledger can't be written.
    #[response(status = 503)]
    Later(Detail),
}

async fn record(state: &AdminState, profile: String, action: ArticleAction, decided: Decided) -> HttpResponse {
    let Some(marks) = state.marks.get() else { return loading() };
    let Decided { article: article_id, reason, lasts } = decided;
    if reason.trim().is_empty() || reason.chars().count() > MAX_REASON {
        return unprocessable(&format!("`reason` says who did it and why, in at most {MAX_REASON} characters"));
    }
    let at = Timestamp::now();
    let ends_at = match lasts.map(|lasts| end(at, lasts)) {
        None => None,
        Some(Some(ends_at)) => Some(ends_at),
        Some(None) => return unprocessable("`for` reaches beyond the end of time"),
    };
    let action = OperatorAction { profile, article_id, action, reason, at, ends_at };
    match marks.record(action.clone()).await {
        Ok(()) => {
            let OperatorAction { profile, article_id, reason, .. } = &action;
            tracing::info!(%profile, article_id, action = ?action.action, reason, "an operator marked an article");
            HttpResponse::Ok().json(action)
        }
        Err(error) => refused(&error),
    }
}

fn end(at: Timestamp, lasts: Duration) -> Option<Timestamp> {
    at.checked_add(SignedDuration::try_from(lasts).ok()?).ok()
}

fn refused(error: &MarkError) -> HttpResponse {
    let detail = error.to_string();
    match error {
        MarkError::UnknownProfile { .. } | MarkError::UnknownArticle { .. } => not_found(&detail),
        MarkError::NoArticles { .. } => unprocessable(&detail),
        MarkError::Ledger(_) => HttpResponse::ServiceUnavailable().json(Detail::new(detail)),
    }
}

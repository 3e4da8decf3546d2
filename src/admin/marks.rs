//! Pinning and muting articles by hand: the routes under `/profiles/{name}` that operators call.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use cuecard_actors::ledger::{ArticleAction, OperatorAction};
use cuecard_actors::tenant::MarkError;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::AdminState;
use super::routes::{loading, not_found, unprocessable};

/// Of an operator's words.
const MAX_REASON: usize = 500;

/// What an operator decides.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decided {
    /// The article's id.
    article: String,
    /// Who did it and why.
    reason: String,
    /// For how long; until it is released where it does not say.
    #[serde(default, rename = "for", with = "humantime_serde::option")]
    lasts: Option<Duration>,
}

type Body = Result<web::Json<Decided>, actix_web::Error>;

/// The article comes first wherever it is found and a card is wanted.
pub(super) async fn pin(state: web::Data<AdminState>, name: web::Path<String>, body: Body) -> HttpResponse {
    record(&state, name.into_inner(), ArticleAction::Pin, body).await
}

/// The article is not shown.
pub(super) async fn mute(state: web::Data<AdminState>, name: web::Path<String>, body: Body) -> HttpResponse {
    record(&state, name.into_inner(), ArticleAction::Mute, body).await
}

/// The article is one like any other again.
pub(super) async fn release(state: web::Data<AdminState>, name: web::Path<String>, body: Body) -> HttpResponse {
    record(&state, name.into_inner(), ArticleAction::Release, body).await
}

/// The newest action on each article, also where it has ended.
pub(super) async fn list(state: web::Data<AdminState>, name: web::Path<String>) -> HttpResponse {
    let Some(marks) = state.marks.get() else { return loading() };
    match marks.newest(&name).await {
        Ok(actions) => HttpResponse::Ok().json(json!({ "marks": actions })),
        Err(error) => refused(&error),
    }
}

async fn record(state: &AdminState, profile: String, action: ArticleAction, body: Body) -> HttpResponse {
    let Some(marks) = state.marks.get() else { return loading() };
    let Decided { article: article_id, reason, lasts } = match body {
        Ok(decided) => decided.into_inner(),
        Err(error) => return unprocessable(&error.to_string()),
    };
    if reason.trim().is_empty() || reason.len() > MAX_REASON {
        return unprocessable(&format!("`reason` says who did it and why, in at most {MAX_REASON} bytes"));
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
        MarkError::Ledger(_) => HttpResponse::ServiceUnavailable().json(json!({ "detail": detail })),
    }
}

//! Contract 004: a caller's snippets are ordered and pushed as one unit, with audit, clicks and figures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use cuecard_actors::cxone::answers::GiveUpReason;
use cuecard_actors::cxone::ranking::{MAX_RESULT_WINDOW, RankingRequest, ranking_checksum};
use cuecard_actors::cxone::{Contract, InteractionId};
use cuecard_actors::ledger::{Click, LedgerError, RankingEntry, RankingStatus};
use cuecard_actors::messages::{Ask, Outcome, Receipt, Refusal};
use cuecard_actors::tenant::Tenant;
use cuecard_actors::text::json as tolerant;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoResponses, ToSchema};

use super::Api;
use super::answer::{FailureAnswers, TooManyForCxone, as_it_came, delivered, own_words};
use super::body::{self, Body};
use super::problem::Problem;
use crate::detail::Detail;
use crate::openapi::refusals;

/// A ledger that can't be written is tried again every second; a disk that is full takes somebody's time.
const LEDGER_PAUSE: Duration = Duration::from_secs(5);

/// Contract 004.
#[utoipa::path(
    post, path = "/sessions/{session_id}/snippets/ranking", operation_id = "rank_snippets", tag = "ranking",
    summary = "Order the snippets of a session",
    description = "The snippets are normalised, boosted, sorted, cut to the window and pushed to CXone as one unit. Each \
                   submission leaves an entry in the audit. No two snippets may have one id.",
    params(("session_id" = InteractionId, Path, description = "CXone's id of the session", example = "session-1")),
    request_body(content = RankingRequest, example = json!({
        "max_result_window": 2,
        "snippets": [
            {"snippet_id": "kb-1", "relevance_score": 0.4},
            {"snippet_id": "kb-2", "relevance_score": 0.3, "boost_factor": 2.0, "metadata": {"lang": "en"}}
        ]
    })),
    responses(
        FailureAnswers,
        TooManyForCxone,
        OwnAnswers,
        (status = 200, description = "what CXone answered, as it came; `{}` where it said nothing", body = Value,
            example = json!({"session_id": "session-1", "status": "applied"})),
    ),
)]
pub(super) async fn submit(api: web::Data<Api>, request: HttpRequest, body: Body) -> Result<HttpResponse, Problem> {
    let tenant = api.tenant(&request, Contract::Ranking)?;
    let session = session(&request)?;
    let asked: RankingRequest = body::read(&request, body)?;
    asked.validate(&session).map_err(|invalid| Problem::unprocessable(invalid.to_string()))?;
    let callback = api.callbacks.target(&tenant.profile.callback, asked.callback_url.as_deref()).await;
    let callback = callback.map_err(|error| Problem::unprocessable(error.to_string()))?;
    let submission = Submission { tenant, session, asked, callback };
    // A caller who hangs up takes neither the order nor its audit back.
    let submitting = api.background.spawn(submission.run(api.clone().into_inner()));
    let broken = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the submission failed; the log says why");
    let receipt = submitting.await.map_err(broken)??;
    // A 204 says nothing, and the caller reads JSON.
    let answer = if receipt.answer.trim_ascii().is_empty() { Bytes::from_static(b"{}") } else { receipt.answer };
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(answer))
}

/// What a ranking's caller may be told beside what all contracts have in common: the ledger has a say in it.
struct OwnAnswers;

impl IntoResponses for OwnAnswers {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&[
            ("400", "the body can't be read to its end; or CXone's own 400 with its text"),
            (
                "500",
                "the service failed on this question; or the ranking was delivered and the ledger refused its audit entry, as \
                 the detail says",
            ),
            (
                "503",
                "nothing was delivered: too much waits, CXone can't be reached or asks to wait, or the ledger can't be written; \
                 or the ranking was delivered and its audit entry can't be written now, as the detail says",
            ),
        ])
    }
}

struct Submission {
    tenant: Arc<Tenant>,
    session: InteractionId,
    asked: RankingRequest,
    callback: Option<Url>,
}

impl Submission {
    async fn run(self, api: Arc<Api>) -> Result<Receipt, Problem> {
        // Nothing is pushed that could not be audited.
        if let Some((_, reason)) = api.ledger.health().failing {
            return Err(unrecorded("the ranking's audit entry", &LedgerError::Unavailable(reason)));
        }
        let (entry, start) = (self.entry(), Instant::now());
        let item = self.tenant.question(self.session, None, Ask::Order(self.asked));
        let outcome = api.outcome(item).await;
        let entry = ended(entry, start.elapsed(), outcome.as_ref());
        let callback = self.callback.and_then(|url| match &outcome {
            Some(Outcome::Delivered(receipt)) => {
                let result = tolerant::parse(&receipt.answer).map_or(Value::Null, |parsed| parsed.value);
                let body = json!({"audit": audit(&entry), "ranking_result": result});
                api.callbacks.item(&self.tenant, &entry.session, &url, &body)
            }
            _ => None,
        });
        let recorded = api.ledger.rankings().record(entry, callback).await;
        api.callbacks.wake();
        let receipt = delivered(outcome, wording)?;
        recorded.map_err(|error| unrecorded("the ranking was delivered, but its audit entry", &error))?;
        let nothing = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the ranking came to nothing");
        receipt.ok_or(nothing)
    }

    /// Failed until it is known to have succeeded.
    fn entry(&self) -> RankingEntry {
        let max_window = u32::try_from(self.asked.max_result_window).unwrap_or(MAX_RESULT_WINDOW);
        RankingEntry {
            profile: self.tenant.name().to_string(),
            session: self.session.to_string(),
            at: Timestamp::now(),
            snippet_count: u32::try_from(self.asked.snippets.len()).map_or(max_window, |given| given.min(max_window)),
            latency_ms: 0.0,
            max_window,
            status: RankingStatus::Failed,
            checksum: None,
            delivered: Vec::new(),
        }
    }
}

fn ended(mut entry: RankingEntry, after: Duration, outcome: Option<&Outcome>) -> RankingEntry {
    entry.latency_ms = after.as_secs_f64() * 1000.0;
    if let Some(Outcome::Delivered(receipt)) = outcome {
        let order = receipt.order.iter().flat_map(|order| order.iter());
        entry.status = RankingStatus::Success;
        entry.checksum = ranking_checksum(&receipt.answer);
        entry.delivered = order.map(|snippet| snippet.snippet_id.clone()).collect();
    }
    entry
}

/// The entry as the contract writes it.
fn audit(entry: &RankingEntry) -> Value {
    json!({
        "timestamp": format!("{:.6}", entry.at),
        "session_id": entry.session,
        "snippet_count": entry.snippet_count,
        "latency_ms": rounded(entry.latency_ms, 2),
        "max_window": entry.max_window,
        "status": entry.status.name(),
        "ranking_checksum": entry.checksum,
    })
}

/// Rounded to so many places, halves to even, as the document's language does it.
fn rounded(value: f64, places: usize) -> f64 {
    format!("{value:.places$}").parse().unwrap_or(value)
}

/// CXone fails on boosts that lie too far apart and does not say so: beside its own words stands why it was given up. Where
/// it has no words, the reason is all that is told anyway.
fn wording(status: u16, refusal: &Refusal) -> Problem {
    let problem = as_it_came(status, refusal);
    match (refusal.given_up, own_words(refusal)) {
        (Some(reason @ GiveUpReason::RankingFailed(_)), Some(words)) => {
            Problem { detail: format!("{words}; {reason}"), ..problem }
        }
        _ => problem,
    }
}

fn unrecorded(what: &str, error: &LedgerError) -> Problem {
    let detail = format!("{what} can't be written: {error}");
    if matches!(error, LedgerError::Unavailable(_)) {
        // It says so itself, once a minute.
        return Problem::busy(detail, LEDGER_PAUSE);
    }
    tracing::error!(%error, "{what} can't be written");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
}

fn session(request: &HttpRequest) -> Result<InteractionId, Problem> {
    body::interaction("session_id", request.match_info().get("session_id").unwrap_or_default())
}

/// A snippet's id is the caller's own and may be any text.
fn snippet(request: &HttpRequest) -> Result<String, Problem> {
    let written = request.match_info().get("snippet_id").unwrap_or_default();
    let decoded = percent_decode_str(written).decode_utf8();
    let snippet = decoded.map_err(|_| Problem::unprocessable("snippet_id is not UTF-8"))?;
    if snippet.trim().is_empty() {
        return Err(Problem::unprocessable("snippet_id is blank"));
    }
    Ok(snippet.into_owned())
}

/// What is told while the ledger can't be written.
struct LedgerBusy;

impl IntoResponses for LedgerBusy {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refusals(&[("503", "the ledger can't be written now")])
    }
}

/// What an agent clicked on. Other fields are ignored.
#[derive(Deserialize, ToSchema)]
struct ClickBody {
    /// Where the snippet stood, counted from 1.
    #[schema(value_type = i64, minimum = 1, maximum = 4_294_967_295_u32)]
    #[serde(deserialize_with = "whole")]
    rank_position: u32,
}

/// A whole number may be written as 10.0, as some callers' serialisers do.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number.fract() != 0.0 || !(1.0..=f64::from(u32::MAX)).contains(&number) {
        return Err(D::Error::custom(format!("{number} is no whole number from 1 to {}", u32::MAX)));
    }
    Ok(number as u32)
}

/// Counted once it is on disk.
#[utoipa::path(
    post, path = "/sessions/{session_id}/snippets/{snippet_id}/click", operation_id = "count_click", tag = "ranking",
    summary = "Count a click on a snippet",
    params(
        ("session_id" = InteractionId, Path, description = "CXone's id of the session", example = "session-1"),
        ("snippet_id" = String, Path, description = "the snippet's id", pattern = r"\S", example = "kb-2"),
    ),
    request_body(content = ClickBody, example = json!({"rank_position": 1})),
    responses(
        (status = 204, description = "the click is on disk"),
        (status = 400, description = "the body can't be read to its end", body = Detail),
        (status = 404, description = "no profile has the contract, or several have it: they are named", body = Detail),
        (status = 415, description = "the body is not announced as JSON", body = Detail),
        (status = 422, description = "an id or the position is wrong; the detail says which", body = Detail),
        (status = 500, description = "the ledger refused the click; the log says why", body = Detail),
        LedgerBusy,
    ),
)]
pub(super) async fn click(api: web::Data<Api>, request: HttpRequest, body: Body) -> Result<HttpResponse, Problem> {
    let tenant = api.tenant(&request, Contract::Ranking)?;
    let session = session(&request)?;
    let ClickBody { rank_position } = body::read(&request, body)?;
    let snippet = snippet(&request)?;
    let click = Click {
        profile: tenant.name().to_string(),
        session: session.to_string(),
        snippet,
        rank_position,
        at: Timestamp::now(),
    };
    api.ledger.rankings().click(click).await.map_err(|error| unrecorded("the click", &error))?;
    Ok(HttpResponse::NoContent().finish())
}

/// The figures of a profile's rankings; they are the same after a restart.
#[derive(Serialize, ToSchema)]
struct Figures {
    /// Of the rankings that were delivered, to 2 decimals; 0 before the first.
    average_latency_ms: f64,
    /// Every click, repeated ones as well.
    total_clicks_tracked: u64,
    /// Rankings that were submitted, delivered or not.
    audit_entries_count: u64,
    /// Snippets that were clicked on of those that were delivered, from 0 to 1, to 4 decimals.
    click_through_rate: f64,
}

/// Of one profile.
#[utoipa::path(
    get, path = "/ranking/metrics", operation_id = "ranking_figures", tag = "ranking",
    summary = "Figures of all rankings",
    responses(
        (status = 200, description = "the figures", body = Figures, example = json!({
            "average_latency_ms": 12.35, "total_clicks_tracked": 4, "audit_entries_count": 9, "click_through_rate": 0.25
        })),
        (status = 404, description = "no profile has the contract, or several have it: they are named", body = Detail),
        (status = 500, description = "the ledger can't be read", body = Detail),
    ),
)]
pub(super) async fn metrics(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let tenant = api.tenant(&request, Contract::Ranking)?;
    let metrics = api.ledger.rankings().metrics(tenant.name().as_str()).await;
    let metrics = metrics.map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the ledger can't be read: {error}"))
    })?;
    Ok(HttpResponse::Ok().json(Figures {
        average_latency_ms: rounded(metrics.average_latency_ms, 2),
        total_clicks_tracked: metrics.total_clicks_tracked,
        audit_entries_count: metrics.audit_entries_count,
        click_through_rate: rounded(metrics.click_through_rate, 4),
    }))
}

#[cfg(test)]
mod tests {
    use cuecard_actors::messages::RefusalCause;

    use super::*;

    #[test]
    fn a_ranking_that_failed_names_the_boosts_once_and_no_other_refusal_does() {
        let told = |given_up: GiveUpReason, status, answer: &'static str| {
            let (cause, reason) = (RefusalCause::Status(status), format!("{given_up}; status {status}"));
            let (given_up, answer) = (Some(given_up), Bytes::from_static(answer.as_bytes()));
            wording(status, &Refusal { cause, reason, given_up, answer, retry_after: None }).detail
        };
        let failed = GiveUpReason::RankingFailed(500);
        assert_eq!(told(failed, 500, "oh no"), format!("oh no; {failed}"));
        assert_eq!(told(failed, 500, " "), format!("{failed}; status 500"), "said once");
        // A page of a proxy, and an answer that can't be kept, stand for a bad gateway.
        for other in [GiveUpReason::WebPage, GiveUpReason::TooLarge] {
            assert_eq!(told(other, 502, ""), format!("{other}; status 502"));
        }
        assert_eq!(told(GiveUpReason::Rejected(422), 422, "no"), "no");
    }

    #[test]
    fn figures_are_rounded_as_the_document_rounds_them() {
        // (value, places, Python's round)
        let table = [(12.345, 2, 12.35), (2.675, 2, 2.67), (0.125, 2, 0.12), (0.375, 2, 0.38), (0.33335, 4, 0.3333)];
        for (value, places, expected) in table {
            assert_eq!(rounded(value, places), expected, "{value}");
        }
    }
}

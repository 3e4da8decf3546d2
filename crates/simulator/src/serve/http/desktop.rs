//! What the pages are made of, and what the agents' desktop asks of the simulator.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::control::{refused, told};
use crate::base::verdict::{AgentVerdict, RejectReason};
use crate::desktop::pages;
use crate::serve::explain;
use crate::serve::hub::Hub;
use crate::serve::library::MeantArticle;
use crate::serve::streams::Audience;

pub(super) fn routes(scope: &mut web::ServiceConfig) {
    scope
        .route("/faults", web::get().to(pages::faults))
        .route("/pages/{name}", web::get().to(page_file))
        .route("/feed", web::get().to(feed))
        .route("/verdict", web::post().to(verdict))
        .route("/articles", web::get().to(article))
        .route("/why", web::get().to(why));
}

async fn page_file(name: web::Path<String>) -> HttpResponse {
    pages::file(&name).unwrap_or_else(|| refused(404, "no page has a file of that name"))
}

async fn feed(hub: web::Data<Hub>) -> HttpResponse {
    pages::feed(move || hub.subscribe())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Pressed {
    interaction_id: String,
    insight_id: String,
    accepted: bool,
    reason: Option<RejectReason>,
    client_id: Option<String>,
}

async fn verdict(hub: web::Data<Hub>, pressed: web::Json<Pressed>) -> HttpResponse {
    let Pressed { interaction_id, insight_id, accepted, reason, client_id } = pressed.into_inner();
    let verdict = match (accepted, reason) {
        (true, None) => AgentVerdict::Accepted,
        (false, reason) => AgentVerdict::Rejected(reason),
        (true, Some(_)) => return refused(400, "only a rejection has a reason"),
    };
    let audience = Audience { kind: None, client_id };
    if hub.read(|state| state.knowing(&audience, &interaction_id)).is_empty() {
        return refused(404, "unknown interaction");
    }
    told(hub.judge_card(&audience, &interaction_id, &insight_id, verdict).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedArticle {
    id: Option<String>,
    link: Option<String>,
    title: Option<String>,
}

/// A list, since a card may well name an article that is not here.
async fn article(hub: web::Data<Hub>, asked: web::Query<AskedArticle>) -> HttpResponse {
    let meant = match asked.into_inner() {
        AskedArticle { id: Some(id), link: None, title: None } => MeantArticle::Id(id),
        AskedArticle { id: None, link: Some(link), title: None } => MeantArticle::Link(link),
        AskedArticle { id: None, link: None, title: Some(title) } => MeantArticle::Title(title),
        _ => return refused(400, "name the article by one of `id`, `link` and `title`"),
    };
    let articles = hub.articles();
    HttpResponse::Ok().json(json!({ "articles": articles.find(&meant).as_slice() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfDecision {
    decision: Uuid,
}

async fn why(hub: web::Data<Hub>, request: HttpRequest, asked: web::Query<OfDecision>) -> HttpResponse {
    let told = match (hub.admin.load_full(), request.app_data()) {
        (Some(admin), Some(client)) => explain::ask(client, &admin, asked.decision).await,
        _ => Err("The simulator does not know where the service explains its cards: --admin URL says so.".to_owned()),
    };
    HttpResponse::Ok().json(told.unwrap_or_else(|missing| json!({ "missing": missing })))
}

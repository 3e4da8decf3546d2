//! Calls that look: what arrived, what is set, how much of everything.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use crate::hub::Hub;
use crate::record::Received;
use crate::routes::Route;
use crate::state::State;

pub(super) fn routes(service: &mut web::ServiceConfig) {
    service
        .route("/summary", web::get().to(summary))
        .route("/state", web::get().to(state))
        .route("/received", web::get().to(received));
}

async fn summary(hub: web::Data<Hub>) -> HttpResponse {
    HttpResponse::Ok().json(hub.read(State::counts))
}

async fn state(hub: web::Data<Hub>) -> HttpResponse {
    let articles = hub.articles();
    let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs(articles.modified());
    let clients: Vec<&str> = hub.settings.clients.iter().map(|client| client.id.as_str()).collect();
    HttpResponse::Ok().json(hub.read(|state| {
        json!({
            "summary": state.counts(),
            "clients": clients,
            "streams": state.streams.shown(),
            "faults": state.faults.pending(),
            "locked_sessions": state.locked_sessions().collect::<Vec<_>>(),
            "articles": {
                "count": articles.len(),
                "answer": articles.answer(),
                "last_modified": httpdate::fmt_http_date(date),
            },
        })
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    from: u64,
    limit: Option<usize>,
    route: Option<Route>,
    #[serde(default)]
    refused: bool,
}

async fn received(hub: web::Data<Hub>, wanted: web::Query<Wanted>) -> HttpResponse {
    let entries = hub.read(|state| {
        let entries = state.record.received(wanted.from, |entry| {
            wanted.route.is_none_or(|route| route == entry.route) && (!wanted.refused || entry.verdict.is_refusal())
        });
        let mut newest: Vec<Received> = entries.rev().take(wanted.limit.unwrap_or(usize::MAX)).collect();
        newest.reverse();
        newest
    });
    HttpResponse::Ok().json(entries)
}

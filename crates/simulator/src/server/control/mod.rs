//! `/_sim/…`: the simulator's own calls, for its pages, for scripts and for tests in other languages.
//!
//! | call | does |
//! |---|---|
//! | `GET /_sim/feed` | server-sent events: a snapshot of the desk, then every change |
//! | `GET /_sim/summary` | `{streams, turns, cards, duplicates, violations}` |
//! | `GET /_sim/state` | what is set now: `{summary, clients, streams, faults, locked_sessions, articles}` |
//! | `GET /_sim/received?from&limit&route&refused` | what arrived, oldest first, with verdicts; with `limit` the newest so many |
//! | `POST /_sim/verdict` | `{interactionId, insightId, accepted, clientId?}`: tells the client that the agent accepted or rejected |
//! | `POST /_sim/faults` | `{route, times?: n \| "always", every?: n, fault}` |
//! | `DELETE /_sim/faults?route` | forgets the faults still to come, of one route or of all |
//! | `POST /_sim/tokens/expire` | makes every token issued so far worthless |
//! | `POST /_sim/streams/end?kind&client` | `{how: "close" \| "cut" \| "silence"}`: ends connections |
//! | `POST /_sim/streams/send?kind&client` | `{text}`, `{bytes: […]}`, `{parts: […]}` or `{oversized: n}`: puts one message on the sockets |
//! | `POST /_sim/interactions/{id}` | makes an interaction or session known |
//! | `POST /_sim/interactions/{id}/end?client` | refuses further pushes for it |
//! | `POST /_sim/sessions/{id}/lock`, `…/unlock` | answers rankings of it with 409, or no more |
//! | `PUT /_sim/articles` | `[{id, title, body, url?}, …]`: replaces all |
//! | `PUT /_sim/articles/{id}` | `{title, body, url?}`: adds or replaces one |
//! | `DELETE /_sim/articles/{id}` | takes one away |
//! | `POST /_sim/articles` | `{answer: "whole" \| "empty" \| "half" \| "partial"}`: how the list is answered from now on |
//!
//! `route` is `token`, `stream` (003), `events` (001), `rag`, `snippets`, `graph`, `insights`, `ranking`, `session`,
//! `feedback`, `articles` or `search`. `fault` is `{kind: "answer", status, retry_after?, body?}`, `{kind: "delay", by}`,
//! `{kind: "no_answer"}` or `{kind: "cut", moment}`; `retry_after` is `{"seconds": 2}`, `{"date_in": "2s"}` or
//! `{"literal": "soon"}`; `moment` is `before_handling`, `after_handling` or `in_body`. `every: 2` is every second
//! request. `kind` is `snippets` (001) or `insights` (003); without it a message goes where its type belongs, or to all.
//! Good calls answer 200 or 204; a body or query that can't be read 400; no client connected 409; an unknown path,
//! interaction, lock or article 404.

mod articles;
mod faults;
mod streams;
mod watch;

use actix_web::error::InternalError;
use actix_web::{HttpResponse, Scope, web};

use super::{answer, pages};

/// A whole knowledge base in one call.
const MAX_ARTICLES_BYTES: usize = 256 * 1024 * 1024;

pub(super) fn scope() -> Scope {
    web::scope("/_sim")
        .app_data(json_config())
        .app_data(query_config())
        .route("/faults", web::get().to(pages::faults))
        .route("/base.css", web::get().to(pages::base_style))
        .route("/feed", web::get().to(pages::feed))
        .configure(watch::routes)
        .configure(faults::routes)
        .configure(streams::routes)
        .configure(articles::routes)
}

/// Bodies that can't be read are answered in the shape of every other error.
fn json_config() -> web::JsonConfig {
    web::JsonConfig::default().limit(MAX_ARTICLES_BYTES).error_handler(|error, _| unreadable(error))
}

/// The same of queries. One with an unknown parameter is not read: without it the call would reach further than meant.
fn query_config() -> web::QueryConfig {
    web::QueryConfig::default().error_handler(|error, _| unreadable(error))
}

fn unreadable<E: std::fmt::Debug + std::fmt::Display + 'static>(error: E) -> actix_web::Error {
    let response = refused(400, &error.to_string());
    InternalError::from_response(error, response).into()
}

fn done() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

fn refused(status: u16, reason: &str) -> HttpResponse {
    let mut response = HttpResponse::Ok().json(answer::error_body(status, reason));
    *response.status_mut() = status.try_into().unwrap_or_default();
    response
}

/// 204, or 404 with a reason.
fn found(is_found: bool, reason: &str) -> HttpResponse {
    if is_found { done() } else { refused(404, reason) }
}

//! `/_sim/…`: the simulator's own calls, for its pages, for scripts and for tests in other languages.
//!
//! | call | does |
//! |---|---|
//! | `GET /_sim/faults` | the page that makes things go wrong and shows what arrived |
//! | `GET /_sim/feed` | server-sent events: a snapshot of the desk, then every change |
//! | `GET /_sim/summary` | `{streams, turns, cards, duplicates, violations}` |
//! | `GET /_sim/state` | what is set now: `{summary, clients, streams, faults, locked_sessions, articles}` |
//! | `GET /_sim/received?from&limit&route&refused` | what arrived, oldest first, with verdicts; with `limit` the newest so many |
//! | `POST /_sim/verdict` | `{interactionId, insightId, accepted, reason?, clientId?}`: tells the client that the agent accepted or rejected; `reason` of a rejection is `wrong_topic`, `wrong_product`, `outdated`, `knew_it` or `not_now` |
//! | `GET /_sim/articles?id`, `?link` or `?title` | `{articles: […]}`: the article of that id, address or title, if there is one |
//! | `GET /_sim/why?decision` | what the service under test says of a decision of its own, or what is missing |
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
//! `feedback`, `articles` or `search`. `every: 2` is every second request. `fault` is one of
//!
//! | fault | the request meets |
//! |---|---|
//! | `{kind: "answer", status, retry_after?, body?}` | this answer |
//! | `{kind: "redirect", status, location}` | another address |
//! | `{kind: "login_page", status}` | a page for people |
//! | `{kind: "interim", status}` | 100 or 103, then the answer as usual |
//! | `{kind: "gzip"}` | the answer as usual, compressed |
//! | `{kind: "edit", find, replace}` | the answer as usual with one passage replaced by a text or a list of bytes |
//! | `{kind: "delay", by}` | the answer as usual, later |
//! | `{kind: "no_answer"}` | nothing, on an open connection |
//! | `{kind: "cut", moment}` | a broken connection: `before_handling`, `after_handling` or `in_body` |
//! | `{kind: "no_close"}` | a stream as usual, on which no close frame is answered |
//!
//! `retry_after` is `{"seconds": 2}`, `{"date_in": "2s"}`, `{"date_by_clock": {"date_in": "2s", "ahead": "-1h"}}`, of which
//! the answer's `Date` is an hour behind too, or `{"literal": "soon"}`. `kind` of a stream is `snippets` (001) or `insights`
//! (003); without it a message goes where its type belongs, or to all. Good calls answer 200 or 204; a body or query that
//! can't be read, or an order that can't be carried out, 400; no client connected, or too many faults on a route or locked
//! sessions, 409; an unknown path, interaction, lock or article 404.

use std::time::Instant;

use actix_web::error::InternalError;
use actix_web::{HttpResponse, Scope, web};
use serde::Deserialize;
use serde_json::json;

use super::{answer, desktop, knowledge};
use crate::base::contracts::{Route, StreamKind};
use crate::serve::faults::FaultOrder;
use crate::serve::files::Article;
use crate::serve::hub::{Hub, NotConnected};
use crate::serve::library::{ArticlesAnswer, Library};
use crate::serve::player;
use crate::serve::record::Received;
use crate::serve::state::State;
use crate::serve::streams::{Audience, Frame, StreamEnd};

/// A whole knowledge base in one call.
const MAX_ARTICLES_BYTES: usize = 256 * 1024 * 1024;

pub(super) fn scope() -> Scope {
    web::scope("/_sim")
        .app_data(json_config())
        .app_data(query_config())
        .configure(desktop::routes)
        .route("/summary", web::get().to(summary))
        .route("/state", web::get().to(state))
        .route("/received", web::get().to(received))
        .route("/faults", web::post().to(add_fault))
        .route("/faults", web::delete().to(clear_faults))
        .route("/tokens/expire", web::post().to(expire_tokens))
        .route("/interactions/{id}", web::post().to(open_interaction))
        .route("/interactions/{id}/end", web::post().to(end_interaction))
        .route("/sessions/{id}/lock", web::post().to(lock_session))
        .route("/sessions/{id}/unlock", web::post().to(unlock_session))
        .route("/streams/end", web::post().to(end_streams))
        .route("/streams/send", web::post().to(send))
        .route("/articles", web::put().to(replace))
        .route("/articles", web::post().to(answer))
        .route("/articles/{id:.+}", web::put().to(put))
        .route("/articles/{id:.+}", web::delete().to(delete))
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

pub(super) fn done() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

pub(super) fn refused(status: u16, reason: &str) -> HttpResponse {
    HttpResponse::build(answer::code(status)).json(answer::error_body(status, reason))
}

/// 204, or 404 with a reason.
fn found(is_found: bool, reason: &str) -> HttpResponse {
    if is_found { done() } else { refused(404, reason) }
}

async fn summary(hub: web::Data<Hub>) -> HttpResponse {
    HttpResponse::Ok().json(hub.read(State::counts))
}

async fn state(hub: web::Data<Hub>) -> HttpResponse {
    let articles = hub.articles();
    let clients: Vec<&str> = hub.settings.clients.iter().map(|client| client.id.as_str()).collect();
    HttpResponse::Ok().json(hub.read(|state| {
        json!({
            "summary": state.counts(),
            "clients": clients,
            "streams": state.streams.all(),
            "faults": state.faults.pending(),
            "locked_sessions": state.locked_sessions().collect::<Vec<_>>(),
            "articles": {
                "count": articles.len(),
                "answer": articles.answer(),
                "last_modified": knowledge::last_modified(&articles).to_string(),
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

async fn add_fault(hub: web::Data<Hub>, order: web::Json<FaultOrder>) -> HttpResponse {
    let (fault, every) = match order.into_inner().checked() {
        Ok(checked) => checked,
        Err(reason) => return refused(400, &reason),
    };
    if hub.update(|state| state.faults.add(fault, every)) {
        done()
    } else {
        refused(409, "there are too many faults on this route, clear them first")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnRoute {
    route: Option<Route>,
}

async fn clear_faults(hub: web::Data<Hub>, on: web::Query<OnRoute>) -> HttpResponse {
    hub.update(|state| state.faults.clear(on.route));
    done()
}

async fn expire_tokens(hub: web::Data<Hub>) -> HttpResponse {
    hub.update(|state| state.tokens.revoke_all());
    done()
}

async fn open_interaction(hub: web::Data<Hub>, id: web::Path<String>) -> HttpResponse {
    hub.update(|state| state.open_interaction(&id, Instant::now()));
    done()
}

/// Whose interaction; it is the same on both kinds of stream.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichClient {
    client: Option<String>,
}

async fn end_interaction(hub: web::Data<Hub>, id: web::Path<String>, whose: web::Query<WhichClient>) -> HttpResponse {
    let audience = Audience { kind: None, client_id: whose.into_inner().client };
    let was_live = hub.update(|state| state.end_interaction(&audience, &id, Instant::now()));
    found(was_live, "no live interaction of that id")
}

async fn lock_session(hub: web::Data<Hub>, id: web::Path<String>) -> HttpResponse {
    if hub.update(|state| state.lock_session(&id)) { done() } else { refused(409, "too many sessions are locked") }
}

async fn unlock_session(hub: web::Data<Hub>, id: web::Path<String>) -> HttpResponse {
    found(hub.update(|state| state.unlock_session(&id)), "no locked session of that id")
}

/// Whose connections, of which kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichStreams {
    kind: Option<StreamKind>,
    client: Option<String>,
}

impl From<WhichStreams> for Audience {
    fn from(which: WhichStreams) -> Self {
        Self { kind: which.kind, client_id: which.client }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndStreams {
    how: StreamEnd,
}

async fn end_streams(
    hub: web::Data<Hub>,
    which: web::Query<WhichStreams>,
    order: web::Json<EndStreams>,
) -> HttpResponse {
    hub.end_streams(&which.into_inner().into(), order.how).await;
    done()
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    Text(String),
    Bytes(Vec<u8>),
    Parts(Vec<String>),
    Oversized(usize),
}

impl From<Message> for Frame {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::Text(text),
            Message::Bytes(bytes) => Self::Binary(bytes),
            Message::Parts(parts) => Self::Fragmented(parts),
            Message::Oversized(length) => Self::Text(player::oversized_fragment(length)),
        }
    }
}

async fn send(hub: web::Data<Hub>, which: web::Query<WhichStreams>, message: web::Json<Message>) -> HttpResponse {
    told(hub.send(&which.into_inner().into(), message.into_inner().into()).await.map(|_| ()))
}

pub(super) fn told(outcome: Result<(), NotConnected>) -> HttpResponse {
    match outcome {
        Ok(()) => done(),
        Err(error) => refused(409, &error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    title: String,
    body: String,
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answering {
    answer: ArticlesAnswer,
}

/// Many articles take long to write, and whoever changes them waits for the change before: neither is done where requests
/// are answered.
async fn change(
    hub: web::Data<Hub>,
    make: impl FnOnce(&Library, u64) -> Option<Library> + Send + 'static,
) -> HttpResponse {
    match web::block(move || hub.change_articles(make)).await {
        Ok(changed) => found(changed, "no article of that id"),
        Err(error) => refused(500, &error.to_string()),
    }
}

async fn replace(hub: web::Data<Hub>, articles: web::Json<Vec<Article>>) -> HttpResponse {
    change(hub, move |library, now| Some(library.replace(articles.into_inner(), now))).await
}

async fn put(hub: web::Data<Hub>, id: web::Path<String>, content: web::Json<Content>) -> HttpResponse {
    let Content { title, body, url } = content.into_inner();
    let article = Article { id: id.into_inner(), title, body, url };
    change(hub, move |library, now| Some(library.put(article, now))).await
}

async fn delete(hub: web::Data<Hub>, id: web::Path<String>) -> HttpResponse {
    change(hub, move |library, now| library.delete(&id, now)).await
}

async fn answer(hub: web::Data<Hub>, answering: web::Json<Answering>) -> HttpResponse {
    change(hub, move |library, now| Some(library.answering(answering.answer, now))).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::serve::schema::Schemas;
    use crate::serve::settings::SimulatorSettings;
    use std::future::{Future, poll_fn};
    use std::sync::{Arc, mpsc};
    use std::task::Poll;
    use std::time::Duration;

    #[actix_web::test]
    async fn the_worker_waits_for_no_change_of_the_articles() {
        /// Only a worker that waits takes so long.
        const LONG: Duration = Duration::from_secs(5);
        let hub = Arc::new(Hub::new(SimulatorSettings::default(), Schemas::compile(true).unwrap()));
        let (begin, begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let changing = Arc::clone(&hub);
        let large_change = std::thread::spawn(move || {
            let mut in_time = false;
            changing.change_articles(|_, _| {
                begin.send(()).unwrap();
                in_time = released.recv_timeout(LONG).is_ok();
                None
            });
            in_time
        });
        begun.recv().unwrap();
        let order = web::Json(Answering { answer: ArticlesAnswer::Empty });
        let mut answering = Box::pin(answer(web::Data::from(Arc::clone(&hub)), order));
        let waits = poll_fn(|context| Poll::Ready(answering.as_mut().poll(context).is_pending())).await;
        let _ = release.send(());
        assert!(large_change.join().unwrap(), "the worker stood still");
        assert!(waits);
        assert_eq!(answering.await.status().as_u16(), 204);
        assert_eq!(hub.articles().answer(), ArticlesAnswer::Empty);
    }

    #[test]
    fn an_oversized_message_has_the_length_asked_for() {
        let message: Message = serde_json::from_str(r#"{"oversized": 2000000}"#).unwrap();
        let Frame::Text(text) = message.into() else {
            panic!("no text frame");
        };
        assert_eq!(text.len(), 2_000_000);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
}

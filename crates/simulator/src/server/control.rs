//! `/_sim/…`: the simulator's own calls, for its page, for scripts and for tests in other languages.
//!
//! | call | does |
//! |---|---|
//! | `GET /_sim/feed` | server-sent events: a snapshot of the desk, then every change |
//! | `GET /_sim/summary` | `{streams, turns, cards, duplicates, violations}` |
//! | `GET /_sim/received` | what arrived, oldest first, with verdicts |
//! | `POST /_sim/verdict` | `{interactionId, insightId, accepted}`: tells the client that the agent accepted or rejected |
//! | `POST /_sim/faults` | `{route, times?, fault: {kind: "answer", status, retry_after?, body?} \| {kind: "delay", by} \| {kind: "cut", moment}}` |
//! | `DELETE /_sim/faults` | forgets the faults still to come |
//! | `POST /_sim/tokens/expire` | makes every token issued so far worthless |
//! | `POST /_sim/streams/end` | `{how: "close" \| "cut"}`: ends every connection |
//! | `POST /_sim/streams/send` | `{text}`, `{bytes: […]}`, `{parts: […]}` or `{oversized: n}`: puts one message on the socket |
//! | `POST /_sim/interactions/{id}/end` | refuses further pushes for it |
//!
//! `route` is `token`, `stream`, `insights`, `feedback` or `knowledge`; `retry_after` is `{"seconds": 2}`,
//! `{"date_in": "2s"}` or `{"literal": "soon"}`; `moment` is `before_handling` or `after_handling`. Good calls answer
//! 200 or 204; a body that can't be read 400; no client connected 409; an unknown path 404.

use actix_web::{HttpResponse, Scope, web};
use serde::Deserialize;
use serde_json::json;

use super::{answer, page};
use crate::faults::Fault;
use crate::hub::{Hub, NotConnected};
use crate::ledger::Standing;
use crate::player;
use crate::streams::{Frame, StreamEnd};

pub(super) fn scope() -> Scope {
    web::scope("/_sim")
        .route("/feed", web::get().to(page::feed))
        .route("/summary", web::get().to(summary))
        .route("/received", web::get().to(received))
        .route("/verdict", web::post().to(verdict))
        .route("/faults", web::post().to(add_fault))
        .route("/faults", web::delete().to(clear_faults))
        .route("/tokens/expire", web::post().to(expire_tokens))
        .route("/streams/end", web::post().to(end_streams))
        .route("/streams/send", web::post().to(send))
        .route("/interactions/{id}/end", web::post().to(end_interaction))
}

async fn summary(hub: web::Data<Hub>) -> HttpResponse {
    HttpResponse::Ok().json(hub.read(|state| {
        json!({
            "streams": state.streams.len(),
            "turns": state.ledger.num_turns(),
            "cards": state.ledger.num_cards(),
            "duplicates": state.ledger.num_duplicates(),
            "violations": state.record.num_violations(),
        })
    }))
}

async fn received(hub: web::Data<Hub>) -> HttpResponse {
    HttpResponse::Ok().json(hub.read(|state| state.record.entries().cloned().collect::<Vec<_>>()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AgentVerdict {
    interaction_id: String,
    insight_id: String,
    accepted: bool,
}

async fn verdict(hub: web::Data<Hub>, verdict: web::Json<AgentVerdict>) -> HttpResponse {
    let AgentVerdict { interaction_id, insight_id, accepted } = verdict.into_inner();
    if hub.read(|state| state.ledger.standing(&interaction_id)) == Standing::Unknown {
        return HttpResponse::NotFound().json(answer::error_body(404, "unknown interaction"));
    }
    match hub.judge_card(&interaction_id, &insight_id, accepted).await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => not_connected(error),
    }
}

async fn add_fault(hub: web::Data<Hub>, fault: web::Json<Fault>) -> HttpResponse {
    hub.update(|state| state.faults.add(fault.into_inner()));
    HttpResponse::NoContent().finish()
}

async fn clear_faults(hub: web::Data<Hub>) -> HttpResponse {
    hub.update(|state| state.faults.clear());
    HttpResponse::NoContent().finish()
}

async fn expire_tokens(hub: web::Data<Hub>) -> HttpResponse {
    hub.update(|state| state.tokens.revoke_all());
    HttpResponse::NoContent().finish()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndStreams {
    how: StreamEnd,
}

async fn end_streams(hub: web::Data<Hub>, order: web::Json<EndStreams>) -> HttpResponse {
    hub.end_streams(order.how).await;
    HttpResponse::NoContent().finish()
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

async fn send(hub: web::Data<Hub>, message: web::Json<Message>) -> HttpResponse {
    match hub.send(message.into_inner().into()).await {
        Ok(_) => HttpResponse::NoContent().finish(),
        Err(error) => not_connected(error),
    }
}

async fn end_interaction(hub: web::Data<Hub>, id: web::Path<String>) -> HttpResponse {
    if hub.end_interaction(&id) {
        HttpResponse::NoContent().finish()
    } else {
        HttpResponse::NotFound().json(answer::error_body(404, "no live interaction of that id"))
    }
}

fn not_connected(error: NotConnected) -> HttpResponse {
    HttpResponse::Conflict().json(answer::error_body(409, &error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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

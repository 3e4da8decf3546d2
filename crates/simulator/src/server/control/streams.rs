//! Calls that act on the open streams: messages, ends, the agent's verdicts.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::{done, refused};
use crate::hub::{Hub, NotConnected};
use crate::player;
use crate::streams::{Audience, Frame, StreamEnd, StreamKind};

pub(super) fn routes(service: &mut web::ServiceConfig) {
    service
        .route("/verdict", web::post().to(verdict))
        .route("/streams/end", web::post().to(end_streams))
        .route("/streams/send", web::post().to(send));
}

/// Whose connections, of which kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichStreams {
    kind: Option<StreamKind>,
    client: Option<String>,
}

impl From<WhichStreams> for Audience {
    fn from(which: WhichStreams) -> Self {
        Self { kind: which.kind, client_id: which.client }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AgentVerdict {
    interaction_id: String,
    insight_id: String,
    accepted: bool,
    client_id: Option<String>,
}

async fn verdict(hub: web::Data<Hub>, verdict: web::Json<AgentVerdict>) -> HttpResponse {
    let AgentVerdict { interaction_id, insight_id, accepted, client_id } = verdict.into_inner();
    let audience = Audience { kind: None, client_id };
    if hub.read(|state| state.knowing(&audience, &interaction_id)).is_empty() {
        return refused(404, "unknown interaction");
    }
    told(hub.judge_card(&audience, &interaction_id, &insight_id, accepted).await)
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

fn told(outcome: Result<(), NotConnected>) -> HttpResponse {
    match outcome {
        Ok(()) => done(),
        Err(error) => refused(409, &error.to_string()),
    }
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

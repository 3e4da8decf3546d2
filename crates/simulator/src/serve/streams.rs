//! The open stream connections of clients, what is put on them, and whom it is for.
//!
//! Input: accepted handshakes, frames. Output: the connections that a frame goes to, all of its kind of stream or those of
//! one client, and the WebSocket messages that carry it. A frame is handed over in two steps, a place in the queue and
//! then the frame, so that the moment of the hand-over is known exactly.

use std::future::poll_fn;
use std::sync::Arc;

use actix_ws::{CloseReason, Item, Message, Session};
use futures_util::SinkExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::VariantArray;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use crate::base::contracts::StreamKind;
use crate::base::frames;

/// Who a frame goes to. The default is every connection of the kind of stream that the frame belongs to; a frame that
/// belongs to neither, because it is no JSON, goes to all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Only connections of this kind.
    pub kind: Option<StreamKind>,
    /// Only connections of this client.
    pub client_id: Option<String>,
}

impl Audience {
    /// The connections of one client.
    pub fn client(id: &str) -> Self {
        Self { kind: None, client_id: Some(id.to_owned()) }
    }

    fn includes(&self, kind: StreamKind, client: &str) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind) && self.client_id.as_deref().is_none_or(|wanted| wanted == client)
    }

    /// The same, narrowed to the kind that `frame` belongs to unless one is given.
    pub(crate) fn for_frame(&self, frame: Option<&Value>) -> Self {
        let kind = frame.and_then(|frame| frame["type"].as_str()).map(|name| match name {
            "interaction" => StreamKind::Snippets,
            _ => StreamKind::Insights,
        });
        Self { kind: self.kind.or(kind), client_id: self.client_id.clone() }
    }
}

/// What is put on the socket.
#[derive(Clone, Debug)]
pub enum Frame {
    /// A text message in one frame, whatever it says and however long.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// One text message in as many continuation frames as there are parts; one part is an ordinary frame.
    Fragmented(Vec<String>),
}

impl Frame {
    /// What it says, when that is JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        match self {
            Self::Text(text) => frames::json(text.as_bytes()),
            Self::Fragmented(parts) => frames::json(parts.concat().as_bytes()),
            Self::Binary(bytes) => frames::json(bytes),
        }
    }

    pub(crate) fn into_messages(self) -> Vec<Message> {
        match self {
            Self::Text(text) => vec![Message::Text(text.into())],
            Self::Binary(bytes) => vec![Message::Binary(bytes.into())],
            Self::Fragmented(mut parts) if parts.len() < 2 => {
                vec![Message::Text(parts.pop().unwrap_or_default().into())]
            }
            Self::Fragmented(parts) => {
                let last = parts.len() - 1;
                let item = |(index, part): (usize, String)| match index {
                    0 => Item::FirstText(part.into()),
                    _ if index == last => Item::Last(part.into()),
                    _ => Item::Continue(part.into()),
                };
                parts.into_iter().enumerate().map(item).map(Message::Continuation).collect()
            }
        }
    }
}

/// How the simulator ends its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum StreamEnd {
    /// With a close frame.
    Close,
    /// Without a word, as a network does.
    Cut,
    /// It stays open, but nothing comes any more: no frame, no answer to a ping.
    Silence,
}

/// An open connection; what is serialised is what a page shows.
#[derive(Serialize)]
pub(crate) struct Connection {
    #[serde(skip)]
    id: u64,
    kind: StreamKind,
    #[serde(rename = "client_id")]
    client: Arc<str>,
    #[serde(skip)]
    session: Session,
    /// Held while a message is put on it.
    #[serde(skip)]
    sending: Arc<Mutex<()>>,
    /// Sending here breaks the connection's body, and with it the connection.
    #[serde(skip)]
    cut: oneshot::Sender<()>,
    #[serde(rename = "silent")]
    is_silent: bool,
}

/// A connection that a frame goes to.
pub(crate) struct Listener {
    pub(crate) id: u64,
    pub(crate) client: Arc<str>,
    pub(crate) session: Session,
    sending: Arc<Mutex<()>>,
}

impl Listener {
    /// Waits until nobody else puts a message on the connection; nobody does until what is returned is dropped. No other
    /// message may come between the parts of one.
    pub(crate) async fn take_turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.sending).lock_owned().await
    }
}

/// The open connections, oldest first.
#[derive(Default)]
pub(crate) struct Streams {
    connections: Vec<Connection>,
    next_id: u64,
}

impl Streams {
    pub(crate) fn add(
        &mut self,
        kind: StreamKind,
        client: Arc<str>,
        session: Session,
        cut: oneshot::Sender<()>,
    ) -> u64 {
        self.next_id += 1;
        let (id, sending) = (self.next_id, Arc::default());
        self.connections.push(Connection { id, kind, client, session, sending, cut, is_silent: false });
        self.next_id
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.connections.retain(|connection| connection.id != id);
    }

    /// Connections in `audience` that still hear something.
    pub(crate) fn num_listening(&self, audience: &Audience) -> usize {
        self.listening(audience).count()
    }

    fn listening(&self, audience: &Audience) -> impl Iterator<Item = &Connection> {
        let wanted =
            |connection: &&Connection| !connection.is_silent && audience.includes(connection.kind, &connection.client);
        self.connections.iter().filter(wanted)
    }

    /// Handles on the connections in `audience`, oldest first.
    pub(crate) fn listeners(&self, audience: &Audience) -> Vec<Listener> {
        let listener = |connection: &Connection| Listener {
            id: connection.id,
            client: Arc::clone(&connection.client),
            session: connection.session.clone(),
            sending: Arc::clone(&connection.sending),
        };
        self.listening(audience).map(listener).collect()
    }

    /// Whether nothing may be said on a connection any more.
    pub(crate) fn is_silent(&self, id: u64) -> bool {
        self.connections.iter().any(|connection| connection.id == id && connection.is_silent)
    }

    /// Ends the connections in `audience`; those to be closed with a frame are returned.
    pub(crate) fn end(&mut self, audience: &Audience, how: StreamEnd) -> Vec<Session> {
        let wanted = |connection: &mut Connection| audience.includes(connection.kind, &connection.client);
        match how {
            StreamEnd::Silence => {
                self.connections.iter_mut().for_each(|connection| connection.is_silent |= wanted(connection));
                Vec::new()
            }
            StreamEnd::Close => self.connections.extract_if(.., wanted).map(|connection| connection.session).collect(),
            StreamEnd::Cut => {
                for connection in self.connections.extract_if(.., wanted) {
                    // A body that is gone already needs no cutting.
                    let _ = connection.cut.send(());
                }
                Vec::new()
            }
        }
    }

    /// Breaks one connection.
    pub(crate) fn cut(&mut self, id: u64) {
        for connection in self.connections.extract_if(.., |connection| connection.id == id) {
            let _ = connection.cut.send(());
        }
    }

    pub(crate) fn all(&self) -> &[Connection] {
        &self.connections
    }
}

/// Waits for a place in the connection's queue; false when the connection is gone.
pub(crate) async fn reserve(session: &mut Session) -> bool {
    poll_fn(|context| session.poll_ready_unpin(context)).await.is_ok()
}

/// Closes with a frame, as a hub that restarts would.
pub(crate) async fn close(session: Session) {
    let reason = CloseReason::from(actix_ws::CloseCode::Restart);
    // A session that is closed already is what was wanted.
    let _ = session.close(Some(reason)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fragmented_messages_have_a_first_and_a_last_frame() {
        let kinds = |parts: &[&str]| -> Vec<&str> {
            let frame = Frame::Fragmented(parts.iter().map(ToString::to_string).collect());
            let kind = |message: Message| match message {
                Message::Continuation(Item::FirstText(_)) => "first",
                Message::Continuation(Item::Continue(_)) => "continue",
                Message::Continuation(Item::Last(_)) => "last",
                Message::Text(_) => "text",
                _ => "other",
            };
            frame.into_messages().into_iter().map(kind).collect()
        };
        assert_eq!(kinds(&["a", "b", "c"]), ["first", "continue", "last"]);
        assert_eq!(kinds(&["a", "b"]), ["first", "last"]);
        assert_eq!(kinds(&["a"]), ["text"]);
        assert_eq!(kinds(&[]), ["text"]);
    }

    #[test]
    fn a_frame_finds_its_audience() {
        let everybody = Audience::default();
        let kind = |frame: Option<Value>| everybody.for_frame(frame.as_ref()).kind;
        assert_eq!(kind(Some(json!({"type": "interaction"}))), Some(StreamKind::Snippets));
        assert_eq!(kind(Some(json!({"type": "DIALOG_STATE"}))), Some(StreamKind::Insights));
        assert_eq!(kind(Some(json!({"text": "no type"}))), None);
        assert_eq!(kind(None), None);
        let insights = Audience { kind: Some(StreamKind::Insights), client_id: None };
        let own = insights.for_frame(Some(&json!({"type": "interaction"})));
        assert_eq!(own.kind, Some(StreamKind::Insights), "what the caller says counts");
        let of_a = Audience::client("a");
        assert!(of_a.includes(StreamKind::Snippets, "a") && !of_a.includes(StreamKind::Snippets, "b"));
    }
}

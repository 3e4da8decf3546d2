//! The open stream connections of clients, and how frames reach them.
//!
//! Input: accepted handshakes, frames. Output: frames on the newest connection, because a client that opened a second
//! one has given the first up. A frame is handed over in two steps, a place in the queue and then the frame, so that
//! the moment of the hand-over is known exactly.

use std::future::poll_fn;

use actix_ws::{CloseReason, Item, Message, Session};
use futures_util::SinkExt;
use tokio::sync::oneshot;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamEnd {
    /// With a close frame.
    Close,
    /// Without a word, as a network does.
    Cut,
}

struct Connection {
    id: u64,
    session: Session,
    /// Sending here breaks the connection's body, and with it the connection.
    cut: oneshot::Sender<()>,
}

/// The open connections, oldest first.
#[derive(Default)]
pub(crate) struct Streams {
    connections: Vec<Connection>,
    next_id: u64,
}

impl Streams {
    pub(crate) fn add(&mut self, session: Session, cut: oneshot::Sender<()>) -> u64 {
        self.next_id += 1;
        self.connections.push(Connection { id: self.next_id, session, cut });
        self.next_id
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.connections.retain(|connection| connection.id != id);
    }

    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    /// A handle on the newest connection.
    pub(crate) fn newest(&self) -> Option<Session> {
        self.connections.last().map(|newest| newest.session.clone())
    }

    /// Forgets all connections; those to be closed with a frame are returned, the others are cut here.
    pub(crate) fn end_all(&mut self, how: StreamEnd) -> Vec<Session> {
        let ended = self.connections.drain(..);
        match how {
            StreamEnd::Close => ended.map(|connection| connection.session).collect(),
            StreamEnd::Cut => {
                for connection in ended {
                    // A body that is gone already needs no cutting.
                    let _ = connection.cut.send(());
                }
                Vec::new()
            }
        }
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
}

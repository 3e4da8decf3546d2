//! The open stream connections of clients, and what is put on them.
//!
//! Input: accepted handshakes. Output: the connections that a frame goes to: all of its kind of stream, or those of one
//! client. A frame is handed over in two steps, a place in the queue and then the frame, so that the moment of the
//! hand-over is known exactly.

mod frame;

use std::future::poll_fn;
use std::sync::Arc;

use actix_ws::{CloseReason, Session};
use futures_util::SinkExt;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

pub use frame::{Audience, Frame, StreamKind};

/// How the simulator ends its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamEnd {
    /// With a close frame.
    Close,
    /// Without a word, as a network does.
    Cut,
    /// It stays open, but nothing comes any more: no frame, no answer to a ping.
    Silence,
}

struct Connection {
    id: u64,
    kind: StreamKind,
    client: Arc<str>,
    session: Session,
    /// Sending here breaks the connection's body, and with it the connection.
    cut: oneshot::Sender<()>,
    is_silent: bool,
}

/// One connection for a page to show.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ShownConnection {
    kind: StreamKind,
    client_id: Arc<str>,
    silent: bool,
}

/// A connection that a frame goes to.
pub(crate) struct Listener {
    pub(crate) id: u64,
    pub(crate) client: Arc<str>,
    pub(crate) session: Session,
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
        self.connections.push(Connection { id: self.next_id, kind, client, session, cut, is_silent: false });
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

    /// Handles on the connections in `audience`.
    pub(crate) fn listeners(&self, audience: &Audience) -> Vec<Listener> {
        let listener = |connection: &Connection| Listener {
            id: connection.id,
            client: Arc::clone(&connection.client),
            session: connection.session.clone(),
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

    pub(crate) fn shown(&self) -> Vec<ShownConnection> {
        let shown = |connection: &Connection| ShownConnection {
            kind: connection.kind,
            client_id: Arc::clone(&connection.client),
            silent: connection.is_silent,
        };
        self.connections.iter().map(shown).collect()
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

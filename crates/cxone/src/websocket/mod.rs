//! One WebSocket connection, from its handshake to its end.
//!
//! Input: an address and a token, and texts to send. Output: whole messages, one by one; pings, pongs and continuation
//! frames stay inside. On failure a [`HandshakeError`] before the connection stands and a [`ClosedReason`] after: the
//! caller decides when to connect again. A message may be anything: what can't be read is the reader's to say.

mod frames;
mod handshake;
mod heartbeat;
mod tunnel;

use std::time::Duration;

use actix_codec::Framed;
use actix_http::ws::{CloseCode, CloseReason, Frame as WireFrame, Item, Message as WireMessage, ProtocolError};
use awc::BoxedSocket;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout};

use frames::{BoundedCodec, FrameFault, Joiner};
pub use handshake::{HandshakeError, TokenPlacement, connect};
use heartbeat::Heartbeat;

type Socket = Framed<BoxedSocket, BoundedCodec>;

/// What a goodbye and its answer may take together: a peer that says nothing any more shall hold up no stop.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// A whole message.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// Meant as text, of which some senders write bytes that are not UTF-8.
    Text(Bytes),
    Binary(Bytes),
}

impl Frame {
    /// What it holds.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClosedReason {
    #[error("the peer closed the stream with code {code:?}")]
    ByPeer { code: Option<u16> },
    #[error("the stream was cut")]
    Cut,
    #[error("no pong came in time")]
    Silent,
    /// The socket has to be opened again, which may happen at once.
    #[error("a message is larger than {limit_bytes} bytes; raise cxone.max_message_bytes if the tenant sends such")]
    TooLarge { limit_bytes: usize },
    #[error("the peer broke the WebSocket protocol")]
    Protocol,
}

/// An open connection. Dropping it closes the socket without a goodbye.
pub struct WebSocketConnection {
    socket: Socket,
    heartbeat: Heartbeat,
    joiner: Joiner,
    message_limit_bytes: usize,
    /// A peer that takes nothing off the wire must not hold the reader for ever.
    write_timeout: Duration,
    ended: Option<ClosedReason>,
}

impl WebSocketConnection {
    /// The next message. Nothing is lost when the future is dropped before it is ready; pings are sent only while it is
    /// awaited. After an error every further call returns the same error.
    pub async fn next(&mut self) -> Result<Frame, ClosedReason> {
        if let Some(reason) = self.ended {
            return Err(reason);
        }
        let result = self.read_message().await;
        if let Err(reason) = result {
            self.ended = Some(reason);
        }
        result
    }

    /// Sends a text. A peer that takes nothing off the wire for `pong_timeout` is gone. After an error every further call
    /// returns the same error.
    pub async fn send(&mut self, text: String) -> Result<(), ClosedReason> {
        if let Some(reason) = self.ended {
            return Err(reason);
        }
        let result = self.write(WireMessage::Text(text.into())).await;
        self.ended = result.err();
        result
    }

    /// Says goodbye with "going away" and waits a second for the peer to agree. Messages that still come are dropped.
    pub async fn close(mut self) {
        if self.ended.is_some() {
            return;
        }
        // The connection is given up whether the peer agrees or not.
        let _ = timeout(GOODBYE_TIMEOUT, self.say_goodbye()).await;
    }

    async fn say_goodbye(&mut self) {
        let goodbye = CloseReason { code: CloseCode::Away, description: None };
        if self.write(WireMessage::Close(Some(goodbye))).await.is_err() {
            return;
        }
        while let Some(Ok(frame)) = self.socket.next().await {
            if matches!(frame, WireFrame::Close(_)) {
                return;
            }
        }
    }

    async fn read_message(&mut self) -> Result<Frame, ClosedReason> {
        loop {
            if let Some(payload) = self.heartbeat.ping_due(Instant::now()) {
                self.write(WireMessage::Ping(payload)).await?;
            }
            // Frames first: a pong that waits in the buffer behind them still counts.
            tokio::select! {
                biased;
                received = self.socket.next() => {
                    if let Some(frame) = self.receive(received).await? {
                        return Ok(frame);
                    }
                }
                () = sleep_until(self.heartbeat.wake_at()) => {
                    if self.heartbeat.is_dead(Instant::now()) {
                        return Err(ClosedReason::Silent);
                    }
                }
            }
        }
    }

    async fn receive(
        &mut self,
        received: Option<Result<WireFrame, FrameFault>>,
    ) -> Result<Option<Frame>, ClosedReason> {
        let frame = received.ok_or(ClosedReason::Cut)?.map_err(|fault| self.reason_of(&fault))?;
        match frame {
            WireFrame::Text(bytes) => Ok(Some(Frame::Text(bytes))),
            WireFrame::Binary(bytes) => Ok(Some(Frame::Binary(bytes))),
            WireFrame::Continuation(item) => self.join(item),
            WireFrame::Ping(payload) => self.write(WireMessage::Pong(payload)).await.map(|()| None),
            WireFrame::Pong(payload) => {
                self.heartbeat.pong(&payload);
                Ok(None)
            }
            WireFrame::Close(reason) => {
                // The peer may be gone already, and has said all it had to say.
                let _ = self.write(WireMessage::Close(None)).await;
                Err(ClosedReason::ByPeer { code: reason.map(|reason| reason.code.into()) })
            }
        }
    }

    fn join(&mut self, item: Item) -> Result<Option<Frame>, ClosedReason> {
        let too_large = ClosedReason::TooLarge { limit_bytes: self.message_limit_bytes };
        self.joiner.push(item).map_err(|_| too_large)
    }

    /// A connection that can't be written to may still hold messages; its end shows when they have been read.
    async fn write(&mut self, message: WireMessage) -> Result<(), ClosedReason> {
        match timeout(self.write_timeout, self.socket.send(message)).await {
            Ok(Ok(()) | Err(FrameFault::Protocol(ProtocolError::Io(_)))) => Ok(()),
            Ok(Err(fault)) => Err(self.reason_of(&fault)),
            Err(_) => Err(ClosedReason::Silent),
        }
    }

    fn reason_of(&self, fault: &FrameFault) -> ClosedReason {
        match fault {
            FrameFault::TooLarge => ClosedReason::TooLarge { limit_bytes: self.message_limit_bytes },
            // awc reports reserved bits as an i/o error of this kind.
            FrameFault::Protocol(ProtocolError::Io(error)) if error.kind() != std::io::ErrorKind::InvalidData => {
                ClosedReason::Cut
            }
            FrameFault::Protocol(_) => ClosedReason::Protocol,
        }
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if let Self::Text(_) = self { "Text" } else { "Binary" };
        formatter.debug_struct(kind).field("bytes", &self.bytes().len()).finish()
    }
}

impl std::fmt::Debug for WebSocketConnection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WebSocketConnection").field("ended", &self.ended).finish_non_exhaustive()
    }
}

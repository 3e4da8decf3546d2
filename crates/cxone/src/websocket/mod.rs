//! One WebSocket connection, from its handshake to its end.
//!
//! Input: an address and a token. Output: whole messages, one by one; pings, pongs and continuation frames stay inside.
//! On failure a [`HandshakeError`] before the connection stands and a [`ClosedReason`] after: the caller decides when
//! to connect again. A message that is binary or not UTF-8 is reported as such and ends nothing.

mod bounded_codec;
mod handshake;
mod heartbeat;
mod joining;

use std::time::Duration;

use actix_codec::Framed;
use actix_http::ws::{CloseCode, CloseReason, Frame as WireFrame, Item, Message as WireMessage, ProtocolError};
use awc::BoxedSocket;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout};

use bounded_codec::{BoundedCodec, FrameFault};
pub(crate) use handshake::KeepRefusals;
pub use handshake::{HandshakeError, TokenPlacement, connect};
use heartbeat::Heartbeat;
use joining::{Joined, Joiner};

type Socket = Framed<BoxedSocket, BoundedCodec>;

/// A whole message.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    /// So many bytes that no contract has a use for.
    Binary(usize),
    /// Text of so many bytes that is not UTF-8.
    InvalidUtf8(usize),
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

impl ClosedReason {
    pub const LABELS: [&'static str; 5] = ["by_peer", "cut", "silent", "too_large", "protocol"];

    pub const fn label(self) -> &'static str {
        match self {
            Self::ByPeer { .. } => "by_peer",
            Self::Cut => "cut",
            Self::Silent => "silent",
            Self::TooLarge { .. } => "too_large",
            Self::Protocol => "protocol",
        }
    }
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

    /// Says goodbye with "going away" and waits for the peer to agree, at most `pong_timeout` each. Messages that still
    /// come are dropped.
    pub async fn close(mut self) {
        if self.ended.is_some() {
            return;
        }
        let goodbye = CloseReason { code: CloseCode::Away, description: None };
        if self.write(WireMessage::Close(Some(goodbye))).await.is_ok() {
            // The connection is given up whether the peer agrees or not.
            let _ = timeout(self.write_timeout, self.await_goodbye()).await;
        }
    }

    async fn await_goodbye(&mut self) {
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
            WireFrame::Text(bytes) => Ok(Some(text(&bytes))),
            WireFrame::Binary(bytes) => Ok(Some(Frame::Binary(bytes.len()))),
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
        Ok(self.joiner.push(item).map_err(|_| too_large)?.map(|joined| match joined {
            Joined::Text(bytes) => text(&bytes),
            Joined::Binary(bytes) => Frame::Binary(bytes.len()),
        }))
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

fn text(bytes: &Bytes) -> Frame {
    match std::str::from_utf8(bytes) {
        Ok(text) => Frame::Text(text.to_owned()),
        Err(_) => Frame::InvalidUtf8(bytes.len()),
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => formatter.debug_struct("Text").field("bytes", &text.len()).finish(),
            Self::Binary(bytes) => formatter.debug_struct("Binary").field("bytes", bytes).finish(),
            Self::InvalidUtf8(bytes) => formatter.debug_struct("InvalidUtf8").field("bytes", bytes).finish(),
        }
    }
}

impl std::fmt::Debug for WebSocketConnection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WebSocketConnection").field("ended", &self.ended).finish_non_exhaustive()
    }
}

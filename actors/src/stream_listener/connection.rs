//! The task that holds a stream's socket.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_channel::Sender;
use cuecard_cxone::websocket::{ClosedReason, Frame, HandshakeError, WebSocketConnection};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::connect_failure::ConnectFailure;
use super::reconnect::Reconnect;
use crate::health::{Condition, Part, ProfileHealth};
use crate::telemetry::{FrameCounted, FrameFate, Metrics};

/// The wait after a panic: the longest that a lost connection brings.
const AFTER_PANIC: Duration = Duration::from_secs(2);

/// A frame and when it came.
#[derive(Debug)]
pub struct Received {
    /// The frame.
    pub frame: Frame,
    /// When it was received.
    pub at: Instant,
}

/// Frames, one by one.
pub trait FrameSource {
    /// The next frame, or why there is none any more.
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Frame, ClosedReason>>;
    /// Says goodbye.
    fn close(self: Box<Self>) -> LocalBoxFuture<'static, ()>;
}

impl FrameSource for WebSocketConnection {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Frame, ClosedReason>> {
        WebSocketConnection::next(self).boxed_local()
    }

    fn close(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        WebSocketConnection::close(*self).boxed_local()
    }
}

/// Opens a connection with the token that is valid now.
pub type Connect = Rc<dyn Fn() -> LocalBoxFuture<'static, Result<Box<dyn FrameSource>, ConnectFailure>>>;

/// What the task needs.
pub struct Listening {
    /// Opens a connection.
    pub connect: Connect,
    /// Where frames go.
    pub frames: Sender<Received>,
    /// Where it says whether the stream stands.
    pub health: Arc<ProfileHealth>,
    /// Where frames over the limit are counted.
    pub metrics: Metrics,
    /// Named where CXone refuses the stream.
    pub scope: &'static str,
    /// Ends it.
    pub stop: CancellationToken,
}

/// Starts the task; it ends when told to stop, after a goodbye to the peer, and lets go of the inbox then.
pub fn listen(listening: Listening) -> JoinHandle<()> {
    actix_rt::spawn(async move {
        let mut reconnect = Reconnect::new();
        while !listening.stop.is_cancelled() {
            let connected = AssertUnwindSafe(listening.connect_once(&mut reconnect)).catch_unwind().await;
            let wait = connected.unwrap_or_else(|_| {
                tracing::error!(profile = %listening.health.profile(), "the stream's task panicked and connects again");
                listening.health.lost(Part::Stream, "the stream's task panicked; reconnecting");
                AFTER_PANIC
            });
            listening.stop.run_until_cancelled(sleep(wait)).await;
        }
    })
}

impl Listening {
    /// One connection from its handshake to its end; the wait before the next.
    async fn connect_once(&self, reconnect: &mut Reconnect) -> Duration {
        let Some(connected) = self.stop.run_until_cancelled((self.connect)()).await else { return Duration::ZERO };
        match connected {
            Ok(connection) => {
                tracing::info!(profile = %self.health.profile(), "the stream is connected");
                self.health.set(Part::Stream, Condition::Good);
                let since = Instant::now();
                let Some(reason) = self.read(connection).await else { return Duration::ZERO };
                tracing::warn!(profile = %self.health.profile(), %reason, "the stream was lost");
                self.health.lost(Part::Stream, &format!("the stream was lost: {reason}; reconnecting"));
                reconnect.after_close(reason, since.elapsed(), rand::random())
            }
            Err(failure) => {
                let wait = reconnect.after_failure(&failure, rand::random());
                let reason = self.explain(&failure);
                tracing::warn!(profile = %self.health.profile(), reason, ?wait, "the stream can't be connected");
                self.health.lost(Part::Stream, &reason);
                wait
            }
        }
    }

    /// Hands frames on until the connection ends; `None` when told to stop.
    async fn read(&self, mut connection: Box<dyn FrameSource>) -> Option<ClosedReason> {
        loop {
            let Some(frame) = self.stop.run_until_cancelled(connection.next()).await else {
                connection.close().await;
                return None;
            };
            match frame {
                Ok(frame) => {
                    let sending = self.frames.send(Received { frame, at: Instant::now() });
                    if !matches!(self.stop.run_until_cancelled(sending).await, Some(Ok(()))) {
                        connection.close().await;
                        // Without a reader there is no use in a new connection.
                        self.stop.cancelled().await;
                        return None;
                    }
                }
                Err(reason) => {
                    if let ClosedReason::TooLarge { .. } = reason {
                        let detail = reason.to_string();
                        let counted =
                            FrameCounted { profile: self.health.profile(), fate: FrameFate::TooLarge, detail: &detail };
                        counted.emit(&self.metrics);
                    }
                    return Some(reason);
                }
            }
        }
    }

    fn explain(&self, failure: &ConnectFailure) -> String {
        match failure {
            ConnectFailure::Handshake(error @ (HandshakeError::Unauthorised | HandshakeError::Forbidden)) => {
                format!("{error}; the client needs the scope {}", self.scope)
            }
            other => other.to_string(),
        }
    }
}

//! The task that holds a stream's socket: connects, hands frames to the actor, sends what the actor wants sent.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_channel::Sender;
use cuecard_cxone::StreamKind;
use cuecard_cxone::websocket::{ClosedReason, Frame};
use futures_util::FutureExt;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::reconnect::Reconnect;
use crate::cxone_calls::{CxoneCalls, Socket, Sockets};
use crate::health::{Condition, Part, ProfileHealth};
use crate::telemetry::{FrameCounted, FrameFate, LogThrottle, Metrics};

/// The wait after a panic: the longest that a lost connection brings.
const AFTER_PANIC: Duration = Duration::from_secs(2);

/// How often it is looked whether what the stream waits for is there.
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// What the task tells the actor, in the order in which it came about.
#[derive(Debug)]
pub enum Received {
    /// A socket is open.
    Opened {
        /// Takes the texts to send over it, and over no other; closed when the socket is.
        outgoing: Sender<String>,
        /// When it was opened.
        at: Instant,
    },
    /// A frame came over it.
    Frame {
        /// The frame.
        frame: Frame,
        /// When it was received.
        at: Instant,
    },
}

/// What the task needs.
pub struct Listening<S> {
    /// Opens the stream.
    pub calls: Arc<CxoneCalls>,
    /// Makes the sockets.
    pub sockets: S,
    /// Which stream.
    pub stream: StreamKind,
    /// The stream is not opened before there are articles in the index: what is said before would find nothing.
    pub waits_for_articles: bool,
    /// Where frames go.
    pub received: Sender<Received>,
    /// Where it says whether the stream stands.
    pub health: Arc<ProfileHealth>,
    /// Where frames over the limit are counted.
    pub metrics: Metrics,
    /// Says goodbye to the peer, for whoever waits until that is done.
    pub goodbyes: TaskTracker,
    /// Ends it.
    pub stop: CancellationToken,
}

impl<S: Sockets> Listening<S> {
    /// Listens until told to stop. Then it lets go of the inbox at once, however long the peer takes for its goodbye.
    pub async fn run(self) {
        let (mut reconnect, mut failures) = (Reconnect::new(), LogThrottle::default());
        while !self.stop.is_cancelled() {
            let connecting = self.connect_once(&mut reconnect, &mut failures);
            let connected = AssertUnwindSafe(connecting).catch_unwind().await;
            let wait = connected.unwrap_or_else(|_| {
                tracing::error!(profile = %self.health.profile(), "the stream's task panicked and connects again");
                self.health.lost(Part::Stream, "the stream's task panicked; reconnecting");
                AFTER_PANIC
            });
            self.stop.run_until_cancelled(sleep(wait)).await;
        }
    }

    /// One connection from its handshake to its end; the wait before the next.
    async fn connect_once(&self, reconnect: &mut Reconnect, failures: &mut LogThrottle<String>) -> Duration {
        if self.waits_for_articles && self.health.is_missing(Part::Index) {
            let reason = "the stream is opened when there are articles".to_owned();
            self.health.set(Part::Stream, Condition::Missing(reason));
            return LOOK_PAUSE;
        }
        let opening = self.calls.open_stream(&self.sockets, self.stream);
        let Some(opened) = self.stop.run_until_cancelled(opening).await else { return Duration::ZERO };
        match opened {
            Ok(mut socket) => {
                tracing::info!(profile = %self.health.profile(), "the stream is connected");
                self.health.set(Part::Stream, Condition::Good);
                *failures = LogThrottle::default();
                let since = Instant::now();
                let Some(Err(reason)) = self.stop.run_until_cancelled(self.serve(&mut socket)).await else {
                    self.goodbyes.spawn_local(socket.close());
                    // Without a reader there is no use in a new connection.
                    self.stop.cancelled().await;
                    return Duration::ZERO;
                };
                self.tell_lost(reason);
                reconnect.after_close(reason, since.elapsed(), rand::random())
            }
            Err(failure) => {
                let wait = reconnect.after_failure(&failure, rand::random());
                let reason = failure.in_words(self.stream);
                self.health.lost(Part::Stream, &reason);
                // A night without a token is tens of thousands of attempts.
                if let Some(held_back) = failures.passes(reason.clone(), Instant::now()) {
                    let profile = self.health.profile();
                    tracing::warn!(%profile, reason, ?wait, held_back, "the stream can't be connected");
                }
                wait
            }
        }
    }

    /// Hands frames on and sends texts until the connection ends, or until nobody reads what it hands on.
    async fn serve(&self, socket: &mut S::Socket) -> Result<(), ClosedReason> {
        // Needs no bound: whatever is in it is sent before the next frame is read, and the inbox bounds what is read.
        let (outgoing, to_send) = async_channel::unbounded();
        let mut received = Received::Opened { outgoing, at: Instant::now() };
        while self.received.send(received).await.is_ok() {
            let frame = loop {
                tokio::select! {
                    biased;
                    Ok(text) = to_send.recv() => socket.send(text).await?,
                    frame = socket.next() => break frame?,
                }
            };
            received = Received::Frame { frame, at: Instant::now() };
        }
        Ok(())
    }

    fn tell_lost(&self, reason: ClosedReason) {
        let profile = self.health.profile();
        tracing::warn!(%profile, %reason, "the stream was lost");
        self.health.lost(Part::Stream, &format!("the stream was lost: {reason}; reconnecting"));
        if let ClosedReason::TooLarge { .. } = reason {
            let detail = reason.to_string();
            FrameCounted { profile, fate: FrameFate::TooLarge, detail: &detail }.emit(&self.metrics);
        }
    }
}

//! The state that all routes, the player and the library's caller share, behind one lock.
//!
//! Input: what routes and players do. Output: consistent changes, told to waiting callers and open pages in the order
//! in which they happened. The lock is never held across an await; a panic under it leaves the state readable.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use serde_json::Value;
use tokio::sync::{broadcast, watch};

use crate::auth::Tokens;
use crate::desk::{Counts, Desk};
use crate::faults::FaultScript;
use crate::idempotency::IdempotencyKeys;
use crate::ledger::Ledger;
use crate::player;
use crate::record::Record;
use crate::schema::Schemas;
use crate::settings::SimulatorSettings;
use crate::streams::{self, Frame, StreamEnd, Streams};

/// Events that a slow page may lag behind before it gets a new snapshot instead.
const FEED_CAPACITY: usize = 1024;
/// One look at a condition that has no deadline of its own; the caller looks again.
const LONG_WAIT: Duration = Duration::from_hours(1);
/// A broken connection is taken off the list well within this time.
const READER_NOTICES: Duration = Duration::from_millis(10);

/// No client was connected, or the connection ended under the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no client is connected to the stream")]
pub struct NotConnected;

pub(crate) struct State {
    pub(crate) tokens: Tokens,
    pub(crate) faults: FaultScript,
    pub(crate) record: Record,
    pub(crate) ledger: Ledger,
    pub(crate) keys: IdempotencyKeys,
    pub(crate) streams: Streams,
    pub(crate) desk: Desk,
}

pub(crate) struct Hub {
    pub(crate) settings: SimulatorSettings,
    pub(crate) schemas: Schemas,
    pub(crate) started_at: Instant,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    feed: broadcast::Sender<Arc<str>>,
}

impl Hub {
    pub(crate) fn new(settings: SimulatorSettings, schemas: Schemas) -> Self {
        let state = State {
            tokens: Tokens::default(),
            faults: FaultScript::default(),
            record: Record::new(settings.record_limit),
            ledger: Ledger::default(),
            keys: IdempotencyKeys::default(),
            streams: Streams::default(),
            desk: Desk::default(),
        };
        Self {
            settings,
            schemas,
            started_at: Instant::now(),
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
            feed: broadcast::Sender::new(FEED_CAPACITY),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state, then tells pages and waiting callers. The feed is fed under the lock, so that no page sees
    /// two changes in the wrong order or one twice.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let counts = Counts {
            streams: state.streams.len(),
            turns: state.ledger.num_turns(),
            cards: state.ledger.num_cards(),
            duplicates: state.ledger.num_duplicates(),
            violations: state.record.num_violations(),
        };
        state.desk.set_counts(counts);
        let events = state.desk.take_events();
        if self.feed.receiver_count() > 0 {
            for event in events {
                // Every page may close between the count and here.
                let _ = self.feed.send(event.to_string().into());
            }
        }
        drop(state);
        self.changed.send_replace(());
        result
    }

    /// The desk as it is, and every change after that.
    pub(crate) fn subscribe(&self) -> (Arc<str>, broadcast::Receiver<Arc<str>>) {
        let state = self.lock();
        (state.desk.snapshot().to_string().into(), self.feed.subscribe())
    }

    /// Waits until `reached` holds, looking again after every change; false when `timeout` came first.
    pub(crate) async fn until(&self, timeout: Duration, mut reached: impl FnMut() -> bool) -> bool {
        let mut changes = self.changed.subscribe();
        let wait = async {
            while !reached() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(timeout, wait).await.is_ok()
    }

    /// Hands `frame` to the newest connection and returns the moment of it. Text that is a JSON object is noted in
    /// ledger and desk in the same instant, before its effect can come back.
    pub(crate) async fn send(&self, frame: Frame) -> Result<Instant, NotConnected> {
        let mut session = self.read(|state| state.streams.newest()).ok_or(NotConnected)?;
        let noted = match &frame {
            Frame::Text(text) => serde_json::from_str::<Value>(text).ok(),
            Frame::Fragmented(parts) => serde_json::from_str(&parts.concat()).ok(),
            Frame::Binary(_) => None,
        };
        let mut messages = frame.into_messages();
        let last = messages.pop().ok_or(NotConnected)?;
        for message in messages {
            session.feed(message).await.map_err(|_| NotConnected)?;
        }
        if !streams::reserve(&mut session).await {
            return Err(NotConnected);
        }
        self.update(|state| {
            let now = Instant::now();
            session.start_send_unpin(last).map_err(|_| NotConnected)?;
            if let Some(frame) = noted {
                let ended_turn = state.ledger.note_frame(&frame, now);
                state.desk.note_frame(&frame, ended_turn);
            }
            Ok(now)
        })
    }

    /// The same, waiting for a client when none is connected.
    pub(crate) async fn send_when_connected(&self, frame: Frame) -> Instant {
        loop {
            self.until(LONG_WAIT, || self.read(|state| state.streams.len()) > 0).await;
            match self.send(frame.clone()).await {
                Ok(at) => return at,
                // The connection broke and its reader has not noticed yet.
                Err(NotConnected) => tokio::time::sleep(READER_NOTICES).await,
            }
        }
    }

    /// Tells the client what the agent thought of a card, and marks it on the desk.
    pub(crate) async fn judge_card(&self, id: &str, insight_id: &str, accepted: bool) -> Result<(), NotConnected> {
        let frame = player::verdict_frame(id, insight_id, accepted);
        self.send(Frame::Text(frame.to_string())).await?;
        self.update(|state| state.desk.note_verdict(id, insight_id, accepted));
        Ok(())
    }

    pub(crate) async fn end_streams(&self, how: StreamEnd) {
        let sessions = self.update(|state| state.streams.end_all(how));
        for session in sessions {
            streams::close(session).await;
        }
    }

    /// Refuses further pushes for an interaction; false when it was not live.
    pub(crate) fn end_interaction(&self, id: &str) -> bool {
        self.update(|state| {
            state.desk.end(id);
            state.ledger.end(id)
        })
    }
}

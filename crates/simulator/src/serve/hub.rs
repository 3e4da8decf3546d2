//! The state that all routes, the player and the library's caller share, behind one lock.
//!
//! Input: what routes and players do. Output: consistent changes, told to waiting callers and open pages in the order
//! in which they happened. The lock is never held across an await; a panic under it leaves the state readable. Articles
//! stand beside it, because a list of them takes long to write; whoever reads them never waits for that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix_ws::Message;
use arc_swap::{ArcSwap, ArcSwapOption};
use futures_util::SinkExt;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;

use super::explain::AdminPlace;
use super::library::Library;
use super::player;
use super::schema::Schemas;
use super::settings::SimulatorSettings;
use super::state::State;
use super::streams::{self, Audience, Frame, Listener, StreamEnd};
use crate::base::contracts::StreamKind;
use crate::base::verdict::AgentVerdict;
use crate::desktop::Of;

/// Events that a slow page may lag behind before it gets a new snapshot instead.
const FEED_CAPACITY: usize = 1024;
/// A broken connection is taken off the list well within this time.
const READER_NOTICES: Duration = Duration::from_millis(10);
/// A connection that takes nothing for so long is cut: one stuck client must not silence the others.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// No client was connected, or the connection ended under the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no client is connected to the stream")]
pub struct NotConnected;

pub(crate) struct Hub {
    pub(crate) settings: SimulatorSettings,
    pub(crate) schemas: Schemas,
    state: Mutex<State>,
    articles: ArcSwap<Library>,
    /// Held while a change of the articles is made, so that each is made of the one before.
    changing_articles: Mutex<()>,
    changed: watch::Sender<()>,
    /// Where the service under test explains its decisions, if anybody said.
    pub(crate) admin: ArcSwapOption<AdminPlace>,
    feed: broadcast::Sender<Arc<str>>,
}

impl Hub {
    pub(crate) fn new(mut settings: SimulatorSettings, schemas: Schemas) -> Self {
        let articles = Library::new(std::mem::take(&mut settings.articles), seconds_since_1970());
        Self {
            state: Mutex::new(State::new(&settings, Instant::now())),
            articles: ArcSwap::from_pointee(articles),
            changing_articles: Mutex::new(()),
            settings,
            schemas,
            changed: watch::Sender::new(()),
            admin: ArcSwapOption::empty(),
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
        let is_watched = self.feed.receiver_count() > 0;
        state.desk.set_watched(is_watched);
        let result = change(&mut state);
        if is_watched {
            self.tell_pages(&mut state);
        }
        drop(state);
        self.changed.send_replace(());
        result
    }

    /// A change that nobody waits for and no page shows.
    pub(crate) fn change_quietly<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.lock())
    }

    fn tell_pages(&self, state: &mut State) {
        let counts = state.counts();
        state.desk.set_counts(counts);
        for event in state.desk.take_events() {
            // Every page may close between the count and here.
            let _ = self.feed.send(event.to_string().into());
        }
    }

    /// The desk as it is, and every change after that.
    pub(crate) fn subscribe(&self) -> (Arc<str>, broadcast::Receiver<Arc<str>>) {
        let mut state = self.lock();
        let counts = state.counts();
        state.desk.set_counts(counts);
        (state.desk.snapshot().to_string().into(), self.feed.subscribe())
    }

    /// The articles as they are now.
    pub(crate) fn articles(&self) -> Arc<Library> {
        self.articles.load_full()
    }

    /// Replaces the articles by what `change` makes of them; false when it makes nothing.
    pub(crate) fn change_articles(&self, change: impl FnOnce(&Library, u64) -> Option<Library>) -> bool {
        let _changing = self.changing_articles.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.articles();
        let Some(changed) = change(&before, seconds_since_1970()) else {
            return false;
        };
        self.articles.store(Arc::new(changed));
        true
    }

    /// Waits until `reached` holds, looking again after every change; false when `timeout` came first.
    pub(crate) async fn until(&self, limit: Duration, mut reached: impl FnMut() -> bool) -> bool {
        let mut changes = self.changed.subscribe();
        let wait = async {
            while !reached() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        timeout(limit, wait).await.is_ok()
    }

    /// Hands `frame` to every connection in `audience` and returns the moment of it. Text that is a JSON object is noted
    /// in interactions and desk of their clients in the same instant, before its effect can come back.
    pub(crate) async fn send(&self, audience: &Audience, frame: Frame) -> Result<Instant, NotConnected> {
        let noted = frame.json();
        let audience = audience.for_frame(noted.as_ref());
        let listeners = self.read(|state| state.streams.listeners(&audience));
        // Oldest first everywhere, so that no two messages wait for each other. Held until the last part is handed over.
        let mut turns = Vec::with_capacity(listeners.len());
        for listener in &listeners {
            turns.push(listener.take_turn().await);
        }
        let ready = join_all(listeners.into_iter().map(|listener| self.make_ready(listener, &frame))).await;
        self.update(|state| {
            let now = Instant::now();
            let mut reached: Vec<Arc<str>> = Vec::new();
            for (mut listener, last) in ready.into_iter().flatten() {
                if listener.session.start_send_unpin(last).is_ok() && !reached.contains(&listener.client) {
                    reached.push(listener.client);
                }
            }
            for client in &reached {
                if let Some(frame) = &noted {
                    state.note_frame(client, frame, now);
                }
            }
            if reached.is_empty() { Err(NotConnected) } else { Ok(now) }
        })
    }

    /// Sends all of `frame` but its last message, for which a place is kept; nothing when the connection is gone or
    /// stuck.
    async fn make_ready(&self, mut listener: Listener, frame: &Frame) -> Option<(Listener, Message)> {
        let mut messages = frame.clone().into_messages();
        let last = messages.pop()?;
        let handing_over = async {
            for message in messages {
                listener.session.feed(message).await.ok()?;
            }
            streams::reserve(&mut listener.session).await.then_some(())
        };
        if let Ok(done) = timeout(STUCK_AFTER, handing_over).await {
            return done.map(|()| (listener, last));
        }
        self.update(|state| state.streams.cut(listener.id));
        None
    }

    /// The same, waiting for a client in `audience` when none is connected, at most `limit`.
    pub(crate) async fn send_when_connected(
        &self,
        audience: &Audience,
        frame: Frame,
        limit: Duration,
    ) -> Result<Instant, NotConnected> {
        let began = Instant::now();
        loop {
            self.wait_for_client(audience, limit.saturating_sub(began.elapsed())).await?;
            match self.send(audience, frame.clone()).await {
                Ok(at) => return Ok(at),
                Err(gone) if began.elapsed() >= limit => return Err(gone),
                // The connection broke and its reader has not noticed yet.
                Err(NotConnected) => tokio::time::sleep(READER_NOTICES).await,
            }
        }
    }

    /// Waits until somebody in `audience` is connected, at most `limit`.
    pub(crate) async fn wait_for_client(&self, audience: &Audience, limit: Duration) -> Result<(), NotConnected> {
        let connected = self.until(limit, || self.num_listening(audience) > 0).await;
        if connected { Ok(()) } else { Err(NotConnected) }
    }

    pub(crate) fn num_listening(&self, audience: &Audience) -> usize {
        self.read(|state| state.streams.num_listening(audience))
    }

    /// Tells the clients that know the interaction what the agent thought of a card, and marks it on the desk.
    pub(crate) async fn judge_card(
        &self,
        audience: &Audience,
        id: &str,
        insight_id: &str,
        verdict: AgentVerdict,
    ) -> Result<(), NotConnected> {
        let frame: Value = player::verdict_frame(id, insight_id, verdict);
        let mut reached = Err(NotConnected);
        for client in self.read(|state| state.knowing(audience, id)) {
            let audience = Audience { kind: Some(StreamKind::Insights), client_id: Some(client.to_string()) };
            if self.send(&audience, Frame::Text(frame.to_string())).await.is_ok() {
                self.update(|state| state.desk.note_verdict(Of { client: &client, id }, insight_id, verdict));
                reached = Ok(());
            }
        }
        reached
    }

    pub(crate) async fn end_streams(&self, audience: &Audience, how: StreamEnd) {
        let sessions = self.update(|state| state.streams.end(audience, how));
        for session in sessions {
            streams::close(session).await;
        }
    }
}

/// Of now.
fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::serve::files::Article;

    #[test]
    fn articles_can_be_read_while_they_are_changed() {
        let hub = Hub::new(SimulatorSettings::default(), Schemas::compile(true).unwrap());
        let article = Article { id: "a".into(), title: "t".into(), body: "b".into(), url: None };
        let changed = hub.change_articles(|library, now| {
            assert_eq!(hub.articles().len(), 0);
            Some(library.put(article, now))
        });
        assert!(changed);
        assert_eq!(hub.articles().len(), 1);
        assert!(!hub.change_articles(|_, _| None));
    }
}

//! Starting, steering and stopping a simulator.
//!
//! Input: settings, then calls. Output: a [`RunningSimulator`], whose server and player live on a thread of their own
//! until it is stopped or dropped. A port in use, or anything else that keeps the server from starting, is an error of
//! [`Simulator::start`].

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_rt::{ArbiterHandle, System};
use actix_web::dev::ServerHandle;
use tokio::sync::watch;

use crate::conversation::{self, Conversation};
use crate::faults::Fault;
use crate::hub::{Hub, NotConnected};
use crate::ledger::{Standing, TurnOutcome};
use crate::player::{self, Pace, Speech};
use crate::record::{Received, Route, Verdict};
use crate::schema::Schemas;
use crate::server;
use crate::settings::SimulatorSettings;
use crate::streams::{Frame, StreamEnd};

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address can't be listened on.
    #[error("cannot listen on {address}: {source}; another program may hold the port, choose another one with --port")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The thread or the server on it.
    #[error("the server did not start: {0}")]
    Server(std::io::Error),
    /// A schema shipped with the simulator is broken.
    #[error("a schema can't be compiled: {0}")]
    Schema(String),
}

/// Entry point.
pub struct Simulator;

impl Simulator {
    /// Starts a simulator on a thread of its own; returns as soon as it answers.
    pub fn start(settings: SimulatorSettings) -> Result<RunningSimulator, StartError> {
        let bind_error = |source| StartError::Bind { address: settings.address, source };
        let listener = TcpListener::bind(settings.address).map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let schemas = Schemas::compile().map_err(StartError::Schema)?;
        let hub = Arc::new(Hub::new(settings, schemas));
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let thread_hub = Arc::clone(&hub);
        let thread = std::thread::Builder::new()
            .name("cxone-sim".to_owned())
            .spawn(move || run(thread_hub, listener, &ready))
            .map_err(StartError::Server)?;
        let (server, arbiter) = started
            .recv()
            .unwrap_or_else(|_| Err(std::io::Error::other("its thread ended")))
            .map_err(StartError::Server)?;
        tracing::debug!(%address, "simulator started");
        Ok(RunningSimulator { hub, address, arbiter, server, thread: Some(thread) })
    }
}

type Started = std::io::Result<(ServerHandle, ArbiterHandle)>;

fn run(hub: Arc<Hub>, listener: TcpListener, ready: &std::sync::mpsc::SyncSender<Started>) {
    System::new().block_on(async move {
        let server = match server::serve(hub, listener) {
            Ok(server) => server,
            Err(error) => {
                // The starter waits for exactly this message.
                let _ = ready.send(Err(error));
                return;
            }
        };
        let handles = (server.handle(), System::current().arbiter().clone());
        if ready.send(Ok(handles)).is_ok()
            && let Err(error) = server.await
        {
            tracing::error!(%error, "the simulator's server failed");
        }
    });
}

/// A simulator that runs until it is stopped or dropped.
pub struct RunningSimulator {
    hub: Arc<Hub>,
    address: SocketAddr,
    arbiter: ArbiterHandle,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl RunningSimulator {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for a client, also the address of the agent's desktop page.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops the server and waits for its thread. Cuts what is connected.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        self.hub.update(|state| state.streams.end_all(StreamEnd::Cut));
        // The order is sent by the call itself; its future only waits for the end, as the join does.
        drop(self.server.stop(false));
        if thread.join().is_err() {
            tracing::error!("the simulator's thread panicked");
        }
    }

    /// What arrived, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.hub.read(|state| state.record.entries().cloned().collect())
    }

    /// What arrived on one route, oldest first.
    pub fn received_on(&self, route: Route) -> Vec<Received> {
        let on = |entry: &&Received| entry.route == route;
        self.hub.read(|state| state.record.entries().filter(on).cloned().collect())
    }

    /// The recorded breaches of the contract.
    pub fn violations(&self) -> Vec<Received> {
        let broken = |entry: &&Received| matches!(entry.verdict, Verdict::Violation { .. });
        self.hub.read(|state| state.record.entries().filter(broken).cloned().collect())
    }

    /// How often the contract was broken, also when the record has let some go.
    pub fn num_violations(&self) -> u64 {
        self.hub.read(|state| state.record.num_violations())
    }

    /// Every ended customer turn and its card.
    pub fn turns(&self) -> Vec<TurnOutcome> {
        self.hub.read(|state| state.ledger.turns())
    }

    /// Customer turns that have ended.
    pub fn num_turns(&self) -> u64 {
        self.hub.read(|state| state.ledger.num_turns())
    }

    /// Turns that have their card.
    pub fn num_cards(&self) -> u64 {
        self.hub.read(|state| state.ledger.num_cards())
    }

    /// Pushes to an interaction in which every turn had its card already.
    pub fn num_duplicates(&self) -> u64 {
        self.hub.read(|state| state.ledger.num_duplicates())
    }

    /// Pushes to an interaction in which no turn had ended.
    pub fn num_unprompted(&self) -> u64 {
        self.hub.read(|state| state.ledger.num_unprompted())
    }

    /// Open stream connections.
    pub fn num_streams(&self) -> usize {
        self.hub.read(|state| state.streams.len())
    }

    /// Waits until `reached` holds, looking again after every change; false when `timeout` came first. Needs a tokio
    /// runtime.
    pub async fn until(&self, timeout: Duration, mut reached: impl FnMut(&Self) -> bool) -> bool {
        self.hub.until(timeout, || reached(self)).await
    }

    /// Adds a fault behind those still to come on its route.
    pub fn inject(&self, fault: Fault) {
        self.hub.update(|state| state.faults.add(fault));
    }

    /// Forgets the faults still to come.
    pub fn clear_faults(&self) {
        self.hub.update(|state| state.faults.clear());
    }

    /// Makes every token issued so far worthless.
    pub fn expire_tokens(&self) {
        self.hub.update(|state| state.tokens.revoke_all());
    }

    /// Ends every stream connection.
    pub async fn end_streams(&self, how: StreamEnd) {
        self.hub.end_streams(how).await;
    }

    /// Puts one message on the newest connection and returns the moment of it.
    pub async fn send(&self, frame: Frame) -> Result<Instant, NotConnected> {
        self.hub.send(frame).await
    }

    /// Presses accept or reject on a card, as the agent would.
    pub async fn judge_card(&self, interaction_id: &str, insight_id: &str, accepted: bool) -> Result<(), NotConnected> {
        self.hub.judge_card(interaction_id, insight_id, accepted).await
    }

    /// Refuses further pushes for an interaction; false when it was not live.
    pub fn end_interaction(&self, interaction_id: &str) -> bool {
        self.hub.end_interaction(interaction_id)
    }

    /// Plays conversations one after another to whoever is connected, waiting while nobody is.
    pub fn play(&self, conversations: Vec<Conversation>, pace: Pace) -> Playing {
        let ids = self.interaction_ids(&conversations);
        let (report, progress) = watch::channel(0);
        let hub = Arc::clone(&self.hub);
        self.arbiter.spawn(async move {
            for (conversation, id) in conversations.iter().zip(ids) {
                play_conversation(&hub, conversation, &id, &pace).await;
                report.send_modify(|played| *played += 1);
                end_later(&hub, id, pace.linger);
                tokio::time::sleep(pace.between_conversations).await;
                if report.is_closed() {
                    return;
                }
            }
        });
        Playing { progress }
    }

    pub(crate) fn interaction_ids(&self, conversations: &[Conversation]) -> Vec<String> {
        let taken = |id: &str| self.hub.read(|state| state.ledger.standing(id)) != Standing::Unknown;
        conversation::interaction_ids(conversations, &taken)
    }

    /// Sends what is said in an interaction, stamped now, as soon as a client is connected.
    pub(crate) async fn speak(&self, interaction_id: &str, speech: &Speech) -> Instant {
        speak(&self.hub, interaction_id, speech).await
    }
}

impl Drop for RunningSimulator {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Conversations under way; dropping it ends the playing after the current one.
#[must_use = "dropping it ends the playing after the current conversation"]
pub struct Playing {
    progress: watch::Receiver<usize>,
}

impl Playing {
    /// Conversations played to their end so far.
    pub fn num_played(&self) -> usize {
        *self.progress.borrow()
    }

    /// Waits until all are played.
    pub async fn finished(mut self) {
        while self.progress.changed().await.is_ok() {}
    }
}

async fn speak(hub: &Hub, id: &str, speech: &Speech) -> Instant {
    let timestamp = jiff::Timestamp::now().to_string();
    let frame = player::frame(id, speech, &timestamp);
    hub.send_when_connected(Frame::Text(frame.to_string())).await
}

async fn play_conversation(hub: &Hub, conversation: &Conversation, id: &str, pace: &Pace) {
    for turn in &conversation.turns {
        for step in player::steps(turn, pace) {
            tokio::time::sleep(step.pause).await;
            speak(hub, id, &step.speech).await;
        }
        tokio::time::sleep(pace.between_turns).await;
    }
}

fn end_later(hub: &Arc<Hub>, id: String, linger: Duration) {
    let hub = Arc::clone(hub);
    actix_rt::spawn(async move {
        tokio::time::sleep(linger).await;
        hub.end_interaction(&id);
    });
}

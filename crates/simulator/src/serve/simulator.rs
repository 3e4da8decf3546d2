//! A simulator from its start to its end: what it saw, and what it shall do.
//!
//! Input: settings, questions, orders. Output: a [`RunningSimulator`], whose server and player live on a thread of their
//! own until it is stopped or dropped; copies of what it saw; the effect of an order, at once. A port in use, or anything
//! else that keeps the server from starting, is an error of [`Simulator::start`]. The calls under `/_sim/` do the same for
//! programs in other languages.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_rt::{ArbiterHandle, System};
use actix_web::dev::ServerHandle;

use super::explain::AdminPlace;
use super::faults::Fault;
use super::files::{Article, Conversation};
use super::http;
use super::hub::{Hub, NotConnected};
use super::interactions::TurnOutcome;
use super::library::ArticlesAnswer;
use super::play::{self, Playing};
use super::player::Pace;
use super::record::{Received, Verdict};
use super::schema::Schemas;
use super::script::PendingFault;
use super::settings::SimulatorSettings;
use super::state::State;
use super::streams::{Audience, Frame, StreamEnd};
use crate::base::contracts::Route;
use crate::base::verdict::{AgentVerdict, RejectReason};

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address can't be listened on.
    #[error("cannot listen on {address}; another program may hold the port, choose another one with --port")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The thread or the server on it.
    #[error("the server did not start")]
    Server(#[source] std::io::Error),
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
        let schemas = Schemas::compile(settings.strict).map_err(StartError::Schema)?;
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
        let server = match http::serve(hub, listener) {
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
        self.hub.update(|state| state.streams.end(&Audience::default(), StreamEnd::Cut));
        // The order is sent by the call itself; its future only waits for the end, as the join does.
        drop(self.server.stop(false));
        if thread.join().is_err() {
            tracing::error!("the simulator's thread panicked");
        }
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }
}

impl Drop for RunningSimulator {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// What it saw: copies, nothing here changes anything.
impl RunningSimulator {
    /// What arrived, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.hub.read(|state| state.record.received(0, |_| true).collect())
    }

    /// What arrived on one route, oldest first.
    pub fn received_on(&self, route: Route) -> Vec<Received> {
        self.hub.read(|state| state.record.received(0, |entry| entry.route == route).collect())
    }

    /// What arrived from this sequence number on, oldest first.
    pub fn received_from(&self, sequence: u64) -> Vec<Received> {
        self.hub.read(|state| state.record.received(sequence, |_| true).collect())
    }

    /// The recorded breaches of the contract.
    pub fn violations(&self) -> Vec<Received> {
        let broken = |verdict: &Verdict| matches!(verdict, Verdict::Violation { .. });
        self.hub.read(|state| state.record.received(0, |entry| broken(&entry.verdict)).collect())
    }

    /// How often the contract was broken, also when the record has let some go.
    pub fn num_violations(&self) -> u64 {
        self.hub.read(|state| state.record.num_violations())
    }

    /// Every ended customer turn and its card, by client and then in the order in which interactions were first
    /// mentioned; interactions that ended long ago are forgotten.
    pub fn turns(&self) -> Vec<TurnOutcome> {
        self.hub.read(State::turns)
    }

    /// Customer turns that have ended.
    pub fn num_turns(&self) -> u64 {
        self.hub.read(|state| state.totals.turns)
    }

    /// Turns that have their card.
    pub fn num_cards(&self) -> u64 {
        self.hub.read(|state| state.totals.cards)
    }

    /// Pushes to an interaction in which every turn had its card already.
    pub fn num_duplicates(&self) -> u64 {
        self.hub.read(|state| state.totals.duplicates)
    }

    /// Pushes to an interaction in which no turn had ended; over HTTP that is every push whose question the simulator
    /// did not ask itself.
    pub fn num_unprompted(&self) -> u64 {
        self.hub.read(|state| state.totals.unprompted)
    }

    /// Open stream connections that hear something.
    pub fn num_streams(&self) -> usize {
        self.num_streams_of(&Audience::default())
    }

    /// The same of some connections only.
    pub fn num_streams_of(&self, audience: &Audience) -> usize {
        self.hub.num_listening(audience)
    }

    /// Articles that the knowledge endpoints hold.
    pub fn num_articles(&self) -> usize {
        self.hub.articles().len()
    }

    /// The faults still to come.
    pub fn pending_faults(&self) -> Vec<PendingFault> {
        self.hub.read(|state| state.faults.pending())
    }

    /// Waits until `reached` holds, looking again after every change; false when `timeout` came first. Needs a tokio
    /// runtime.
    pub async fn until(&self, timeout: Duration, mut reached: impl FnMut(&Self) -> bool) -> bool {
        self.hub.until(timeout, || reached(self)).await
    }
}

/// What it shall do.
impl RunningSimulator {
    /// Adds a fault behind those still to come on its route; false when that route has a thousand already.
    pub fn inject(&self, fault: Fault) -> bool {
        self.inject_every(1, fault)
    }

    /// The same for only the last of every so many requests: 2 is every second one.
    pub fn inject_every(&self, every: u32, fault: Fault) -> bool {
        self.hub.update(|state| state.faults.add(fault, every))
    }

    /// Forgets the faults still to come.
    pub fn clear_faults(&self) {
        self.hub.update(|state| state.faults.clear(None));
    }

    /// Forgets the faults still to come on one route.
    pub fn clear_faults_on(&self, route: Route) {
        self.hub.update(|state| state.faults.clear(Some(route)));
    }

    /// Makes every token issued so far worthless.
    pub fn expire_tokens(&self) {
        self.hub.update(|state| state.tokens.revoke_all());
    }

    /// Ends every stream connection.
    pub async fn end_streams(&self, how: StreamEnd) {
        self.end_streams_of(&Audience::default(), how).await;
    }

    /// Ends some stream connections.
    pub async fn end_streams_of(&self, audience: &Audience, how: StreamEnd) {
        self.hub.end_streams(audience, how).await;
    }

    /// Plays conversations one after another to everybody who is connected, waiting while nobody is.
    pub fn play(&self, conversations: Vec<Conversation>, pace: Pace) -> Playing {
        self.play_to(Audience::default(), conversations, pace)
    }

    /// The same to some connections only.
    pub fn play_to(&self, audience: Audience, conversations: Vec<Conversation>, pace: Pace) -> Playing {
        play::play(&self.hub, &self.arbiter, audience, conversations, pace)
    }

    /// Puts one message on every open connection of its kind and returns the moment of it.
    pub async fn send(&self, frame: Frame) -> Result<Instant, NotConnected> {
        self.send_to(&Audience::default(), frame).await
    }

    /// Puts one message on some connections and returns the moment of it.
    pub async fn send_to(&self, audience: &Audience, frame: Frame) -> Result<Instant, NotConnected> {
        self.hub.send(audience, frame).await
    }

    /// Presses accept or reject on a card, as the agent would.
    pub async fn judge_card(&self, interaction_id: &str, insight_id: &str, accepted: bool) -> Result<(), NotConnected> {
        let verdict = if accepted { AgentVerdict::Accepted } else { AgentVerdict::Rejected(None) };
        self.hub.judge_card(&Audience::default(), interaction_id, insight_id, verdict).await
    }

    /// Rejects a card with a reason, as the agent would.
    pub async fn reject_card(
        &self,
        interaction_id: &str,
        insight_id: &str,
        reason: RejectReason,
    ) -> Result<(), NotConnected> {
        let verdict = AgentVerdict::Rejected(Some(reason));
        self.hub.judge_card(&Audience::default(), interaction_id, insight_id, verdict).await
    }

    /// Says where the service under test explains its decisions, so that the desktop can show why a card came.
    pub fn explain_by(&self, admin: AdminPlace) {
        self.hub.admin.store(Some(Arc::new(admin)));
    }

    /// Makes an interaction, or a session, known to every client.
    pub fn open_interaction(&self, interaction_id: &str) {
        self.hub.update(|state| state.open_interaction(interaction_id, Instant::now()));
    }

    /// Refuses further pushes for an interaction, whosever it is; false when it was not live.
    pub fn end_interaction(&self, interaction_id: &str) -> bool {
        self.hub.update(|state| state.end_interaction(&Audience::default(), interaction_id, Instant::now()))
    }

    /// Refuses rankings of a session with 409 until it is unlocked; false when ten thousand are locked already.
    pub fn lock_session(&self, session_id: &str) -> bool {
        self.hub.update(|state| state.lock_session(session_id))
    }

    /// Takes rankings of a session again; false when it was not locked.
    pub fn unlock_session(&self, session_id: &str) -> bool {
        self.hub.update(|state| state.unlock_session(session_id))
    }

    /// Adds an article, or replaces the one of the same id.
    pub fn put_article(&self, article: Article) {
        self.hub.change_articles(|library, now| Some(library.put(article, now)));
    }

    /// Takes an article away; false when it was not there.
    pub fn delete_article(&self, id: &str) -> bool {
        self.hub.change_articles(|library, now| library.delete(id, now))
    }

    /// Replaces all articles; one that stays as it was does not count as changed.
    pub fn replace_articles(&self, articles: Vec<Article>) {
        self.hub.change_articles(|library, now| Some(library.replace(articles, now)));
    }

    /// Answers the list of articles in another way from now on; what a client holds counts as changed.
    pub fn answer_articles(&self, answer: ArticlesAnswer) {
        self.hub.change_articles(|library, now| Some(library.answering(answer, now)));
    }
}

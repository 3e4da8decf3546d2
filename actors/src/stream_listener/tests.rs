#![allow(clippy::unwrap_used)]

mod connections;
mod frames;
mod speaking;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use actix::Addr;
use async_channel::Receiver;
use cuecard_cxone::StreamKind;
use cuecard_cxone::http::Answer;
use cuecard_cxone::stream::InsightsProtocol;
use cuecard_cxone::websocket::{ClosedReason, HandshakeError, TokenPlacement};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use tokio::time::pause;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::*;
use crate::cxone_calls::{Socket, Sockets};
use crate::health::{Part, ProfileHealth};
use crate::inbox::bounded;
use crate::telemetry::ProfileState;
use crate::testing::{Bench, Cxone, TenantParts, soon, take, until};
use crate::token_actor::{TokenActor, TokenActorDeps};

/// What a pretended peer does with a connection.
enum Peer {
    /// Refuses it.
    Refuses(HandshakeError),
    /// Sends these and then goes away for this reason.
    Sends(Vec<&'static str>, ClosedReason),
    /// Sends these and stays.
    Stays(Vec<&'static str>),
    /// Sends what the test sends, and cuts the connection when the test lets go of it.
    Relays(Receiver<String>),
    /// Makes the caller panic.
    Explodes,
}

/// Peers, one after the other; after the last each connection is refused.
#[derive(Clone, Default)]
struct Script {
    peers: Rc<RefCell<VecDeque<Peer>>>,
    /// When each connection was asked for, and with which token.
    attempts: Rc<RefCell<Vec<(Instant, String)>>>,
    /// What was said to which of the peers.
    said: Rc<RefCell<Vec<(usize, String)>>>,
    goodbyes: Rc<Cell<usize>>,
}

impl Sockets for Script {
    type Socket = FakeSocket;

    async fn connect(
        &self,
        _url: &Url,
        token: &SecretString,
        _placement: TokenPlacement,
    ) -> Result<FakeSocket, HandshakeError> {
        self.attempts.borrow_mut().push((Instant::now(), token.expose_secret().to_owned()));
        let (peer, mut frames) = async_channel::unbounded();
        let (sent, end) = match self.peers.borrow_mut().pop_front() {
            Some(Peer::Refuses(error)) => return Err(error),
            Some(Peer::Sends(sent, reason)) => (sent, Some(reason)),
            Some(Peer::Stays(sent)) => (sent, None),
            Some(Peer::Relays(relayed)) => {
                frames = relayed;
                (Vec::new(), Some(ClosedReason::Cut))
            }
            Some(Peer::Explodes) => panic!("injected"),
            None => return Err(HandshakeError::Status { status: 503, retry_after: None }),
        };
        for frame in sent {
            peer.try_send(frame.to_owned()).unwrap();
        }
        Ok(FakeSocket { number: self.attempts.borrow().len(), frames, end, script: self.clone() })
    }
}

struct FakeSocket {
    number: usize,
    frames: Receiver<String>,
    end: Option<ClosedReason>,
    script: Script,
}

impl Socket for FakeSocket {
    async fn next(&mut self) -> Result<Frame, ClosedReason> {
        match (self.frames.recv().await, self.end) {
            (Ok(frame), _) => Ok(Frame::Text(frame.into())),
            (Err(_), Some(reason)) => Err(reason),
            (Err(_), None) => std::future::pending().await,
        }
    }

    async fn send(&mut self, text: String) -> Result<(), ClosedReason> {
        self.script.said.borrow_mut().push((self.number, text));
        Ok(())
    }

    async fn close(self) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.script.goodbyes.set(self.script.goodbyes.get() + 1);
    }
}

/// The task that holds the socket. Tokens are `t1`, `t2`, …
struct Listened {
    health: Arc<ProfileHealth>,
    stop: CancellationToken,
    goodbyes: TaskTracker,
    script: Script,
    bench: Bench,
    _token_actor: Addr<TokenActor>,
}

impl Listened {
    fn start(received: Sender<Received>, peers: Vec<Peer>) -> Self {
        Self::start_without_token(received, peers, 0)
    }

    /// The first so many tokens can't be had.
    fn start_without_token(received: Sender<Received>, peers: Vec<Peer>, num_failures: u32) -> Self {
        let bench = Bench::new("token_actor");
        let cxone = Cxone::new();
        let asked = AtomicU32::new(0);
        cxone.answer_with(move |_| match asked.fetch_add(1, SeqCst).checked_sub(num_failures) {
            Some(given) => Ok(Answer::scripted(200, &[], format!(r#"{{"access_token":"t{}"}}"#, given + 1))),
            None => Ok(Answer::scripted(429, &[("retry-after", "1")], "{}")),
        });
        let parts = TenantParts::new("acme");
        let (needed, metrics) = (&[Part::Token, Part::Stream], bench.metrics.clone());
        let tenant = TenantParts { cxone, needed, metrics, ..parts }.build();
        let (calls, health) = (Arc::clone(&tenant.calls), Arc::clone(&tenant.health));
        let deps =
            TokenActorDeps { calls: Arc::clone(&calls), health: Arc::clone(&health), cell: Arc::clone(&bench.cell) };
        let token_actor = bench.supervise(TokenActor::new(deps));
        calls.introduce(token_actor.clone().into());
        let script = Script { peers: Rc::new(RefCell::new(peers.into())), ..Script::default() };
        let (stop, goodbyes) = (CancellationToken::new(), TaskTracker::new());
        let listening = Listening {
            calls,
            sockets: script.clone(),
            stream: StreamKind::Insights,
            waits_for_articles: true,
            received,
            health: Arc::clone(&health),
            metrics: bench.metrics.clone(),
            goodbyes: goodbyes.clone(),
            stop: stop.clone(),
        };
        actix_rt::spawn(listening.run());
        Self { health, stop, goodbyes, script, bench, _token_actor: token_actor }
    }

    /// The waits between the attempts so far.
    fn waits(&self) -> Vec<Duration> {
        self.script.attempts.borrow().windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
    }

    fn num_attempts(&self) -> usize {
        self.script.attempts.borrow().len()
    }

    /// The tokens of the attempts so far.
    fn tokens(&self) -> Vec<String> {
        self.script.attempts.borrow().iter().map(|(_, token)| token.clone()).collect()
    }
}

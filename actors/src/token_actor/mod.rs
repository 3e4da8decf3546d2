//! `TokenActor`, one per profile: whoever calls CXone asks it for a token.
//!
//! It keeps one token, renews it ahead of its expiry, and however many callers wait, asks for one at a time. After a
//! failure it asks again when the answers table says; until then callers get that error at once.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, ResponseFuture, Supervised};
use cuecard_cxone::token::Token;
use cuecard_failure_points::failure_point;
use futures_util::FutureExt;
use futures_util::future::Shared;
use secrecy::ExposeSecret;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::cxone_calls::{CxoneCalls, TokenActorAddress};
use crate::health::{Condition, Part, ProfileHealth};
use crate::messages::{GetToken, Invalidate, TokenError};
use crate::supervision::{ActorCell, Timer};

/// The wait after a request whose task panicked.
const AFTER_PANIC: Duration = Duration::from_secs(1);

type TokenResult = Result<Token, TokenError>;
type PendingToken = Pin<Box<dyn Future<Output = TokenResult> + Send>>;

/// Why there is no token, and when to ask again.
#[derive(Debug, Clone)]
pub struct NoToken {
    /// What callers are told.
    pub error: TokenError,
    /// The wait before the next request.
    pub ask_again_after: Duration,
}

/// What a `TokenActor` works with.
pub struct TokenActorDeps {
    /// Asks the token endpoint.
    pub calls: Arc<CxoneCalls>,
    /// Where it says whether there is a token.
    pub health: Arc<ProfileHealth>,
    /// The actor's public state.
    pub cell: Arc<ActorCell>,
}

/// See the module.
pub struct TokenActor {
    deps: TokenActorDeps,
    state: State,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// The refresh under way, which any number of callers may wait for.
    refresh: Option<Shared<PendingToken>>,
    /// The last error and until when it is given to callers without asking again.
    refused: Option<(TokenError, Instant)>,
    failures: u32,
    timer: Option<Timer>,
    /// Fires when the token ends.
    end: Option<Timer>,
}

/// A refresh came to an end, or its task did.
#[derive(Message)]
#[rtype(result = "()")]
struct Refreshed(Result<Token, NoToken>);

/// Says how a refresh ended when it is dropped, so that a panic of its task can't leave callers waiting for it.
struct EndNotice {
    actor: Addr<TokenActor>,
    result: Result<Token, NoToken>,
}

impl EndNotice {
    fn new(actor: Addr<TokenActor>) -> Self {
        let no_token = NoToken { error: TokenError::NoAnswer, ask_again_after: AFTER_PANIC };
        Self { actor, result: Err(no_token) }
    }
}

impl Drop for EndNotice {
    fn drop(&mut self) {
        self.actor.do_send(Refreshed(self.result.clone()));
    }
}

impl From<Addr<TokenActor>> for TokenActorAddress {
    fn from(actor: Addr<TokenActor>) -> Self {
        Self { get: actor.clone().recipient(), invalidate: actor.recipient() }
    }
}

impl TokenActor {
    /// A `TokenActor` without a token; it asks for one when it starts, or starts again without one.
    pub fn new(deps: TokenActorDeps) -> Self {
        Self { deps, state: State::default() }
    }

    /// Starts a refresh unless one is under way. It runs in a task of its own, so that whoever waits for it
    /// gets its result whatever becomes of this actor.
    fn refresh(&mut self, context: &mut Context<Self>) {
        if self.state.refresh.is_some() {
            return;
        }
        let (sender, receiver) = oneshot::channel();
        failure_point!(TokenActor, self.deps.health.profile().as_str());
        let (calls, number) = (Arc::clone(&self.deps.calls), self.state.failures + 1);
        let in_flight = self.deps.cell.in_flight();
        let mut notice = EndNotice::new(context.address());
        tokio::spawn(async move {
            failure_point!(TokenActorFetch, calls.profile().as_str());
            let result = calls.request_token(number).await;
            notice.result.clone_from(&result);
            drop((notice, in_flight));
            // Nobody waits for a refresh ahead of expiry.
            let _ = sender.send(result.map_err(|no_token| no_token.error));
        });
        let waiting = async { receiver.await.unwrap_or(Err(TokenError::NoAnswer)) };
        self.state.refresh = Some((Box::pin(waiting) as PendingToken).shared());
    }

    fn refresh_in(&mut self, wait: Duration, context: &mut Context<Self>) {
        self.state.timer = Some(Timer::start(wait, context, Self::refresh));
    }

    /// However long the next request is put off, health must show when the token has ended.
    fn watch_end(&mut self, context: &mut Context<Self>) {
        let left = self.state.token.as_ref().map(|token| token.expires_at().saturating_duration_since(Instant::now()));
        self.state.end = left.map(|left| Timer::start(left, context, |actor, _| actor.tell_whether_missing()));
    }

    /// Says so where no token is valid.
    fn tell_whether_missing(&self) {
        if self.valid_token(Instant::now()).is_none() {
            let error = self.state.refused.as_ref().map(|(error, _)| error.to_string());
            let reason = error.unwrap_or_else(|| "the token has ended, and the next one is still awaited".to_owned());
            self.deps.health.set(Part::Token, Condition::Missing(reason));
        }
    }

    /// The last error, while it is too early to ask again.
    fn refused(&self, now: Instant) -> Option<&TokenError> {
        self.state.refused.as_ref().filter(|(_, until)| *until > now).map(|(error, _)| error)
    }

    fn valid_token(&self, now: Instant) -> Option<Token> {
        self.state.token.as_ref().filter(|token| token.is_valid(now)).cloned()
    }
}

impl Actor for TokenActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let now = Instant::now();
        let wait = self.valid_token(now).map(|token| token.refresh_at().saturating_duration_since(now));
        // By a timer even where it is due: a fetch that panics must not keep the actor from starting.
        self.refresh_in(wait.unwrap_or_default(), context);
        self.watch_end(context);
    }
}

impl Supervised for TokenActor {
    fn restarting(&mut self, _context: &mut Self::Context) {
        // A refresh under way is a task of its own and still says how it ends.
        let (token, refresh) = (self.state.token.take(), self.state.refresh.take());
        self.state = State { token, refresh, ..State::default() };
    }
}

impl Handler<GetToken> for TokenActor {
    type Result = ResponseFuture<TokenResult>;

    fn handle(&mut self, _: GetToken, context: &mut Self::Context) -> Self::Result {
        self.deps.cell.note_handled();
        let now = Instant::now();
        if let Some(token) = self.valid_token(now) {
            return Box::pin(std::future::ready(Ok(token)));
        }
        if let Some(error) = self.refused(now) {
            return Box::pin(std::future::ready(Err(error.clone())));
        }
        self.refresh(context);
        let refresh = self.state.refresh.clone();
        Box::pin(async { refresh.ok_or(TokenError::NoAnswer)?.await })
    }
}

impl Handler<Invalidate> for TokenActor {
    type Result = ();

    fn handle(&mut self, Invalidate(refused): Invalidate, context: &mut Self::Context) {
        // A late complaint about the token before this one must not cost the new one.
        if self.state.token.as_ref().is_some_and(|token| is_same(token, &refused)) {
            self.state.token = None;
            // Where an error is being waited out, the timer asks.
            if self.refused(Instant::now()).is_none() {
                self.refresh(context);
            } else {
                self.tell_whether_missing();
            }
        }
    }
}

fn is_same(one: &Token, other: &Token) -> bool {
    one.secret().expose_secret() == other.secret().expose_secret()
}

impl Handler<Refreshed> for TokenActor {
    type Result = ();

    fn handle(&mut self, Refreshed(result): Refreshed, context: &mut Self::Context) {
        self.state.refresh = None;
        match result {
            Ok(token) => {
                let wait = token.refresh_at().saturating_duration_since(Instant::now());
                self.state.failures = 0;
                self.state.refused = None;
                self.state.token = Some(token);
                self.deps.health.set(Part::Token, Condition::Good);
                self.refresh_in(wait, context);
                self.watch_end(context);
            }
            Err(NoToken { error, ask_again_after }) => {
                self.state.failures = self.state.failures.saturating_add(1);
                tracing::warn!(%error, ?ask_again_after, profile = %self.deps.health.profile(), "no token");
                self.state.refused = Some((error, Instant::now() + ask_again_after));
                self.tell_whether_missing();
                self.refresh_in(ask_again_after, context);
            }
        }
    }
}

#[cfg(test)]
mod tests;

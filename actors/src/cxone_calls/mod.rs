//! How one profile calls CXone: with a token, within the answers table, held back by 429, rate limit and open circuits.
//!
//! Shared by the profile's actors; may be used from any thread, and keeps no task and no queue of its own.

mod answer;
mod forward;
mod gate;
mod masking;
mod open_stream;
mod push;
mod read;
mod search_backend;
mod token;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::Recipient;
use cuecard_cxone::answers::{Attempt, CallOutcome, NextStep, RetryPolicy};
use cuecard_cxone::circuit::{Circuit, CircuitState, Permit};
use cuecard_cxone::http::{Answer, HttpClient, Request};
use cuecard_cxone::retry_after::RetryAfter;
use cuecard_cxone::token::Token;
use cuecard_cxone::{Connection, Dialect};
use cuecard_text::masking::mask;
use tokio::time::Instant;

use answer::{Answered, describe, outcome};
pub use forward::ForwardEnd;
use gate::Gate;
pub use gate::RateLimit;
pub use open_stream::{ConnectFailure, Socket, Sockets};
pub use push::{ASKED_ATTEMPTS, PushOrder};
pub use read::{ArticlesRead, ReadError};
pub use search_backend::SearchBackend;

use crate::health::ProfileHealth;
use crate::messages::{GetToken, Invalidate, ProfileName, TokenError};
use crate::telemetry::{CxoneAnswered, Endpoint, EndpointHeld, Metrics, WaitCut};

/// Characters of an answer that are logged where somebody looks for a fault.
const LOGGED: usize = 2000;
/// Bytes of it that are masked for that: a number of which the end is cut off would not be known as one, so the cut lies
/// far behind what is logged.
const MASKED_BYTES: usize = 4 * LOGGED;

/// What a profile's calls need.
pub struct CxoneCallsDeps {
    /// The profile's client.
    pub http: HttpClient,
    /// The tenant.
    pub connection: Connection,
    /// What pushes look like.
    pub dialect: Dialect,
    /// Waits and retries.
    pub policy: RetryPolicy,
    /// Calls per second, where the tenant limits them.
    pub rate_limit: Option<RateLimit>,
    /// Where it says whether a circuit is open or an endpoint held.
    pub health: Arc<ProfileHealth>,
    /// Where answers are counted.
    pub metrics: Metrics,
}

/// See the module.
pub struct CxoneCalls {
    deps: CxoneCallsDeps,
    gate: Gate,
    /// Whether feedback is refused whatever it says.
    feedback: Mutex<Circuit>,
    tokens: Mutex<Option<TokenActorAddress>>,
}

/// The profile's `TokenActor`.
#[derive(Clone)]
pub struct TokenActorAddress {
    /// Gives tokens.
    pub get: Recipient<GetToken>,
    /// Takes refused ones back.
    pub invalidate: Recipient<Invalidate>,
}

impl CxoneCalls {
    /// Calls for one profile; the `TokenActor` is introduced once it runs.
    pub fn new(deps: CxoneCallsDeps) -> Self {
        let feedback = Mutex::new(forward::refusals(&deps.policy));
        Self { gate: Gate::new(deps.rate_limit), feedback, deps, tokens: Mutex::default() }
    }

    /// Says whom to ask for tokens.
    pub fn introduce(&self, token_actor: TokenActorAddress) {
        *self.tokens.lock().unwrap_or_else(PoisonError::into_inner) = Some(token_actor);
    }

    fn token_actor(&self) -> Option<TokenActorAddress> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whose calls these are.
    pub fn profile(&self) -> &ProfileName {
        self.deps.health.profile()
    }

    /// The tenant.
    pub fn connection(&self) -> &Connection {
        &self.deps.connection
    }

    /// The profile's client.
    pub fn http(&self) -> &HttpClient {
        &self.deps.http
    }

    /// Holds calls back by another limit from now on.
    pub fn limit_to(&self, limit: Option<RateLimit>) {
        self.gate.limit_to(limit);
    }

    /// A token that is valid now.
    pub async fn token(&self) -> Result<Token, TokenError> {
        let Some(tokens) = self.token_actor() else { return Err(TokenError::NoAnswer) };
        tokens.get.send(GetToken).await.unwrap_or(Err(TokenError::NoAnswer))
    }

    /// Says that CXone refused this token.
    pub fn invalidate(&self, token: Token) {
        if let Some(tokens) = self.token_actor() {
            tokens.invalidate.do_send(Invalidate(token));
        }
    }

    /// One attempt, within the deadline.
    async fn send(&self, endpoint: Endpoint, request: &Request, deadline: Option<Instant>) -> Answered {
        let start = Instant::now();
        let time_left = deadline.map(|deadline| deadline.saturating_duration_since(start));
        let answer = self.deps.http.send(request, time_left).await;
        self.count(endpoint, &answer, start);
        answer
    }

    /// Takes note of what an endpoint asked for.
    fn told_to_wait(&self, endpoint: Endpoint, retry_after: &RetryAfter) {
        self.warn_if_cut(endpoint, retry_after);
        self.hold(endpoint, retry_after.wait());
    }

    /// What comes after an attempt. A 429 holds the endpoint for as long as it says, whatever becomes of the call that was
    /// told so.
    fn next_step(&self, endpoint: Endpoint, attempt: &Attempt) -> NextStep {
        if let Some(wait) = self.asked_wait(attempt) {
            self.hold(endpoint, wait);
        }
        self.deps.policy.next_step(attempt)
    }

    /// How long a 429 holds the endpoint: also where this call has no time for it, or no attempt left.
    fn asked_wait(&self, attempt: &Attempt) -> Option<Duration> {
        let unbounded = Attempt { time_left: None, max_attempts: None, ..*attempt };
        match self.deps.policy.next_step(&unbounded) {
            NextStep::RetryAfter { wait, holds_endpoint: true, .. } => Some(wait),
            _ => None,
        }
    }

    /// Takes note of how a call ended; the circuit's state after it is told, measured and goes to `tell`.
    fn record_call(&self, endpoint: Endpoint, permit: Permit, outcome: CallOutcome, tell: impl FnOnce(CircuitState)) {
        self.gate.record(endpoint, permit, outcome, |circuit| {
            self.deps.health.set_circuit(endpoint, circuit != CircuitState::Closed);
            tell(circuit);
        });
    }

    fn hold(&self, endpoint: Endpoint, wait: Duration) {
        let until = self.gate.hold(endpoint, wait);
        EndpointHeld { profile: self.deps.health.profile(), endpoint, until }.emit(&self.deps.metrics);
        self.deps.health.held(endpoint, until);
    }

    fn count(&self, endpoint: Endpoint, answer: &Answered, since: Instant) {
        let outcome = outcome(answer);
        // Nothing is said of what went well.
        let detail = if matches!(outcome, CallOutcome::Answered(..=299)) { String::new() } else { describe(answer) };
        let profile = self.profile();
        CxoneAnswered { profile, endpoint, outcome, detail: &detail, took: since.elapsed() }.emit(&self.deps.metrics);
        log_words(endpoint, answer);
        if let Some(retry_after) = answer.as_ref().ok().and_then(|answer| answer.retry_after.as_ref()) {
            self.warn_if_cut(endpoint, retry_after);
        }
    }

    fn warn_if_cut(&self, endpoint: Endpoint, retry_after: &RetryAfter) {
        if retry_after.is_cut() {
            WaitCut { profile: self.deps.health.profile(), endpoint, retry_after }.emit();
        }
    }
}

/// Whoever looks for a fault needs the words, without what names a person or an account. A token's answer is nobody's to read.
fn log_words(endpoint: Endpoint, answer: &Answered) {
    if let Ok(Answer { status: status @ 300.., body, .. }) = answer
        && endpoint != Endpoint::Token
    {
        tracing::debug!(status, body = words(body), "cxone's own words");
    }
}

/// The beginning of a body, masked.
fn words(body: &[u8]) -> String {
    let beginning = String::from_utf8_lossy(&body[..body.len().min(MASKED_BYTES)]);
    mask(&beginning).chars().take(LOGGED).collect()
}

#[cfg(test)]
mod tests;

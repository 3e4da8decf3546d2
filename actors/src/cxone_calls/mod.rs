//! How one profile calls CXone: with a token, within the answers table, held back by 429, rate limit and open circuits.
//!
//! Shared by the profile's actors on the system arbiter; keeps no task and no queue of its own.

mod answer;
mod forward;
mod gate;
mod masking;
mod push;
mod read;
mod token;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use cuecard_cxone::answers::{Attempt, CallOutcome, Decision, RetryPolicy};
use cuecard_cxone::http::{Answer, HttpClient, Request};
use cuecard_cxone::token::Token;
use cuecard_cxone::{Connection, Dialect};
use tokio::time::Instant;

use answer::{Answered, describe, outcome};
pub use forward::ForwardEnd;
use gate::Gate;
pub use gate::RateLimit;
pub use push::{ASKED_ATTEMPTS, PushOrder};
pub use read::{ArticlesRead, ReadError};

use crate::health::ProfileHealth;
use crate::messages::{GetToken, Invalidate, TokenError};
use crate::telemetry::{CxoneAnswered, Endpoint, Metrics};

/// Bytes of an answer that are logged where somebody looks for a fault.
const LOGGED_BYTES: usize = 2000;

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
    /// Where it says whether a circuit is open.
    pub health: Arc<ProfileHealth>,
    /// Where answers are counted.
    pub metrics: Metrics,
}

/// See the module.
pub struct CxoneCalls {
    deps: CxoneCallsDeps,
    gate: Gate,
    tokens: RefCell<Option<TokenActorAddress>>,
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
        Self { gate: Gate::new(deps.rate_limit), deps, tokens: RefCell::new(None) }
    }

    /// Says whom to ask for tokens.
    pub fn introduce(&self, token_actor: TokenActorAddress) {
        *self.tokens.borrow_mut() = Some(token_actor);
    }

    /// The tenant.
    pub fn connection(&self) -> &Connection {
        &self.deps.connection
    }

    /// The profile's client.
    pub fn http(&self) -> &HttpClient {
        &self.deps.http
    }

    /// A token that is valid now.
    pub async fn token(&self) -> Result<Token, TokenError> {
        let Some(tokens) = self.tokens.borrow().clone() else { return Err(TokenError::NoAnswer) };
        tokens.get.send(GetToken).await.unwrap_or(Err(TokenError::NoAnswer))
    }

    /// Says that CXone refused this token.
    pub fn invalidate(&self, token: Token) {
        if let Some(tokens) = &*self.tokens.borrow() {
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

    /// What comes after an attempt. A 429 holds the whole profile for as long as it says, whatever becomes of the call
    /// that was told so.
    fn decide(&self, attempt: &Attempt<'_>) -> Decision {
        if let Some(wait) = self.asked_wait(attempt) {
            self.gate.hold(wait);
        }
        self.deps.policy.decide(attempt)
    }

    /// How long a 429 holds the profile: also where this call has no time for it, or no attempt left.
    fn asked_wait(&self, attempt: &Attempt<'_>) -> Option<Duration> {
        let unbounded = Attempt { time_left: None, max_attempts: None, ..*attempt };
        match self.deps.policy.decide(&unbounded) {
            Decision::RetryAfter { wait, hold_profile: true, .. } => Some(wait),
            _ => None,
        }
    }

    fn count(&self, endpoint: Endpoint, answer: &Answered, since: Instant) {
        let outcome = outcome(answer);
        // Nothing is said of what went well.
        let detail = if matches!(outcome, CallOutcome::Answered(..=299)) { String::new() } else { describe(answer) };
        CxoneAnswered { endpoint, outcome, detail: &detail, took: since.elapsed() }.emit(&self.deps.metrics);
        log_words(endpoint, answer);
    }
}

/// Whoever looks for a fault needs the words as they came. A token's answer is nobody's to read.
fn log_words(endpoint: Endpoint, answer: &Answered) {
    if let Ok(Answer { status: status @ 300.., body, .. }) = answer
        && endpoint != Endpoint::Token
    {
        let beginning = &body[..body.len().min(LOGGED_BYTES)];
        tracing::debug!(status, body = %String::from_utf8_lossy(beginning), "cxone's own words");
    }
}

#[cfg(test)]
mod tests;

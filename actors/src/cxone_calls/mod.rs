//! How one profile calls CXone: with a token, within the answers table, held back by 429 and an open circuit.
//!
//! Shared by the profile's actors on the system arbiter; keeps no task and no queue of its own.

mod answer;
mod forward;
mod push;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use cuecard_cxone::answers::{CallKind, CallOutcome, Decision, RetryPolicy};
use cuecard_cxone::circuit::{Circuit, CircuitSettings};
use cuecard_cxone::http::{HttpClient, Request};
use cuecard_cxone::token::Token;
use cuecard_cxone::{Connection, Dialect};
use tokio::time::Instant;

use answer::{Answered, attempt, describe, is_success, outcome};
pub use forward::ForwardEnd;

use crate::health::ProfileHealth;
use crate::messages::{GetToken, Invalidate, TokenError};
use crate::telemetry::{CxoneAnswered, Endpoint, Metrics};
use crate::token_actor::NoToken;

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
    /// Where it says whether the circuit is open.
    pub health: Arc<ProfileHealth>,
    /// Where answers are counted.
    pub metrics: Metrics,
}

/// See the module.
pub struct CxoneCalls {
    deps: CxoneCallsDeps,
    push_circuit: RefCell<Circuit>,
    /// A 429 holds all sending of the profile until then.
    held_until: Cell<Option<Instant>>,
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
        Self {
            deps,
            push_circuit: RefCell::new(Circuit::new(CircuitSettings::default())),
            held_until: Cell::new(None),
            tokens: RefCell::new(None),
        }
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

    /// Asks the token endpoint once; `number` counts the attempts since the last success.
    pub async fn request_token(&self, number: u32) -> Result<Token, NoToken> {
        let request = Request::form(self.deps.connection.token_url().clone(), self.deps.connection.token_form());
        let asked = Instant::now();
        let answer = self.send(Endpoint::Token, &request, None).await;
        let token = answer
            .as_ref()
            .ok()
            .filter(|answer| is_success(answer.status))
            .map(|answer| Token::from_answer(&answer.body, asked, self.deps.connection.refresh_margin()));
        let mut attempt = attempt(CallKind::Token, &answer, number, None);
        let mut detail = describe(&answer);
        match token {
            Some(Ok(token)) => return Ok(token),
            Some(Err(error)) => {
                attempt.outcome = CallOutcome::Unusable;
                detail = error.to_string();
            }
            None => {}
        }
        Err(match self.deps.policy.decide(&attempt) {
            Decision::CredentialsRefused { wait } => {
                let status = answer.as_ref().map_or(0, |answer| answer.status);
                NoToken { error: TokenError::Refused { status }, ask_again_after: wait }
            }
            Decision::RetryAfter { wait, .. } | Decision::RenewToken { wait } => {
                NoToken { error: TokenError::Unreachable { reason: detail }, ask_again_after: wait }
            }
            Decision::Done | Decision::GiveUp(_) => {
                let ask_again_after = self.deps.policy.refused_credentials.step(number);
                NoToken { error: TokenError::Unreachable { reason: detail }, ask_again_after }
            }
        })
    }

    async fn send(&self, endpoint: Endpoint, request: &Request, deadline: Option<Instant>) -> Answered {
        let start = Instant::now();
        let time_left = deadline.map(|deadline| deadline.saturating_duration_since(start));
        let answer = self.deps.http.send(request, time_left).await;
        let outcome = outcome(&answer);
        CxoneAnswered { endpoint, outcome, detail: &describe(&answer), took: start.elapsed() }.emit(&self.deps.metrics);
        answer
    }

    /// Until when a 429 holds the profile's sending back.
    fn held(&self, now: Instant) -> Option<Instant> {
        self.held_until.get().filter(|until| *until > now)
    }

    fn hold(&self, wait: Duration) {
        let until = Instant::now() + wait;
        self.held_until.set(Some(self.held_until.get().map_or(until, |held| held.max(until))));
    }
}

#[cfg(test)]
mod tests;

//! Pushes cards until CXone takes them, refuses them, or they are too late.

use std::time::Duration;

use cuecard_cxone::answers::{Attempt, CallKind, CallOutcome, Decision, GiveUpReason};
use cuecard_cxone::circuit::{Admission, CircuitState, Permit};
use cuecard_cxone::http::Request;
use cuecard_cxone::token::Token;
use cuecard_cxone::{Card, InteractionId};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::CxoneCalls;
use super::answer::{Answered, attempt, describe};
use crate::health::{Condition, Part};
use crate::messages::{Failure, Outcome, Stage, TokenError};
use crate::telemetry::Endpoint;

/// How soon a push asks again for a token that can't be had at the moment.
const TOKEN_PAUSE: Duration = Duration::from_millis(250);
/// How often a push that waits for another one's probe of an open circuit looks how it went.
const PROBE_PAUSE: Duration = Duration::from_millis(50);

const LATE: Outcome = Outcome::Expired(Stage::Inject);

/// What a push went through so far.
#[derive(Default)]
struct Tries {
    number: u32,
    num_renewals: u32,
    /// What CXone said to the first token.
    refused: Option<String>,
    /// The last attempt may have reached the screen, so the next one repeats it.
    is_ambiguous: bool,
}

enum Step {
    End(Outcome),
    Again { wait: Duration },
}

impl CxoneCalls {
    /// Pushes cards; every attempt carries `key`, and none starts after `deadline`.
    pub async fn push(&self, interaction: &InteractionId, cards: &[Card], key: &str, deadline: Instant) -> Outcome {
        let body = match self.deps.dialect.body(interaction, cards).to_json() {
            Ok(body) => body,
            Err(error) => return Outcome::Refused { reason: format!("the cards can't be written as json: {error}") },
        };
        let url = self.deps.connection.push_url(self.deps.dialect, interaction);
        let request = Request::json(self.deps.dialect.method(), url, body).with_idempotency_key(key);
        let mut tries = Tries::default();
        loop {
            match self.push_once(&request, &mut tries, deadline).await {
                Step::End(outcome) => return outcome,
                Step::Again { wait } => sleep(wait).await,
            }
        }
    }

    async fn push_once(&self, request: &Request, tries: &mut Tries, deadline: Instant) -> Step {
        let token = match self.token_before(deadline).await {
            Ok(token) => token,
            Err(outcome) => return Step::End(outcome),
        };
        let permit = match self.pass_before(deadline).await {
            Ok(permit) => permit,
            Err(outcome) => return Step::End(outcome),
        };
        if std::mem::take(&mut tries.is_ambiguous) {
            self.deps.metrics.count_redelivered(self.deps.health.profile());
        }
        let request = request.clone().with_bearer(token.secret().clone());
        let answer = self.send(Endpoint::Push, &request, Some(deadline)).await;
        tries.number += 1;
        let mut attempt = attempt(CallKind::Push, &answer, tries.number, Some(deadline));
        attempt.num_renewals = tries.num_renewals;
        self.record(permit, attempt.outcome);
        self.judge(&attempt, &answer, token, tries)
    }

    fn judge(&self, attempt: &Attempt<'_>, answer: &Answered, token: Token, tries: &mut Tries) -> Step {
        match self.deps.policy.decide(attempt) {
            Decision::Done => {
                let cxone_id = answer.as_ref().ok().and_then(|answer| self.deps.dialect.returned_id(&answer.body));
                Step::End(Outcome::Delivered { cxone_id })
            }
            Decision::RenewToken { wait } => {
                tries.num_renewals += 1;
                tries.refused = Some(describe(answer));
                self.invalidate(token);
                Step::Again { wait }
            }
            Decision::RetryAfter { wait, hold_profile, ambiguous } => {
                if hold_profile {
                    self.hold(wait);
                }
                tries.is_ambiguous = ambiguous;
                Step::Again { wait }
            }
            Decision::GiveUp(GiveUpReason::Late) => Step::End(self.late(attempt)),
            Decision::GiveUp(reason) => Step::End(self.given_up(reason, answer, tries)),
            Decision::CredentialsRefused { .. } => {
                Step::End(Outcome::Refused { reason: GiveUpReason::Unauthorised.to_string() })
            }
        }
    }

    /// Waits for a token while one may still come in time.
    async fn token_before(&self, deadline: Instant) -> Result<Token, Outcome> {
        loop {
            match timeout_at(deadline, self.token()).await {
                Ok(Ok(token)) => return Ok(token),
                Ok(Err(error @ TokenError::Refused { .. })) => {
                    return Err(Outcome::Refused { reason: error.to_string() });
                }
                Ok(Err(_)) if Instant::now() + TOKEN_PAUSE < deadline => sleep(TOKEN_PAUSE).await,
                Ok(Err(_)) | Err(_) => return Err(Outcome::Failed(Failure::Unreachable)),
            }
        }
    }

    /// Waits until neither a 429 nor the circuit holds pushes back, unless that is too late.
    async fn pass_before(&self, deadline: Instant) -> Result<Permit, Outcome> {
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Err(LATE);
            }
            if let Some(until) = self.held(now) {
                if until >= deadline {
                    return Err(LATE);
                }
                sleep_until(until).await;
                continue;
            }
            let admission = self.push_circuit.borrow_mut().admit(now);
            match admission {
                Admission::Pass(permit) => return Ok(permit),
                // Another push finds out whether CXone is back, which may be any moment.
                Admission::Refused { .. } if self.circuit_state() == CircuitState::Probing => sleep(PROBE_PAUSE).await,
                Admission::Refused { retry_after } if now + retry_after >= deadline => {
                    return Err(Outcome::Failed(Failure::Unreachable));
                }
                Admission::Refused { retry_after } => sleep(retry_after).await,
            }
        }
    }

    fn circuit_state(&self) -> CircuitState {
        self.push_circuit.borrow().state()
    }

    fn record(&self, permit: Permit, outcome: CallOutcome) {
        self.push_circuit.borrow_mut().record(permit, outcome.into(), Instant::now());
        let condition = match self.circuit_state() {
            CircuitState::Closed => Condition::Good,
            CircuitState::Open | CircuitState::Probing => {
                Condition::Failing("the circuit is open: CXone fails to take pushes".to_owned())
            }
        };
        self.deps.health.set(Part::Circuit, condition);
    }

    /// A 429 whose wait is too long for this card still holds the cards behind it; anything else that goes on until
    /// the deadline is CXone's own failure.
    fn late(&self, attempt: &Attempt<'_>) -> Outcome {
        let without_deadline = Attempt { time_left: None, ..*attempt };
        match self.deps.policy.decide(&without_deadline) {
            Decision::RetryAfter { wait, hold_profile: true, .. } => {
                self.hold(wait);
                LATE
            }
            _ => Outcome::Failed(Failure::Unreachable),
        }
    }

    fn given_up(&self, reason: GiveUpReason, answer: &Answered, tries: &Tries) -> Outcome {
        let said = describe(answer);
        match reason {
            GiveUpReason::Ambiguous | GiveUpReason::NotSendable => Outcome::Failed(Failure::Unreachable),
            GiveUpReason::Forbidden => {
                Outcome::Refused { reason: format!("{}; {said}", self.deps.dialect.forbidden_reason()) }
            }
            GiveUpReason::Unauthorised => {
                let before = tries.refused.as_deref().unwrap_or_default();
                Outcome::Refused { reason: format!("{reason}; {before}; {said}") }
            }
            _ => Outcome::Refused { reason: format!("{reason}; {said}") },
        }
    }
}

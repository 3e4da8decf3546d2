//! Pushes until CXone takes it, refuses it, or it is too late.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cuecard_cxone::answers::{Attempt, CallOutcome, GiveUpReason, NextStep, UNLOCK_POLL, session_is_locked};
use cuecard_cxone::circuit::{CircuitState, Permit};
use cuecard_cxone::http::Request;
use cuecard_cxone::ranking::RankedSnippet;
use cuecard_cxone::token::Token;
use cuecard_cxone::transport::TransportFailure;
use cuecard_cxone::{InteractionId, PushContent, PushTarget};
use tokio::time::{Instant, sleep};

use super::CxoneCalls;
use super::answer::{Answered, attempt, describe, refusal};
use super::gate::Held;
use crate::health::{Condition, Part};
use crate::messages::{Failure, Outcome, Receipt, Refusal, RefusalCause, Stage, TokenError};
use crate::telemetry::{ActorDropped, DropReason, Endpoint};

/// Attempts in all where somebody waits for the answer; a card from a stream is tried until its deadline.
pub const ASKED_ATTEMPTS: u32 = 3;

const LATE: Outcome = Outcome::Expired(Stage::Inject);

/// What is to be pushed, where, and until when.
pub struct PushOrder<'a> {
    /// Whose desktop.
    pub target: PushTarget<'a>,
    /// What it shows.
    pub content: &'a PushContent,
    /// The same on every attempt.
    pub key: &'a str,
    /// No attempt starts after it.
    pub deadline: Instant,
    /// Attempts in all, where they are counted.
    pub max_attempts: Option<u32>,
}

/// What a push went through so far.
#[derive(Default)]
struct Tries {
    number: u32,
    num_renewals: u32,
    /// What CXone said to the first token.
    refused: Option<String>,
    /// The last attempt may have reached the screen, so the next one repeats it.
    is_ambiguous: bool,
    /// A 409 was followed by a session that was not locked.
    was_unlocked: bool,
}

enum Step {
    End(Outcome),
    Again { wait: Duration },
    AwaitUnlock(Refusal),
}

/// The request and its bounds, the same for every attempt.
struct Push {
    request: Request,
    deadline: Instant,
    max_attempts: Option<u32>,
    count: usize,
    order: Option<Arc<[RankedSnippet]>>,
}

impl CxoneCalls {
    /// Pushes.
    pub async fn push(&self, order: PushOrder<'_>) -> Outcome {
        let body = self.deps.dialect.body(&order.target, order.content);
        let count = body.num_cards();
        let body = match body.to_json() {
            Ok(body) => body,
            Err(error) => return Outcome::Failed(Failure::Unwritable { reason: error.to_string() }),
        };
        let url = self.deps.connection.push_url(self.deps.dialect, order.target.interaction);
        let request = Request::json(url, body).with_idempotency_key(order.key);
        let headers = self.deps.dialect.extra_headers().iter();
        let request = headers.fold(request, |request, (name, value)| request.with_header(name, *value));
        let snippets = match order.content {
            PushContent::Ranking(submission) => Some(Arc::clone(&submission.snippets)),
            PushContent::Cards(_) => None,
        };
        let push = Push { request, deadline: order.deadline, max_attempts: order.max_attempts, count, order: snippets };
        let mut tries = Tries::default();
        loop {
            match self.push_once(&push, &mut tries).await {
                Step::End(outcome) => return outcome,
                Step::Again { wait } => sleep(wait).await,
                Step::AwaitUnlock(refusal) => {
                    if let Err(outcome) =
                        self.unlocked(order.target.interaction, refusal, push.deadline, &mut tries).await
                    {
                        return outcome;
                    }
                }
            }
        }
    }

    async fn push_once(&self, push: &Push, tries: &mut Tries) -> Step {
        let token = match self.token_before(push.deadline).await {
            Ok(token) => token,
            Err(error @ TokenError::Refused { .. }) => {
                return Step::End(Outcome::Refused(credentials_refused(error.to_string())));
            }
            Err(TokenError::Late) => return Step::End(LATE),
            Err(_) => return Step::End(Outcome::Failed(Failure::Unreachable)),
        };
        let permit = match self.gate.pass(Endpoint::Push, push.deadline).await {
            Ok(permit) => permit,
            Err(held) => return Step::End(held_back(held)),
        };
        if std::mem::take(&mut tries.is_ambiguous) {
            self.deps.metrics.count_redelivered(self.deps.health.profile());
        }
        let request = push.request.clone().with_bearer(token.secret().clone());
        let answer = self.send(Endpoint::Push, &request, Some(push.deadline)).await;
        tries.number += 1;
        let mut attempt = attempt(self.deps.dialect.call_kind(), &answer, tries.number, Some(push.deadline));
        attempt.num_renewals = tries.num_renewals;
        attempt.max_attempts = push.max_attempts;
        self.record(permit, attempt.outcome);
        self.judge(&attempt, &answer, token, tries, push)
    }

    fn judge(&self, attempt: &Attempt, answer: &Answered, token: Token, tries: &mut Tries, push: &Push) -> Step {
        match self.next_step(Endpoint::Push, attempt) {
            NextStep::Done => {
                let answer = answer.as_ref().map(|answer| answer.body.clone()).unwrap_or_default();
                let cxone_id = self.deps.dialect.returned_id(&answer).unwrap_or_else(|error| {
                    let (reason, detail) = (DropReason::LongCxoneId, error.to_string());
                    ActorDropped { reason, count: 1, detail: &detail }.emit(&self.deps.metrics);
                    None
                });
                let (count, order) = (push.count, push.order.clone());
                Step::End(Outcome::Delivered(Receipt { cxone_id, count, order, answer }))
            }
            NextStep::RenewToken { wait } => {
                tries.num_renewals += 1;
                tries.refused = Some(describe(answer));
                self.invalidate(token);
                Step::Again { wait }
            }
            NextStep::RetryAfter { wait, ambiguous, .. } => {
                tries.is_ambiguous = ambiguous;
                Step::Again { wait }
            }
            NextStep::AwaitUnlock => Step::AwaitUnlock(refusal(answer, describe(answer))),
            NextStep::GiveUp(reason) => Step::End(self.given_up(reason, attempt, answer, tries)),
            NextStep::CredentialsRefused { .. } => Step::End(Outcome::Refused(credentials_refused(describe(answer)))),
        }
    }

    /// Looks at the session until it is unlocked. One that is not locked may have been when it refused; only if it refuses
    /// once more and is not locked either, it has another reason.
    async fn unlocked(
        &self,
        session: &InteractionId,
        refusal: Refusal,
        deadline: Instant,
        tries: &mut Tries,
    ) -> Result<(), Outcome> {
        let mut was_locked = false;
        loop {
            let session = self.read_session(session, deadline).await;
            match session.map(|answer| session_is_locked(&answer.body)) {
                Ok(true) if Instant::now() + UNLOCK_POLL < deadline => was_locked = true,
                Ok(false) if was_locked || !std::mem::replace(&mut tries.was_unlocked, true) => return Ok(()),
                // Locked until the deadline, or never: the refusal stands.
                Ok(_) => return Err(Outcome::Refused(refusal)),
                Err(error) => {
                    let reason = format!("{}; whether the session is locked is not known: {error}", refusal.reason);
                    return Err(Outcome::Refused(Refusal { reason, ..refusal }));
                }
            }
            sleep(UNLOCK_POLL).await;
        }
    }

    fn record(&self, permit: Permit, outcome: CallOutcome) {
        self.record_call(Endpoint::Push, permit, outcome, |circuit| {
            let condition = match circuit {
                CircuitState::Closed => Condition::Good,
                CircuitState::Open | CircuitState::Probing => {
                    Condition::Failing("the circuit is open: CXone fails to take pushes".to_owned())
                }
            };
            self.deps.health.set(Part::Pushes, condition);
        });
    }

    fn given_up(&self, reason: GiveUpReason, attempt: &Attempt, answer: &Answered, tries: &Tries) -> Outcome {
        let said = describe(answer);
        let said = match reason {
            GiveUpReason::Forbidden => format!("{}; {said}", self.deps.dialect.forbidden_reason()),
            GiveUpReason::Unauthorised => {
                format!("{reason}; {}; {said}", tries.refused.as_deref().unwrap_or_default())
            }
            _ => format!("{reason}; {said}"),
        };
        let refusal = Refusal { given_up: Some(reason), ..refusal(answer, said) };
        match attempt.outcome {
            CallOutcome::Answered(429) => self.given_up_waiting(attempt, refusal),
            CallOutcome::Answered(500..=599) => Outcome::Failed(Failure::CxoneFailed(refusal)),
            CallOutcome::Answered(_) => Outcome::Refused(refusal),
            CallOutcome::Unusable | CallOutcome::Failed(TransportFailure::BodyTooLarge { .. }) => {
                Outcome::Failed(Failure::CxoneFailed(refusal))
            }
            CallOutcome::Failed(TransportFailure::TimedOut) => Outcome::Failed(Failure::TimedOut),
            CallOutcome::Failed(_) => Outcome::Failed(Failure::Unreachable),
        }
    }

    /// The caller is told how long CXone asked to wait.
    fn given_up_waiting(&self, attempt: &Attempt, refusal: Refusal) -> Outcome {
        let refusal = Refusal { retry_after: self.asked_wait(attempt), ..refusal };
        if attempt.max_attempts.is_some() { Outcome::Refused(refusal) } else { Outcome::HeldOff(refusal) }
    }
}

/// How a push ends that could go out only after its deadline.
fn held_back(held: Held) -> Outcome {
    match held {
        Held::Late | Held::RateLimited { .. } => LATE,
        Held::Asked { wait } => Outcome::HeldOff(Refusal {
            cause: RefusalCause::Status(429),
            reason: held.to_string(),
            given_up: None,
            answer: Bytes::new(),
            retry_after: Some(wait),
        }),
        Held::CircuitOpen { .. } => Outcome::Failed(Failure::Unreachable),
    }
}

fn credentials_refused(reason: String) -> Refusal {
    Refusal { cause: RefusalCause::Credentials, reason, given_up: None, answer: Bytes::new(), retry_after: None }
}

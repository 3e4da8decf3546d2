//! Hands accepts and rejects on to the training endpoint, one attempt at a time.
//!
//! A cause that lies with the endpoint or the token is waited out once for all events: one of them finds out whether it is
//! over, and meanwhile no other is sent.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cuecard_cxone::answers::{Attempt, CallKind, CallOutcome, NextStep, RetryPolicy};
use cuecard_cxone::circuit::{CallPermission, Circuit, CircuitSettings, Sign};
use cuecard_cxone::feedback::{FeedbackCall, REQUIRED_SCOPE};
use cuecard_cxone::http::Request;
use tokio::time::Instant;

use super::CxoneCalls;
use super::answer::{Answered, attempt, describe, outcome};
use crate::telemetry::Endpoint;

/// What became of one attempt to hand feedback on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardEnd {
    /// CXone has it.
    Forwarded,
    /// It was not sent and is as due as before.
    NotSent {
        /// Why.
        reason: String,
    },
    /// CXone did not take it; again after this wait.
    Postponed {
        /// The wait.
        wait: Duration,
        /// Why.
        reason: String,
    },
    /// CXone will never take it.
    SetAside {
        /// Why.
        reason: String,
    },
}

/// Opens with the first refusal that any event would have met, and lets one event through after the policy's waits.
pub(super) fn refusals(policy: &RetryPolicy) -> Circuit {
    Circuit::new(CircuitSettings { failures_to_open: 1, pause: policy.feedback })
}

impl CxoneCalls {
    /// Whether no feedback would be sent now.
    pub fn is_feedback_held(&self) -> bool {
        self.gate.is_shut(Endpoint::Feedback) || self.feedback().refuses(Instant::now())
    }

    /// Hands one piece of feedback on; `number` counts the attempts. A token that CXone refuses is replaced and the
    /// feedback sent once more at once; a second refusal is waited out like any other failure. While there is no token,
    /// or a refusal, a 429, the rate limit or the circuit holds it back, it is not sent.
    pub async fn forward(&self, call: &FeedbackCall, number: u32) -> ForwardEnd {
        let body = match call.to_json() {
            Ok(body) => Bytes::from(body),
            Err(error) => return ForwardEnd::SetAside { reason: format!("it can't be written as json: {error}") },
        };
        let admission = self.feedback().admit(Instant::now());
        let CallPermission::Pass(permit) = admission else {
            return ForwardEnd::NotSent { reason: "the training endpoint refuses all feedback".to_owned() };
        };
        let (end, sign) = self.forward_once(body, number).await;
        self.feedback().record(permit, sign, Instant::now());
        end
    }

    /// The end of the attempt, and what it says about all other feedback.
    async fn forward_once(&self, body: Bytes, number: u32) -> (ForwardEnd, Sign) {
        let mut num_renewals = 0;
        loop {
            let token = match self.token().await {
                Ok(token) => token,
                Err(error) => return (ForwardEnd::NotSent { reason: error.to_string() }, Sign::Failing),
            };
            // An attempt's own time is what it is worth waiting for here: the ledger keeps the event beyond that.
            let patience = Instant::now() + self.deps.http.limits().attempt_timeout;
            let permit = match self.gate.pass(Endpoint::Feedback, patience).await {
                Ok(permit) => permit,
                Err(held) => return (ForwardEnd::NotSent { reason: held.to_string() }, Sign::None),
            };
            let url = self.deps.connection.feedback_url();
            let request = Request::json(url, body.clone()).with_bearer(token.secret().clone());
            let answer = self.send(Endpoint::Feedback, &request, None).await;
            let attempt = Attempt { num_renewals, ..attempt(CallKind::Feedback, &answer, number, None) };
            self.record_call(Endpoint::Feedback, permit, attempt.outcome, drop);
            let next = self.next_step(Endpoint::Feedback, &attempt);
            if matches!(next, NextStep::RenewToken { .. }) {
                self.invalidate(token);
                if num_renewals == 0 {
                    num_renewals = 1;
                    continue;
                }
            }
            let sign = match attempt.outcome {
                CallOutcome::Answered(401 | 403) => Sign::Failing,
                CallOutcome::Answered(200..=299 | 400 | 404 | 422) => Sign::Alive,
                _ => Sign::None,
            };
            return (self.forward_end(next, &answer, number), sign);
        }
    }

    fn feedback(&self) -> MutexGuard<'_, Circuit> {
        self.feedback.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forward_end(&self, next: NextStep, answer: &Answered, number: u32) -> ForwardEnd {
        let mut reason = describe(answer);
        if outcome(answer) == CallOutcome::Answered(403) {
            reason = format!("the client lacks the scope {REQUIRED_SCOPE}; {reason}");
        }
        match next {
            NextStep::Done => ForwardEnd::Forwarded,
            NextStep::RenewToken { wait }
            | NextStep::CredentialsRefused { wait }
            | NextStep::RetryAfter { wait, .. } => ForwardEnd::Postponed { wait, reason },
            NextStep::GiveUp(given_up) => ForwardEnd::SetAside { reason: format!("{given_up}: {reason}") },
            NextStep::AwaitUnlock => ForwardEnd::Postponed { wait: self.deps.policy.feedback.step(number), reason },
        }
    }
}

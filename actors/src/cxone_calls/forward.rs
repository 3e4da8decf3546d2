//! Hands accepts and rejects on to the training endpoint, one attempt at a time.

use std::time::Duration;

use bytes::Bytes;
use cuecard_cxone::answers::{Attempt, CallKind, CallOutcome, Decision};
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
    /// Again after this wait.
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

impl CxoneCalls {
    /// Hands one piece of feedback on; `number` counts the attempts. A token that CXone refuses is replaced and the
    /// feedback sent once more at once; a second refusal is waited out like any other failure. While a 429 holds the
    /// profile it is postponed and not sent.
    pub async fn forward(&self, call: &FeedbackCall, number: u32) -> ForwardEnd {
        let body = match call.to_json() {
            Ok(body) => Bytes::from(body),
            Err(error) => return ForwardEnd::SetAside { reason: format!("it can't be written as json: {error}") },
        };
        let mut num_renewals = 0;
        loop {
            let token = match self.token().await {
                Ok(token) => token,
                Err(error) => return self.postponed(number, error.to_string()),
            };
            let now = Instant::now();
            if let Some(until) = self.gate.held(now) {
                return ForwardEnd::Postponed { wait: until - now, reason: "CXone asked to wait".to_owned() };
            }
            let url = self.deps.connection.feedback_url();
            let request = Request::json(url, body.clone()).with_bearer(token.secret().clone());
            let answer = self.send(Endpoint::Feedback, &request, None).await;
            let attempt = Attempt { num_renewals, ..attempt(CallKind::Feedback, &answer, number, None) };
            let decision = self.deps.policy.decide(&attempt);
            if matches!(decision, Decision::RenewToken { .. }) {
                self.invalidate(token);
                if num_renewals == 0 {
                    num_renewals = 1;
                    continue;
                }
            }
            return self.forward_end(decision, &answer, number);
        }
    }

    fn forward_end(&self, decision: Decision, answer: &Answered, number: u32) -> ForwardEnd {
        let mut reason = describe(answer);
        if outcome(answer) == CallOutcome::Answered(403) {
            reason = format!("the client lacks the scope {REQUIRED_SCOPE}; {reason}");
        }
        match decision {
            Decision::Done => ForwardEnd::Forwarded,
            Decision::RenewToken { wait } | Decision::CredentialsRefused { wait } => {
                ForwardEnd::Postponed { wait, reason }
            }
            Decision::RetryAfter { wait, hold_profile, .. } => {
                if hold_profile {
                    self.gate.hold(wait);
                }
                ForwardEnd::Postponed { wait, reason }
            }
            Decision::GiveUp(given_up) => ForwardEnd::SetAside { reason: format!("{given_up}: {reason}") },
            Decision::AwaitUnlock => self.postponed(number, reason),
        }
    }

    fn postponed(&self, number: u32, reason: String) -> ForwardEnd {
        ForwardEnd::Postponed { wait: self.deps.policy.feedback.step(number), reason }
    }
}

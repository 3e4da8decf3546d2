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

/// How soon it is looked for a token again: the `TokenActor` keeps the waits of the token endpoint.
const TOKEN_PAUSE: Duration = Duration::from_secs(1);

/// What became of one attempt to hand feedback on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardEnd {
    /// CXone has it.
    Forwarded,
    /// It was not sent; again after this wait.
    NotSent {
        /// The wait.
        wait: Duration,
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

impl CxoneCalls {
    /// Hands one piece of feedback on; `number` counts the attempts. A token that CXone refuses is replaced and the
    /// feedback sent once more at once; a second refusal is waited out like any other failure. While there is no token,
    /// or 429, rate limit or circuit hold it back, it is not sent.
    pub async fn forward(&self, call: &FeedbackCall, number: u32) -> ForwardEnd {
        let body = match call.to_json() {
            Ok(body) => Bytes::from(body),
            Err(error) => return ForwardEnd::SetAside { reason: format!("it can't be written as json: {error}") },
        };
        let mut num_renewals = 0;
        loop {
            let token = match self.token().await {
                Ok(token) => token,
                Err(error) => return ForwardEnd::NotSent { wait: TOKEN_PAUSE, reason: error.to_string() },
            };
            // An attempt's own time is what it is worth waiting for here: the ledger keeps the event beyond that.
            let patience = Instant::now() + self.deps.http.limits().attempt_timeout;
            let permit = match self.gate.pass(Endpoint::Feedback, patience).await {
                Ok(permit) => permit,
                Err(held) => return ForwardEnd::NotSent { wait: held.wait(), reason: held.to_string() },
            };
            let url = self.deps.connection.feedback_url();
            let request = Request::json(url, body.clone()).with_bearer(token.secret().clone());
            let answer = self.send(Endpoint::Feedback, &request, None).await;
            let attempt = Attempt { num_renewals, ..attempt(CallKind::Feedback, &answer, number, None) };
            self.gate.record(Endpoint::Feedback, permit, attempt.outcome);
            let decision = self.decide(&attempt);
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
            Decision::RenewToken { wait }
            | Decision::CredentialsRefused { wait }
            | Decision::RetryAfter { wait, .. } => ForwardEnd::Postponed { wait, reason },
            Decision::GiveUp(given_up) => ForwardEnd::SetAside { reason: format!("{given_up}: {reason}") },
            Decision::AwaitUnlock => ForwardEnd::Postponed { wait: self.deps.policy.feedback.step(number), reason },
        }
    }
}

//! Asks the token endpoint, one attempt at a time, and waits for the token where a call needs one.

use std::time::Duration;

use cuecard_cxone::answers::{CallKind, CallOutcome, NextStep};
use cuecard_cxone::http::Request;
use cuecard_cxone::token::{OauthError, Token};
use tokio::time::{Instant, sleep, timeout_at};

use super::CxoneCalls;
use super::answer::{Answered, attempt, describe, is_success};
use crate::messages::TokenError;
use crate::telemetry::Endpoint;
use crate::token_actor::NoToken;

/// How soon a call asks again for a token that can't be had at the moment.
const TOKEN_PAUSE: Duration = Duration::from_millis(250);

impl CxoneCalls {
    /// Waits for a token while one may still come in time; refused credentials are not waited for. A deadline that passes
    /// in an attempt tells what the attempt before it met.
    pub(super) async fn token_before(&self, deadline: Instant) -> Result<Token, TokenError> {
        let mut met = TokenError::Late;
        loop {
            match timeout_at(deadline, self.token()).await {
                Ok(Ok(token)) => return Ok(token),
                Ok(Err(error @ TokenError::Refused { .. })) => return Err(error),
                Ok(Err(error)) if Instant::now() + TOKEN_PAUSE >= deadline => return Err(error),
                Ok(Err(error)) => met = error,
                Err(_) => return Err(met),
            }
            sleep(TOKEN_PAUSE).await;
        }
    }

    /// Whether CXone gives this client a token with these scopes. For whoever looks for what is wrong: the token is not kept,
    /// and the call is not counted.
    pub async fn can_have(&self, scopes: &[String]) -> bool {
        let connection = &self.deps.connection;
        let request = Request::form(connection.token_url().clone(), connection.token_form_for(scopes));
        self.deps.http.send(&request, None).await.is_ok_and(|answer| is_success(answer.status))
    }

    /// Asks the token endpoint once; `number` counts the attempts since the last success.
    pub async fn request_token(&self, number: u32) -> Result<Token, NoToken> {
        let request = Request::form(self.deps.connection.token_url().clone(), self.deps.connection.token_form());
        let asked = Instant::now();
        let answer = self.send(Endpoint::Token, &request, None).await;
        let mut attempt = attempt(CallKind::Token, &answer, number, None);
        let reason = match &answer {
            Ok(answer) if is_success(answer.status) => {
                match Token::from_answer(&answer.body, asked, self.deps.connection.refresh_margin()) {
                    Ok(token) => return Ok(token),
                    Err(error) => {
                        // What refuses is a refusal whatever status it has.
                        attempt.outcome =
                            if error.is_final() { CallOutcome::Answered(400) } else { CallOutcome::Unusable };
                        error.to_string()
                    }
                }
            }
            answer => {
                if oauth_error(answer).is_some_and(|(_, error)| error.is_temporary()) {
                    attempt.outcome = CallOutcome::Unusable;
                }
                said(answer)
            }
        };
        let reason = self.deps.connection.without_secret(&reason);
        let next = self.next_step(Endpoint::Token, &attempt);
        let (error, ask_again_after) = match next {
            NextStep::CredentialsRefused { wait } => (TokenError::Refused { reason }, wait),
            NextStep::RetryAfter { wait, .. } | NextStep::RenewToken { wait } => {
                (TokenError::Unreachable { reason }, wait)
            }
            NextStep::Done | NextStep::GiveUp(_) | NextStep::AwaitUnlock => {
                (TokenError::Unreachable { reason }, self.deps.policy.refused_credentials.step(number))
            }
        };
        Err(NoToken { error, ask_again_after })
    }
}

/// The error that the answer names, else what stands in it.
fn said(answer: &Answered) -> String {
    oauth_error(answer).map_or_else(|| describe(answer), |(status, error)| format!("status {status}: {error}"))
}

fn oauth_error(answer: &Answered) -> Option<(u16, OauthError)> {
    let answer = answer.as_ref().ok()?;
    Some((answer.status, OauthError::from_answer(&answer.body)?))
}

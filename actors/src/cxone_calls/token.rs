//! Asks the token endpoint, one attempt at a time, and waits for the token where a call needs one.

use std::time::Duration;

use cuecard_cxone::answers::{CallKind, CallOutcome, Decision};
use cuecard_cxone::http::Request;
use cuecard_cxone::token::Token;
use tokio::time::{Instant, sleep, timeout_at};

use super::CxoneCalls;
use super::answer::{attempt, describe, is_success};
use crate::messages::TokenError;
use crate::telemetry::Endpoint;
use crate::token_actor::NoToken;

/// How soon a call asks again for a token that can't be had at the moment.
const TOKEN_PAUSE: Duration = Duration::from_millis(250);

impl CxoneCalls {
    /// Waits for a token while one may still come in time; refused credentials are not waited for.
    pub(super) async fn token_before(&self, deadline: Instant) -> Result<Token, TokenError> {
        loop {
            match timeout_at(deadline, self.token()).await {
                Ok(Ok(token)) => return Ok(token),
                Ok(Err(error @ TokenError::Refused { .. })) => return Err(error),
                Ok(Err(_)) if Instant::now() + TOKEN_PAUSE < deadline => sleep(TOKEN_PAUSE).await,
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(TokenError::NoAnswer),
            }
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
            Decision::Done | Decision::GiveUp(_) | Decision::AwaitUnlock => {
                let ask_again_after = self.deps.policy.refused_credentials.step(number);
                NoToken { error: TokenError::Unreachable { reason: detail }, ask_again_after }
            }
        })
    }
}

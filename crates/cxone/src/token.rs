//! The bearer token of one tenant.
//!
//! Input: the body of the token endpoint's 2xx answer, and when it was asked. Output: a [`Token`] that knows when it
//! ends and when to renew it, or a [`TokenAnswerError`] for a 200 that is none. What other answers mean stands in
//! [`crate::answers`], under [`crate::answers::CallKind::Token`].

use std::fmt;
use std::time::Duration;

use cuecard_text::json;
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;

/// What the documents take for granted where `expires_in` is missing.
const DEFAULT_LIFETIME: Duration = Duration::from_hours(1);
/// Longer than any process runs, and short enough to be added to an instant.
const LONGEST_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);
/// However short a token lives, the endpoint is not asked more often than this.
const SHORTEST_REFRESH: Duration = Duration::from_secs(1);
/// Characters of a server's own words that are told.
const SHOWN: usize = 200;

/// A token; `Debug` hides its secret, and its scopes, in which a server may repeat it.
#[derive(Clone)]
pub struct Token {
    secret: SecretString,
    expires_at: Instant,
    refresh_at: Instant,
    /// None where the answer does not say.
    scopes: Option<Vec<String>>,
}

/// Messages never repeat the answer, which may hold the token; of one that holds none, only the fields of an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenAnswerError {
    /// An error under a status that is none.
    #[error("the token endpoint answered {0}")]
    Refused(OauthError),
    #[error("the token endpoint's answer is no json object; check token_path or oauth_url")]
    NotJson,
    #[error("the token endpoint's answer lacks access_token; check token_path or oauth_url")]
    MissingAccessToken,
    #[error("the token endpoint's access_token holds characters that no header may carry")]
    UnusableAccessToken,
    #[error("the token endpoint's expires_in is no number of seconds from 0 up")]
    BadExpiresIn,
}

impl TokenAnswerError {
    /// Whether the same request would be answered so again.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused(error) if !error.is_temporary())
    }
}

/// What the answer of a token endpoint says instead of a token (RFC 6749, section 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthError {
    code: String,
    description: String,
}

impl OauthError {
    /// Reads an answer's body; none where it names no error.
    pub fn from_answer(answer: &[u8]) -> Option<Self> {
        Self::of(&json::parse(answer).ok()?.value)
    }

    fn of(answer: &Value) -> Option<Self> {
        let field = |name: &str| {
            let text = answer.get(name).and_then(Value::as_str).unwrap_or_default();
            text.chars().filter(|character| !character.is_control()).take(SHOWN).collect::<String>()
        };
        let (code, description) = (field("error"), field("error_description"));
        (!code.is_empty()).then_some(Self { code, description })
    }

    /// Whether the same request may well be answered with a token in a while.
    pub fn is_temporary(&self) -> bool {
        matches!(self.code.as_str(), "temporarily_unavailable" | "server_error" | "slow_down")
    }
}

impl fmt::Display for OauthError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.code)?;
        if self.description.is_empty() { Ok(()) } else { write!(formatter, ": {}", self.description) }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expires_at, refresh_at, .. } = self;
        (formatter.debug_struct("Token"))
            .field("expires_at", expires_at)
            .field("refresh_at", refresh_at)
            .finish_non_exhaustive()
    }
}

impl Token {
    /// Reads an answer to a request sent at `requested_at`: counted from there, the token never seems to live longer
    /// than it does. It is due for renewal `margin` before its end; a margin as long as its life counts as half of it.
    pub fn from_answer(answer: &[u8], requested_at: Instant, margin: Duration) -> Result<Self, TokenAnswerError> {
        let answer: Value = json::parse(answer).map_err(|_| TokenAnswerError::NotJson)?.value;
        if !answer.is_object() {
            return Err(TokenAnswerError::NotJson);
        }
        let secret = match answer.get("access_token").and_then(Value::as_str) {
            None | Some("") => {
                return Err(
                    OauthError::of(&answer).map_or(TokenAnswerError::MissingAccessToken, TokenAnswerError::Refused)
                );
            }
            Some(secret) if secret.bytes().all(|byte| byte.is_ascii_graphic()) => secret,
            Some(_) => return Err(TokenAnswerError::UnusableAccessToken),
        };
        let lifetime = lifetime(answer.get("expires_in"))?;
        let scopes = answer.get("scope").and_then(Value::as_str);
        Ok(Self {
            secret: secret.into(),
            expires_at: requested_at + lifetime,
            refresh_at: requested_at + refresh_after(lifetime, margin),
            scopes: scopes.map(|scopes| scopes.split_whitespace().map(str::to_owned).collect()),
        })
    }

    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    pub fn expires_at(&self) -> Instant {
        self.expires_at
    }

    /// When to ask for the next one; at least a second after this one was asked for.
    pub fn refresh_at(&self) -> Instant {
        self.refresh_at
    }

    /// Whether it opens what this scope does; one that does not say counts as opening all.
    pub fn covers(&self, scope: &str) -> bool {
        self.scopes.as_ref().is_none_or(|given| given.iter().any(|given| given == scope))
    }

    pub fn is_valid(&self, now: Instant) -> bool {
        now < self.expires_at
    }
}

fn lifetime(expires_in: Option<&Value>) -> Result<Duration, TokenAnswerError> {
    let seconds = match expires_in {
        None | Some(Value::Null) => return Ok(DEFAULT_LIFETIME),
        // Some servers write the number as a text.
        Some(Value::String(text)) => text.trim().parse().ok().filter(|_| has_digits_only(text.trim())),
        Some(value) => value.as_f64(),
    };
    let seconds = seconds.ok_or(TokenAnswerError::BadExpiresIn)?;
    if seconds < 0.0 {
        return Err(TokenAnswerError::BadExpiresIn);
    }
    // Fails only on what is too large for a duration.
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_LIFETIME).min(LONGEST_LIFETIME))
}

fn has_digits_only(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn refresh_after(lifetime: Duration, margin: Duration) -> Duration {
    let before_margin = lifetime.checked_sub(margin).filter(|after| !after.is_zero());
    before_margin.unwrap_or(lifetime / 2).max(SHORTEST_REFRESH)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    const MARGIN: Duration = Duration::from_mins(5);

    fn read(answer: &str) -> Result<(Duration, Duration), TokenAnswerError> {
        let asked = Instant::now();
        let token = Token::from_answer(answer.as_bytes(), asked, MARGIN)?;
        Ok((token.expires_at() - asked, token.refresh_at() - asked))
    }

    #[test]
    fn a_token_opens_what_its_answer_names_or_everything() {
        let token = |rest: &str| {
            let answer = format!(r#"{{"access_token":"t"{rest}}}"#);
            Token::from_answer(answer.as_bytes(), Instant::now(), MARGIN).unwrap()
        };
        for (rest, reads, writes) in [
            ("", true, true),
            (r#","scope":null"#, true, true),
            (r#","scope":"a:read  a:write""#, true, true),
            (r#","scope":"a:read""#, true, false),
            (r#","scope":"""#, false, false),
        ] {
            let token = token(rest);
            assert_eq!((token.covers("a:read"), token.covers("a:write")), (reads, writes), "{rest}");
        }
    }

    #[test]
    fn lifetimes_and_renewals() {
        let seconds = Duration::from_secs;
        for (expires_in, lifetime, refresh) in [
            ("3600", seconds(3600), seconds(3300)),
            ("301", seconds(301), seconds(1)),
            ("300", seconds(300), seconds(150)),
            ("60", seconds(60), seconds(30)),
            ("1", seconds(1), seconds(1)),
            ("0", seconds(0), seconds(1)),
            ("600.5", Duration::from_millis(600_500), Duration::from_millis(300_500)),
            ("null", seconds(3600), seconds(3300)),
            (r#""3600""#, seconds(3600), seconds(3300)),
            (r#"" 600.5 ""#, Duration::from_millis(600_500), Duration::from_millis(300_500)),
            ("1e300", LONGEST_LIFETIME, LONGEST_LIFETIME.saturating_sub(MARGIN)),
        ] {
            let answer = format!(r#"{{"access_token":"t","token_type":"Bearer","expires_in":{expires_in}}}"#);
            assert_eq!(read(&answer), Ok((lifetime, refresh)), "{expires_in}");
        }
        assert_eq!(read(r#"{"access_token":"t"}"#), Ok((seconds(3600), seconds(3300))));
        let repaired = "\u{feff}{\"access_token\":\"t\",\"tenant\":\"\\ud83d\",\"quota\":NaN}";
        assert_eq!(read(repaired), Ok((seconds(3600), seconds(3300))));
    }

    #[test]
    fn a_200_that_is_no_token_says_why() {
        for (answer, error) in [
            ("", TokenAnswerError::NotJson),
            ("<html>", TokenAnswerError::NotJson),
            ("[]", TokenAnswerError::NotJson),
            ("{}", TokenAnswerError::MissingAccessToken),
            (r#"{"access_token":null}"#, TokenAnswerError::MissingAccessToken),
            (r#"{"access_token":""}"#, TokenAnswerError::MissingAccessToken),
            (r#"{"access_token":7}"#, TokenAnswerError::MissingAccessToken),
            (r#"{"access_token":"a\r\nX-Evil: 1"}"#, TokenAnswerError::UnusableAccessToken),
            (r#"{"access_token":"t","expires_in":-1}"#, TokenAnswerError::BadExpiresIn),
            (r#"{"access_token":"t","expires_in":"soon"}"#, TokenAnswerError::BadExpiresIn),
            (r#"{"access_token":"t","expires_in":"-1"}"#, TokenAnswerError::BadExpiresIn),
            (r#"{"access_token":"t","expires_in":"inf"}"#, TokenAnswerError::BadExpiresIn),
            (r#"{"access_token":"t","expires_in":""}"#, TokenAnswerError::BadExpiresIn),
            (r#"{"access_token":"t","expires_in":[]}"#, TokenAnswerError::BadExpiresIn),
            (r#"{"access_token":"t","expires_in":NaN}"#, TokenAnswerError::BadExpiresIn),
        ] {
            assert_eq!(read(answer), Err(error), "{answer}");
        }
    }

    #[test]
    fn an_error_under_a_200_is_named() {
        for (answer, said, is_temporary) in [
            (r#"{"error":"invalid_client"}"#, "invalid_client", false),
            (r#"{"error":"invalid_scope","error_description":"no\n such"}"#, "invalid_scope: no such", false),
            (r#"{"error":"temporarily_unavailable","access_token":null}"#, "temporarily_unavailable", true),
        ] {
            let error = OauthError::from_answer(answer.as_bytes()).unwrap();
            assert_eq!((error.to_string().as_str(), error.is_temporary()), (said, is_temporary));
            let refused = TokenAnswerError::Refused(error);
            assert_eq!((refused.is_final(), read(answer)), (!is_temporary, Err(refused)));
        }
        assert!(read(r#"{"error":"none","access_token":"t"}"#).is_ok(), "a token is a token");
        for answer in ["", "<html>", "{}", r#"{"error":""}"#, r#"{"error":{"code":1}}"#] {
            assert_eq!(OauthError::from_answer(answer.as_bytes()), None, "{answer}");
        }
        let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(9000));
        assert_eq!(OauthError::from_answer(long.as_bytes()).unwrap().to_string().len(), SHOWN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_valid_until_it_ends_and_debug_hides_it() {
        let token = Token::from_answer(
            br#"{"access_token":"abc.def","expires_in":10,"scope":"abc.def"}"#,
            Instant::now(),
            MARGIN,
        )
        .unwrap();
        assert_eq!(token.secret().expose_secret(), "abc.def");
        assert!(!format!("{token:?}").contains("abc"));
        assert!(token.is_valid(Instant::now()));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(!token.is_valid(Instant::now()));
    }

    proptest! {
        #[test]
        fn a_token_is_renewed_within_its_life_and_is_never_valid_beyond_it(
            expires_in in prop_oneof![0.0..1e5_f64, any::<f64>().prop_filter("json has no other", |n| n.is_finite())],
            as_text in any::<bool>(),
            margin in prop_oneof![0..100_000_u64, any::<u64>()],
            later in 0..200_000_u64,
        ) {
            let written = if as_text { json!(format!("{:.3}", expires_in)) } else { json!(expires_in) };
            let answer = json!({"access_token": "t", "expires_in": written}).to_string();
            let asked = Instant::now();
            let token = match Token::from_answer(answer.as_bytes(), asked, Duration::from_secs(margin)) {
                Err(error) => {
                    prop_assert!(expires_in.is_sign_negative() && error == TokenAnswerError::BadExpiresIn, "{}", error);
                    return Ok(());
                }
                Ok(token) => token,
            };
            let (lifetime, refresh) = (token.expires_at() - asked, token.refresh_at() - asked);
            let told = Duration::try_from_secs_f64(expires_in).unwrap_or(LONGEST_LIFETIME).min(LONGEST_LIFETIME);
            prop_assert!(lifetime.abs_diff(told) < Duration::from_millis(2), "{:?} of {:?}", lifetime, told);
            prop_assert!(refresh >= SHORTEST_REFRESH && refresh <= lifetime.max(SHORTEST_REFRESH));
            // As long before the end as asked, or half of its life.
            let in_time = lifetime.saturating_sub(Duration::from_secs(margin)).max(lifetime / 2).max(SHORTEST_REFRESH);
            prop_assert!(refresh <= in_time, "{:?} of {:?}", refresh, lifetime);
            let then = asked + Duration::from_secs(later);
            prop_assert_eq!(token.is_valid(then), Duration::from_secs(later) < lifetime);
        }
    }
}

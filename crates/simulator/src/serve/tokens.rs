//! Tokens: who gets one, and what a presented one is worth.
//!
//! Input: the scope that was asked for, presented tokens, the current instant. Output: grants or a [`Denial`]. Pure, so
//! that expiry is tested without waiting. Bounded: the oldest token is forgotten when there are very many.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;

use super::record::Verdict;
use super::settings::Client;
use crate::base::contracts::Scope;

/// A client needs one token an hour; so many are only issued by one that asks for each call.
const MAX_TOKENS: usize = 100_000;

/// Why a token does not open a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denial {
    #[error("no access token was sent")]
    Missing,
    #[error("the access token was not issued here")]
    Unknown,
    #[error("the access token expired after the lifetime that it was issued with")]
    Expired,
    #[error("the access token was revoked")]
    Revoked,
    #[error("the access token lacks the scope {0}")]
    Scope(Scope),
}

impl Denial {
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Scope(_) => 403,
            _ => 401,
        }
    }

    /// A token that was revoked by the script was good as far as its holder could know; that it has expired is held
    /// against nobody but a client under strict rules, since the documents' programs keep one for ever.
    pub(crate) fn verdict(&self, strict: bool) -> Verdict {
        let reason = self.to_string();
        match self {
            Self::Revoked => Verdict::Refused { reason },
            Self::Expired if !strict => Verdict::Refused { reason },
            _ => Verdict::Violation { reason },
        }
    }
}

#[derive(Clone, Debug)]
struct Grant {
    client: Arc<str>,
    scopes: Vec<String>,
    issued_at: Instant,
    lifetime: Duration,
    revoked: bool,
}

/// Every token issued so far, oldest first to go.
pub(crate) struct Tokens {
    grants: LruCache<Box<str>, Grant>,
}

impl Default for Tokens {
    fn default() -> Self {
        // Its bound would be reserved at once.
        Self { grants: LruCache::unbounded() }
    }
}

impl Tokens {
    /// Registers `token` for a client until `lifetime` has passed.
    pub(crate) fn issue(&mut self, token: &str, client: &str, scopes: Vec<String>, lifetime: Duration, now: Instant) {
        if self.grants.len() == MAX_TOKENS {
            self.grants.pop_lru();
        }
        let grant = Grant { client: client.into(), scopes, issued_at: now, lifetime, revoked: false };
        self.grants.put(token.into(), grant);
    }

    /// The client whose `token` opens a route that demands all of `scopes`.
    pub(crate) fn check(&self, token: &str, scopes: &[Scope], now: Instant) -> Result<Arc<str>, Denial> {
        let grant = self.grants.peek(token).ok_or(Denial::Unknown)?;
        if grant.revoked {
            return Err(Denial::Revoked);
        }
        if now.saturating_duration_since(grant.issued_at) >= grant.lifetime {
            return Err(Denial::Expired);
        }
        let lacks = |scope: &&Scope| !grant.scopes.iter().any(|granted| granted == scope.as_ref());
        match scopes.iter().find(lacks) {
            Some(missing) => Err(Denial::Scope(*missing)),
            None => Ok(Arc::clone(&grant.client)),
        }
    }

    /// To whom `token` was issued, whatever it is worth now.
    pub(crate) fn owner(&self, token: &str) -> Option<Arc<str>> {
        self.grants.peek(token).map(|grant| Arc::clone(&grant.client))
    }

    /// Makes every token issued so far worthless.
    pub(crate) fn revoke_all(&mut self) {
        for (_, grant) in &mut self.grants {
            grant.revoked = true;
        }
    }
}

/// The token in an `Authorization` header of the form `Bearer <token>`.
pub(crate) fn bearer(header: Option<&str>) -> Result<&str, Denial> {
    header.and_then(|value| value.strip_prefix("Bearer ")).filter(|token| !token.is_empty()).ok_or(Denial::Missing)
}

/// What a token is granted: the scopes asked for, all that the client may have when none is, or why not.
pub(crate) fn granted(client: &Client, asked: Option<&str>) -> Result<Vec<String>, String> {
    let Some(asked) = asked else {
        return Ok(client.scopes.clone());
    };
    let scopes: Vec<String> = asked.split(' ').map(str::to_owned).collect();
    if scopes.iter().any(String::is_empty) {
        return Err(format!("the scope '{asked}' is no list of scopes with one space between them"));
    }
    for (index, scope) in scopes.iter().enumerate() {
        if !client.scopes.contains(scope) {
            return Err(format!("the client may not have the scope {scope}"));
        }
        if scopes[..index].contains(scope) {
            return Err(format!("the scope {scope} is asked for twice"));
        }
    }
    Ok(scopes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn scopes(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    type Case = (&'static str, &'static [Scope], Instant, Result<(), Denial>);

    #[test]
    fn a_token_opens_only_what_and_while_it_may() {
        let start = Instant::now();
        let mut tokens = Tokens::default();
        let lifetime = Duration::from_secs(10);
        tokens.issue("t", "a", scopes(&["agentassist:read", "knowledge:read"]), lifetime, start);
        let after = |seconds| start + Duration::from_secs(seconds);
        let cases: &[Case] = &[
            ("t", &[Scope::Stream], after(0), Ok(())),
            ("t", &[Scope::Stream, Scope::Knowledge], after(0), Ok(())),
            ("t", &[Scope::Stream], after(9), Ok(())),
            ("t", &[Scope::Stream], after(10), Err(Denial::Expired)),
            ("t", &[Scope::Insights], after(0), Err(Denial::Scope(Scope::Insights))),
            ("t", &[Scope::Stream, Scope::Rag], after(0), Err(Denial::Scope(Scope::Rag))),
            ("u", &[Scope::Stream], after(0), Err(Denial::Unknown)),
        ];
        for (token, wanted, now, expected) in cases {
            let found = tokens.check(token, wanted, *now).map(|client| assert_eq!(&*client, "a"));
            assert_eq!(found, *expected, "{token} {wanted:?}");
        }
        tokens.revoke_all();
        assert_eq!(tokens.check("t", &[Scope::Stream], start), Err(Denial::Revoked));
        tokens.issue("new", "a", scopes(&["agentassist:read"]), lifetime, start);
        assert!(tokens.check("new", &[Scope::Stream], start).is_ok());
        assert_eq!(tokens.owner("t").as_deref(), Some("a"));
        tokens.issue("for ever", "a", scopes(&["agentassist:read"]), Duration::MAX, start);
        assert!(tokens.check("for ever", &[Scope::Stream], after(1_000_000)).is_ok());
    }

    #[test]
    fn very_many_tokens_are_not_kept() {
        let mut tokens = Tokens::default();
        for number in 0..=MAX_TOKENS {
            tokens.issue(&number.to_string(), "a", Vec::new(), Duration::from_secs(1), Instant::now());
        }
        assert_eq!((tokens.grants.len(), tokens.owner("0"), tokens.owner("1").is_some()), (MAX_TOKENS, None, true));
    }

    #[test]
    fn a_token_is_granted_what_was_asked_for_or_all() {
        let client = Client { id: "a".into(), secret: "b".into(), scopes: scopes(&["x:read", "y:write"]) };
        assert_eq!(granted(&client, None).unwrap(), ["x:read", "y:write"]);
        assert_eq!(granted(&client, Some("y:write")).unwrap(), ["y:write"]);
        assert_eq!(granted(&client, Some("y:write x:read")).unwrap(), ["y:write", "x:read"]);
        for wrong in ["", " ", "x:read  y:write", "x:read,y:write", "z:read", "x:read z:read", "x:read x:read"] {
            assert!(granted(&client, Some(wrong)).is_err(), "'{wrong}'");
        }
    }

    #[test]
    fn only_a_revoked_token_is_no_violation_or_one_kept_too_long_without_strict_rules() {
        for strict in [true, false] {
            let is_refused = |denial: &Denial| matches!(denial.verdict(strict), Verdict::Refused { .. });
            assert!(is_refused(&Denial::Revoked));
            assert_eq!(is_refused(&Denial::Expired), !strict);
            for denial in [Denial::Missing, Denial::Unknown, Denial::Scope(Scope::Rag)] {
                assert!(!is_refused(&denial), "{denial}");
            }
        }
    }

    #[test]
    fn bearer_header_forms() {
        assert_eq!(bearer(Some("Bearer abc")), Ok("abc"));
        for wrong in [None, Some("abc"), Some("Bearer "), Some("Basic abc"), Some("bearer abc")] {
            assert_eq!(bearer(wrong), Err(Denial::Missing), "{wrong:?}");
        }
    }
}

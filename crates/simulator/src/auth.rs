//! Tokens: who gets one, and what a presented one is worth.
//!
//! Input: the scope that was asked for, presented tokens, the current instant. Output: grants or a [`Denial`]. Pure, so
//! that expiry is tested without waiting. Bounded: the oldest token is forgotten when there are very many.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::record::Verdict;
use crate::settings::Client;

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
    Scope(&'static str),
}

impl Denial {
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Scope(_) => 403,
            _ => 401,
        }
    }

    /// A token that was revoked by the script was good as far as its holder could know.
    pub(crate) fn verdict(&self) -> Verdict {
        let reason = self.to_string();
        match self {
            Self::Revoked => Verdict::Refused { reason },
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

/// Every token issued so far.
#[derive(Default)]
pub(crate) struct Tokens {
    grants: HashMap<Arc<str>, Grant>,
    order: VecDeque<Arc<str>>,
}

impl Tokens {
    /// Registers `token` for a client until `lifetime` has passed.
    pub(crate) fn issue(&mut self, token: &str, client: &str, scopes: Vec<String>, lifetime: Duration, now: Instant) {
        let token: Arc<str> = token.into();
        if self.order.len() == MAX_TOKENS
            && let Some(oldest) = self.order.pop_front()
        {
            self.grants.remove(&oldest);
        }
        self.order.push_back(Arc::clone(&token));
        let grant = Grant { client: client.into(), scopes, issued_at: now, lifetime, revoked: false };
        self.grants.insert(token, grant);
    }

    /// The client whose `token` opens a route that demands all of `scopes`.
    pub(crate) fn check(&self, token: &str, scopes: &[&'static str], now: Instant) -> Result<Arc<str>, Denial> {
        let grant = self.grants.get(token).ok_or(Denial::Unknown)?;
        if grant.revoked {
            return Err(Denial::Revoked);
        }
        if now.saturating_duration_since(grant.issued_at) >= grant.lifetime {
            return Err(Denial::Expired);
        }
        let lacks = |scope: &&&'static str| !grant.scopes.iter().any(|granted| granted == *scope);
        match scopes.iter().find(lacks) {
            Some(missing) => Err(Denial::Scope(missing)),
            None => Ok(Arc::clone(&grant.client)),
        }
    }

    /// To whom `token` was issued, whatever it is worth now.
    pub(crate) fn owner(&self, token: &str) -> Option<Arc<str>> {
        self.grants.get(token).map(|grant| Arc::clone(&grant.client))
    }

    /// Makes every token issued so far worthless.
    pub(crate) fn revoke_all(&mut self) {
        for grant in self.grants.values_mut() {
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

    type Case = (&'static str, &'static [&'static str], Instant, Result<(), Denial>);

    #[test]
    fn a_token_opens_only_what_and_while_it_may() {
        let start = Instant::now();
        let mut tokens = Tokens::default();
        let lifetime = Duration::from_secs(10);
        tokens.issue("t", "a", scopes(&["agentassist:read", "more"]), lifetime, start);
        let after = |seconds| start + Duration::from_secs(seconds);
        let cases: &[Case] = &[
            ("t", &["agentassist:read"], after(0), Ok(())),
            ("t", &["agentassist:read", "more"], after(0), Ok(())),
            ("t", &["agentassist:read"], after(9), Ok(())),
            ("t", &["agentassist:read"], after(10), Err(Denial::Expired)),
            ("t", &["agentassist:write"], after(0), Err(Denial::Scope("agentassist:write"))),
            ("t", &["more", "most"], after(0), Err(Denial::Scope("most"))),
            ("u", &["agentassist:read"], after(0), Err(Denial::Unknown)),
        ];
        for (token, wanted, now, expected) in cases {
            let found = tokens.check(token, wanted, *now).map(|client| assert_eq!(&*client, "a"));
            assert_eq!(found, *expected, "{token} {wanted:?}");
        }
        tokens.revoke_all();
        assert_eq!(tokens.check("t", &["more"], start), Err(Denial::Revoked));
        tokens.issue("new", "a", scopes(&["more"]), lifetime, start);
        assert!(tokens.check("new", &["more"], start).is_ok());
        assert_eq!(tokens.owner("t").as_deref(), Some("a"));
        tokens.issue("for ever", "a", scopes(&["more"]), Duration::MAX, start);
        assert!(tokens.check("for ever", &["more"], after(1_000_000)).is_ok());
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
    fn only_a_revoked_token_is_no_violation() {
        assert!(matches!(Denial::Revoked.verdict(), Verdict::Refused { .. }));
        for denial in [Denial::Missing, Denial::Unknown, Denial::Expired, Denial::Scope("x")] {
            assert!(matches!(denial.verdict(), Verdict::Violation { .. }), "{denial}");
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

//! Tokens: who gets one, and what a presented one is worth.
//!
//! Input: checked form fields, presented tokens, the current instant. Output: grants or a [`Denial`]. Pure, so that
//! expiry is tested without waiting.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::record::Verdict;
use crate::settings::Client;

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
    scopes: Vec<String>,
    expires_at: Instant,
    revoked: bool,
}

/// Every token issued so far.
#[derive(Default)]
pub(crate) struct Tokens {
    grants: HashMap<String, Grant>,
}

impl Tokens {
    /// Registers `token` for `client` until `lifetime` has passed.
    pub(crate) fn issue(&mut self, token: String, client: &Client, lifetime: Duration, now: Instant) {
        let grant = Grant { scopes: client.scopes.clone(), expires_at: now + lifetime, revoked: false };
        self.grants.insert(token, grant);
    }

    /// Whether `token` opens a route that demands `scope`.
    pub(crate) fn check(&self, token: &str, scope: &'static str, now: Instant) -> Result<(), Denial> {
        let grant = self.grants.get(token).ok_or(Denial::Unknown)?;
        if grant.revoked {
            return Err(Denial::Revoked);
        }
        if now >= grant.expires_at {
            return Err(Denial::Expired);
        }
        if !grant.scopes.iter().any(|granted| granted == scope) {
            return Err(Denial::Scope(scope));
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_opens_only_what_and_while_it_may() {
        let start = Instant::now();
        let client = Client { id: "a".into(), secret: "b".into(), scopes: vec!["agentassist:read".into()] };
        let mut tokens = Tokens::default();
        tokens.issue("t".into(), &client, Duration::from_secs(10), start);
        let after = |seconds| start + Duration::from_secs(seconds);
        let cases = [
            ("t", "agentassist:read", after(0), Ok(())),
            ("t", "agentassist:read", after(9), Ok(())),
            ("t", "agentassist:read", after(10), Err(Denial::Expired)),
            ("t", "agentassist:write", after(0), Err(Denial::Scope("agentassist:write"))),
            ("u", "agentassist:read", after(0), Err(Denial::Unknown)),
        ];
        for (token, scope, now, expected) in cases {
            assert_eq!(tokens.check(token, scope, now), expected, "{token} {scope}");
        }
        tokens.revoke_all();
        assert_eq!(tokens.check("t", "agentassist:read", start), Err(Denial::Revoked));
        tokens.issue("new".into(), &client, Duration::from_secs(10), start);
        assert_eq!(tokens.check("new", "agentassist:read", start), Ok(()));
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

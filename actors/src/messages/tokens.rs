//! What whoever calls CXone asks the `TokenActor` for.

use cuecard_cxone::token::Token;

/// Asks for a token that is valid now.
#[derive(Debug, Clone, Copy, actix::Message)]
#[rtype(result = "Result<Token, TokenError>")]
pub struct GetToken;

/// Says that CXone refused this token, so that the next caller gets a fresh one.
#[derive(Debug, Clone, actix::Message)]
#[rtype(result = "()")]
pub struct Invalidate(pub Token);

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The token endpoint answered 400, 401 or 403, or with an error that says as much.
    #[error(
        "CXone refused the client credentials ({reason}); check client_id and client_secret (CXONE_CLIENT_ID, \
         CXONE_CLIENT_SECRET)"
    )]
    Refused {
        /// The answer's status or error.
        reason: String,
    },
    /// The token endpoint could not be reached, or failed.
    #[error(
        "no token could be had: {reason}; see that the profile's base_url is right and that this machine reaches it"
    )]
    Unreachable {
        /// What happened.
        reason: String,
    },
    /// The `TokenActor` is restarting or has stopped.
    #[error("the token actor does not answer")]
    NoAnswer,
    /// The call that needs it had no time left to wait for it.
    #[error("no token came before the deadline")]
    Late,
}

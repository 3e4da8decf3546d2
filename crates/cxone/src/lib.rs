//! CXone on the wire, one tenant at a time.
//!
//! Role: everything that knows what CXone's calls look like. Pure modules turn bytes into typed events and cards into
//! bodies, and say what an answer means; [`http`] and [`websocket`] carry them. Nothing here starts a task or decides
//! what to show.
//!
//! | module | input | output |
//! |---|---|---|
//! | [`contract`] | a contract's name | its defaults |
//! | [`scopes`] | a contract, a stream, a dialect | the scopes that such a profile asks for |
//! | [`connection`] | settings of one tenant | checked URLs and the token request |
//! | [`stream`] | frames, and the time | a [`stream::Step`]: what was heard, and what to send |
//! | [`dialect`] | an interaction and its cards | the push: path, scopes, headers, body |
//! | [`ranking`] | a caller's snippets | their new order, or what is wrong with them |
//! | [`knowledge`] | the answers of the knowledge endpoints | articles, and hits |
//! | [`feedback`] | what an agent thought of a card | the body for the training endpoint |
//! | [`token`] | the token endpoint's answer | a [`token::Token`] |
//! | [`answers`] | how one attempt of a call ended | done, renew the token, retry after, give up |
//! | [`circuit`] | how calls end | whether the next one may go out |
//! | [`http`], [`websocket`] | a request, an address | an answer, frames |
//!
//! On failure every module returns an error of its own closed set; none of them carries a secret or a customer's words.

pub mod answers;
pub mod backoff;
pub mod circuit;
pub mod connection;
pub mod contract;
pub mod dialect;
pub mod feedback;
pub mod http;
pub mod interaction_id;
pub mod knowledge;
pub mod limits;
pub mod names;
pub mod ranking;
pub mod retry_after;
mod rounding;
pub mod scopes;
pub mod stream;
pub mod token;
pub mod transport;
pub mod websocket;

pub use connection::{Connection, ConnectionError, ConnectionSettings};
pub use contract::{Contract, env_base_url};
pub use dialect::{Card, Dialect, MatchedBy, PushContent, PushTarget, shown_text};
pub use interaction_id::InteractionId;
pub use limits::Limits;
pub use scopes::{required_scopes_for, scopes_for};
pub use stream::StreamKind;

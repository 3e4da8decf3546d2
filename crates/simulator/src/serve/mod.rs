//! The stand-in for `CXone`: takes settings, conversations, faults and a client's calls, gives the answers and streams of
//! the five contracts and a record of all that arrived, each call with its verdict.

pub(crate) mod explain;
pub(crate) mod faults;
pub(crate) mod files;
mod http;
pub(crate) mod hub;
mod idempotency;
pub(crate) mod interactions;
pub(crate) mod library;
pub(crate) mod play;
pub(crate) mod player;
pub(crate) mod record;
mod schema;
pub(crate) mod script;
mod search;
mod secrets;
pub(crate) mod settings;
pub(crate) mod simulator;
mod state;
pub(crate) mod streams;
pub(crate) mod tally;
mod tokens;

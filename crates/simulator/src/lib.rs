//! A stand-in for NICE `CXone` that plays conversations to a client and checks every call that comes back.
//!
//! Input: [`SimulatorSettings`], [`Conversation`]s, [`Fault`]s. Output: a server on loopback that speaks its side of all
//! five contracts, a record of all that arrived with a [`Verdict`] each, and for every customer turn the time until its
//! card. It shares no code with the client: bodies are checked against JSON Schemas written from the documents, frames
//! are literals.
//!
//! [`Simulator::start`] gives the server a thread and an actix system of its own, so that it can run inside the process
//! of the client that it checks. The command line `cxone-sim` is [`cli`]; the calls under `/_sim/` are described in
//! `server/control/mod.rs`.

mod articles;
mod auth;
pub mod cli;
mod contract;
mod conversation;
mod desk;
mod faults;
mod hub;
mod idempotency;
mod json_lines;
mod ledger;
mod player;
mod record;
pub mod replay;
mod routes;
mod running;
mod schema;
mod server;
mod settings;
mod state;
mod streams;
mod tally;

pub use articles::{Article, ArticlesAnswer};
pub use contract::Contract;
pub use conversation::{Conversation, Turn};
pub use faults::{CutMoment, Fault, FaultKind, PendingFault, RetryAfter, UNTIL_CLEARED};
pub use hub::NotConnected;
pub use json_lines::ReadError;
pub use ledger::TurnOutcome;
pub use player::Pace;
pub use record::{Received, Verdict};
pub use routes::{Route, SCOPES};
pub use running::{Playing, RunningSimulator, Simulator, StartError};
pub use settings::{
    Client, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_PORT, DEFAULT_SESSION_ID, Paging, SimulatorSettings,
    Transcripts,
};
pub use streams::{Audience, Frame, StreamEnd, StreamKind};

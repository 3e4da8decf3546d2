//! A stand-in for NICE `CXone` that plays conversations to a client and checks every call that comes back.
//!
//! | part | takes | gives |
//! |---|---|---|
//! | the stand-in ([`Simulator`]) | [`SimulatorSettings`], [`Conversation`]s, [`Fault`]s, a client's calls | the server side of all five contracts on loopback, and a record of all that arrived with a [`Verdict`] each |
//! | the load generator ([`replay`]) | a running stand-in, conversations, a rate | for every customer turn the time until its card, as a [`replay::Report`] |
//! | the agents' desktop | what the stand-in tells and takes | the page at [`RunningSimulator::base_url`] and its live feed |
//!
//! It shares no code with the client: bodies are checked against JSON Schemas written from the documents, frames are
//! literals. [`Simulator::start`] gives the server a thread and an actix system of its own, so that it can run inside the
//! process of the client that it checks. The command line `cxone-sim` is [`cli`]; the calls under `/_sim/` are described
//! in `serve/http/control.rs`.

mod base;
pub mod cli;
mod desktop;
pub mod replay;
mod serve;

pub use base::contracts::{Contract, Route, SCOPES, StreamKind};
pub use base::verdict::RejectReason;
pub use serve::explain::AdminPlace;
pub use serve::faults::{CutMoment, Fault, FaultKind, FaultName, RetryAfter, RetryAfterName, UNTIL_CLEARED};
pub use serve::files::{Article, Conversation, ReadError, Turn};
pub use serve::hub::NotConnected;
pub use serve::interactions::TurnOutcome;
pub use serve::library::ArticlesAnswer;
pub use serve::play::Playing;
pub use serve::player::Pace;
pub use serve::record::{Received, Verdict};
pub use serve::script::PendingFault;
pub use serve::settings::{
    Client, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_PORT, DEFAULT_SESSION_ID, Paging, SimulatorSettings,
    Transcripts,
};
pub use serve::simulator::{RunningSimulator, Simulator, StartError};
pub use serve::streams::{Audience, Frame, StreamEnd};

//! The service end to end, by capability: real sockets, the real model and a real index; CXone is the simulator.

#![allow(clippy::unwrap_used)]

mod admin;
mod answers;
mod api;
mod backends;
mod command_line;
mod dialects;
mod durability;
mod every_contract;
mod graph;
mod insights;
mod rag;
mod ranking;
mod snippets;
mod stream;
mod support;
mod tenants;

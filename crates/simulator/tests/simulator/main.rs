//! The simulator from outside: what a client of the five contracts meets.

#![allow(clippy::unwrap_used)]

mod bytes;
mod client;
mod command_line;
mod control;
mod deliveries;
mod desktop;
mod dialects;
mod documents;
mod events;
mod faults;
mod knowledge;
mod mutations;
mod replay;
mod replay_http;
mod sessions;
mod stream;
mod strictness;
mod tenants;
mod tokens;
mod wire;

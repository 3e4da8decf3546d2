//! The simulator from outside: what a client of contract 003 meets.

#![allow(clippy::unwrap_used)]

mod client;
mod deliveries;
mod desktop;
mod replay;
mod stream;
mod strictness;

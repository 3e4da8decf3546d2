//! The service end to end, by capability: real sockets, the real model and a real index; CXone is the simulator.

#![allow(clippy::unwrap_used)]

mod admin;
mod answers;
mod command_line;
mod durability;
mod insights;
mod stream;
mod support;

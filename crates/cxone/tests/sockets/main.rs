//! The client against real sockets on loopback; every peer has one behaviour.

#![allow(clippy::unwrap_used)]

mod http_client;
mod large_answers;
mod loopback;
mod self_signed;
mod tls;
mod web_socket;

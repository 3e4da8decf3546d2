//! The service end to end, by capability: real sockets, the real model and a real index; CXone is the simulator.

#![allow(clippy::unwrap_used)]

mod access;
mod admin;
mod answers;
mod api;
mod ask;
mod backends;
mod certificates;
mod check;
mod codes;
mod command_line;
mod console;
mod demo;
mod dialects;
mod durability;
mod eval;
mod every_contract;
mod feedback_lessons;
mod getting_started;
mod graph;
mod insights;
mod learning;
mod ledger;
mod log_lines;
mod logs;
mod marks;
mod odd_words;
mod openapi;
mod pages;
mod rag;
mod ranking;
mod reload;
mod secrets;
mod shadow;
mod slow_readers;
mod snippets;
mod stopping;
mod stream;
mod strictness;
mod support;
mod tenants;
mod terminal;
mod text;
mod tls;
mod traces;

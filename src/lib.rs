//! The service around the actors: command line, settings, wiring, and the HTTP of the admin port.

pub mod admin;
pub mod cli;
mod commands;
pub mod logging;
pub mod pipeline;
pub mod service;
pub mod settings;

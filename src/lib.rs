//! The service around the actors: command line, settings, wiring, the HTTP API, and the admin port.

pub mod access;
pub mod admin;
pub mod api;
pub mod cli;
pub mod commands;
mod data_lock;
mod detail;
pub mod exit;
pub mod first_signals;
pub mod logging;
mod openapi;
mod pages;
pub mod pipeline;
pub mod reload;
pub mod service;
pub mod settings;

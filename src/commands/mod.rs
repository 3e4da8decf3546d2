//! One module per command; each reads its arguments, calls the rooms, and prints for the person at the terminal.

#![warn(clippy::print_stdout, reason = "`say!` bears that nobody reads")]

#[macro_use]
mod say;

mod admin_port;
mod ask;
mod check;
mod completions;
mod demo;
mod eval;
mod graph;
mod health;
mod in_service;
mod index;
mod key;
mod knowledge;
mod ledger;
mod model;
mod progress;
mod serve;
mod train;
mod why;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use admin_port::AdminPlace;
pub use train::LedgerPlace;

use crate::cli::{Cli, Command, GraphCommand, ModelCommand};
use crate::exit::ExitCode;
use crate::first_signals;

/// Runs the command; errors are for the person at the terminal.
pub fn run(command_line: Cli) -> anyhow::Result<ExitCode> {
    catch_unwind(AssertUnwindSafe(|| run_to_its_end(command_line)))
        .unwrap_or_else(|unwound| Ok(say::code_of(&*unwound)))
}

fn run_to_its_end(command_line: Cli) -> anyhow::Result<ExitCode> {
    // A service listens for what ends it; everything else is ended by it, as any program is.
    if !matches!(command_line.command, Command::Serve(_)) {
        first_signals::release();
    }
    match command_line.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Health(arguments) => health::run(&arguments),
        Command::Index(arguments) => index::run(&arguments),
        Command::Ask(arguments) => ask::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Why(arguments) => why::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Model(ModelCommand::Promote(arguments)) => model::promote(&arguments),
        Command::Model(ModelCommand::Rollback(arguments)) => model::roll_back(&arguments),
        Command::Model(ModelCommand::Show(arguments)) => model::show(&arguments),
        Command::Graph(GraphCommand::Load(arguments)) => graph::load(&arguments),
        Command::Ledger(arguments) => ledger::run(&arguments),
        Command::Key => key::run(),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Completions(arguments) => Ok(completions::completions(&arguments)),
        Command::Man(arguments) => completions::man(&arguments),
    }
}

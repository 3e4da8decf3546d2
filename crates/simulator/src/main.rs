//! `cxone-sim`: see [`cuecard_simulator::cli`].

use std::process::ExitCode;

use clap::Parser;
use cuecard_simulator::cli::{self, CommandLine};

fn main() -> ExitCode {
    match cli::run(CommandLine::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

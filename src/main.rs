//! The `cuecard` command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let command = cuecard::cli::Cli::parse();
    match command.run() {
        Ok(code) => code,
        Err(error) => {
            // One line per cause, the first says what failed, the last why.
            eprintln!("cuecard: {error:#}");
            ExitCode::FAILURE
        }
    }
}

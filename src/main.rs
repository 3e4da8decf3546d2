//! The `cuecard` command.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// A pipeline of small messages allocates often, which this does faster than the system's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match cuecard::commands::run(cuecard::cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cuecard: {}", in_full(&error));
            ExitCode::FAILURE
        }
    }
}

/// What failed, and each cause that this does not name already.
fn in_full(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        _ if said.contains(&cause) => said,
        _ => format!("{said}: {cause}"),
    })
}

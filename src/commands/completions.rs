//! `cuecard completions` and `cuecard man`: what shells and manuals read of the command line.

use anyhow::Context as _;
use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::exit::ExitCode;

/// Prints what a shell completes the command line by.
pub fn completions(arguments: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "cuecard", &mut script);
    // Whoever reads it may close early.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), &script);
    ExitCode::Success
}

/// Writes a manual page for each command.
pub fn man(arguments: &ManArgs) -> anyhow::Result<ExitCode> {
    let directory = &arguments.directory;
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
        .with_context(|| format!("manual pages can't be written to {}", directory.display()))?;
    say!(
        "the manual pages are in {}; `man -l {}` shows the first",
        directory.display(),
        directory.join("cuecard.1").display()
    );
    Ok(ExitCode::Success)
}

//! The `cuecard` command.

use clap::Parser;
use cuecard::exit::ExitCode;
use cuecard::first_signals;
use mimalloc::MiMalloc;

/// A pipeline of small messages allocates often, which this does faster than the system's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[used]
#[allow(unsafe_code, reason = "a place by its name, from which the loader calls what stands there")]
#[unsafe(link_section = ".preinit_array")]
static FIRST: extern "C" fn() = first_signals::hold;

fn main() -> ! {
    // What the variable FAILPOINTS says of each of them.
    #[cfg(feature = "failure-points")]
    let _armed = fail::FailScenario::setup();
    let ended = cuecard::commands::run(cuecard::cli::Cli::parse());
    let code = ended.unwrap_or_else(|error| {
        eprintln!("cuecard: {}", in_full(&error));
        ExitCode::Failure
    });
    code.exit()
}

/// What failed, and each cause that this does not name already.
fn in_full(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        _ if said.contains(&cause) => said,
        _ => format!("{said}: {cause}"),
    })
}

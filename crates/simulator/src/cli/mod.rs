//! The command line `cxone-sim`.
//!
//! Input: arguments. Output: `serve` runs until it is interrupted; `replay` prints its figures on standard output and
//! everything else on standard error. Errors say what to do and end with exit code 1.

mod listen;
mod progress;
mod replay;
mod serve;

use std::io::IsTerminal;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use self::listen::how_to_connect;

const ABOUT: &str = "A stand-in for NICE CXone that plays conversations and checks every call";

const LONG_ABOUT: &str = "\
A stand-in for NICE CXone that plays conversations and checks every call.

It speaks the server side of five contracts on loopback, and checks every header and every field of what a client sends:

  rag       000  POST /api/v2/assist/agentassists
  snippets  001  WebSocket /api/v2/interactions/events, POST /api/v2/interactions/{id}/assist,
                 GET /api/v2/knowledge/articles
  graph     002  POST /api/v2/agentassist/interactions/{id}/content
  insights  003  WebSocket /cxoneapi/v2/agentassist/stream, POST /api/v2/agentassist/insights,
                 GET /api/v2/knowledge/articles/search, POST /api/v2/ai/training/feedback
  ranking   004  POST /api/v2/agentassist/sessions/{id}/snippets/ranking, GET /api/v2/agentassist/sessions/{id}

Tokens come from /oauth/token, /oauth2/token and /api/v2/oauth/token. Any stream goes with any push.

Two pages come with it: / is the agents' desktop, with every conversation and the cards that came for it;
/_sim/faults shows what was received and why it was refused, and makes things go wrong: answers of any status, slow
answers, none at all, cut connections, expired tokens, locked sessions, silent streams, changed articles.";

/// Arguments of `cxone-sim`.
#[derive(Debug, Parser)]
#[command(name = "cxone-sim", version, about = ABOUT, long_about = LONG_ABOUT, after_help = how_to_connect())]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Replay(Box<replay::Replay>),
}

/// Runs a command to its end.
pub fn run(command_line: CommandLine) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,actix_http=off"));
    let is_uncoloured = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal() && !is_uncoloured)
        .with_writer(std::io::stderr)
        .init();
    let system = actix_rt::System::new();
    match command_line.command {
        Command::Serve(arguments) => system.block_on(serve::run(*arguments)),
        Command::Replay(arguments) => system.block_on(replay::run(*arguments)),
    }
}

//! The command line `cxone-sim`.
//!
//! Input: arguments. Output: `serve` runs until it is interrupted; `replay` prints its figures on standard output and
//! everything else on standard error. Errors say what to do and end with exit code 1.

use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::articles::Article;
use crate::conversation::Conversation;
use crate::player::Pace;
use crate::replay::{self, ReplayOptions};
use crate::running::{RunningSimulator, Simulator};
use crate::settings::{Client, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_PORT, SimulatorSettings};

/// The contracts that `replay` speaks.
const CONTRACTS: [&str; 1] = ["insights"];
/// Outstanding cards are waited for this long after the last turn; a stream card's own deadline is 4 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Arguments of `cxone-sim`.
#[derive(Debug, Parser)]
#[command(name = "cxone-sim", version, about = "A stand-in for NICE CXone that plays conversations and checks every call", long_about = None)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the contract and the agent's desktop page until it is interrupted.
    Serve(Serve),
    /// Plays conversations at a rate, watches what comes back and prints the figures.
    Replay(Replay),
}

#[derive(Debug, Args)]
struct Listen {
    /// Loopback port; 0 takes a free one.
    #[arg(long, default_value_t = DEFAULT_PORT)]
    port: u16,
    /// The OAuth client that may ask for tokens.
    #[arg(long, env = "CXONE_CLIENT_ID", default_value = DEFAULT_CLIENT_ID)]
    client_id: String,
    /// Its secret.
    #[arg(long, env = "CXONE_CLIENT_SECRET", hide_env_values = true, default_value = DEFAULT_CLIENT_SECRET)]
    client_secret: String,
    /// Seconds until a token expires.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    token_lifetime: u64,
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    listen: Listen,
    /// Articles for the hub's own search: JSON Lines, .gz too.
    #[arg(long, value_name = "FILE")]
    articles: Option<PathBuf>,
    /// Conversations to play to whoever connects: JSON Lines, .gz too.
    #[arg(long, value_name = "FILE")]
    conversations: Option<PathBuf>,
    /// How many times faster than life they are played; 0 plays without pauses.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
}

#[derive(Debug, Args)]
struct Replay {
    #[command(flatten)]
    listen: Listen,
    /// Conversations to play: JSON Lines, .gz too.
    #[arg(long, value_name = "FILE")]
    conversations: PathBuf,
    /// The contract to play them by.
    #[arg(long, value_name = "NAME")]
    contract: String,
    /// Where the service answers HTTP callers; the insights contract has none.
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// The service's admin port, read for turns that it chose to leave without a card.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9100")]
    admin: String,
    /// Customer turns a second over all conversations.
    #[arg(long, default_value_t = 2.0)]
    rate: f64,
    /// Seconds after which no further turn is spoken.
    #[arg(long, value_name = "SECONDS")]
    duration: Option<f64>,
    /// Seconds to wait for a client to connect.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    connect_timeout: u64,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs a command to its end.
pub fn run(command_line: CommandLine) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,actix_http=off"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let system = actix_rt::System::new();
    match command_line.command {
        Command::Serve(arguments) => system.block_on(serve(arguments)),
        Command::Replay(arguments) => system.block_on(play_back(arguments)),
    }
}

fn start(listen: &Listen, articles: Vec<Article>) -> anyhow::Result<RunningSimulator> {
    let settings = SimulatorSettings {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port)),
        clients: vec![Client::with_all_scopes(&listen.client_id, &listen.client_secret)],
        token_lifetime: Duration::from_secs(listen.token_lifetime),
        articles,
        ..SimulatorSettings::default()
    };
    Ok(Simulator::start(settings)?)
}

fn tell(line: &str) {
    eprintln!("{line}");
}

fn tell_how_to_connect(listen: &Listen, simulator: &RunningSimulator) {
    let secret =
        if listen.client_secret == DEFAULT_CLIENT_SECRET { DEFAULT_CLIENT_SECRET } else { "<the secret given>" };
    tell(&format!("the agent's desktop is at {}/", simulator.base_url()));
    tell("waiting for a client; connect one with the environment");
    tell(&format!(
        "  CXONE_BASE_URL={} CXONE_CONTRACT=insights CXONE_CLIENT_ID={} CXONE_CLIENT_SECRET={secret}",
        simulator.base_url(),
        listen.client_id,
    ));
}

async fn serve(arguments: Serve) -> anyhow::Result<()> {
    let articles = arguments.articles.as_deref().map(Article::load).transpose()?.unwrap_or_default();
    let conversations = arguments.conversations.as_deref().map(Conversation::load).transpose()?.unwrap_or_default();
    let simulator = start(&arguments.listen, articles)?;
    tell_how_to_connect(&arguments.listen, &simulator);
    let playing = simulator.play(conversations, Pace::faster(arguments.speed));
    tokio::signal::ctrl_c().await.context("cannot wait for an interrupt")?;
    tell(&format!("{} conversations were played", playing.num_played()));
    simulator.stop();
    Ok(())
}

async fn play_back(arguments: Replay) -> anyhow::Result<()> {
    if !CONTRACTS.contains(&arguments.contract.as_str()) {
        let served = CONTRACTS.join(", ");
        bail!("the contract '{}' is not served, choose one of: {served}", arguments.contract);
    }
    let duration = arguments.duration.map(Duration::try_from_secs_f64).transpose();
    let options = ReplayOptions {
        rate: arguments.rate,
        duration: duration.context("--duration must be a number of seconds, 0 or more")?,
        admin: arguments.admin,
        connect_timeout: Duration::from_secs(arguments.connect_timeout),
        answer_timeout: ANSWER_TIMEOUT,
    };
    let conversations = Conversation::load(&arguments.conversations)?;
    let simulator = start(&arguments.listen, Vec::new())?;
    if arguments.target.is_some() {
        tell("--target is not used: the insights contract listens to the hub and has no HTTP callers");
    }
    tell_how_to_connect(&arguments.listen, &simulator);
    tell(&format!("giving up after {} s", arguments.connect_timeout));
    let report = replay::replay(&simulator, &conversations, &options, &mut tell).await?;
    simulator.stop();
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

//! `cuecard demo`: simulator, service and a page to watch, one conversation after another.

mod service;
mod terminal;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use cuecard_actors::engine::encoder::cache_dir;
use cuecard_simulator::{
    AdminPlace, Article, Conversation, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_PORT, Pace, RunningSimulator,
    Simulator, SimulatorSettings,
};
use tempfile::TempDir;

use self::service::Service;
use self::terminal::Terminal;
use super::knowledge;
use super::progress::Progress;
use super::serve::Signals;
use crate::cli::DemoArgs;
use crate::exit::ExitCode;
use crate::logging;
use crate::service::on_system;
use crate::settings::Settings;

const ARTICLES: &[u8] = include_bytes!("../../../demo/articles.jsonl");
const CONVERSATIONS: &[u8] = include_bytes!("../../../demo/conversations.jsonl");
const QUIET: &[u8] = include_bytes!("../../../demo/quiet.jsonl");

/// Of the built-in calls one in so many asks for nothing that an article answers.
const QUIET_EVERY: usize = 4;

/// Below the cache.
const KEPT_INDEX: &str = "demo-index";

/// The admin port where the README has it.
const ADMIN_PORT: u16 = 9100;

/// How long the service may take to connect; it loads the model first.
const CONNECT: Duration = Duration::from_mins(1);
/// How long a card may come after the last turn of all, ...
const LAST_CARD: Duration = Duration::from_secs(5);
/// ... and after that of a call before the next one rings.
const NEXT_CALL: Duration = Duration::from_millis(500);

/// Plays until told to stop, or once.
pub fn run(arguments: &DemoArgs) -> anyhow::Result<ExitCode> {
    logging::start_for_demo();
    let directory = TempDir::with_prefix("cuecard-demo-")
        .context("no directory for the demo can be made; point TMPDIR to one that can be written")?;
    let articles = given_or_own(arguments.articles.as_deref(), ARTICLES, &directory.path().join("articles.jsonl"))?;
    let conversations = match &arguments.conversations {
        Some(file) => {
            let conversations = Conversation::load(file)?;
            anyhow::ensure!(!conversations.is_empty(), "{} holds no conversations; give each a line", file.display());
            conversations
        }
        None => own_conversations(directory.path())?,
    };
    // For the desktop, which shows them whole.
    let full_texts = Article::load(&articles)?;
    // Before the articles are embedded, which takes its time: the port may be in use.
    let simulator = match arguments.port {
        DEFAULT_PORT => on_port_or_any(DEFAULT_PORT, |port| start_simulator(port, full_texts.clone()))?,
        chosen => start_simulator(chosen, full_texts)?,
    };
    tell_ignored();
    let index = make_index(&articles, arguments, directory.path())?;
    let service = on_port_or_any(ADMIN_PORT, |admin_port| {
        Service::start(demo_settings(&simulator, &index, directory.path(), admin_port)?)
    })?;
    simulator.explain_by(AdminPlace { base_url: format!("http://{}", service.admin_addr), key: None });
    tell_where(&simulator, service.admin_addr);
    let mut terminal = Terminal::new(&simulator);
    let outcome = on_system(async {
        let stop = Signals::listen().context("signals can't be listened for")?.stop();
        tokio::select! {
            played = play(&simulator, &conversations, arguments, &mut terminal) => played,
            () = service.gone() => Ok(()),
            () = stop => Ok(()),
        }
    })?;
    say!("\nstopping");
    let stopped = service.stop();
    say!("{}", terminal.figures());
    simulator.stop();
    stopped.and(outcome).map(|()| ExitCode::Success)
}

fn start_simulator(port: u16, articles: Vec<Article>) -> anyhow::Result<RunningSimulator> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Ok(Simulator::start(SimulatorSettings { address, articles, ..SimulatorSettings::default() })?)
}

/// Starts on the port, or on any free one where it is in use: a second demo runs beside the first.
fn on_port_or_any<T>(port: u16, start: impl Fn(u16) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let is_in_use = |error: &anyhow::Error| {
        let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
        causes.any(|cause| cause.kind() == io::ErrorKind::AddrInUse)
    };
    start(port).or_else(|error| if is_in_use(&error) { start(0) } else { Err(error) })
}

/// Returns the index's directory. That of the demo's own articles stays in the cache, where the next demo finds it; where another
/// one makes it just now, or the cache can't be written, and for other articles, it is made in the demo's directory.
fn make_index(articles: &Path, arguments: &DemoArgs, directory: &Path) -> anyhow::Result<PathBuf> {
    let given = arguments.articles.as_ref().map(|file| file.display().to_string());
    say!("indexing {}", given.as_deref().unwrap_or("the demo's articles"));
    let encoder = knowledge::encoder()?;
    let update = |index: PathBuf| knowledge::update(articles, None, &index, &encoder).map(|updated| (index, updated));
    let kept = Some(cache_dir().join(KEPT_INDEX)).filter(|kept| given.is_none() && kept.is_absolute());
    let own = || update(directory.join("index"));
    let (index, knowledge::Updated { report, .. }) = match kept {
        Some(kept) => update(kept).or_else(|error| {
            eprintln!("the demo's index can't be kept for the next time: {error:#}");
            own()
        })?,
        None => own()?,
    };
    let embedded = if report.published { "embedded" } else { "embedded before" };
    say!("{} articles in {:.1} s, {embedded}", report.articles, report.duration_seconds);
    Ok(index)
}

/// The file that was given, or the built-in one written where it can be read.
fn given_or_own(given: Option<&Path>, own: &[u8], at: &Path) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    std::fs::write(at, own).with_context(|| format!("can't write {}; see that the disk has room", at.display()))?;
    Ok(at.to_owned())
}

/// The built-in calls, the quiet ones between the others.
fn own_conversations(directory: &Path) -> anyhow::Result<Vec<Conversation>> {
    let load =
        |own: &[u8], name: &str| anyhow::Ok(Conversation::load(&given_or_own(None, own, &directory.join(name))?)?);
    let mut quiet = load(QUIET, "quiet.jsonl")?.into_iter();
    let mut calls = Vec::new();
    for call in load(CONVERSATIONS, "calls.jsonl")? {
        calls.push(call);
        if calls.len() % QUIET_EVERY == QUIET_EVERY - 1 {
            calls.extend(quiet.next());
        }
    }
    calls.extend(quiet);
    Ok(calls)
}

/// The settings that anybody would give in the environment; of the caller's own only what says how the model runs plays a
/// part.
fn demo_settings(simulator: &RunningSimulator, index: &Path, data: &Path, admin_port: u16) -> anyhow::Result<Settings> {
    let variables = [
        ("CXONE_CONTRACT", "insights".to_owned()),
        ("CXONE_BASE_URL", simulator.base_url()),
        ("CXONE_CLIENT_ID", DEFAULT_CLIENT_ID.to_owned()),
        ("CXONE_CLIENT_SECRET", DEFAULT_CLIENT_SECRET.to_owned()),
        ("CUECARD_INDEX", index.display().to_string()),
        ("CUECARD_DATA_DIR", data.display().to_string()),
        ("CUECARD_ADMIN_ADDR", format!("{}:{admin_port}", Ipv4Addr::LOCALHOST)),
    ];
    let own = variables.map(|(name, value)| (name.to_owned(), value));
    Ok(Settings::load(None, environment().filter(|(name, _)| is_of_model(name)).chain(own))?)
}

fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn is_of_model(name: &str) -> bool {
    matches!(name, "CUECARD_CACHE" | "CUECARD_MODEL_DIR") || name.starts_with("CUECARD__ENCODER__")
}

fn tell_ignored() {
    let is_ours = |name: &str| name.starts_with("CUECARD_") || name.starts_with("CXONE_");
    let names = environment().map(|(name, _)| name);
    let mut ignored: Vec<_> = names.filter(|name| is_ours(name) && !is_of_model(name)).collect();
    ignored.sort();
    if !ignored.is_empty() {
        say!("ignored, since the demo brings its own settings: {}", ignored.join(", "));
    }
}

fn tell_where(simulator: &RunningSimulator, admin_addr: SocketAddr) {
    let base = simulator.base_url();
    say!("\n  agent's desktop     {base}/");
    say!("  operator's console  http://{admin_addr}/console/");
    say!("  make faults         {base}/_sim/faults");
    say!("  metrics             http://{admin_addr}/metrics");
    say!("  Ctrl-C stops\n");
}

/// Plays one call after another, and prints what becomes of each.
async fn play<'a>(
    simulator: &RunningSimulator,
    conversations: &'a [Conversation],
    arguments: &DemoArgs,
    terminal: &mut Terminal<'a>,
) -> anyhow::Result<()> {
    let starting = Progress::waiting("loading the model into the service");
    let is_connected = simulator.until(CONNECT, |simulator| simulator.num_streams() > 0).await;
    drop(starting);
    if !is_connected {
        anyhow::bail!("the service did not connect to the simulator within {CONNECT:?}");
    }
    loop {
        for (number, conversation) in conversations.iter().enumerate() {
            say!("call {}/{}  {}", number + 1, conversations.len(), conversation.id);
            let playing = simulator.play(vec![conversation.clone()], Pace::faster(arguments.speed));
            let interaction = playing.interaction_ids().concat();
            terminal.begin(&interaction, conversation);
            let finished = playing.finished();
            tokio::pin!(finished);
            loop {
                tokio::select! {
                    () = &mut finished => break,
                    () = terminal.until_pushed() => terminal.show_pushes(),
                }
            }
            terminal.end(&interaction, NEXT_CALL).await;
        }
        if arguments.once {
            // A card for the very last turn may still be under way.
            simulator.until(LAST_CARD, |simulator| simulator.num_cards() >= simulator.num_turns()).await;
            terminal.show_pushes();
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_in_use_makes_way_for_any_and_nothing_else_does() {
        let start_simulator = |port| start_simulator(port, Vec::new());
        let held = start_simulator(0).unwrap();
        let port = held.address().port();
        assert!(start_simulator(port).is_err());
        let beside = on_port_or_any(port, start_simulator).unwrap();
        assert!(![0, port].contains(&beside.address().port()));
        held.stop();
        let listen = |port| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?);
        assert_eq!(on_port_or_any(port, listen).unwrap().local_addr().unwrap().port(), port, "free again");
        let tries = Cell::new(0);
        let failed: anyhow::Result<()> = on_port_or_any(port, |_| {
            tries.set(tries.get() + 1);
            anyhow::bail!("no model")
        });
        assert_eq!((failed.unwrap_err().to_string().as_str(), tries.get()), ("no model", 1));
    }
}

//! `cuecard demo`: simulator, service and a page to watch, one conversation after another.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use cuecard_simulator::{
    Conversation, DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Pace, Received, Route, RunningSimulator, Simulator,
    SimulatorSettings, Verdict,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::knowledge;
use super::serve::Signals;
use crate::cli::DemoArgs;
use crate::logging;
use crate::service::{self, Ended, Listening};
use crate::settings::Settings;

const ARTICLES: &[u8] = include_bytes!("../../demo/articles.jsonl");
const CONVERSATIONS: &[u8] = include_bytes!("../../demo/conversations.jsonl");
const QUIET: &[u8] = include_bytes!("../../demo/quiet.jsonl");

/// Of the built-in calls one in so many asks for nothing that an article answers.
const QUIET_EVERY: usize = 4;

/// How long the service may take to connect; it loads the model first.
const CONNECT: Duration = Duration::from_mins(1);
/// How often it is looked whether the service still runs.
const LOOK: Duration = Duration::from_millis(200);
/// How long a card may come after the last turn of all, ...
const LAST_CARD: Duration = Duration::from_secs(5);
/// ... and after that of a call before the next one rings.
const NEXT_CALL: Duration = Duration::from_millis(500);

/// Plays until told to stop, or once.
pub fn run(arguments: &DemoArgs) -> anyhow::Result<ExitCode> {
    logging::start(logging::TOOL);
    let directory = TempDir::with_prefix("cuecard-demo-")
        .context("no directory for the demo can be made; point TMPDIR to one that can be written")?;
    let articles = given_or_own(arguments.articles.as_deref(), ARTICLES, &directory.path().join("articles.jsonl"))?;
    let conversations = match &arguments.conversations {
        Some(file) => Conversation::load(file)?,
        None => own_conversations(directory.path())?,
    };
    println!(
        "indexing {}",
        arguments.articles.as_ref().map_or("the demo's articles".into(), |file| file.display().to_string())
    );
    let index = directory.path().join("index");
    let knowledge::Updated { report, .. } = knowledge::update(&articles, None, &index, &knowledge::encoder()?)?;
    println!("{} articles in {:.1} s", report.articles, report.duration_seconds);
    let simulator = Simulator::start(SimulatorSettings {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port)),
        ..SimulatorSettings::default()
    })?;
    let service = Service::start(demo_settings(&simulator, &index, directory.path())?)?;
    let outcome = service::on_system(async {
        let stop = Signals::listen().context("signals can't be listened for")?.stop();
        tokio::select! {
            played = play(&simulator, &conversations, arguments, service.admin_addr) => played,
            () = service.gone() => Ok(()),
            () = stop => Ok(()),
        }
    })?;
    println!("\nstopping");
    service.stop()?;
    simulator.stop();
    outcome.map(|()| ExitCode::SUCCESS)
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

/// The settings that anybody would give in the environment; the caller's own environment plays no part.
fn demo_settings(simulator: &RunningSimulator, index: &Path, data: &Path) -> anyhow::Result<Settings> {
    let variables = [
        ("CXONE_CONTRACT", "insights".to_owned()),
        ("CXONE_BASE_URL", simulator.base_url()),
        ("CXONE_CLIENT_ID", DEFAULT_CLIENT_ID.to_owned()),
        ("CXONE_CLIENT_SECRET", DEFAULT_CLIENT_SECRET.to_owned()),
        ("CUECARD_INDEX", index.display().to_string()),
        ("CUECARD_DATA_DIR", data.display().to_string()),
        ("CUECARD_ADMIN_ADDR", "127.0.0.1:0".to_owned()),
        // The demo's articles are long beside what callers say; `eval` with --quiet found this level.
        ("CUECARD__PROFILE__MIN_COSINE", "0.3".to_owned()),
    ];
    Ok(Settings::load(None, variables.map(|(name, value)| (name.to_owned(), value)))?)
}

/// The service on a thread of its own, as it would be in a process of its own.
struct Service {
    admin_addr: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<Ended>>,
}

impl Service {
    fn start(settings: Settings) -> anyhow::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (started, admin_addr) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("cuecard".to_owned()).spawn(move || {
            let until_stopped = async { drop(stopped.await) };
            service::on_system(service::run(settings, |port| tell(&started, port), until_stopped))?
        })?;
        match admin_addr.recv() {
            Ok(admin_addr) => Ok(Self { admin_addr, stop, thread }),
            Err(_) => Err(ended(thread).err().unwrap_or_else(|| anyhow::anyhow!("the service ended at once"))),
        }
    }

    /// Resolves when the service has ended by itself; stopping it then says why.
    async fn gone(&self) {
        while !self.thread.is_finished() {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn stop(self) -> anyhow::Result<()> {
        // It may have ended by itself; joining says how.
        let _ = self.stop.send(());
        ended(self.thread)
    }
}

fn tell(started: &std::sync::mpsc::Sender<SocketAddr>, port: Listening) {
    if let Listening::Admin(addr) = port {
        // Whoever started the service waits for this.
        let _ = started.send(addr);
    }
}

fn ended(thread: JoinHandle<anyhow::Result<Ended>>) -> anyhow::Result<()> {
    match thread.join() {
        Ok(Ok(Ended::Told)) => Ok(()),
        Ok(Ok(Ended::Escalated(reason))) => anyhow::bail!("the service gave up: {reason}"),
        Ok(Err(error)) => Err(error),
        Err(_) => anyhow::bail!("the service panicked; the log says where"),
    }
}

async fn play(
    simulator: &RunningSimulator,
    conversations: &[Conversation],
    arguments: &DemoArgs,
    admin_addr: SocketAddr,
) -> anyhow::Result<()> {
    println!("\n  agent's desktop   {}/", simulator.base_url());
    println!("  metrics           http://{admin_addr}/metrics");
    println!("  actors            http://{admin_addr}/actors");
    println!("  Ctrl-C stops\n");
    if !simulator.until(CONNECT, |simulator| simulator.num_streams() > 0).await {
        anyhow::bail!("the service did not connect to the simulator within {CONNECT:?}");
    }
    let mut seen = 0;
    loop {
        for (number, conversation) in conversations.iter().enumerate() {
            println!("call {}/{}  {}", number + 1, conversations.len(), conversation.id);
            let playing = simulator.play(vec![conversation.clone()], Pace::faster(arguments.speed));
            let finished = playing.finished();
            tokio::pin!(finished);
            loop {
                tokio::select! {
                    () = &mut finished => break,
                    () = report(simulator, &mut seen) => {}
                }
            }
            show_end(simulator, conversation, &mut seen).await;
        }
        if arguments.once {
            // A card for the very last turn may still be under way.
            let turns = simulator.num_turns();
            simulator.until(LAST_CARD, |simulator| simulator.num_cards() >= turns).await;
            println!("{} turns, {} cards", turns, simulator.num_cards());
            return Ok(());
        }
    }
}

/// Waits for the next pushes and prints them.
async fn report(simulator: &RunningSimulator, seen: &mut u64) {
    let newest = |simulator: &RunningSimulator| simulator.received_on(Route::Insights).last().map(|push| push.sequence);
    let before = *seen;
    simulator.until(Duration::from_hours(1), |simulator| newest(simulator).is_some_and(|push| push > before)).await;
    show_pushes(simulator, seen);
}

/// Prints the pushes that were not printed yet.
fn show_pushes(simulator: &RunningSimulator, seen: &mut u64) {
    let before = *seen;
    for push in simulator.received_on(Route::Insights).iter().filter(|push| push.sequence > before) {
        *seen = push.sequence;
        print_push(simulator, push);
    }
}

fn print_push(simulator: &RunningSimulator, push: &Received) {
    let insights =
        push.body.as_ref().and_then(|body| body["insights"].as_array()).map(Vec::as_slice).unwrap_or_default();
    let Some(first) = insights.first() else { return };
    let interaction = first["interactionId"].as_str().unwrap_or_default();
    let took =
        simulator.turns().iter().rev().find(|turn| turn.interaction_id == interaction).and_then(|turn| turn.card_after);
    let took = took.map_or_else(String::new, |took| format!("{:>4} ms  ", took.as_millis()));
    let more = if insights.len() > 1 { format!("  (+{} more)", insights.len() - 1) } else { String::new() };
    let verdict = if push.verdict == Verdict::Accepted { "card" } else { "push refused" };
    println!("    {verdict}  {took}{}{more}", first["title"].as_str().unwrap_or_default());
}

/// The last card of a call, or that there was none, and what it was about.
async fn show_end(simulator: &RunningSimulator, conversation: &Conversation, seen: &mut u64) {
    let turn_of = |simulator: &RunningSimulator| {
        simulator.turns().into_iter().rev().find(|turn| turn.interaction_id == conversation.id)
    };
    let has_card = |simulator: &RunningSimulator| turn_of(simulator).is_some_and(|turn| turn.card_after.is_some());
    simulator.until(NEXT_CALL, has_card).await;
    show_pushes(simulator, seen);
    if !has_card(simulator) {
        println!("    silent");
    }
    if let Some(turn) = conversation.turns.iter().rev().find(|turn| turn.is_customer()) {
        println!("    said: {}\n", turn.text);
    }
}

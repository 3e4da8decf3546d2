//! `cxone-sim serve`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::listen::{Listen, how_to_connect, tell};
use crate::base::contracts::Contract;
use crate::replay::{ReplayError, base_url};
use crate::serve::explain::AdminPlace;
use crate::serve::files::Conversation;
use crate::serve::player::Pace;
use crate::serve::settings::DEFAULT_SESSION_ID;

/// What the admin port asks for, where it does.
const ADMIN_KEY: &str = "CUECARD_ADMIN_KEY";

const EXAMPLE: &str = "\
Example: every second push of insights is answered 429 until the faults are cleared

  curl 127.0.0.1:9200/_sim/faults -H 'content-type: application/json' -d '
    {\"route\": \"insights\", \"every\": 2, \"times\": \"always\",
     \"fault\": {\"kind\": \"answer\", \"status\": 429, \"retry_after\": {\"seconds\": 1}}}'
  curl -X DELETE 127.0.0.1:9200/_sim/faults";

const NO_ARTICLES: &str = "\
no articles (--articles FILE): snippets, which polls them, and insights, where it searches them, find nothing to show";

const ABOUT: &str = "Serves all five contracts and the pages until SIGINT or SIGTERM";

const LONG_ABOUT: &str = "\
Serves all five contracts and the pages until SIGINT or SIGTERM.

What a client sends is held against the five documents; what their own programs send, as printed, is no violation. With
--strict more is demanded.

With --conversations it plays them to whoever connects to one of the two streams, in the frames of that stream, one
conversation after another. The agents' desktop shows them at /; what arrives, and faults to set, are at /_sim/faults;
scripts do the same by the calls under /_sim/.";

#[derive(Debug, Args)]
#[command(about = ABOUT, long_about = LONG_ABOUT, after_help = how_to_connect(), after_long_help = format!("{}\n\n{EXAMPLE}", how_to_connect()))]
pub(super) struct Serve {
    #[command(flatten)]
    listen: Listen,
    /// Conversations to play to whoever connects: JSON Lines, .gz too.
    #[arg(long, value_name = "FILE")]
    conversations: Option<PathBuf>,
    /// How many times faster than life they are played; 0 plays without pauses.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// The session that exists from the start.
    #[arg(long, value_name = "ID", env = "CXONE_SESSION_ID", default_value = DEFAULT_SESSION_ID)]
    session: String,
    /// The admin port of the service under test, a URL or `host:port`: the desktop asks it why a card came. The key that it
    /// may ask for is read from `CUECARD_ADMIN_KEY`.
    #[arg(long, value_name = "URL", value_parser = admin_place)]
    admin: Option<AdminPlace>,
}

fn admin_place(address: &str) -> Result<AdminPlace, ReplayError> {
    let key = std::env::var(ADMIN_KEY).ok().filter(|key| !key.trim().is_empty());
    Ok(AdminPlace { base_url: base_url("--admin", address)?, key })
}

pub(super) async fn run(arguments: Serve) -> anyhow::Result<()> {
    // From the start, so that a signal that comes early ends it in order as well.
    let told_to_stop = told_to_stop().context("cannot wait for signals")?;
    let conversations = arguments.conversations.as_deref().map(Conversation::load).transpose()?.unwrap_or_default();
    let articles = arguments.listen.articles()?;
    let has_articles = !articles.is_empty();
    let simulator = arguments.listen.start(articles, vec![arguments.session])?;
    if let Some(admin) = arguments.admin {
        simulator.explain_by(admin);
    }
    arguments.listen.tell_how_to_connect(&simulator, Contract::value_variants());
    if !has_articles {
        tell(NO_ARTICLES);
    }
    let num_conversations = conversations.len();
    let playing = simulator.play(conversations, Pace::faster(arguments.speed));
    told_to_stop.await;
    if num_conversations > 0 {
        tell(&format!("{} of {num_conversations} conversations were played", playing.num_played()));
    }
    simulator.stop();
    Ok(())
}

/// Listens from now on; resolves at the first SIGINT or SIGTERM.
fn told_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

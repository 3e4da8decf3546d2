//! `cxone-sim replay`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::listen::{Listen, tell};
use super::progress::Progress;
use crate::base::contracts::Contract;
use crate::replay::{self, Load, ReplayOptions};
use crate::serve::files::Conversation;

/// A header as it is written.
fn header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once(':').ok_or("write it as 'Name: value'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

const ABOUT: &str = "Plays conversations, watches what comes back and prints the figures";

const LONG_ABOUT: &str = "\
Plays conversations, watches what comes back and prints the figures.

snippets and insights are told on their stream to the client that connects. rag, graph and ranking are asked at
--target, one question for each customer turn; ranking sends ten snippets of the --articles a turn, or ten fixed ones,
with scores and boosts drawn from --seed.

Turns come at --rate, whatever becomes of them; or, with --concurrency, from so many conversations side by side, each
next turn when the one before has its card or its answer, or after 5 s.

Printed are, as a table or with --json as one object:

  turns              customer turns that were said, and those that were not because the client did not come back
  cards              turns that got a card
  silent             turns for which the service had nothing good enough
  replaced           turns that gave way to a newer one of the same conversation
  expired            turns whose card would have come too late
  lost               turns without a card that nothing explains
  duplicates         pushes that no turn waited for
  violations         requests that broke the contract; /_sim/received?refused=true has the reasons
  p50, p95, p99 ms   from the frame that ends a turn, or the sending of the question, to the card's arrival
  cards/s            with --concurrency: the median over the seconds of the run without the first two

What explains a turn without a card is read from the service's --admin port, and for rag, graph and ranking from the
answer to it: no_match and no_results are silent, 504 is expired, 503 is explained as far as the service counts as many shed.";

const EXAMPLES: &str = "\
Examples: a stream at two turns a second for two minutes, and a service asked by 16 agents at once

  cxone-sim replay --conversations calls.jsonl --contract insights --rate 2 --duration 120
  cxone-sim replay --conversations calls.jsonl --contract rag --concurrency 16 --duration 30 --json";

#[derive(Debug, Args)]
#[command(about = ABOUT, long_about = LONG_ABOUT, after_long_help = EXAMPLES)]
pub(super) struct Replay {
    #[command(flatten)]
    listen: Listen,
    /// Conversations to play: JSON Lines, .gz too.
    #[arg(long, value_name = "FILE")]
    conversations: PathBuf,
    /// The contract to play them by.
    #[arg(long, value_name = "NAME", value_enum)]
    contract: Contract,
    /// Where the service answers HTTP callers (rag, graph, ranking).
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    target: String,
    /// A header for the target, for example of an API key; may be repeated.
    #[arg(long = "target-header", value_name = "NAME: VALUE", value_parser = header)]
    target_headers: Vec<(String, String)>,
    /// The service's admin port, read for turns that it chose to leave without a card.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9100")]
    admin: String,
    /// The profile of the service that is replayed; needed where it has several, whose counters else count together.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Customer turns a second over all conversations.
    #[arg(long, value_name = "R", default_value_t = 2.0)]
    rate: f64,
    /// Conversations side by side, each next turn when the one before has its card; instead of a rate.
    #[arg(long, value_name = "N", conflicts_with = "rate")]
    concurrency: Option<usize>,
    /// Seconds after which no further turn begins; with --concurrency the conversations begin anew until then.
    #[arg(long, value_name = "SECONDS")]
    duration: Option<f64>,
    /// With a rate, too, conversations begin anew under other ids until --duration is over.
    #[arg(long, requires = "duration")]
    repeat: bool,
    /// Ranking: the session of all turns; without it each conversation is a session.
    #[arg(long, value_name = "ID", env = "CXONE_SESSION_ID")]
    session: Option<String>,
    /// Ranking: of the generator that draws snippets, scores and boosts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds to wait for a client to connect, and to come back when it leaves, or for the target to answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    connect_timeout: u64,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

impl Replay {
    fn options(&self) -> anyhow::Result<ReplayOptions> {
        let duration = self.duration.map(Duration::try_from_secs_f64).transpose();
        Ok(ReplayOptions {
            contract: self.contract,
            load: self.concurrency.map_or(Load::Rate(self.rate), Load::Concurrency),
            duration: duration.context("--duration must be a number of seconds, 0 or more")?,
            repeats: self.repeat,
            client_id: self.listen.client_id.clone(),
            target: self.target.clone(),
            target_headers: self.target_headers.clone(),
            admin: self.admin.clone(),
            profile: self.profile.clone(),
            connect_timeout: Duration::from_secs(self.connect_timeout),
            session: self.session.clone(),
            articles: self.listen.articles()?,
            seed: self.seed,
            ..ReplayOptions::default()
        })
    }
}

pub(super) async fn run(arguments: Replay) -> anyhow::Result<()> {
    let options = arguments.options()?;
    let conversations = Conversation::load(&arguments.conversations)?;
    let simulator = arguments.listen.start(options.articles.clone(), options.session.iter().cloned().collect())?;
    arguments.listen.tell_how_to_connect(&simulator, &[options.contract]);
    tell(&format!("giving up after {} s", arguments.connect_timeout));
    let progress = Progress::of(&conversations, options.duration);
    let mut tell = |line: &str| progress.tell(line);
    let report = tokio::select! {
        report = replay::replay(&simulator, &conversations, &options, &mut tell) => report?,
        never = progress.follow(&simulator) => match never {},
    };
    drop(progress);
    simulator.stop();
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

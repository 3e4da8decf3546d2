//! `replay`: conversations at a given rate or side by side, and an account of every turn.
//!
//! Input: a running simulator, conversations, [`ReplayOptions`]. Output: a [`Report`]. Contracts with a stream (001, 003)
//! are told on it to whoever connects; the others (000, 002, 004) are asked at the service's own HTTP port. Ends with an
//! error when no client connects, or no service answers, in time; anything that goes wrong later shows in the figures.

mod account;
mod address;
mod admin;
mod ask;
mod closed_loop;
mod open_loop;
mod plan;
mod report;
mod snippets;
mod speaker;

use std::time::Duration;

use tokio::time::Instant;

use self::account::Account;
use self::admin::Admin;
use self::ask::Asker;
pub use self::report::Report;
use self::speaker::Speakers;
use crate::articles::Article;
use crate::contract::Contract;
use crate::conversation::{Conversation, Turn};
use crate::running::RunningSimulator;
use crate::settings::DEFAULT_CLIENT_ID;
use crate::streams::Audience;

/// Two customer turns of one conversation are never closer at a rate: people need to breathe, and a newer turn replaces
/// the older.
const TURN_SPACING: Duration = Duration::from_secs(1);
/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// Seconds left out of the rate while the service warms up.
const WARM_UP_SECONDS: usize = 2;

/// How turns follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// So many customer turns a second over all conversations, whatever becomes of them.
    Rate(f64),
    /// So many conversations side by side, each next turn when the one before has its card, or after 5 s.
    Concurrency(usize),
}

/// How to replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// What the service speaks.
    pub contract: Contract,
    /// How fast.
    pub load: Load,
    /// No turn begins later than this; without it every conversation is played once. With [`Load::Concurrency`] the
    /// conversations begin anew until then.
    pub duration: Option<Duration>,
    /// The client whose cards are awaited.
    pub client_id: String,
    /// Where the service answers HTTP callers, for the contracts that have them.
    pub target: String,
    /// Headers for the target beyond those of the contract.
    pub target_headers: Vec<(String, String)>,
    /// The service's admin port, a URL or `host:port`.
    pub admin: String,
    /// Whose counters there explain turns without a card; without it those of all profiles.
    pub profile: Option<String>,
    /// How long to wait for a client, or for the target.
    pub connect_timeout: Duration,
    /// How long to wait for outstanding cards after the last turn.
    pub answer_timeout: Duration,
    /// 004: the session of all rankings; without it each conversation is one.
    pub session: Option<String>,
    /// 004: where snippets are drawn from; without any, ten fixed ones.
    pub articles: Vec<Article>,
    /// 004: of the generator that draws snippets, scores and boosts.
    pub seed: u64,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            contract: Contract::Insights,
            load: Load::Rate(2.0),
            duration: None,
            client_id: DEFAULT_CLIENT_ID.to_owned(),
            target: "http://127.0.0.1:8000".to_owned(),
            target_headers: Vec::new(),
            admin: "http://127.0.0.1:9100".to_owned(),
            profile: None,
            connect_timeout: Duration::from_mins(1),
            // A stream card's own deadline is 4 s.
            answer_timeout: Duration::from_secs(5),
            session: None,
            articles: Vec::new(),
            seed: 1,
        }
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Nobody came.
    #[error("no client connected within {} s", .0.as_secs())]
    NobodyConnected(Duration),
    /// The service can't be asked.
    #[error("no service answers at {target} within {} s ({reason}); start it, or say where it is with --target", timeout.as_secs())]
    NobodyAnswers {
        /// Where it should be.
        target: String,
        /// What the last attempt met.
        reason: String,
        /// How long was tried.
        timeout: Duration,
    },
    /// It would have to be asked in another way than by plain HTTP.
    #[error(
        "{option} {address} is no plain http, name the port that the service itself listens on, as http://host:port"
    )]
    Scheme {
        /// Which one.
        option: &'static str,
        /// As it was given.
        address: String,
    },
    /// The rate is of no use.
    #[error("the rate must be a number above 0 and at least one turn a day, for example 2, and is {0}")]
    Rate(f64),
    /// Nobody would speak.
    #[error("the concurrency must be at least 1")]
    Concurrency,
    /// There is nothing to ask.
    #[error("the conversations have no customer turn with words in it")]
    NothingToPlay,
}

/// Plays `conversations` on `simulator` and watches what comes back. `tell` gets a line for people now and then. Must run
/// inside an actix system.
pub async fn replay(
    simulator: &RunningSimulator,
    conversations: &[Conversation],
    options: &ReplayOptions,
    tell: &mut dyn FnMut(&str),
) -> Result<Report, ReplayError> {
    check_load(options.load)?;
    let script = Script::new(simulator, conversations)?;
    let admin = Admin::new(&options.admin, options.profile.as_deref())?;
    let speakers = meet(simulator, options, &admin).await?;
    tell(&format!("{}, playing {} customer turns", speakers.met(), script.num_turns()));
    let account = Account::open(simulator, admin, tell).await;
    let lasted = match options.load {
        Load::Rate(rate) => open_loop::run(&script, &speakers, rate, options.duration, tell).await,
        Load::Concurrency(number) => closed_loop::run(&script, &speakers, number, options.duration, tell).await,
    };
    let rate_over = matches!(options.load, Load::Concurrency(_)).then_some(lasted);
    Ok(account.close(&speakers, rate_over, options.answer_timeout, tell).await)
}

fn check_load(load: Load) -> Result<(), ReplayError> {
    match load {
        Load::Rate(rate) if open_loop::interval(rate).is_none() => Err(ReplayError::Rate(rate)),
        Load::Concurrency(0) => Err(ReplayError::Concurrency),
        _ => Ok(()),
    }
}

/// Waits until there is somebody to speak to.
async fn meet<'a>(
    simulator: &'a RunningSimulator,
    options: &ReplayOptions,
    admin: &Admin,
) -> Result<Speakers<'a>, ReplayError> {
    let Some(kind) = options.contract.stream() else {
        let asker = Asker::new(simulator, options)?;
        wait_for_target(&asker, admin, options).await?;
        return Ok(Speakers::asking(asker));
    };
    let audience = Audience { kind: Some(kind), client_id: Some(options.client_id.clone()) };
    let connected = |simulator: &RunningSimulator| simulator.num_streams_of(&audience) > 0;
    if !simulator.until(options.connect_timeout, connected).await {
        return Err(ReplayError::NobodyConnected(options.connect_timeout));
    }
    Ok(Speakers::telling(simulator, audience))
}

/// Waits until the target answers, and until it does not call itself unready.
async fn wait_for_target(asker: &Asker, admin: &Admin, options: &ReplayOptions) -> Result<(), ReplayError> {
    /// How often it is asked.
    const LOOK: Duration = Duration::from_millis(200);
    let began = Instant::now();
    loop {
        let reason = match asker.reach().await {
            Ok(()) if !admin.is_unready().await => return Ok(()),
            Ok(()) => "it is not ready yet".to_owned(),
            Err(reason) => reason,
        };
        if began.elapsed() + LOOK > options.connect_timeout {
            let (target, timeout) = (options.target.clone(), options.connect_timeout);
            return Err(ReplayError::NobodyAnswers { target, reason, timeout });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What is played.
struct Script<'a> {
    conversations: &'a [Conversation],
    /// One for each conversation.
    ids: Vec<String>,
    /// For each conversation its customer turns, each with the agent turns before it.
    customer_turns: Vec<Vec<std::ops::RangeInclusive<usize>>>,
}

impl<'a> Script<'a> {
    fn new(simulator: &RunningSimulator, conversations: &'a [Conversation]) -> Result<Self, ReplayError> {
        let customer_turns: Vec<_> = conversations.iter().map(plan::customer_turns).collect();
        if customer_turns.iter().all(Vec::is_empty) {
            return Err(ReplayError::NothingToPlay);
        }
        Ok(Self { conversations, ids: simulator.interaction_ids(conversations), customer_turns })
    }

    fn num_turns(&self) -> usize {
        self.customer_turns.iter().map(Vec::len).sum()
    }

    fn turns(&self, conversation: usize, range: &std::ops::RangeInclusive<usize>) -> &'a [Turn] {
        &self.conversations[conversation].turns[range.clone()]
    }

    /// The interaction of a conversation the first time, the second time and so on.
    fn id(&self, conversation: usize, pass: usize) -> String {
        let id = &self.ids[conversation];
        if pass == 0 { id.clone() } else { format!("{id}~{pass}") }
    }
}

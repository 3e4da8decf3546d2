//! `replay`: conversations at a given rate, and an account of every turn.
//!
//! Input: a running simulator, conversations, [`ReplayOptions`]. Output: a [`Report`]. Ends with an error when no client
//! connects in time; anything that goes wrong later shows in the figures.

mod admin;
mod plan;
mod report;

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use self::admin::{Admin, Outcomes};
use self::plan::{PlannedTurn, Tempo};
pub use self::report::Report;
use crate::conversation::Conversation;
use crate::ledger::TurnOutcome;
use crate::player::{self, Pace};
use crate::running::RunningSimulator;

/// Two customer turns of one conversation are never closer: people need to breathe, and a newer turn replaces the older.
const TURN_SPACING: Duration = Duration::from_secs(1);
/// How often the service's own account is read while answers are outstanding.
const OUTCOME_POLL: Duration = Duration::from_millis(250);
/// After the last expected card, time for one too many to show itself.
const DUPLICATE_WATCH: Duration = Duration::from_millis(500);
/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// How to replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Customer turns a second over all conversations, more than 0.
    pub rate: f64,
    /// No turn is spoken later than this; without it all are.
    pub duration: Option<Duration>,
    /// The service's admin port, a URL or `host:port`.
    pub admin: String,
    /// How long to wait for a client.
    pub connect_timeout: Duration,
    /// How long to wait for outstanding cards after the last turn.
    pub answer_timeout: Duration,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Nobody came.
    #[error("no client connected within {} s", .0.as_secs())]
    NobodyConnected(Duration),
    /// The rate is of no use.
    #[error("the rate must be a number above 0, for example 2, and is {0}")]
    Rate(f64),
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
    let timetable = timetable(conversations, options)?;
    if !simulator.until(options.connect_timeout, |simulator| simulator.num_streams() > 0).await {
        return Err(ReplayError::NobodyConnected(options.connect_timeout));
    }
    tell(&format!("a client is connected, playing {} customer turns", timetable.len()));
    let admin = Admin::new(&options.admin);
    let before = read_outcomes(&admin, tell).await;
    let (surplus, violations) = (num_surplus(simulator), simulator.num_violations());
    let ids = simulator.interaction_ids(conversations);
    speak_all(simulator, conversations, &ids, &timetable, tell).await;
    let own: HashSet<&str> = ids.iter().map(String::as_str).collect();
    let counted = await_answers(simulator, &own, &admin, before.as_ref(), options.answer_timeout).await;
    if let Some(counted) = &counted {
        tell_unexplained(counted, tell);
    } else if before.is_some() {
        tell("the admin port answers no more: every turn without a card counts as lost");
    }
    Ok(Report::new(
        &turns_of(simulator, &own),
        counted.as_ref(),
        num_surplus(simulator) - surplus,
        simulator.num_violations() - violations,
    ))
}

fn timetable(conversations: &[Conversation], options: &ReplayOptions) -> Result<Vec<PlannedTurn>, ReplayError> {
    let interval = Duration::try_from_secs_f64(1.0 / options.rate)
        .ok()
        .filter(|interval| !interval.is_zero())
        .ok_or(ReplayError::Rate(options.rate))?;
    let tempo = Tempo { interval, spacing: TURN_SPACING, duration: options.duration };
    let timetable = plan::plan(conversations, tempo);
    if timetable.is_empty() {
        return Err(ReplayError::NothingToPlay);
    }
    Ok(timetable)
}

async fn read_outcomes(admin: &Admin, tell: &mut dyn FnMut(&str)) -> Option<Outcomes> {
    match admin.outcomes().await {
        Ok(outcomes) => Some(outcomes),
        Err(reason) => {
            let url = admin.url();
            tell(&format!("no account from {url} ({reason}): every turn without a card counts as lost"));
            None
        }
    }
}

/// Speaks by the timetable. Time without a connected client moves the rest of it back, so that turns never bunch up.
async fn speak_all(
    simulator: &RunningSimulator,
    conversations: &[Conversation],
    ids: &[String],
    timetable: &[PlannedTurn],
    tell: &mut dyn FnMut(&str),
) {
    let mut start = Instant::now();
    let mut told_at = start;
    for (number, planned) in timetable.iter().enumerate() {
        tokio::time::sleep_until(start + planned.due).await;
        let began = Instant::now();
        if simulator.num_streams() == 0 {
            tell("the client is gone, waiting for it to come back");
        }
        let turns = &conversations[planned.conversation].turns[planned.turns.clone()];
        for step in turns.iter().flat_map(|turn| player::steps(turn, &Pace::instant())) {
            simulator.speak(&ids[planned.conversation], &step.speech).await;
        }
        let took = began.elapsed();
        if took > TURN_SPACING {
            start += took;
        }
        if told_at.elapsed() >= PROGRESS_INTERVAL {
            told_at = Instant::now();
            tell(&format!("{} of {} turns, {} cards", number + 1, timetable.len(), simulator.num_cards()));
        }
    }
}

/// Pushes that no turn waited for.
fn num_surplus(simulator: &RunningSimulator) -> u64 {
    simulator.num_duplicates() + simulator.num_unprompted()
}

fn turns_of(simulator: &RunningSimulator, own: &HashSet<&str>) -> Vec<TurnOutcome> {
    let mut turns = simulator.turns();
    turns.retain(|turn| own.contains(turn.interaction_id.as_str()));
    turns
}

/// Waits until every turn has its card or its explanation, at most `timeout`; what the service counted meanwhile.
async fn await_answers(
    simulator: &RunningSimulator,
    own: &HashSet<&str>,
    admin: &Admin,
    before: Option<&Outcomes>,
    timeout: Duration,
) -> Option<Outcomes> {
    let deadline = Instant::now() + timeout;
    let mut counted = None;
    loop {
        if let Some(before) = before {
            counted = admin.outcomes().await.ok().map(|after| after.since(before));
        }
        let chosen = counted.map_or(0, |counted: Outcomes| counted.chosen());
        let open = turns_of(simulator, own).iter().filter(|turn| turn.card_after.is_none()).count() as u64;
        let left = deadline.saturating_duration_since(Instant::now());
        if open <= chosen || left.is_zero() {
            break;
        }
        let cards = simulator.num_cards();
        simulator.until(OUTCOME_POLL.min(left), |simulator| simulator.num_cards() > cards).await;
    }
    tokio::time::sleep(DUPLICATE_WATCH).await;
    counted
}

fn tell_unexplained(counted: &Outcomes, tell: &mut dyn FnMut(&str)) {
    let notes = [
        ("shed", counted.shed, "explain as many turns without a card"),
        ("refused", counted.refused, "explain nothing: the hub's answers are in the violations"),
        ("failed", counted.failed, "explain nothing: these turns count as lost"),
    ];
    for (name, count, meaning) in notes {
        if count > 0 {
            tell(&format!("the service counted {count} {name}, which {meaning}"));
        }
    }
}

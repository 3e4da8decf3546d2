//! One replay from its first turn to its report.
//!
//! Input: a running simulator, conversations, [`ReplayOptions`]. Output: a [`Report`]. Contracts with a stream (001, 003)
//! are told on it to whoever connects; the others (000, 002, 004) are asked at the service's own HTTP port. Ends with an
//! error when no client connects, or no service answers, in time; anything that goes wrong later shows in the figures, and
//! a client that leaves and does not come back in the same time ends the replay with the rest of the turns lost.

use tokio::time::{Duration, Instant};

use super::account::Account;
use super::admin::Admin;
use super::ask::Asker;
use super::loops::{self, Limits};
use super::options::{Load, ReplayError, ReplayOptions};
use super::plan::Script;
use super::report::Report;
use super::speaker::Speakers;
use crate::serve::files::Conversation;
use crate::serve::play;
use crate::serve::simulator::RunningSimulator;
use crate::serve::streams::Audience;

/// Plays `conversations` on `simulator` and watches what comes back. `tell` gets a line for people now and then. Must run
/// inside an actix system.
pub async fn replay(
    simulator: &RunningSimulator,
    conversations: &[Conversation],
    options: &ReplayOptions,
    tell: &mut dyn FnMut(&str),
) -> Result<Report, ReplayError> {
    check_load(options.load)?;
    let script = Script::new(conversations, |all| play::interaction_ids(simulator.hub(), all))?;
    let admin = Admin::new(&options.admin, options.profile.as_deref())?;
    let speakers = meet(simulator, options, &admin).await?;
    tell(&format!("{}, playing {} customer turns", speakers.met(), script.num_turns()));
    let account = Account::open(simulator, admin, tell).await;
    let (duration, repeats, patience) = (options.duration, options.repeats, options.connect_timeout);
    let limits = Limits { duration, repeats, patience };
    let spoken = match options.load {
        Load::Rate(rate) => loops::at_rate(&script, &speakers, rate, limits, tell).await,
        Load::Concurrency(number) => loops::side_by_side(&script, &speakers, number, limits, tell).await,
    };
    let is_closed_loop = matches!(options.load, Load::Concurrency(_));
    Ok(account.close(&speakers, spoken, is_closed_loop, options.answer_timeout, tell).await)
}

fn check_load(load: Load) -> Result<(), ReplayError> {
    match load {
        Load::Rate(rate) if loops::interval(rate).is_none() => Err(ReplayError::Rate(rate)),
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

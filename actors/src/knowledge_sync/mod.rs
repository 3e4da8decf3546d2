//! `KnowledgeSync`, one per profile that takes its articles from CXone: polls, and puts what changed in service.
//!
//! A poll and the build after it run in a task of their own and report back by message, so that a panic of either costs
//! one poll. Until a new generation stands the old one answers; when a poll fails or is refused it goes on answering.

mod poll;

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, Supervised};
use cuecard_cxone::backoff::Backoff;
use cuecard_failure_points::failure_point;
use tokio_util::sync::CancellationToken;

pub(crate) use poll::labelled;
pub use poll::{Poll, count_articles, source_of};

use crate::health::{Condition, Part, ProfileHealth};
use crate::supervision::{ActorCell, Timer};
use crate::telemetry::{KnowledgePolled, Metrics, PollResult};
use crate::tenant::{SyncSettings, Tenants};

/// The first wait after a poll that failed; it doubles up to the interval.
const FIRST_RETRY: Duration = Duration::from_secs(2);

/// How a poll ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synced {
    /// CXone says that nothing changed, or the articles are those in service.
    Unchanged,
    /// A new generation is in service.
    Updated,
}

/// Why a poll came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// The answer would have wiped out what is known.
    #[error("{0}")]
    Refused(String),
    /// No answer, no readable one, or the index can't be written.
    #[error("{0}")]
    Failed(String),
}

/// Asks for a poll now.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Refresh;

/// What a `KnowledgeSync` works with.
pub struct KnowledgeSyncDeps {
    /// Polls the tenant's articles and puts what changed in service.
    pub poll: Poll,
    /// Which say how the profile's articles are polled; a reload may say otherwise from the next poll on.
    pub tenants: Tenants,
    /// Cuts a poll off.
    pub stop: CancellationToken,
    /// Where it says whether there are articles.
    pub health: Arc<ProfileHealth>,
    /// Where polls are counted.
    pub metrics: Metrics,
    /// The actor's public state.
    pub cell: Arc<ActorCell>,
}

/// See the module.
pub struct KnowledgeSync {
    deps: KnowledgeSyncDeps,
    /// A poll is under way; its task reports its end even after a restart of this actor.
    is_polling: bool,
    /// Somebody asked for another poll meanwhile.
    again: bool,
    /// Polls in a row that failed.
    num_failures: u32,
    timer: Option<Timer>,
}

/// A poll came to an end, or its task did.
#[derive(Message)]
#[rtype(result = "()")]
struct Polled(Result<Synced, SyncError>);

/// Says how a poll ended when it is dropped, so that a panic of its task can't end the polling.
struct EndNotice {
    actor: Addr<KnowledgeSync>,
    result: Result<Synced, SyncError>,
}

impl Drop for EndNotice {
    fn drop(&mut self) {
        self.actor.do_send(Polled(self.result.clone()));
    }
}

impl KnowledgeSync {
    /// A `KnowledgeSync` that polls as soon as it starts.
    pub fn new(deps: KnowledgeSyncDeps) -> Self {
        Self { deps, is_polling: false, again: false, num_failures: 0, timer: None }
    }

    /// Those in force. No reload makes a profile one that polls none.
    fn settings(&self) -> Option<SyncSettings> {
        self.deps.tenants.get(self.deps.health.profile())?.profile.knowledge.sync
    }

    fn poll(&mut self, context: &mut Context<Self>) {
        let Some(SyncSettings { allow_shrinking, .. }) = self.settings() else { return };
        if std::mem::replace(&mut self.is_polling, true) {
            return;
        }
        self.timer = None;
        let panicked = Err(SyncError::Failed("the poll panicked".to_owned()));
        let mut notice = EndNotice { actor: context.address(), result: panicked };
        failure_point!(KnowledgeSync, self.deps.health.profile().as_str());
        let (poll, in_flight, stop) = (self.deps.poll.clone(), self.deps.cell.in_flight(), self.deps.stop.clone());
        tokio::spawn(async move {
            // A poll may take minutes; it is cut off by a stop, and the next start begins it anew.
            let polled = stop.run_until_cancelled(poll.run(allow_shrinking)).await;
            notice.result = polled.unwrap_or_else(|| Err(SyncError::Failed("the service is stopping".to_owned())));
            drop((notice, in_flight));
        });
    }

    /// What failed may be well again soon: the tenant, the token endpoint, another writer's lock. What was refused needs
    /// somebody to mend it. Half of the step at least, so that many instances spread out and none hammers.
    fn wait_after(&mut self, result: &Result<Synced, SyncError>) -> Duration {
        if std::mem::take(&mut self.again) {
            return Duration::ZERO;
        }
        let interval = self.settings().map_or(FIRST_RETRY, |settings| settings.poll_interval);
        if !matches!(result, Err(SyncError::Failed(_))) {
            self.num_failures = 0;
            return interval;
        }
        self.num_failures = self.num_failures.saturating_add(1);
        let step = Backoff::new(FIRST_RETRY, interval).step(self.num_failures);
        step.mul_f64(rand::random_range(0.5..=1.0))
    }

    fn tell(&self, result: &Result<Synced, SyncError>) {
        let (result, detail) = match result {
            Ok(Synced::Unchanged) => (PollResult::Unchanged, String::new()),
            Ok(Synced::Updated) => (PollResult::Updated, String::new()),
            Err(error @ SyncError::Refused(_)) => (PollResult::Refused, error.to_string()),
            Err(error @ SyncError::Failed(_)) => (PollResult::Failed, error.to_string()),
        };
        let profile = self.deps.health.profile();
        KnowledgePolled { profile, result, detail: &detail }.emit(&self.deps.metrics);
        if detail.is_empty() {
            self.deps.health.set(Part::Polls, Condition::Good);
        } else {
            self.deps.health.lost(Part::Polls, &format!("the articles can't be brought up to date: {detail}"));
        }
    }
}

impl Actor for KnowledgeSync {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if !self.is_polling {
            // By a timer even at once: a poll that panics must not keep the actor from starting.
            self.timer = Some(Timer::start(Duration::ZERO, context, Self::poll));
        }
    }
}

impl Supervised for KnowledgeSync {
    fn restarting(&mut self, _context: &mut Self::Context) {
        self.timer = None;
    }
}

impl Handler<Refresh> for KnowledgeSync {
    type Result = ();

    fn handle(&mut self, _: Refresh, context: &mut Self::Context) {
        self.again = self.is_polling;
        self.poll(context);
    }
}

impl Handler<Polled> for KnowledgeSync {
    type Result = ();

    fn handle(&mut self, Polled(result): Polled, context: &mut Self::Context) {
        self.deps.cell.note_handled();
        self.is_polling = false;
        self.tell(&result);
        let wait = self.wait_after(&result);
        self.timer = Some(Timer::start(wait, context, Self::poll));
    }
}

#[cfg(test)]
mod tests;

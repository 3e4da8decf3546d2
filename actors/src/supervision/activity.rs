//! What an actor is doing, told from outside: at work, waiting for somebody else, or hanging.
//!
//! Every actor runs on one thread, so whoever blocks it stops them all; only the one that does is said to hang.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::{ActorCell, ActorState};

/// A handler takes microseconds. One that runs for so long blocks every actor, and only a new process helps.
pub const HANDLER_HANGS_AFTER: Duration = Duration::from_secs(10);

/// An actor is woken as soon as something waits for it. One that takes nothing for so long, while nobody it works with
/// keeps it waiting, has missed that.
pub const QUEUE_HANGS_AFTER: Duration = Duration::from_secs(30);

/// A handler that runs for so long explains why the other actors take nothing.
const BLOCKS_OTHERS_AFTER: Duration = Duration::from_millis(500);

/// What an actor is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Nothing waits for it, and nothing of its own is under way.
    Idle,
    /// It takes what waits for it.
    Working,
    /// What it started is awaited from somebody else: CXone, a backend, the encoder, a stage behind it that is full.
    Waiting,
    /// It makes no progress and waits for nobody.
    Hanging,
}

/// What [`Activity`] is told by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Signs {
    /// How long the handler that runs now has been running.
    pub(super) in_handler: Option<Duration>,
    /// For how long its queue has stood still without a reason.
    pub(super) standing: Option<Duration>,
    pub(super) queue_depth: usize,
    /// Pieces of work outside the actor.
    pub(super) in_flight: usize,
    /// Those behind it take no more.
    pub(super) is_held: bool,
}

impl Signs {
    pub(super) fn activity(&self) -> Activity {
        let lasts = |since: Option<Duration>, limit| since.is_some_and(|since| since >= limit);
        if lasts(self.in_handler, HANDLER_HANGS_AFTER) || lasts(self.standing, QUEUE_HANGS_AFTER) {
            Activity::Hanging
        } else if self.in_flight > 0 || (self.queue_depth > 0 && self.is_held) {
            Activity::Waiting
        } else if self.in_handler.is_some() || self.queue_depth > 0 {
            Activity::Working
        } else {
            Activity::Idle
        }
    }

    /// Whether what waits has a reason to.
    pub(super) fn has_reason_to_stand(&self, state: ActorState) -> bool {
        self.queue_depth == 0 || self.in_flight > 0 || self.is_held || state != ActorState::Running
    }
}

/// Looks at all actors once; called again and again, so that each cell knows for how long a queue has stood still, and how
/// busy its actor was in between.
pub fn look_at(cells: &[Arc<ActorCell>]) {
    let is_blocked = cells.iter().any(|cell| cell.signs().in_handler.is_some_and(|it| it >= BLOCKS_OTHERS_AFTER));
    for cell in cells {
        cell.look(is_blocked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_others_is_kept_apart_from_hanging() {
        let signs = Signs::default();
        let long = Some(Duration::from_hours(1));
        let table = [
            (signs, Activity::Idle),
            (Signs { queue_depth: 1, ..signs }, Activity::Working),
            (Signs { in_handler: Some(Duration::from_secs(9)), ..signs }, Activity::Working),
            (Signs { in_handler: Some(HANDLER_HANGS_AFTER), ..signs }, Activity::Hanging),
            (Signs { in_flight: 1, ..signs }, Activity::Waiting),
            (Signs { queue_depth: 1, in_flight: 1, ..signs }, Activity::Waiting),
            (Signs { queue_depth: 1, is_held: true, ..signs }, Activity::Waiting),
            (Signs { is_held: true, ..signs }, Activity::Idle),
            (Signs { queue_depth: 1, standing: Some(Duration::from_secs(29)), ..signs }, Activity::Working),
            (Signs { queue_depth: 1, standing: Some(QUEUE_HANGS_AFTER), ..signs }, Activity::Hanging),
            // However long what it started takes.
            (Signs { in_handler: long, in_flight: 1, ..signs }, Activity::Hanging),
        ];
        for (signs, expected) in table {
            assert_eq!(signs.activity(), expected, "{signs:?}");
        }
    }

    #[test]
    fn a_queue_has_a_reason_to_stand_while_somebody_is_awaited_or_its_actor_is_not_at_work() {
        let waits = Signs { queue_depth: 1, ..Signs::default() };
        assert!(!waits.has_reason_to_stand(ActorState::Running));
        for state in [ActorState::Starting, ActorState::Restarting, ActorState::Stopped, ActorState::Failed] {
            assert!(waits.has_reason_to_stand(state), "{state:?}");
        }
        for signs in [Signs::default(), Signs { in_flight: 1, ..waits }, Signs { is_held: true, ..waits }] {
            assert!(signs.has_reason_to_stand(ActorState::Running), "{signs:?}");
        }
    }
}

//! The truth at a glance: one word for the whole service, and why it is not a better one.
//!
//! The word is the worst that matters: a profile that can do nothing makes a service degraded as long as another one works.

use cuecard_actors::supervision::{Activity, ActorReport, ActorState};
use cuecard_actors::telemetry::ProfileState;
use serde::Serialize;
use utoipa::ToSchema;

use super::ledger::LedgerReadiness;

/// How the service is, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// Everything works.
    Ready,
    /// Cards go out, and something that an operator should know is not as it should be.
    Degraded,
    /// No profile can do anything yet.
    Waiting,
    /// The engine is not there yet.
    Loading,
    /// An actor makes no progress, and only a new process helps.
    Hanging,
    /// Nothing is taken in any more.
    Stopping,
}

/// What a profile says of itself.
#[derive(Debug, Clone)]
pub(super) struct ProfileReadiness {
    pub(super) profile: String,
    pub(super) state: ProfileState,
    /// Empty where it is ready.
    pub(super) reason: String,
}

/// An actor that does nothing any more: only a new process helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeadActor {
    pub(super) name: String,
    pub(super) cause: Death,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Death {
    /// It gave up, and the service goes down by itself.
    GaveUp { reason: String },
    /// Its handler does not return, or what waits for it does not move.
    Hangs { reason: String },
}

/// The answer of `/readyz`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    status: Word,
    profiles: Vec<ProfileLine>,
    /// Why the status is no better one, each with whose reason it is; left out where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    /// Left out until the service is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ledger: Option<LedgerReadiness>,
}

/// How a profile is.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
struct ProfileLine {
    profile: String,
    /// `ready`, `degraded` or `waiting`.
    state: &'static str,
    /// Why not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What the word is made of.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) is_loaded: bool,
    pub(super) is_stopping: bool,
    pub(super) dead: Vec<DeadActor>,
    pub(super) profiles: Vec<ProfileReadiness>,
    /// What is wrong with the ledger.
    pub(super) ledger: Option<String>,
}

impl Facts {
    pub(super) fn word(&self) -> Word {
        let is = |state: ProfileState| move |profile: &ProfileReadiness| profile.state == state;
        if self.is_stopping || self.dead.iter().any(|actor| matches!(actor.cause, Death::GaveUp { .. })) {
            Word::Stopping
        } else if !self.dead.is_empty() {
            Word::Hanging
        } else if !self.is_loaded {
            Word::Loading
        } else if self.profiles.iter().all(is(ProfileState::Waiting)) {
            Word::Waiting
        } else if self.ledger.is_some() || !self.profiles.iter().all(is(ProfileState::Ready)) {
            Word::Degraded
        } else {
            Word::Ready
        }
    }

    /// Every reason, each with whose it is.
    fn reasons(&self) -> Vec<String> {
        let dead = self.dead.iter().map(DeadActor::told);
        let unready = self.profiles.iter().filter(|profile| !profile.reason.is_empty());
        let profiles = unready.map(|ProfileReadiness { profile, reason, .. }| format!("{profile}: {reason}"));
        let ledger = self.ledger.iter().map(|reason| format!("ledger: {reason}"));
        dead.chain(profiles).chain(ledger).collect()
    }

    /// The answer of `/readyz`, but for what it says of the ledger.
    pub(super) fn page(&self) -> Readiness {
        let profiles = self.profiles.iter().map(ProfileReadiness::line).collect();
        Readiness { status: self.word(), profiles, reasons: self.reasons(), ledger: None }
    }
}

impl DeadActor {
    /// Nothing of an actor that is at work, or will be again by itself. Waiting for somebody else is no reason, however long it
    /// takes.
    pub(super) fn of(actor: ActorReport) -> Option<Self> {
        let seconds = |since: Option<f64>| since.map(|seconds| format!("{seconds:.0} s"));
        let cause = match (actor.state, actor.activity) {
            (ActorState::Failed, _) => Death::GaveUp { reason: actor.last_error.unwrap_or_default() },
            (_, Activity::Hanging) => Death::Hangs {
                reason: match (seconds(actor.in_handler_seconds), seconds(actor.standing_seconds)) {
                    (Some(time), _) => format!("its handler has not returned for {time}"),
                    (None, Some(time)) => format!("what waits for it has not moved for {time}"),
                    (None, None) => "it makes no progress".to_owned(),
                },
            },
            _ => return None,
        };
        Some(Self { name: actor.name, cause })
    }

    fn told(&self) -> String {
        match &self.cause {
            Death::GaveUp { reason } => format!("{}: gave up: {reason}", self.name),
            Death::Hangs { reason } => format!("{}: hangs: {reason}", self.name),
        }
    }
}

impl ProfileReadiness {
    fn line(&self) -> ProfileLine {
        let reason = Some(self.reason.clone()).filter(|reason| !reason.is_empty());
        ProfileLine { profile: self.profile.clone(), state: self.state.name(), reason }
    }
}

impl Word {
    /// Whether questions may be sent here.
    pub(super) fn is_ready(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded)
    }
}

#[cfg(test)]
mod tests {
    use ProfileState::{Degraded, Ready, Waiting};

    use serde_json::json;

    use super::*;

    fn facts(states: &[ProfileState]) -> Facts {
        let profile = |state: &ProfileState| {
            let reason = if *state == Ready { "" } else { "held until noon" };
            ProfileReadiness { profile: "acme".to_owned(), state: *state, reason: reason.to_owned() }
        };
        Facts { is_loaded: true, profiles: states.iter().map(profile).collect(), ..Facts::default() }
    }

    fn gave_up() -> DeadActor {
        let reason = "it panicked at src/ranker.rs:7 while it started".to_owned();
        DeadActor { name: "ranker".to_owned(), cause: Death::GaveUp { reason } }
    }

    fn hangs() -> DeadActor {
        let reason = "its handler has not returned for 12 s".to_owned();
        DeadActor { name: "buffer".to_owned(), cause: Death::Hangs { reason } }
    }

    #[test]
    fn the_word_is_the_worst_that_matters() {
        let full = || Some("disk is full".to_owned());
        let table = [
            (facts(&[Ready, Ready]), Word::Ready),
            (facts(&[Ready, Degraded]), Word::Degraded),
            (facts(&[Ready, Waiting]), Word::Degraded),
            (Facts { ledger: full(), ..facts(&[Ready]) }, Word::Degraded),
            (facts(&[Degraded]), Word::Degraded),
            (facts(&[Waiting, Waiting]), Word::Waiting),
            (Facts { ledger: full(), ..facts(&[Waiting]) }, Word::Waiting),
            (Facts { is_loaded: false, ..facts(&[]) }, Word::Loading),
            (Facts { is_stopping: true, ..facts(&[Ready]) }, Word::Stopping),
            (Facts { dead: vec![gave_up()], ..facts(&[Ready]) }, Word::Stopping),
            (Facts { dead: vec![hangs()], ..facts(&[Ready]) }, Word::Hanging),
            (Facts { dead: vec![hangs()], is_loaded: false, ..facts(&[]) }, Word::Hanging),
            (Facts { dead: vec![hangs(), gave_up()], ..facts(&[Ready]) }, Word::Stopping),
        ];
        for (facts, word) in table {
            assert_eq!(facts.word(), word, "{facts:?}");
            assert_eq!(word.is_ready(), matches!(word, Word::Ready | Word::Degraded));
        }
    }

    #[test]
    fn every_reason_is_told_with_whose_it_is() {
        let ledger = Some("can't be written".to_owned());
        let facts = Facts { ledger, dead: vec![gave_up(), hangs()], ..facts(&[Ready, Degraded]) };
        let expected = [
            "ranker: gave up: it panicked at src/ranker.rs:7 while it started",
            "buffer: hangs: its handler has not returned for 12 s",
            "acme: held until noon",
            "ledger: can't be written",
        ];
        let page = json!(facts.page());
        assert_eq!(page["reasons"], json!(expected));
        let line = json!({"profile": "acme", "state": "degraded", "reason": "held until noon"});
        assert_eq!(page["profiles"], json!([{"profile": "acme", "state": "ready"}, line]));
        assert_eq!(json!(self::facts(&[Ready]).page()).get("reasons"), None);
    }
}

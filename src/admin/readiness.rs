//! The truth at a glance: one word for the whole service, and why it is not a better one.
//!
//! The word is the worst that matters: a profile that can do nothing makes a service degraded as long as another one works.

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
    /// Actors that gave up: the service goes down by itself.
    pub(super) gave_up: Vec<String>,
    pub(super) profiles: Vec<ProfileReadiness>,
    /// What is wrong with the ledger.
    pub(super) ledger: Option<String>,
}

impl Facts {
    pub(super) fn word(&self) -> Word {
        let is = |state: ProfileState| move |profile: &ProfileReadiness| profile.state == state;
        if self.is_stopping || !self.gave_up.is_empty() {
            Word::Stopping
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
        let gave_up = self.gave_up.iter().map(|actor| format!("{actor}: gave up after too many panics"));
        let unready = self.profiles.iter().filter(|profile| !profile.reason.is_empty());
        let profiles = unready.map(|ProfileReadiness { profile, reason, .. }| format!("{profile}: {reason}"));
        let ledger = self.ledger.iter().map(|reason| format!("ledger: {reason}"));
        gave_up.chain(profiles).chain(ledger).collect()
    }

    /// The answer of `/readyz`, but for what it says of the ledger.
    pub(super) fn page(&self) -> Readiness {
        let profiles = self.profiles.iter().map(ProfileReadiness::line).collect();
        Readiness { status: self.word(), profiles, reasons: self.reasons(), ledger: None }
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
            (Facts { gave_up: vec!["ranker".to_owned()], ..facts(&[Ready]) }, Word::Stopping),
        ];
        for (facts, word) in table {
            assert_eq!(facts.word(), word, "{facts:?}");
            assert_eq!(word.is_ready(), matches!(word, Word::Ready | Word::Degraded));
        }
    }

    #[test]
    fn every_reason_is_told_with_whose_it_is() {
        let ledger = Some("can't be written".to_owned());
        let facts = Facts { ledger, gave_up: vec!["ranker".to_owned()], ..facts(&[Ready, Degraded]) };
        let expected = ["ranker: gave up after too many panics", "acme: held until noon", "ledger: can't be written"];
        let page = json!(facts.page());
        assert_eq!(page["reasons"], json!(expected));
        let line = json!({"profile": "acme", "state": "degraded", "reason": "held until noon"});
        assert_eq!(page["profiles"], json!([{"profile": "acme", "state": "ready"}, line]));
        assert_eq!(json!(self::facts(&[Ready]).page()).get("reasons"), None);
    }
}

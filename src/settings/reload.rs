//! Settings that are read again while a service runs: what changed of them is taken up, or named where it can't be.
//!
//! What was read is checked as a whole, as at a start; so is what comes into force, which is what was read as far as it can be
//! taken up and what was in force before for all else. Where either can't be used, nothing changes.

use std::collections::BTreeSet;

use cuecard_actors::messages::ProfileName;

use super::in_force::InForce;
use super::keys::{FAMILIES, KEYS, as_default};
use super::load::{Settings, SettingsError};

/// The keys that a running service takes up, as the defaults have them; and all of the sections that end with a dot.
pub(super) const LIVE: [&str; 44] = [
    "access.ask",
    "access.key.",
    "api.keys",
    "log.flood_limit",
    "log.level",
    "log.modules",
    "pipeline.drop_oldest_after",
    "pipeline.lexical_only_after",
    "pipeline.newest_turn_after",
    "profile.agent_id",
    "profile.allow_shrinking",
    "profile.audience",
    "profile.boost_articles",
    "profile.boost_priority",
    "profile.boost_recency",
    "profile.boost_tags",
    "profile.callback_hosts",
    "profile.callback_private",
    "profile.callback_url",
    "profile.candidates",
    "profile.cards",
    "profile.deadline",
    "profile.explore",
    "profile.keep_question_vectors",
    "profile.keep_words",
    "profile.language",
    "profile.min_cosine",
    "profile.min_keyword_cosine",
    "profile.model",
    "profile.normalise",
    "profile.poll_interval",
    "profile.precision",
    "profile.push",
    "profile.ranker",
    "profile.rate_burst",
    "profile.rate_limit",
    "profile.recency_half_life",
    "profile.rejection_cooldown",
    "profile.screen_time",
    "profile.selectivity",
    "profile.silence",
    "profile.snippet",
    "profile.unproven_model",
    "profile.window",
];

/// What was read again.
pub struct Reread {
    /// What comes into force.
    pub settings: Settings,
    /// The keys that change by it.
    pub changed: Vec<String>,
    /// The keys that were read as something else and stay as they are until the service is started anew.
    pub needs_restart: Vec<String>,
}

/// Whether a running service takes up what stands under this key.
pub(super) fn is_live(key: &str) -> bool {
    let key = as_default(key);
    LIVE.iter().any(|live| if live.ends_with('.') { key.starts_with(live) } else { key == *live })
}

/// A profile is one for good: what is said of one that is not there yet waits for it.
fn is_taken(key: &str, before: &InForce, read: &InForce) -> bool {
    let is_of_profile = FAMILIES.iter().any(|family| family.all == "profiles" && family.member(key).is_some());
    is_live(key) && (!is_of_profile || before.has(key) && read.has(key))
}

impl Settings {
    /// The key that says which learned model a profile has.
    pub fn key_of_model(&self, profile: &ProfileName) -> String {
        let own = format!("profiles.{profile}.model");
        if self.in_force.has(&own) { own } else { "profile.model".to_owned() }
    }

    /// Reads the file, the secrets' files and the environment again.
    pub fn reread(&self) -> Result<Reread, SettingsError> {
        let read = self.origin.read()?;
        // What can't be used at the next start is better said now.
        let read = Self::checked(self.origin.clone(), read)?;
        let waiting = self.keys_that_wait(&read);
        let read = read.in_force;
        let waits = |key: &str| KEYS.member(key).is_some_and(|(name, _)| waiting.contains(name));
        let in_force = self.in_force.taking(&read, |key| is_taken(key, &self.in_force, &read) && !waits(key));
        let settings = Self::checked(self.origin.clone(), in_force)?;
        let changed = self.in_force.differences(&settings.in_force);
        let needs_restart = settings.in_force.differences(&read);
        Ok(Reread { settings, changed, needs_restart })
    }

    /// The keys that name a profile which is not there yet: they wait for the restart that brings it.
    fn keys_that_wait(&self, read: &Self) -> BTreeSet<String> {
        let is_new = |name: &String| !self.profiles.iter().any(|profile| profile.name.as_str() == name);
        let waits = read.access.keys.iter().filter(|(_, key)| key.profiles.0.iter().any(is_new));
        waits.map(|(name, _)| name.clone()).collect()
    }
}

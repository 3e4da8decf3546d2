//! A connection profile: one CXone tenant, what is spoken with it, and how its questions are answered.

use std::path::PathBuf;
use std::time::Duration;

use cuecard_actors::cxone::{Connection, ConnectionSettings, Contract, Limits};
use cuecard_actors::engine::Plan;
use cuecard_actors::engine::conversation::TurnWindow;
use cuecard_actors::engine::ranking::{Ranker, SilenceRule};
use cuecard_actors::messages::ProfileName;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};

use super::load::both_ways;
use super::sections::CxoneSettings;

/// `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    On,
    Off,
}

/// `[profile]` and `[profiles.NAME]` as they are written.
#[derive(Debug, Clone, Deserialize)]
pub struct ProfileSettings {
    #[serde(deserialize_with = "parsed")]
    pub contract: Contract,
    pub base_url: String,
    pub client_id: String,
    pub client_secret: SecretString,
    pub index: PathBuf,
    #[serde(deserialize_with = "parsed")]
    pub ranker: Ranker,
    #[serde(deserialize_with = "parsed")]
    pub window: TurnWindow,
    pub candidates: usize,
    pub cards: usize,
    pub silence: Switch,
    pub min_cosine: f64,
    pub repeat_after: u64,
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    pub retry_ambiguous: bool,
}

/// Reads a value through its `FromStr`, so that the error is the type's own and lists what there is.
fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// A profile that can work.
#[derive(Debug, Clone)]
pub struct Profile {
    pub name: ProfileName,
    pub contract: Contract,
    pub connection: Connection,
    pub plan: Plan,
    pub index: PathBuf,
    pub retry_ambiguous: bool,
}

impl ProfileSettings {
    /// What a profile is by the environment alone: for the tools, which need no tenant.
    pub fn of_environment() -> Result<Self, super::SettingsError> {
        super::load::environment_profile()
    }

    /// How questions are answered.
    pub fn plan(&self) -> Plan {
        Plan {
            ranker: self.ranker,
            window: self.window,
            candidates: self.candidates,
            cards: self.cards,
            silence: (self.silence == Switch::On).then_some(SilenceRule { min_cosine: self.min_cosine }),
            repeat_after: self.repeat_after,
            deadline: self.deadline,
        }
    }

    fn connection(&self, limits: &CxoneSettings) -> ConnectionSettings {
        let mut connection =
            ConnectionSettings::for_contract(self.contract, self.client_id.as_str(), self.client_secret.clone());
        if !self.base_url.is_empty() {
            self.base_url.clone_into(&mut connection.base_url);
        }
        connection.allow_plain_http = limits.allow_plain_http;
        connection.limits = Limits {
            connect_timeout: limits.connect_timeout,
            attempt_timeout: limits.attempt_timeout,
            handshake_timeout: limits.handshake_timeout,
            body_limit_bytes: limits.max_answer_bytes,
            message_limit_bytes: limits.max_message_bytes,
            ping_interval: limits.ping_interval,
            pong_timeout: limits.pong_timeout,
            ..Limits::default()
        };
        connection
    }
}

/// A profile's name stands in keys, labels and actors' names.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err("a profile's name is made of letters, digits, - and _".to_owned());
    }
    Ok(())
}

impl Profile {
    /// Checks what is written; the error names the key and how to set it.
    pub(super) fn check(name: &str, settings: &ProfileSettings, limits: &CxoneSettings) -> Result<Self, String> {
        let positive = [("cards", settings.cards), ("candidates", settings.candidates)];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("`{key}` must be 1 or more"));
        }
        let connection = Connection::new(settings.connection(limits)).map_err(|error| {
            let text = error.to_string();
            let key = ["client_id", "client_secret", "base_url"].into_iter().find(|key| text.starts_with(key));
            key.map_or_else(|| text.clone(), |key| format!("{text}; {}", both_ways(name, key)))
        })?;
        Ok(Self {
            name: ProfileName::new(name),
            contract: settings.contract,
            connection,
            plan: settings.plan(),
            index: settings.index.clone(),
            retry_ambiguous: settings.retry_ambiguous,
        })
    }
}

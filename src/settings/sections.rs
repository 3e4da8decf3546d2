//! The sections of the settings as they are written; `config/default.toml` explains each key.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use cuecard_actors::engine::conversation::WindowLimits;
use cuecard_actors::engine::encoder::{EncoderSettings, Precision, default_model_dir};
use cuecard_actors::supervision::RestartPolicy;

use super::values::{Auto, Words, address, duration};

/// A number of threads, or `"auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// As many as suit the machine, never more than it has cores.
    Auto,
    /// This many.
    Exactly(usize),
}

impl Threads {
    /// The number of threads where `auto` is this many for the given number of cores.
    pub fn resolve(self, auto: impl FnOnce(usize) -> usize) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        match self {
            Self::Auto => auto(cores).clamp(1, cores),
            Self::Exactly(threads) => threads,
        }
    }
}

impl<'de> Deserialize<'de> for Threads {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(usize),
            Text(String),
        }
        let number = match Written::deserialize(deserializer)? {
            Written::Text(text) if text == "auto" => return Ok(Self::Auto),
            Written::Number(number) => Some(number),
            // From the environment every value is text.
            Written::Text(text) => text.parse().ok(),
        };
        let threads = number.filter(|threads| *threads > 0).map(Self::Exactly);
        threads.ok_or_else(|| serde::de::Error::custom("threads must be \"auto\" or a number from 1 on"))
    }
}

/// `[admin]`
#[derive(Debug, Clone, Deserialize)]
pub struct AdminSettings {
    #[serde(deserialize_with = "address")]
    pub addr: SocketAddr,
}

/// `[api]`
#[derive(Clone, Deserialize)]
pub struct ApiSettings {
    #[serde(deserialize_with = "address")]
    pub addr: SocketAddr,
    pub keys: Words,
    pub workers: usize,
    pub max_body_bytes: usize,
}

impl fmt::Debug for ApiSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.accepted_keys().len();
        formatter.debug_struct("ApiSettings").field("addr", &self.addr).field("keys", &keys).finish_non_exhaustive()
    }
}

impl ApiSettings {
    /// The keys that open the API; none where nobody is asked for one.
    pub fn accepted_keys(&self) -> Vec<SecretString> {
        match self.keys.0.as_slice() {
            [off] if off == "off" => Vec::new(),
            keys => keys.iter().map(|key| SecretString::from(key.as_str())).collect(),
        }
    }
}

/// `[data]`
#[derive(Debug, Clone, Deserialize)]
pub struct DataSettings {
    pub dir: PathBuf,
    pub database_url: String,
}

impl DataSettings {
    /// The ledger's database.
    pub fn ledger_url(&self) -> String {
        if self.database_url.is_empty() {
            format!("sqlite:{}", self.dir.join("ledger.db").display())
        } else {
            self.database_url.clone()
        }
    }
}

/// `[encoder]`
#[derive(Debug, Clone, Deserialize)]
pub struct EncoderSection {
    pub model_dir: PathBuf,
    pub precision: Auto<Precision>,
    pub threads: Threads,
    pub live_queue: usize,
    pub max_batch: usize,
}

impl EncoderSection {
    /// The model's directory, where one is set.
    pub fn model_dir(&self) -> Option<&Path> {
        Some(self.model_dir.as_path()).filter(|dir| !dir.as_os_str().is_empty())
    }

    /// What the encoder is loaded with; `threads` gives the number for so many cores where the section says `auto`.
    pub fn settings(&self, model_dir: Option<&Path>, threads: impl FnOnce(usize) -> usize) -> EncoderSettings {
        let model_dir = model_dir.or_else(|| self.model_dir());
        EncoderSettings {
            model_dir: model_dir.map_or_else(default_model_dir, Path::to_owned),
            precision: self.precision.0.unwrap_or_default(),
            threads: self.threads.resolve(threads),
            live_capacity: self.live_queue,
            max_batch: self.max_batch,
        }
    }
}

/// `[search]`
#[derive(Debug, Clone, Deserialize)]
pub struct SearchSettings {
    pub threads: Threads,
}

/// `[pipeline]`
#[derive(Debug, Clone, Deserialize)]
pub struct PipelineSettings {
    pub in_flight: usize,
    pub queue: usize,
    #[serde(deserialize_with = "duration")]
    pub newest_turn_after: Duration,
    #[serde(deserialize_with = "duration")]
    pub lexical_only_after: Duration,
    #[serde(deserialize_with = "duration")]
    pub drop_oldest_after: Duration,
}

/// `[buffer]`
#[derive(Debug, Clone, Deserialize)]
pub struct BufferSection {
    #[serde(deserialize_with = "duration")]
    pub pause_after_last: Duration,
    #[serde(deserialize_with = "duration")]
    pub pause_after_first: Duration,
    pub max_turns: usize,
    pub max_bytes: usize,
    #[serde(deserialize_with = "duration")]
    pub unnamed_wait: Duration,
    pub conversations: usize,
    #[serde(deserialize_with = "duration")]
    pub forget_after: Duration,
}

impl BufferSection {
    /// What a conversation's window holds.
    pub fn window_limits(&self) -> WindowLimits {
        WindowLimits { turns: self.max_turns, bytes: self.max_bytes }
    }
}

/// `[cxone]`
#[derive(Debug, Clone, Deserialize)]
pub struct CxoneSettings {
    #[serde(deserialize_with = "duration")]
    pub attempt_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub handshake_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub ping_interval: Duration,
    #[serde(deserialize_with = "duration")]
    pub pong_timeout: Duration,
    pub max_message_bytes: usize,
    pub max_answer_bytes: usize,
    pub max_articles_bytes: usize,
    #[serde(deserialize_with = "duration")]
    pub articles_idle_timeout: Duration,
    pub allow_plain_http: bool,
}

/// `[delivery]`
#[derive(Debug, Clone, Deserialize)]
pub struct DeliverySettings {
    pub in_flight: usize,
}

/// `[supervision]`
#[derive(Debug, Clone, Deserialize)]
pub struct SupervisionSettings {
    pub max_restarts: usize,
    #[serde(deserialize_with = "duration")]
    pub window: Duration,
}

impl SupervisionSettings {
    /// When an actor is restarted and when it gives up.
    pub fn restarts(&self) -> RestartPolicy {
        RestartPolicy { max_restarts: self.max_restarts, window: self.window, ..RestartPolicy::default() }
    }
}

/// `[shutdown]`
#[derive(Debug, Clone, Deserialize)]
pub struct ShutdownSettings {
    #[serde(deserialize_with = "duration")]
    pub grace: Duration,
}

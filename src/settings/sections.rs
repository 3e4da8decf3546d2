//! The sections of the settings as they are written, outside the profiles; `config/default.toml` explains each key.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use cuecard_actors::engine::conversation::WindowLimits;
use cuecard_actors::engine::encoder::{EncoderSettings, Precision, default_model_dir};
use cuecard_actors::ledger::{Damaged, Durability, LedgerOptions, Retention};
use cuecard_actors::supervision::RestartPolicy;
use cuecard_actors::traces::TracesSettings;
use url::Url;

use super::load::Settings;
use super::secrets::Secrets;
use super::values::{Auto, Switch, Words, absolute, address, duration, filled, filled_path, parsed, unless_empty};

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
    pub max_body_bytes: usize,
    pub tls_certificate: PathBuf,
    pub tls_key: PathBuf,
}

/// `[api]`
#[derive(Debug, Clone, Deserialize)]
pub struct ApiSettings {
    #[serde(deserialize_with = "address")]
    pub addr: SocketAddr,
    pub keys: Secrets,
    pub workers: usize,
    pub max_body_bytes: usize,
    pub tls_certificate: PathBuf,
    pub tls_key: PathBuf,
}

impl ApiSettings {
    /// The keys that open the API; none where nobody is asked for one.
    pub fn accepted_keys(&self) -> &[SecretString] {
        match self.keys.0.as_slice() {
            [off] if off.expose_secret() == "off" => &[],
            keys => keys,
        }
    }
}

/// `[data]`
#[derive(Debug, Clone, Deserialize)]
pub struct DataSettings {
    pub dir: PathBuf,
    /// May hold a password.
    pub database_url: SecretString,
    pub durability: Durability,
    pub damaged_ledger: Damaged,
    pub damaged_index: Damaged,
    pub keep_decisions: Switch,
}

/// `[retention]`
#[derive(Debug, Clone, Deserialize)]
pub struct RetentionSettings {
    pub decisions: Kept,
    pub deliveries: Kept,
    pub feedback: Kept,
    pub rankings: Kept,
    pub audit: Kept,
    pub dead: Kept,
    #[serde(deserialize_with = "duration")]
    pub purge_every: Duration,
}

impl RetentionSettings {
    /// How long each kind of record is kept.
    pub fn retention(&self) -> Retention {
        Retention {
            decisions: self.decisions.0,
            deliveries: self.deliveries.0,
            feedback: self.feedback.0,
            rankings: self.rankings.0,
            audit: self.audit.0,
            dead: self.dead.0,
        }
    }
}

/// How long something is kept, or `"forever"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept(pub Option<Duration>);

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "forever" {
            return Ok(Self(None));
        }
        let kept = humantime::parse_duration(&text).map(|kept| Self(Some(kept)));
        kept.map_err(|error| serde::de::Error::custom(format!("`{text}`: {error}; or write \"forever\"")))
    }
}

impl DataSettings {
    /// The ledger's database.
    pub fn ledger_url(&self) -> SecretString {
        let url = self.database_url.expose_secret();
        if url.is_empty() {
            return format!("sqlite:{}", self.dir.join("ledger.db").display()).into();
        }
        // With three slashes people mean a path that is relative where it begins with a dot; the driver takes it for one from
        // the root.
        let relative = url.strip_prefix("sqlite:///").filter(|path| path.starts_with('.'));
        relative.map_or_else(|| self.database_url.clone(), |path| format!("sqlite:{path}").into())
    }

    /// How the ledger is opened.
    pub fn ledger_options(&self) -> LedgerOptions {
        LedgerOptions { durability: self.durability, damaged: self.damaged_ledger }
    }

    /// What no other process may write while this one serves: the data directory, and that of a ledger which lies elsewhere.
    pub fn directories(&self) -> Vec<PathBuf> {
        let url = self.ledger_url();
        let file =
            url.expose_secret().strip_prefix("sqlite:").unwrap_or_default().split('?').next().unwrap_or_default();
        let file = Path::new(file.strip_prefix("//").unwrap_or(file));
        let beside = file.parent().filter(|_| file != Path::new(":memory:")).map(Path::to_owned);
        let is_elsewhere = |dir: &PathBuf| absolute(dir) != absolute(&self.dir);
        std::iter::once(self.dir.clone()).chain(beside.filter(is_elsewhere)).collect()
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
    #[serde(deserialize_with = "duration")]
    pub hang_timeout: Duration,
}

impl EncoderSection {
    /// What the encoder is loaded with, `model_dir` coming before the section's own; `threads` gives the number for so
    /// many cores where the section says `auto`.
    pub fn settings(&self, model_dir: Option<PathBuf>, threads: impl FnOnce(usize) -> usize) -> EncoderSettings {
        let model_dir = model_dir.or_else(|| filled_path(&self.model_dir));
        EncoderSettings {
            model_dir: model_dir.unwrap_or_else(default_model_dir),
            precision: self.precision.0.unwrap_or_default(),
            threads: self.threads.resolve(threads),
            live_capacity: self.live_queue,
            max_batch: self.max_batch,
            hang_timeout: self.hang_timeout,
        }
    }
}

/// `[search]`
#[derive(Debug, Clone, Deserialize)]
pub struct SearchSettings {
    pub threads: Threads,
}

impl SearchSettings {
    /// Threads that search.
    pub fn num_threads(&self) -> usize {
        self.threads.resolve(|cores| cores / 2)
    }
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
    #[serde(deserialize_with = "duration")]
    pub longest_hold: Duration,
    pub max_message_bytes: usize,
    pub max_answer_bytes: usize,
    pub max_articles_bytes: usize,
    #[serde(deserialize_with = "duration")]
    pub articles_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub articles_idle_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub keep_alive: Duration,
    pub allow_plain_http: bool,
}

/// `[delivery]`
#[derive(Debug, Clone, Deserialize)]
pub struct DeliverySettings {
    pub in_flight: usize,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
pub struct LogSettings {
    #[serde(deserialize_with = "parsed")]
    pub level: LogLevel,
    pub modules: LogModules,
    #[serde(deserialize_with = "parsed")]
    pub format: LogFormat,
    pub flood_limit: usize,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase", parse_err_ty = String, parse_err_fn = no_level)]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub fn name(self) -> &'static str {
        self.into()
    }
}

fn no_level(written: &str) -> String {
    format!("no level is called `{written}`; there are off, error, warn, info, debug and trace")
}

/// What a line of the log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "lowercase", parse_err_ty = String, parse_err_fn = no_format)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    Text,
    Json,
}

fn no_format(_: &str) -> String {
    "write \"auto\", \"text\" or \"json\"".to_owned()
}

/// Levels of single modules, each as `module=level`.
#[derive(Debug, Clone)]
pub struct LogModules(pub Vec<String>);

impl<'de> Deserialize<'de> for LogModules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Words(written) = Words::deserialize(deserializer)?;
        match written.iter().find_map(|module| Some((module, module_level(module).err()?))) {
            None => Ok(Self(written)),
            Some((module, what)) => Err(serde::de::Error::custom(format!(
                "`{module}`: {what}; write it as \"cuecard_cxone=debug\" or \"hyper=info\""
            ))),
        }
    }
}

fn module_level(written: &str) -> Result<(), String> {
    match written.split_once('=') {
        None => Err("it has no level".to_owned()),
        Some((module, _)) if module.trim().is_empty() => Err("it names no module".to_owned()),
        Some((_, level)) => level.parse::<LogLevel>().map(drop),
    }
}

/// `[traces]`
#[derive(Debug, Clone, Deserialize)]
pub struct TracesSection {
    #[serde(deserialize_with = "unless_empty")]
    pub endpoint: Option<Url>,
    /// May hold what opens the collector.
    pub headers: SecretString,
    pub sample: f64,
}

impl TracesSection {
    pub(super) fn check(&self) -> Result<(), String> {
        let is_usable =
            |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.password().is_none();
        if self.endpoint.as_ref().is_some_and(|url| !is_usable(url)) {
            return Err("`traces.endpoint` must be an http or https URL without a password, as http://127.0.0.1:4318"
                .to_owned());
        }
        if !(0.0..=1.0).contains(&self.sample) {
            return Err(format!("`traces.sample` is {}; it must be 0 to 1", self.sample));
        }
        let unnamed = |header: &&str| header.split_once('=').is_none_or(|(name, _)| name.trim().is_empty());
        if self.headers().any(|header| unnamed(&header)) {
            return Err("`traces.headers` must be written as name=value, several with commas between them".to_owned());
        }
        Ok(())
    }

    fn headers(&self) -> impl Iterator<Item = &str> {
        self.headers.expose_secret().split(',').filter_map(filled)
    }
}

impl Settings {
    /// Where traces go; none where no collector is named.
    pub fn traces(&self) -> Option<TracesSettings> {
        let header =
            |header: &str| header.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().into()));
        let headers = self.traces.headers().filter_map(header).collect();
        Some(TracesSettings { endpoint: self.traces.endpoint.clone()?, headers, sample: self.traces.sample })
    }
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

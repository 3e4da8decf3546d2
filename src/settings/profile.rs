//! A connection profile: one CXone tenant, what is spoken with it, and how its questions are answered.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use cuecard_actors::cxone::stream::StreamKind;
use cuecard_actors::cxone::{Connection, Contract, Dialect};
use cuecard_actors::cxone_calls::RateLimit;
use cuecard_actors::engine::conversation::TurnWindow;
use cuecard_actors::engine::ranking::Ranker;
use cuecard_actors::engine::{Backend, Plan};
use cuecard_actors::messages::ProfileName;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::values::{Auto, Span, Switch, Words, duration, parsed};

/// `[profile]` and `[profiles.NAME]` as they are written.
#[derive(Debug, Clone, Deserialize)]
pub struct ProfileSettings {
    pub contract: Words,
    pub base_url: String,
    pub env: String,
    pub token_path: String,
    pub oauth_url: String,
    pub scopes: Words,
    pub refresh_margin: Auto<Span>,
    pub client_id: String,
    pub client_secret: SecretString,
    pub stream: Auto<StreamKind>,
    pub dialect: Auto<Dialect>,
    pub agent_id: String,
    pub backends: Words,
    pub index: PathBuf,
    pub graph: PathBuf,
    pub neo4j_uri: String,
    pub neo4j_user: String,
    pub neo4j_password: SecretString,
    pub min_keyword_cosine: f32,
    pub chroma_url: String,
    pub chroma_collection: String,
    pub chroma_tenant: String,
    pub chroma_database: String,
    pub chroma_token: SecretString,
    pub model_dir: PathBuf,
    pub sync: Auto<Switch>,
    #[serde(deserialize_with = "duration")]
    pub poll_interval: Duration,
    pub allow_shrinking: Switch,
    pub ranker: Auto<Ranker>,
    #[serde(deserialize_with = "parsed")]
    pub window: TurnWindow,
    pub candidates: usize,
    pub cards: Auto<usize>,
    pub silence: Auto<Switch>,
    pub min_cosine: f64,
    pub repeat_after: u64,
    pub deadline: Auto<Span>,
    pub retry_ambiguous: bool,
    pub rate_limit: u32,
    pub rate_burst: u32,
    pub normalise: Switch,
    pub callback_url: String,
    pub callback_hosts: Words,
    pub callback_private: Switch,
}

/// A profile that can work.
#[derive(Debug, Clone)]
pub struct Profile {
    pub name: ProfileName,
    pub contract: Contract,
    pub connection: Connection,
    /// What it listens to; `None` where it is asked over HTTP.
    pub stream: Option<StreamKind>,
    pub dialect: Dialect,
    /// Whose desktop cards of the stream go to, in a dialect that names agents.
    pub agent_id: String,
    /// Named where CXone refuses the client.
    pub required_scopes: Vec<String>,
    pub plan: Plan,
    pub knowledge: KnowledgePlaces,
    pub retry_ambiguous: bool,
    pub rate_limit: Option<RateLimit>,
    /// Whether given scores are spread over 0 to 1 before they are boosted.
    pub normalise: bool,
    pub callback: CallbackRules,
}

/// Where a profile's knowledge is. Two profiles that name the same place share what is there.
#[derive(Debug, Clone)]
pub struct KnowledgePlaces {
    /// Where the model is; `None` is the place of the section `[encoder]`.
    pub model_dir: Option<PathBuf>,
    /// The index directory, where the plan asks the index.
    pub index: Option<PathBuf>,
    pub graph: Option<GraphPlace>,
    pub chroma: Option<ChromaPlace>,
    /// How the tenant's articles are brought into the index.
    pub sync: Option<SyncSettings>,
}

/// A knowledge graph.
#[derive(Debug, Clone)]
pub enum GraphPlace {
    /// A file, loaded into memory.
    File(PathBuf),
    /// A Neo4j database.
    Neo4j { uri: String, user: String, password: SecretString },
}

/// A collection of a Chroma server.
#[derive(Debug, Clone)]
pub struct ChromaPlace {
    pub url: Url,
    pub tenant: String,
    pub database: String,
    pub collection: String,
    pub token: Option<SecretString>,
}

/// Polling of the tenant's articles.
#[derive(Debug, Clone, Copy)]
pub struct SyncSettings {
    pub poll_interval: Duration,
    /// Whether a list that holds half as much as before, or nothing, is believed.
    pub allow_shrinking: bool,
}

/// Where results of rankings may be sent.
#[derive(Debug, Clone)]
pub struct CallbackRules {
    /// Where they go if the caller says nothing; its host is allowed by being set.
    pub default_url: Option<Url>,
    /// Other hosts that a caller may name.
    pub hosts: Vec<String>,
    /// Whether loopback, private and link-local addresses are allowed.
    pub allow_private: bool,
}

impl ProfileSettings {
    /// How an index is asked by the tools, whatever the contract.
    pub fn index_plan(&self) -> Plan {
        self.plan(Contract::Insights, vec![Backend::Index])
    }
}

pub(super) fn rate_limit(per_second: u32, burst: u32) -> Option<RateLimit> {
    let per_second = NonZero::new(per_second)?;
    Some(RateLimit { per_second, burst: NonZero::new(burst).unwrap_or(per_second) })
}

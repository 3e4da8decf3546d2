//! A connection profile: one CXone tenant, what is spoken with it, and how its questions are answered.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use cuecard_actors::cxone::stream::StreamKind;
use cuecard_actors::cxone::{Contract, Dialect};
use cuecard_actors::cxone_calls::RateLimit;
use cuecard_actors::engine::conversation::TurnWindow;
use cuecard_actors::engine::knowledge::{Audience, Language};
use cuecard_actors::engine::ranking::{Formula, Selectivity};
use cuecard_actors::engine::{BackendName, Excerpt, Plan};
use secrecy::SecretString;
use serde::Deserialize;

use super::values::{Auto, Boosted, Span, Switch, Words, duration, parsed, unless_empty};

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
    pub agent_roles: Words,
    pub context_roles: Words,
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
    #[serde(deserialize_with = "unless_empty")]
    pub audience: Option<Audience>,
    #[serde(deserialize_with = "unless_empty")]
    pub language: Option<Language>,
    pub model_dir: PathBuf,
    pub sync: Auto<Switch>,
    #[serde(deserialize_with = "duration")]
    pub poll_interval: Duration,
    pub allow_shrinking: Switch,
    pub ranker: Auto<Formula>,
    pub model: PathBuf,
    pub unproven_model: Switch,
    pub explore: f64,
    pub keep_question_vectors: Switch,
    pub keep_words: Switch,
    #[serde(deserialize_with = "parsed")]
    pub window: TurnWindow,
    pub candidates: usize,
    pub cards: Auto<usize>,
    pub snippet: Auto<Excerpt>,
    pub silence: Auto<Switch>,
    #[serde(deserialize_with = "parsed")]
    pub selectivity: Selectivity,
    pub precision: Auto<f64>,
    pub min_cosine: Auto<f64>,
    #[serde(deserialize_with = "duration")]
    pub screen_time: Duration,
    #[serde(deserialize_with = "duration")]
    pub rejection_cooldown: Duration,
    pub push: Switch,
    #[serde(deserialize_with = "unless_empty")]
    pub shadow_ranker: Option<Formula>,
    pub repeat_after: Auto<u64>,
    pub boost_tags: Boosted,
    pub boost_articles: Boosted,
    pub boost_priority: f64,
    pub boost_recency: f64,
    #[serde(deserialize_with = "duration")]
    pub recency_half_life: Duration,
    pub deadline: Auto<Span>,
    pub retry_ambiguous: bool,
    pub rate_limit: u32,
    pub rate_burst: u32,
    pub normalise: Switch,
    pub callback_url: SecretString,
    pub callback_hosts: Words,
    pub callback_private: Switch,
}

impl ProfileSettings {
    /// How an index is asked by the tools, whatever the contract.
    pub fn index_plan(&self) -> Plan {
        self.plan(Contract::Insights, vec![BackendName::Index])
    }

    /// What to say of keys that are set and that others have taken the place of.
    pub(super) fn superseded(&self) -> impl Iterator<Item = &'static str> {
        let min_cosine = "min_cosine decides when it is silent; set selectivity in its place, which needs no level of its own for \
                          each knowledge base";
        let repeat_after =
            "repeat_after is not read any more; set screen_time, how long a card is taken to stand on the screen";
        [(self.min_cosine.0.is_some(), min_cosine), (self.repeat_after.0.is_some(), repeat_after)]
            .into_iter()
            .filter(|(is_set, _)| *is_set)
            .map(|(_, what)| what)
    }
}

pub(super) fn rate_limit(per_second: u32, burst: u32) -> Option<RateLimit> {
    let per_second = NonZero::new(per_second)?;
    Some(RateLimit { per_second, burst: NonZero::new(burst).unwrap_or(per_second) })
}

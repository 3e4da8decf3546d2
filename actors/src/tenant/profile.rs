//! A connection profile: one CXone tenant, what is spoken with it, and how its questions are answered. Checked: one that is
//! here can work.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cuecard_cxone::stream::{Roles, StreamKind};
use cuecard_cxone::{Connection, Contract, Dialect};
use cuecard_engine::Plan;
use cuecard_engine::encoder::EncoderSettings;
use secrecy::SecretString;
use url::Url;

use crate::cxone_calls::RateLimit;
use crate::messages::ProfileName;

/// See the module.
#[derive(Debug, Clone)]
pub struct Profile {
    /// What it is called in keys, labels and paths.
    pub name: ProfileName,
    /// What is spoken.
    pub contract: Contract,
    /// Where the tenant is, and with which credentials.
    pub connection: Connection,
    /// What it listens to; `None` where it is asked over HTTP.
    pub stream: Option<StreamKind>,
    /// Whose words on the stream ask, and whose don't.
    pub roles: Roles,
    /// What its pushes look like.
    pub dialect: Dialect,
    /// Whose desktop cards of the stream go to, in a dialect that names agents.
    pub agent_id: String,
    /// Named where CXone refuses the client.
    pub required_scopes: Vec<String>,
    /// How its questions are answered.
    pub plan: Arc<Plan>,
    /// Whether cards are pushed; else only their decisions are kept, so that a new ranker or tenant is watched first.
    pub pushes: bool,
    /// How a second ranker beside the first would answer them; its cards are only kept with the decision.
    pub shadow: Option<Arc<Plan>>,
    /// The learned model that the settings name.
    pub model: Option<NamedModel>,
    /// What is done and kept so that a model can be learned from what agents do.
    pub learning: Learning,
    /// What they are answered from.
    pub knowledge: KnowledgePlaces,
    /// Whether a push that may have arrived is repeated.
    pub retry_ambiguous: bool,
    /// Calls per second, where the tenant limits them.
    pub rate_limit: Option<RateLimit>,
    /// Whether given scores are spread over 0 to 1 before they are boosted.
    pub normalise: bool,
    /// Where results of rankings may be sent.
    pub callback: CallbackRules,
}

/// Where a profile's knowledge is. Two profiles that name the same place share what is there.
#[derive(Debug, Clone)]
pub struct KnowledgePlaces {
    /// The model that embeds, and its threads.
    pub encoder: EncoderSettings,
    /// The index directory, where the plan asks the index.
    pub index: Option<PathBuf>,
    /// The graph, where the plan asks one.
    pub graph: Option<GraphPlace>,
    /// The collection, where the plan asks one.
    pub chroma: Option<ChromaPlace>,
    /// How the tenant's articles are brought into the index.
    pub sync: Option<SyncSettings>,
}

/// See [`Profile::learning`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Learning {
    /// How often two cards below the first are swapped.
    pub explore: f64,
    /// Whether the embedding of a question is kept with its delivery; nobody can read it, but it tells what the question was
    /// about.
    pub keeps_vectors: bool,
    /// Whether the words of a conversation are kept with what was decided about them, masked.
    pub keeps_words: bool,
}

/// A model that the settings name.
#[derive(Debug, Clone)]
pub struct NamedModel {
    /// Its file.
    pub file: PathBuf,
    /// Whether it goes live though it is not proven to be better than what runs.
    pub may_be_unproven: bool,
}

/// A knowledge graph.
#[derive(Debug, Clone)]
pub enum GraphPlace {
    /// A file, loaded into memory.
    File(PathBuf),
    /// A Neo4j database.
    Neo4j {
        /// Its address.
        uri: String,
        /// Who asks.
        user: String,
        /// The password.
        password: SecretString,
    },
}

/// A collection of a Chroma server.
#[derive(Debug, Clone)]
pub struct ChromaPlace {
    /// The server.
    pub url: Url,
    /// The server's tenant.
    pub tenant: String,
    /// The database within it.
    pub database: String,
    /// The collection's name.
    pub collection: String,
    /// The token that opens it.
    pub token: Option<SecretString>,
}

/// Polling of the tenant's articles.
#[derive(Debug, Clone, Copy)]
pub struct SyncSettings {
    /// From the end of one poll to the next.
    pub poll_interval: Duration,
    /// Whether a list that holds half as much as before, or nothing, is believed.
    pub allow_shrinking: bool,
}

/// Where results of rankings may be sent.
#[derive(Clone)]
pub struct CallbackRules {
    /// Where they go if the caller says nothing; its host is allowed by being set.
    pub default_url: Option<Url>,
    /// Other hosts that a caller may name.
    pub hosts: Vec<String>,
    /// Whether loopback, private and link-local addresses are allowed.
    pub allow_private: bool,
}

/// Without the default's path, which may hold what opens it.
impl fmt::Debug for CallbackRules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.default_url.as_ref().and_then(Url::host_str);
        let mut rules = formatter.debug_struct("CallbackRules");
        rules
            .field("default_host", &host)
            .field("hosts", &self.hosts)
            .field("allow_private", &self.allow_private)
            .finish()
    }
}

//! From what is written to a profile that can work. Every complaint names the key and how to set it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cuecard_actors::cxone::stream::{Roles, StreamKind};
use cuecard_actors::cxone::{
    Connection, ConnectionError, ConnectionSettings, Contract, Dialect, Limits, env_base_url, required_scopes_for,
    scopes_for,
};
use cuecard_actors::engine::knowledge::ArticleFilter;
use cuecard_actors::engine::ranking::{Formula, SilenceRule};
use cuecard_actors::engine::{BackendName, Boosts, Excerpt, Plan};
use cuecard_actors::messages::ProfileName;
use cuecard_actors::tenant::{
    CallbackRules, ChromaPlace, GraphPlace, KnowledgePlaces, Learning, NamedModel, Profile, SyncSettings,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::keys::both_ways;
use super::profile::{ProfileSettings, rate_limit};
use super::sections::{CxoneSettings, EncoderSection};
use super::values::{Switch, absolute, filled, filled_path};

/// How long a card from a stream, and the answer to a caller, are worth waiting for.
const STREAM_DEADLINE: Duration = Duration::from_secs(4);
const ASKED_DEADLINE: Duration = Duration::from_secs(15);

/// The name of a profile stands in keys, labels, actors' names and paths; that of a key for the ports in the log.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let is_plain =
        |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || "-_".contains(character);
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        return Err("a name is made of lower-case letters, digits, - and _, 64 at most".to_owned());
    }
    Ok(())
}

/// A complaint about one key of a profile.
fn wrong(name: &str, key: &str, what: &str) -> String {
    format!("{what}; {}", both_ways(name, key))
}

impl ProfileSettings {
    /// Checks what is written.
    pub(super) fn check(
        &self,
        name: &str,
        limits: &CxoneSettings,
        encoder: &EncoderSection,
        default_index: &Path,
    ) -> Result<Profile, String> {
        let settings = self;
        check_numbers(name, settings)?;
        let contract = settings.only_contract().map_err(|error| wrong(name, "contract", &error))?;
        let defaults = contract.defaults();
        let stream = settings.stream_of(contract).map_err(|error| wrong(name, "stream", error))?;
        let dialect = settings.dialect_of(contract).map_err(|error| wrong(name, "dialect", error))?;
        if dialect == Dialect::Rag && stream.is_some() && filled(&settings.agent_id).is_none() {
            return Err(wrong(name, "agent_id", "the dialect rag shows cards to an agent, and no agent is named"));
        }
        let backends = settings.backends_of(contract).map_err(|error| wrong(name, "backends", &error))?;
        if !settings.push.is_on() && stream.is_none() {
            return Err(wrong(
                name,
                "push",
                "only a profile that listens to a stream can do without pushes: callers wait for theirs",
            ));
        }
        let plan = settings.plan(contract, backends);
        let shadow = settings.shadow_of(&plan, stream).map_err(|error| wrong(name, "shadow_ranker", error))?;
        let knowledge = settings.knowledge(name, contract, &plan, encoder, default_index)?;
        let reads_knowledge = knowledge.sync.is_some() || plan.asks(BackendName::Search);
        let connection = settings.connection(name, contract, stream, dialect, reads_knowledge, limits)?;
        Ok(Profile {
            name: ProfileName::new(name),
            contract,
            connection,
            stream,
            roles: Roles::new(&settings.agent_roles.0, &settings.context_roles.0),
            dialect,
            agent_id: settings.agent_id.clone(),
            required_scopes: required_scopes_for(contract, stream, dialect, reads_knowledge),
            pushes: settings.push.is_on(),
            shadow: shadow.map(Arc::new),
            plan: Arc::new(if defaults.stream.is_some() { plan } else { plan.answering() }),
            model: filled_path(&settings.model)
                .map(|file| NamedModel { file, may_be_unproven: settings.unproven_model.is_on() }),
            learning: Learning {
                explore: settings.explore,
                keeps_vectors: settings.keep_question_vectors.is_on(),
                keeps_words: settings.keep_words.is_on(),
            },
            knowledge,
            retry_ambiguous: settings.retry_ambiguous,
            rate_limit: rate_limit(settings.rate_limit, settings.rate_burst),
            normalise: settings.normalise.is_on(),
            callback: settings.callback(name)?,
        })
    }
}

fn check_numbers(name: &str, settings: &ProfileSettings) -> Result<(), String> {
    let in_range = |value: f64| (-1.0..=1.0).contains(&value);
    let complaints = [
        ("cards", settings.cards.0.is_some_and(|cards| cards == 0 || cards > 50), "cards must be 1 to 50"),
        ("candidates", settings.candidates == 0 || settings.candidates > 1000, "candidates must be 1 to 1000"),
        (
            "precision",
            settings.precision.0.is_some_and(|precision| !(0.0..1.0).contains(&precision)),
            "precision must be 0 or more and less than 1",
        ),
        ("min_cosine", settings.min_cosine.0.is_some_and(|cosine| !in_range(cosine)), "min_cosine must be -1 to 1"),
        ("min_keyword_cosine", !in_range(f64::from(settings.min_keyword_cosine)), "min_keyword_cosine must be -1 to 1"),
        ("explore", !(0.0..=0.3).contains(&settings.explore), "explore must be 0 to 0.3"),
        ("boost_priority", !settings.boost_priority.is_finite(), "boost_priority must be a number"),
        ("boost_recency", !settings.boost_recency.is_finite(), "boost_recency must be a number"),
        ("recency_half_life", settings.recency_half_life.is_zero(), "recency_half_life must be more than 0"),
        ("poll_interval", settings.poll_interval < Duration::from_secs(1), "poll_interval must be 1s or more"),
        (
            "deadline",
            settings.deadline.0.is_some_and(|deadline| {
                deadline.0 < Duration::from_millis(100) || deadline.0 > Duration::from_hours(1)
            }),
            "deadline must be 100ms to 1h",
        ),
    ];
    let complaint = complaints.iter().find(|(_, is_wrong, _)| *is_wrong);
    complaint.map_or(Ok(()), |(key, _, what)| Err(wrong(name, key, what)))
}

impl ProfileSettings {
    fn only_contract(&self) -> Result<Contract, String> {
        match self.contract.parse::<Contract>()?.as_slice() {
            [contract] => Ok(*contract),
            [] => Err("no contract is named".to_owned()),
            _ => Err("a profile speaks one contract; give each one a section [profiles.NAME]".to_owned()),
        }
    }

    fn stream_of(&self, contract: Contract) -> Result<Option<StreamKind>, &'static str> {
        match (self.stream.0, contract.defaults().stream) {
            (Some(_), None) => Err("this contract is asked over HTTP and listens to no stream"),
            (chosen, default) => Ok(chosen.or(default)),
        }
    }

    fn dialect_of(&self, contract: Contract) -> Result<Dialect, &'static str> {
        let defaults = contract.defaults();
        match self.dialect.0 {
            Some(dialect) if dialect != defaults.dialect && defaults.stream.is_none() => {
                Err("this contract is asked over HTTP and answers in its own dialect")
            }
            chosen => Ok(chosen.unwrap_or(defaults.dialect)),
        }
    }

    /// Where candidates come from if nothing is said: from what the contract's document searches.
    fn backends_of(&self, contract: Contract) -> Result<Vec<BackendName>, String> {
        let named = self.backends.parse::<BackendName>()?;
        if !named.is_empty() {
            return Ok(named);
        }
        Ok(match contract {
            Contract::Ranking => Vec::new(),
            Contract::Graph => vec![BackendName::Graph],
            Contract::Rag if filled(&self.chroma_url).is_some() => vec![BackendName::Chroma],
            Contract::Rag | Contract::Snippets | Contract::Insights => vec![BackendName::Index],
        })
    }

    /// How questions are answered; of a contract that is asked over HTTP only the question itself is read.
    pub(super) fn plan(&self, contract: Contract, backends: Vec<BackendName>) -> Plan {
        let is_heard = contract.defaults().stream.is_some();
        let ranker = self.ranker.0.unwrap_or_else(|| ranker_of(contract, &backends));
        let by_precision = self.precision.0.map_or(SilenceRule::Selectivity(self.selectivity), SilenceRule::Precision);
        let is_silent = self.silence.0.map_or(is_heard, Switch::is_on);
        let deadline = if is_heard { STREAM_DEADLINE } else { ASKED_DEADLINE };
        let cards = self.cards.0.unwrap_or(contract.defaults().num_cards);
        Plan {
            backends,
            filter: ArticleFilter { audience: self.audience, language: self.language.clone() },
            ranker,
            window: self.window,
            candidates: self.candidates.max(cards),
            min_keyword_cosine: self.min_keyword_cosine,
            cards,
            excerpt: self.snippet.0.unwrap_or_else(|| excerpt_of(ranker)),
            silence: is_silent.then_some(self.min_cosine.0.map_or(by_precision, SilenceRule::MinCosine)),
            screen_time: self.screen_time,
            rejection_cooldown: self.rejection_cooldown,
            boosts: self.boosts(),
            deadline: self.deadline.0.map_or(deadline, |deadline| deadline.0),
        }
    }

    /// What a second ranker is watched by.
    fn shadow_of(&self, plan: &Plan, stream: Option<StreamKind>) -> Result<Option<Plan>, &'static str> {
        let Some(ranker) = self.shadow_ranker else { return Ok(None) };
        if plan.asks(BackendName::Search) {
            return Err("a second ranker would ask the tenant's search again for each question");
        }
        if stream.is_none() {
            return Err("a second ranker is watched beside a stream");
        }
        Ok(Some(Plan { ranker, excerpt: excerpt_of(ranker), ..plan.clone() }))
    }

    fn boosts(&self) -> Boosts {
        Boosts {
            tags: self.boost_tags.0.clone(),
            articles: self.boost_articles.0.clone(),
            priority: self.boost_priority,
            recency: self.boost_recency,
            half_life: self.recency_half_life,
        }
    }

    fn knowledge(
        &self,
        name: &str,
        contract: Contract,
        plan: &Plan,
        encoder: &EncoderSection,
        default_index: &Path,
    ) -> Result<KnowledgePlaces, String> {
        let index = filled_path(&self.index).unwrap_or_else(|| absolute(default_index));
        let index = plan.asks(BackendName::Index).then_some(index);
        let is_synced = self.sync.0.map_or(contract == Contract::Snippets, Switch::is_on);
        if is_synced && index.is_none() && self.sync.0.is_some() {
            return Err(wrong(name, "backends", "articles can be polled only into an index, which is no backend here"));
        }
        let sync = (is_synced && index.is_some()).then_some(SyncSettings {
            poll_interval: self.poll_interval,
            allow_shrinking: self.allow_shrinking.is_on(),
        });
        let (graph, chroma) = (self.graph_place(name, plan)?, self.chroma_place(name, plan)?);
        // One core is left to the actors, the search, and CXone's sockets.
        let model_dir = filled_path(&self.model_dir);
        let encoder = encoder.settings(model_dir, |cores| cores.saturating_sub(1));
        Ok(KnowledgePlaces { encoder, index, graph, chroma, sync })
    }

    fn graph_place(&self, name: &str, plan: &Plan) -> Result<Option<GraphPlace>, String> {
        if !plan.asks(BackendName::Graph) {
            return Ok(None);
        }
        if let Some(uri) = filled(&self.neo4j_uri) {
            let (uri, user) = (uri.to_owned(), self.neo4j_user.clone());
            return Ok(Some(GraphPlace::Neo4j { uri, user, password: self.neo4j_password.clone() }));
        }
        let nowhere = "the graph is one of the backends, and neither a file nor neo4j_uri is named";
        filled_path(&self.graph).map(GraphPlace::File).map(Some).ok_or_else(|| wrong(name, "graph", nowhere))
    }

    fn chroma_place(&self, name: &str, plan: &Plan) -> Result<Option<ChromaPlace>, String> {
        if !plan.asks(BackendName::Chroma) {
            return Ok(None);
        }
        let nowhere = "chroma is one of the backends, and no server is named";
        let url = filled(&self.chroma_url).ok_or_else(|| wrong(name, "chroma_url", nowhere))?;
        let url: Url = url.parse().map_err(|error| wrong(name, "chroma_url", &format!("it is no URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong(
                name,
                "chroma_url",
                "it holds a user name or a password; what opens the server is chroma_token",
            ));
        }
        Ok(Some(ChromaPlace {
            url,
            tenant: self.chroma_tenant.clone(),
            database: self.chroma_database.clone(),
            collection: self.chroma_collection.clone(),
            token: is_filled(&self.chroma_token).then(|| self.chroma_token.clone()),
        }))
    }

    fn connection(
        &self,
        name: &str,
        contract: Contract,
        stream: Option<StreamKind>,
        dialect: Dialect,
        reads_knowledge: bool,
        limits: &CxoneSettings,
    ) -> Result<Connection, String> {
        let defaults = contract.defaults();
        let mut settings =
            ConnectionSettings::for_contract(contract, self.client_id.as_str(), self.client_secret.clone());
        let env = filled(&self.env).or(defaults.env).map(env_base_url);
        let base_url = filled(&self.base_url).map(str::to_owned).or(env).or(defaults.base_url.map(str::to_owned));
        let is_default_base =
            filled(&self.base_url).is_none() && filled(&self.env).is_none_or(|env| defaults.env == Some(env));
        settings.base_url = base_url
            .ok_or_else(|| wrong(name, "base_url", &format!("the contract {contract} has no address of its own")))?;
        if let Some(path) = filled(&self.token_path) {
            path.clone_into(&mut settings.token_path);
            settings.token_url = None;
        }
        if let Some(url) = filled(&self.oauth_url).filter(|_| contract == Contract::Ranking) {
            settings.token_url = Some(url.to_owned());
        } else if settings.token_url.is_some() && !is_default_base {
            let what = "tokens would be asked for at another company's server, which would get the client's secret";
            return Err(wrong(name, "oauth_url", what));
        }
        settings.scopes = match self.scopes.0.as_slice() {
            [] => scopes_for(contract, stream, dialect, reads_knowledge),
            named => named.to_vec(),
        };
        settings.refresh_margin = self.refresh_margin.0.map_or(settings.refresh_margin, |margin| margin.0);
        settings.stream = stream;
        settings.allow_plain_http = limits.allow_plain_http;
        settings.limits = limits.limits();
        Connection::new(settings).map_err(|error: ConnectionError| {
            let key = if error.setting() == "token_url" { "oauth_url" } else { error.setting() };
            wrong(name, key, &error.to_string())
        })
    }

    fn callback(&self, name: &str) -> Result<CallbackRules, String> {
        // It may hold what opens it, so nothing of it is told.
        let default_url = filled(self.callback_url.expose_secret()).map(|url| {
            let parsed =
                url.parse().ok().filter(|url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host());
            let what = "it is no http or https URL; it looks like https://host/path";
            parsed.ok_or_else(|| wrong(name, "callback_url", what))
        });
        Ok(CallbackRules {
            default_url: default_url.transpose()?,
            hosts: self.callback_hosts.0.clone(),
            allow_private: self.callback_private.is_on(),
        })
    }
}

/// The documents' own rankers show what the documents say.
fn excerpt_of(ranker: Formula) -> Excerpt {
    if ranker == Formula::Conversation { Excerpt::Answer } else { Excerpt::Start }
}

fn ranker_of(contract: Contract, backends: &[BackendName]) -> Formula {
    match contract {
        Contract::Snippets => Formula::Snippets,
        Contract::Graph => Formula::Priority,
        _ if backends == [BackendName::Search] => Formula::Search,
        Contract::Insights if backends.contains(&BackendName::Index) => Formula::Conversation,
        Contract::Rag | Contract::Insights | Contract::Ranking => Formula::Cosine,
    }
}

fn is_filled(secret: &SecretString) -> bool {
    !secret.expose_secret().trim().is_empty()
}

impl CxoneSettings {
    fn limits(&self) -> Limits {
        Limits {
            connect_timeout: self.connect_timeout,
            attempt_timeout: self.attempt_timeout,
            handshake_timeout: self.handshake_timeout,
            body_limit_bytes: self.max_answer_bytes,
            message_limit_bytes: self.max_message_bytes,
            ping_interval: self.ping_interval,
            pong_timeout: self.pong_timeout,
            longest_hold: self.longest_hold,
            articles_limit_bytes: self.max_articles_bytes,
            articles_timeout: self.articles_timeout,
            articles_idle_timeout: self.articles_idle_timeout,
            keep_alive: self.keep_alive,
        }
    }
}

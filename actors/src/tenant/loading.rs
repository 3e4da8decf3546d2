//! Makes the tenants: loads models, indexes and graph files, what two profiles name alike once.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cuecard_cxone::answers::RetryPolicy;
use cuecard_cxone::http::{ClientError, HttpClient};
use cuecard_engine::encoder::{Encoder, EncoderError};
use cuecard_engine::knowledge::chroma::{ChromaError, ChromaSettings};
use cuecard_engine::knowledge::graph::{EmbeddedGraph, GraphError, GraphSettings, Neo4jGraph, Neo4jSettings};
use cuecard_engine::knowledge::{
    Completeness, ContentHash, IndexError, IndexHandle, ModelIdentity, Update, build, set_aside,
};
use cuecard_engine::ranking::Model;
use cuecard_engine::{
    Backend, BackendName, BulkEncoder, ChromaBackend, Engine, GraphBackend, GraphStore, IndexBackend, SearchPool,
    UsualTurns,
};
use cuecard_ledger::Damaged;
use futures_util::future::join_all;
use secrecy::ExposeSecret;

use super::models::{ModelShelf, PromotionError, file_state, read_model};
use super::{ChromaPlace, Collection, Graph, GraphPlace, Knowledge, Profile, Tenant, Tenants};
use crate::cxone_calls::{CxoneCalls, CxoneCallsDeps, SearchBackend};
use crate::decisions::Shadow;
use crate::health::{Part, ProfileHealth};
use crate::knowledge_sync::source_of;
use crate::messages::Versions;
use crate::telemetry::Metrics;

/// A database of a backend answers within this time or not at all.
const BACKEND_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the tenants can't be made; the message says what to run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The model.
    #[error("profile `{profile}`: {source}")]
    Encoder {
        /// The first profile that names it.
        profile: String,
        /// Why.
        source: EncoderError,
    },
    /// A profile's index.
    #[error("profile `{profile}`: the index {} can't be used: {source}", path.display())]
    Index {
        /// The first profile that names it.
        profile: String,
        /// The directory.
        path: PathBuf,
        /// Why.
        source: Box<IndexError>,
    },
    /// The learned model that a profile names, or that was promoted for it.
    #[error("profile `{profile}`: {source}")]
    Model {
        /// The profile.
        profile: String,
        /// Why.
        source: Box<PromotionError>,
    },
    /// A profile's graph.
    #[error("profile `{profile}`: the graph can't be used: {source}")]
    Graph {
        /// The first profile that names it.
        profile: String,
        /// Why.
        source: Box<GraphError>,
    },
    /// A profile's collection.
    #[error("profile `{profile}`: the collection can't be used: {source}")]
    Collection {
        /// The profile.
        profile: String,
        /// Why.
        source: Box<ChromaError>,
    },
    /// The environment's proxy for a profile's stream.
    #[error(
        "profile `{profile}`: its stream would go through the proxy {proxy}, and a stream goes through one only where the \
         proxy's own address begins with http://; name such a one, or the tenant's host in NO_PROXY"
    )]
    StreamProxy {
        /// The profile.
        profile: String,
        /// The proxy's address.
        proxy: String,
    },
    /// The machine's certificates, or the proxies that its environment names.
    #[error("no HTTP client can be made: {0}")]
    Client(#[from] ClientError),
}

/// What tenants are made with.
pub struct Loading {
    /// Where the indexes are searched.
    pub pool: SearchPool,
    /// Where embeddings of keywords are kept, and what closeness is usual.
    pub data_dir: PathBuf,
    /// Where everything is counted.
    pub metrics: Metrics,
    /// What to do with an index that is damaged.
    pub damaged_index: Damaged,
    /// Whether an index that the tenant's polls are to fill is made where there is none, and a damaged one may be set aside;
    /// else its tenant has none for now.
    pub makes_indexes: bool,
}

impl Loading {
    /// Makes the tenants of these profiles; blocks for a second or so. Databases are reached later, by whoever asks them
    /// first.
    pub fn load(self, profiles: &[Profile]) -> Result<Tenants, LoadError> {
        let mut loader = Loader {
            loading: self,
            encoders: Once::new(),
            indexes: Once::new(),
            graphs: Once::new(),
            collections: Once::new(),
        };
        profiles.iter().map(|profile| loader.load(profile).map(Arc::new)).collect()
    }
}

impl Tenants {
    /// Opens the collections. A server that can't be reached may come later; a collection that is missing or does not
    /// fit the model will not.
    pub async fn open_collections(&self) -> Result<(), LoadError> {
        let opened = join_all(self.iter().map(|tenant| async move {
            let Some(collection) = &tenant.knowledge.collection else { return Ok(()) };
            match collection.open().await {
                Err(error) if error.is_transient() => {
                    tracing::warn!(profile = %tenant.name(), %error, "asked again later");
                    Ok(())
                }
                Err(source) => {
                    Err(LoadError::Collection { profile: tenant.name().to_string(), source: Box::new(source) })
                }
                Ok(()) => Ok(()),
            }
        }));
        opened.await.into_iter().collect()
    }
}

/// Makes a thing once for each place.
struct Once<K, V> {
    made: HashMap<K, V>,
}

impl<K: Hash + Eq, V: Clone> Once<K, V> {
    fn new() -> Self {
        Self { made: HashMap::new() }
    }

    fn get<E>(&mut self, place: K, make: impl FnOnce(&K) -> Result<V, E>) -> Result<V, E> {
        if let Some(known) = self.made.get(&place) {
            return Ok(known.clone());
        }
        let value = make(&place)?;
        self.made.insert(place, value.clone());
        Ok(value)
    }
}

struct Loader {
    loading: Loading,
    encoders: Once<PathBuf, Encoder>,
    indexes: Once<(PathBuf, PathBuf), Option<Arc<IndexHandle>>>,
    graphs: Once<(GraphKey, PathBuf), Graph>,
    collections: Once<(CollectionKey, PathBuf), Collection>,
}

impl Loader {
    fn load(&mut self, profile: &Profile) -> Result<Tenant, LoadError> {
        let encoder = self.encoder(profile)?;
        let knowledge = Knowledge {
            index: self.index(profile, &encoder)?,
            graph: self.graph(profile)?,
            collection: self.collection(profile, &encoder),
        };
        // What one tenant asks for takes nobody else's turn at the encoder and at the search threads.
        let (encoder, pool) = (encoder.with_own_lane(), self.loading.pool.with_own_lane());
        let metrics = self.loading.metrics.clone();
        let health = ProfileHealth::new(profile.name.clone(), &needed_parts(profile), metrics.clone());
        let http = HttpClient::new(profile.connection.limits().clone())?;
        check_stream_proxy(profile, &http)?;
        let calls = Arc::new(CxoneCalls::new(CxoneCallsDeps {
            http,
            connection: profile.connection.clone(),
            dialect: profile.dialect,
            policy: RetryPolicy { retry_ambiguous: profile.retry_ambiguous, ..RetryPolicy::default() },
            rate_limit: profile.rate_limit,
            health: Arc::clone(&health),
            metrics,
        }));
        let backends = profile.plan.backends.iter().filter_map(|name| backend(*name, &knowledge, &calls, &pool));
        let usual = |of: &str| UsualTurns::kept_in(usual_file(&self.loading.data_dir, of));
        let engine = Engine::new(encoder, pool.clone(), backends.collect()).with_usual(usual(profile.name.as_str()));
        let shadow = profile.shadow.as_ref().map(|plan| {
            let usual = usual(&format!("{}.{}", profile.name, plan.ranker));
            Shadow { engine: engine.clone().with_usual(usual), plan: Arc::clone(plan) }
        });
        let models = ModelShelf::new(&self.loading.data_dir, &profile.name);
        engine.use_model(find_model(profile, &models, &engine, models.ran_last().as_deref())?);
        let versions = versions(profile, &engine);
        let tenant = Tenant {
            profile: profile.clone(),
            engine,
            shadow,
            knowledge,
            calls,
            health,
            models,
            versions: Arc::new(versions),
        };
        tenant.tell_index();
        Ok(tenant)
    }

    fn encoder(&mut self, profile: &Profile) -> Result<Encoder, LoadError> {
        let settings = &profile.knowledge.encoder;
        let loaded = self.encoders.get(settings.model_dir.clone(), |_| Encoder::load(settings));
        loaded.map_err(|source| LoadError::Encoder { profile: profile.name.to_string(), source })
    }

    fn index(&mut self, profile: &Profile, encoder: &Encoder) -> Result<Option<Arc<IndexHandle>>, LoadError> {
        let Some(path) = &profile.knowledge.index else { return Ok(None) };
        let place = (path.clone(), profile.knowledge.encoder.model_dir.clone());
        let makes = self.loading.makes_indexes;
        let sets_aside = makes && self.loading.damaged_index == Damaged::SetAside;
        let opened = self.indexes.get(place, |_| match open_index(path, encoder) {
            Err(error @ IndexError::Damaged { .. }) if sets_aside => {
                let aside = set_aside(path)?;
                let (index, aside) = (path.display(), aside.display());
                tracing::error!(%index, %aside, %error, "the index is damaged and was set aside; an empty one begins");
                make_index(profile, path, encoder)?;
                open_index(path, encoder).map(Arc::new).map(Some)
            }
            Err(IndexError::NoIndex { .. }) if profile.knowledge.sync.is_some() && !makes => Ok(None),
            Err(IndexError::NoIndex { .. }) if profile.knowledge.sync.is_some() => {
                make_index(profile, path, encoder)?;
                open_index(path, encoder).map(Arc::new).map(Some)
            }
            opened => opened.map(Arc::new).map(Some),
        });
        opened.map_err(|source| LoadError::Index {
            profile: profile.name.to_string(),
            path: path.clone(),
            source: Box::new(source),
        })
    }

    fn graph(&mut self, profile: &Profile) -> Result<Option<Graph>, LoadError> {
        let Some(place) = &profile.knowledge.graph else { return Ok(None) };
        let Loading { data_dir, pool, .. } = &self.loading;
        let key = (graph_key(place), profile.knowledge.encoder.model_dir.clone());
        let opened = self.graphs.get(key, |(key, model_dir)| {
            let keyword_cache = keyword_cache(data_dir, &key.0, model_dir);
            Ok(Graph { backend: Arc::new(GraphBackend::new(open_graph(place)?, pool.clone())), keyword_cache })
        });
        let failed = |source| LoadError::Graph { profile: profile.name.to_string(), source: Box::new(source) };
        opened.map(Some).map_err(failed)
    }

    fn collection(&mut self, profile: &Profile, encoder: &Encoder) -> Option<Collection> {
        let place = profile.knowledge.chroma.as_ref()?;
        let key = (collection_key(place), profile.knowledge.encoder.model_dir.clone());
        let dimensions = encoder.model().dimensions;
        let made = |_: &_| {
            let settings = ChromaSettings {
                url: place.url.clone(),
                tenant: place.tenant.clone(),
                database: place.database.clone(),
                collection: place.collection.clone(),
                token: place.token.clone(),
                timeout: BACKEND_TIMEOUT,
            };
            Ok::<_, std::convert::Infallible>(Collection { settings, opened: Arc::default(), dimensions })
        };
        self.collections.get(key, made).ok()
    }
}

/// Where it is kept what is usual for a profile, or for its second ranker.
pub(super) fn usual_file(data_dir: &Path, of: &str) -> PathBuf {
    data_dir.join(format!("usual-{of}.json"))
}

/// The learned model that a profile has, which takes the place of the one of version `running`; none where the settings name none
/// and none was promoted.
pub(super) fn find_model(
    profile: &Profile,
    models: &ModelShelf,
    engine: &Engine,
    running: Option<&str>,
) -> Result<Option<Arc<Model>>, LoadError> {
    let encoder = engine.encoder().model().identity();
    let promoted = models.current();
    let found = match &profile.model {
        Some(named) => named.read(&profile.name, &encoder, running).map(Some),
        None if file_state(&promoted).is_some() => read_model(&promoted, &encoder).map(Some),
        None => Ok(None),
    };
    let failed = |source| LoadError::Model { profile: profile.name.to_string(), source: Box::new(source) };
    Ok(found.map_err(failed)?.map(Arc::new))
}

/// What a profile's decisions are made by.
pub(super) fn versions(profile: &Profile, engine: &Engine) -> Versions {
    Versions {
        program: env!("CARGO_PKG_VERSION").to_owned(),
        plan: profile.plan.version(),
        model: engine.encoder().model().identity(),
        ranker: profile.plan.ranker.name().to_owned(),
    }
}

/// No handshake would ever come through: better said at the start than each two seconds.
fn check_stream_proxy(profile: &Profile, http: &HttpClient) -> Result<(), LoadError> {
    let proxy = profile.connection.stream_url().and_then(|url| http.proxy(url));
    match proxy.filter(|proxy| profile.stream.is_some() && !proxy.starts_with("http://")) {
        Some(proxy) => Err(LoadError::StreamProxy { profile: profile.name.to_string(), proxy }),
        None => Ok(()),
    }
}

/// What a plan's backend is asked through; the settings name no backend that has no place.
fn backend(
    name: BackendName,
    knowledge: &Knowledge,
    calls: &Arc<CxoneCalls>,
    pool: &SearchPool,
) -> Option<Arc<dyn Backend>> {
    Some(match name {
        BackendName::Index => Arc::new(IndexBackend::new(Arc::clone(knowledge.index.as_ref()?), pool.clone())),
        BackendName::Search => Arc::new(SearchBackend::new(Arc::clone(calls))),
        BackendName::Chroma => Arc::new(ChromaBackend::new(Arc::clone(&knowledge.collection.as_ref()?.opened))),
        BackendName::Graph => Arc::clone(&knowledge.graph.as_ref()?.backend) as Arc<dyn Backend>,
    })
}

/// What a profile cannot work without.
fn needed_parts(profile: &Profile) -> Vec<Part> {
    let mut parts = vec![Part::Token];
    parts.extend(profile.stream.map(|_| Part::Stream));
    let knowledge = &profile.knowledge;
    parts.extend(knowledge.index.as_ref().map(|_| Part::Index));
    parts.extend(knowledge.graph.as_ref().map(|_| Part::Graph));
    parts.extend(knowledge.chroma.as_ref().map(|_| Part::Collection));
    parts
}

fn open_index(path: &Path, encoder: &Encoder) -> Result<IndexHandle, IndexError> {
    IndexHandle::open(path, Some(ModelIdentity::of(&BulkEncoder::new(encoder.clone()))))
}

/// An index without articles, which the polls or `cuecard index` fill.
fn make_index(profile: &Profile, path: &Path, encoder: &Encoder) -> Result<(), IndexError> {
    let source = source_of(&profile.name);
    let nothing = Update { source, articles: Vec::new(), completeness: Completeness::Partial };
    build(path, nothing, &BulkEncoder::new(encoder.clone()), &()).map(drop)
}

/// Where a graph is, and the password that opens it.
type GraphKey = (String, Option<String>);

fn graph_key(place: &GraphPlace) -> GraphKey {
    match place {
        GraphPlace::File(path) => (format!("file {}", path.display()), None),
        GraphPlace::Neo4j { uri, user, password } => {
            (format!("neo4j {uri} {user}"), Some(password.expose_secret().to_owned()))
        }
    }
}

/// Where a collection is, and the token that opens it.
type CollectionKey = ([String; 4], Option<String>);

fn collection_key(place: &ChromaPlace) -> CollectionKey {
    let ChromaPlace { url, tenant, database, collection, token } = place;
    let address = [url.to_string(), tenant.clone(), database.clone(), collection.clone()];
    (address, token.as_ref().map(|token| token.expose_secret().to_owned()))
}

/// Named after a hash of where graph and model are: both may hold what is no name of a file.
fn keyword_cache(data: &Path, address: &str, model_dir: &Path) -> PathBuf {
    let place = format!("{address} {}", model_dir.display());
    let hash = ContentHash::of_bytes(place.as_bytes()).to_string();
    data.join(format!("keywords-{}.redb", &hash[..16]))
}

/// Opens a graph without the embeddings of its keywords, which come behind.
fn open_graph(place: &GraphPlace) -> Result<GraphStore, GraphError> {
    match place {
        GraphPlace::File(path) => {
            let (graph, report) = EmbeddedGraph::read(path)?;
            for bad_row in &report.file.bad_rows {
                tracing::warn!("skipped {}", report.file.describe(bad_row));
            }
            if report.file.repaired_rows > 0 {
                let rows = report.file.repaired_rows;
                tracing::warn!(rows, "bytes that are not UTF-8, or halves of characters, are shown as \u{fffd}");
            }
            let (queries, articles, relations) = (report.queries, report.articles, report.relations);
            tracing::info!(path = %path.display(), queries, articles, relations, "the graph is loaded");
            if let Some(unreachable) = graph.unreachable(&GraphSettings::default()) {
                tracing::warn!(path = %path.display(), "{unreachable}; docs/knowledge.md says how articles are found");
            }
            Ok(GraphStore::Embedded(Arc::new(graph)))
        }
        GraphPlace::Neo4j { uri, user, password } => {
            let (uri, user, password) = (uri.clone(), user.clone(), password.clone());
            let settings = Neo4jSettings { uri, user, password, timeout: BACKEND_TIMEOUT };
            Ok(GraphStore::Neo4j(Neo4jGraph::connect(&settings)?))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_opened_by_another_secret_is_another_thing_but_keeps_its_keywords() {
        let graph = |password: &str| {
            let (uri, user) = ("bolt://graph".to_owned(), "neo4j".to_owned());
            graph_key(&GraphPlace::Neo4j { uri, user, password: password.into() })
        };
        assert!(graph("right") == graph("right") && graph("right") != graph("wrong"));
        let cache = |key: GraphKey, model_dir: &str| keyword_cache("data".as_ref(), &key.0, model_dir.as_ref());
        assert_eq!(cache(graph("right"), "model"), cache(graph("wrong"), "model"));
        assert_ne!(cache(graph("right"), "model"), cache(graph("right"), "other"));
        assert_ne!(cache(graph("right"), "model"), cache(graph_key(&GraphPlace::File("graph".into())), "model"));
        let collection = |token: Option<&str>| {
            let [tenant, database, collection] = ["tenant", "database", "collection"].map(str::to_owned);
            let (url, token) = ("http://chroma".parse().unwrap(), token.map(Into::into));
            collection_key(&ChromaPlace { url, tenant, database, collection, token })
        };
        assert!(collection(Some("a")) == collection(Some("a")) && collection(Some("a")) != collection(Some("b")));
        assert_ne!(collection(Some("a")), collection(None));
    }
}

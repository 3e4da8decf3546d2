//! The encoders, indexes, graphs and collections of the profiles. What two profiles name alike is loaded once.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cuecard_actors::engine::encoder::{Encoder, EncoderError};
use cuecard_actors::engine::knowledge::chroma::{ChromaCollection, ChromaError, ChromaSettings};
use cuecard_actors::engine::knowledge::graph::{EmbeddedGraph, GraphError, Neo4jGraph, Neo4jSettings};
use cuecard_actors::engine::knowledge::{
    Completeness, ContentHash, IndexError, IndexHandle, ModelIdentity, Update, build,
};
use cuecard_actors::engine::{BulkEncoder, Engine, GraphBackend, GraphStore, Sources};
use cuecard_actors::messages::ProfileName;
use secrecy::ExposeSecret;

use crate::settings::{ChromaPlace, GraphPlace, Profile, Settings};

/// A database of a backend answers within this time or not at all.
const BACKEND_TIMEOUT: Duration = Duration::from_secs(2);

/// A collection that is asked as soon as it has been opened.
#[derive(Clone)]
pub struct Collection {
    /// Where it is.
    pub settings: ChromaSettings,
    /// The collection once it is open.
    pub opened: Arc<OnceLock<ChromaCollection>>,
    /// Length of the vectors that it must hold.
    pub dimensions: usize,
}

impl Collection {
    /// Looks for it on its server, and opens it unless it is open.
    pub async fn open(&self) -> Result<(), ChromaError> {
        let found = ChromaCollection::open(&self.settings, self.dimensions).await?;
        // One that is open already goes on with its connections.
        let _ = self.opened.set(found);
        Ok(())
    }
}

/// A graph that is asked.
#[derive(Clone)]
pub struct Graph {
    /// The graph.
    pub backend: Arc<GraphBackend>,
    /// The file of the data directory that keeps the embeddings of its keywords: of this graph, and of no other.
    pub keyword_cache: PathBuf,
}

/// What one profile answers from.
#[derive(Clone)]
pub struct ProfileKnowledge {
    /// Everything that questions are put to.
    pub engine: Engine,
    /// The graph, for whoever keeps its keywords up to date.
    pub graph: Option<Graph>,
    /// The collection, for whoever opens it.
    pub collection: Option<Collection>,
}

/// What is loaded before the first question.
pub struct Knowledge {
    by_profile: HashMap<ProfileName, ProfileKnowledge>,
    encoders: Vec<Encoder>,
}

/// Why it can't be loaded; the message says what to run.
#[derive(Debug, thiserror::Error)]
pub enum KnowledgeError {
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
        /// The first profile that names it.
        profile: String,
        /// Why.
        source: Box<ChromaError>,
    },
}

impl Knowledge {
    /// Loads models, indexes and graph files; blocks for a second or so. Databases are reached later, by whoever asks
    /// them first.
    pub fn load(settings: &Settings) -> Result<Self, KnowledgeError> {
        let mut loader = Loader {
            settings,
            encoders: Once::new(),
            indexes: Once::new(),
            graphs: Once::new(),
            collections: HashMap::new(),
        };
        let by_profile = settings.profiles.iter().map(|profile| Ok((profile.name.clone(), loader.load(profile)?)));
        let by_profile = by_profile.collect::<Result<_, _>>()?;
        Ok(Self { by_profile, encoders: loader.encoders.made.into_values().collect() })
    }

    /// Opens the collections. A server that can't be reached may come later; a collection that is missing or does not
    /// fit the model will not.
    pub async fn open_collections(&self) -> Result<(), KnowledgeError> {
        for (profile, knowledge) in &self.by_profile {
            let Some(collection) = &knowledge.collection else { continue };
            match collection.open().await {
                Err(error) if error.is_transient() => tracing::warn!(%profile, %error, "asked again later"),
                Err(source) => {
                    let (profile, source) = (profile.to_string(), Box::new(source));
                    return Err(KnowledgeError::Collection { profile, source });
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Every encoder once, however many profiles share it.
    pub fn encoders(&self) -> &[Encoder] {
        &self.encoders
    }

    /// What a profile answers from. Every profile of the settings has it.
    pub fn of(&self, profile: &ProfileName) -> &ProfileKnowledge {
        &self.by_profile[profile]
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

struct Loader<'a> {
    settings: &'a Settings,
    encoders: Once<PathBuf, Encoder>,
    indexes: Once<(PathBuf, PathBuf), Arc<IndexHandle>>,
    graphs: Once<(GraphKey, PathBuf), Graph>,
    collections: HashMap<(CollectionKey, PathBuf), Collection>,
}

impl Loader<'_> {
    fn load(&mut self, profile: &Profile) -> Result<ProfileKnowledge, KnowledgeError> {
        let (name, known) = (profile.name.to_string(), &profile.knowledge);
        // One core is left to the actors, the search, and CXone's sockets.
        let encoder = self.settings.encoder.settings(known.model_dir.as_deref(), |cores| cores.saturating_sub(1));
        let model_dir = encoder.model_dir.clone();
        let encoder = self
            .encoders
            .get(model_dir.clone(), |_| Encoder::load(&encoder))
            .map_err(|source| KnowledgeError::Encoder { profile: name.clone(), source })?;
        let index = known.index.as_ref().map(|path| {
            let opened = self.indexes.get((path.clone(), model_dir.clone()), |_| open_index(profile, path, &encoder));
            opened.map_err(|source| {
                let path = path.clone();
                KnowledgeError::Index { profile: name.clone(), path, source: Box::new(source) }
            })
        });
        let graph = known.graph.as_ref().map(|place| {
            let data = &self.settings.data.dir;
            let opened = self.graphs.get((graph_key(place), model_dir.clone()), |(key, model_dir)| {
                Ok(Graph { backend: open_graph(place)?, keyword_cache: keyword_cache(data, &key.0, model_dir) })
            });
            opened.map_err(|source| KnowledgeError::Graph { profile: name.clone(), source: Box::new(source) })
        });
        let dimensions = encoder.model().dimensions;
        let collection = known.chroma.as_ref().map(|place| self.collection(place, model_dir, dimensions));
        let (index, graph) = (index.transpose()?, graph.transpose()?);
        let chroma = collection.as_ref().map(|collection| Arc::clone(&collection.opened));
        let sources = Sources { index, graph: graph.as_ref().map(|graph| Arc::clone(&graph.backend)), chroma };
        Ok(ProfileKnowledge { engine: Engine::with_sources(encoder, sources), graph, collection })
    }

    fn collection(&mut self, place: &ChromaPlace, model_dir: PathBuf, dimensions: usize) -> Collection {
        let make = || {
            let settings = ChromaSettings {
                url: place.url.clone(),
                tenant: place.tenant.clone(),
                database: place.database.clone(),
                collection: place.collection.clone(),
                token: place.token.clone(),
                timeout: BACKEND_TIMEOUT,
            };
            Collection { settings, opened: Arc::default(), dimensions }
        };
        self.collections.entry((collection_key(place), model_dir)).or_insert_with(make).clone()
    }
}

/// Opens an index. Where the tenant's articles are polled it may be empty at first.
fn open_index(profile: &Profile, path: &Path, encoder: &Encoder) -> Result<Arc<IndexHandle>, IndexError> {
    let bulk = BulkEncoder::new(encoder.clone());
    let open = || IndexHandle::open(path, Some(ModelIdentity::of(&bulk)));
    match open() {
        Err(IndexError::NoIndex { .. }) if profile.knowledge.sync.is_some() => {
            let source = super::sync::source(&profile.name);
            let nothing = Update { source, articles: Vec::new(), completeness: Completeness::Partial };
            build(path, nothing, &bulk, &())?;
            open().map(Arc::new)
        }
        opened => opened.map(Arc::new),
    }
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
fn open_graph(place: &GraphPlace) -> Result<Arc<GraphBackend>, GraphError> {
    let store = match place {
        GraphPlace::File(path) => {
            let (graph, report) = EmbeddedGraph::read(path)?;
            for bad_row in &report.bad_rows {
                tracing::warn!("skipped {}", report.describe(bad_row));
            }
            let (queries, articles, relations) = (report.queries, report.articles, report.relations);
            tracing::info!(path = %path.display(), queries, articles, relations, "the graph is loaded");
            GraphStore::Embedded(graph)
        }
        GraphPlace::Neo4j { uri, user, password } => GraphStore::Neo4j(Neo4jGraph::connect(&Neo4jSettings {
            uri: uri.clone(),
            user: user.clone(),
            password: password.clone(),
            timeout: BACKEND_TIMEOUT,
        })?),
    };
    Ok(Arc::new(GraphBackend::new(store)))
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

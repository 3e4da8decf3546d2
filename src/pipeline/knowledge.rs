//! The encoders, indexes, graphs and collections of the profiles. What two profiles name alike is loaded once.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cuecard_actors::engine::encoder::{Encoder, EncoderError};
use cuecard_actors::engine::knowledge::chroma::{ChromaCollection, ChromaError, ChromaSettings};
use cuecard_actors::engine::knowledge::graph::{EmbeddedGraph, GraphError, Neo4jGraph, Neo4jSettings};
use cuecard_actors::engine::knowledge::{Completeness, IndexError, IndexHandle, ModelIdentity, Update, build};
use cuecard_actors::engine::{BulkEncoder, Engine, GraphBackend, GraphStore, Sources};
use cuecard_actors::messages::ProfileName;

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
    /// Opens it, unless it is open.
    pub async fn open(&self) -> Result<(), ChromaError> {
        if self.opened.get().is_none() {
            let opened = ChromaCollection::open(&self.settings, self.dimensions).await?;
            // Another profile may have opened it meanwhile.
            let _ = self.opened.set(opened);
        }
        Ok(())
    }
}

/// What one profile answers from.
#[derive(Clone)]
pub struct ProfileKnowledge {
    /// Everything that questions are put to.
    pub engine: Engine,
    /// The graph, for whoever keeps its keywords up to date.
    pub graph: Option<Arc<GraphBackend>>,
    /// The collection, for whoever opens it.
    pub collection: Option<Collection>,
}

/// What is loaded before the first question.
pub struct Knowledge {
    by_profile: HashMap<ProfileName, ProfileKnowledge>,
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
            collections: Once::new(),
        };
        let by_profile = settings.profiles.iter().map(|profile| Ok((profile.name.clone(), loader.load(profile)?)));
        Ok(Self { by_profile: by_profile.collect::<Result<_, _>>()? })
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
    graphs: Once<(String, PathBuf), Arc<GraphBackend>>,
    collections: Once<String, Collection>,
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
            let opened = self.graphs.get((address(place), model_dir.clone()), |_| open_graph(place));
            opened.map_err(|source| KnowledgeError::Graph { profile: name.clone(), source: Box::new(source) })
        });
        let dimensions = encoder.model().dimensions;
        let collection = known.chroma.as_ref().map(|place| self.collection(place, dimensions));
        let (index, graph) = (index.transpose()?, graph.transpose()?);
        let chroma = collection.as_ref().map(|collection| Arc::clone(&collection.opened));
        let sources = Sources { index, graph: graph.clone(), chroma };
        Ok(ProfileKnowledge { engine: Engine::with_sources(encoder, sources), graph, collection })
    }

    fn collection(&mut self, place: &ChromaPlace, dimensions: usize) -> Collection {
        let address = format!("{} {} {} {}", place.url, place.tenant, place.database, place.collection);
        let made = self.collections.get(address, |_| {
            let settings = ChromaSettings {
                url: place.url.clone(),
                tenant: place.tenant.clone(),
                database: place.database.clone(),
                collection: place.collection.clone(),
                token: place.token.clone(),
                timeout: BACKEND_TIMEOUT,
            };
            Ok::<_, std::convert::Infallible>(Collection { settings, opened: Arc::default(), dimensions })
        });
        match made {
            Ok(collection) => collection,
            Err(never) => match never {},
        }
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

fn address(place: &GraphPlace) -> String {
    match place {
        GraphPlace::File(path) => format!("file {}", path.display()),
        GraphPlace::Neo4j { uri, user, .. } => format!("neo4j {uri} {user}"),
    }
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

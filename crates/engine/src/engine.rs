//! The engine of one profile: an encoder and the backends that its questions are put to, each shared by all profiles
//! that name it.

use std::error::Error;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use cuecard_encoder::Encoder;
use cuecard_knowledge::chroma::ChromaCollection;
use cuecard_knowledge::{IndexHandle, TextEncoder};
use futures_util::future::{OptionFuture, join};
use tokio::time::Instant;

use crate::backends::{BackendError, GraphBackend, nearest_in_chroma, within};
use crate::candidates::{Candidates, Found};
use crate::complete::{Embeddings, complete};
use crate::conversation::Utterance;
use crate::extract::{self, Query};
use crate::plan::{Backend, Effort, Plan};
use crate::retrieve;

/// Answers questions. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    encoder: Encoder,
    sources: Sources,
    embeddings: Arc<Embeddings>,
}

/// The backends of this process that an engine can ask; CXone's own search is asked by whoever holds the connection.
#[derive(Clone, Default)]
pub struct Sources {
    /// The embedded index; it may be swapped under the engine.
    pub index: Option<Arc<IndexHandle>>,
    /// A knowledge graph.
    pub graph: Option<Arc<GraphBackend>>,
    /// A Chroma collection, from the moment on at which it is open.
    pub chroma: Option<Arc<OnceLock<ChromaCollection>>>,
}

impl Engine {
    /// Puts an encoder and an index together.
    pub fn new(encoder: Encoder, index: Arc<IndexHandle>) -> Self {
        Self::with_sources(encoder, Sources { index: Some(index), ..Sources::default() })
    }

    /// Puts an encoder and any backends together.
    pub fn with_sources(encoder: Encoder, sources: Sources) -> Self {
        Self { encoder, sources, embeddings: Arc::default() }
    }

    /// Extracts on the calling thread, which waits for the encoder.
    pub fn extract(&self, utterance: &Utterance, plan: &Plan) -> Query {
        extract::blocking(&self.encoder, utterance, plan)
    }

    /// Extracts on the encoder's live lane. Never fails: without an encoding the query goes on without vectors.
    pub async fn extract_live(&self, utterance: &Utterance, plan: &Plan, effort: Effort) -> Query {
        extract::live(&self.encoder, utterance, plan, effort).await
    }

    /// Finds candidates in the index generation that is in service; takes milliseconds of CPU. None where the plan
    /// does not ask the index.
    pub fn retrieve(&self, query: Query, plan: &Plan) -> Candidates {
        match &self.sources.index {
            Some(index) if plan.asks(Backend::Index) => retrieve::retrieve(&index.current(), query, plan),
            _ => Candidates::none(query),
        }
    }

    /// Asks the graph and the collection side by side where the plan does; one result for each that was asked.
    pub async fn ask_beside_index(
        &self,
        query: &Query,
        plan: &Plan,
        deadline: Instant,
    ) -> Vec<Result<Found, BackendError>> {
        let graph = self.sources.graph.as_ref().filter(|_| plan.asks(Backend::Graph));
        let graph = graph.map(|graph| within(deadline, Backend::Graph, graph.find(query, plan)));
        let chroma = self.sources.chroma.as_ref().filter(|_| plan.asks(Backend::Chroma));
        let chroma =
            chroma.map(|chroma| within(deadline, Backend::Chroma, nearest_in_chroma(chroma.get(), query, plan)));
        let (graph, chroma) = join(OptionFuture::from(graph), OptionFuture::from(chroma)).await;
        graph.into_iter().chain(chroma).collect()
    }

    /// Gives candidates that came without a cosine theirs, where the plan reads it.
    pub async fn complete(&self, found: &mut Candidates, plan: &Plan) {
        complete(&self.encoder, &self.embeddings, found, plan).await;
    }

    /// The backends, for whoever refreshes or describes them.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The encoder, for whoever watches its queue.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }
}

/// Lets an index be built through the encoder's bulk lane, which gives way to live questions.
pub struct BulkEncoder {
    encoder: Encoder,
    model: String,
}

impl BulkEncoder {
    /// Wraps an encoder.
    pub fn new(encoder: Encoder) -> Self {
        let model = encoder.model();
        let model = format!("{}@{}", model.name, model.fingerprint);
        Self { encoder, model }
    }
}

impl TextEncoder for BulkEncoder {
    fn model(&self) -> &str {
        &self.model
    }

    fn dimensions(&self) -> usize {
        self.encoder.model().dimensions
    }

    fn chunks(&self, text: &str) -> Vec<Range<usize>> {
        self.encoder.chunks(text)
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
        Ok(self.encoder.embed_bulk(texts)?)
    }
}

//! The engine of one knowledge: an encoder, shared by all, and an index that may be swapped under it.

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use cuecard_encoder::Encoder;
use cuecard_knowledge::{IndexHandle, TextEncoder};

use crate::conversation::Utterance;
use crate::extract::{self, Query};
use crate::plan::{Effort, Plan};
use crate::retrieve::{self, Candidates};

/// Answers the questions of the profiles that name its index. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    encoder: Encoder,
    index: Arc<IndexHandle>,
}

impl Engine {
    /// Puts an encoder and an index together.
    pub fn new(encoder: Encoder, index: Arc<IndexHandle>) -> Self {
        Self { encoder, index }
    }

    /// Extracts on the calling thread, which waits for the encoder.
    pub fn extract(&self, utterance: &Utterance, plan: &Plan) -> Query {
        extract::blocking(&self.encoder, utterance, plan)
    }

    /// Extracts on the encoder's live lane. Never fails: without an encoding the query goes on without vectors.
    pub async fn extract_live(&self, utterance: &Utterance, plan: &Plan, effort: Effort) -> Query {
        extract::live(&self.encoder, utterance, plan, effort).await
    }

    /// Finds candidates in the index generation that is in service; takes milliseconds of CPU.
    pub fn retrieve(&self, query: Query, plan: &Plan) -> Candidates {
        retrieve::retrieve(&self.index.current(), query, plan)
    }

    /// The index, for whoever refreshes or describes it.
    pub fn index(&self) -> &IndexHandle {
        &self.index
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
        self.encoder.chunks(text, 0)
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
        Ok(self.encoder.embed_bulk(texts)?)
    }
}

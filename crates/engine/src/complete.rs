//! Gives candidates of backends without vectors their cosine with the question.
//!
//! What CXone's search or a graph found has no embedding of its own. It is embedded when it is first found, on the
//! encoder's live lane, and remembered by its text, so that the same articles cost nothing the next time.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};

use cuecard_encoder::Encoder;
use lru::LruCache;

use crate::candidates::{Candidate, Candidates};
use crate::plan::Plan;

/// Embeddings remembered: 384 numbers of 4 bytes each, some 16 MB.
const REMEMBERED: NonZero<usize> = NonZero::new(10_000).unwrap();

/// Embeddings by the text that they are of.
pub(crate) struct Embeddings {
    by_text: Mutex<LruCache<String, Vec<f32>>>,
}

impl Default for Embeddings {
    fn default() -> Self {
        Self { by_text: Mutex::new(LruCache::new(REMEMBERED)) }
    }
}

impl Embeddings {
    fn get(&self, text: &str) -> Option<Vec<f32>> {
        self.by_text.lock().unwrap_or_else(PoisonError::into_inner).get(text).cloned()
    }

    fn put(&self, text: String, embedding: Vec<f32>) {
        self.by_text.lock().unwrap_or_else(PoisonError::into_inner).put(text, embedding);
    }

    /// The embeddings of these texts; one that can't be embedded now has none. All are queued before any is awaited,
    /// so that one pass may take them together.
    async fn of(&self, encoder: &Encoder, texts: Vec<String>) -> Vec<Option<Vec<f32>>> {
        let queued: Vec<_> = texts
            .into_iter()
            .map(|text| {
                let known = self.get(&text);
                let pending = if known.is_none() { encoder.encode(&text).ok() } else { None };
                (text, known, pending)
            })
            .collect();
        let mut embeddings = Vec::with_capacity(queued.len());
        for (text, known, pending) in queued {
            let embedding = match (known, pending) {
                (None, Some(pending)) => pending.await.ok().map(|encoding| encoding.embedding),
                (known, _) => known,
            };
            if let Some(embedding) = &embedding {
                self.put(text, embedding.clone());
            }
            embeddings.push(embedding);
        }
        embeddings
    }
}

/// Embeds the candidates without a cosine where ranking or silence reads it.
pub(crate) async fn complete(encoder: &Encoder, embeddings: &Embeddings, found: &mut Candidates, plan: &Plan) {
    let Some(question) = found.query.embedding.clone() else { return };
    if !plan.ranker.reads_cosines() && plan.silence.is_none() {
        return;
    }
    let is_bare = |candidate: &&mut Candidate| candidate.scores.cosine.is_none();
    let texts = found.candidates.iter_mut().filter(is_bare).map(|candidate| candidate.text()).collect();
    let embedded = embeddings.of(encoder, texts).await;
    let newest = found.query.newest_embedding.as_deref();
    for (candidate, embedding) in found.candidates.iter_mut().filter(is_bare).zip(embedded) {
        let Some(embedding) = embedding else { continue };
        candidate.scores.cosine = Some(dot(&question, &embedding));
        let closeness = newest.map(|newest| dot(newest, &embedding));
        found.newest_turn_cosine = max(found.newest_turn_cosine, closeness);
    }
}

/// The cosine of two unit vectors.
fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn max(one: Option<f32>, other: Option<f32>) -> Option<f32> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

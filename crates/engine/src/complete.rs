//! Gives candidates of backends without vectors their cosine with the question.
//!
//! What CXone's search or a graph found has no embedding of its own. It is embedded when it is first found, on the
//! encoder among the live texts, and remembered by its text, so that the same articles cost nothing the next time. Only so many
//! wait there at once, whatever was found: the questions themselves need it.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};

use cuecard_encoder::Encoder;
use cuecard_knowledge::ContentHash;
use cuecard_ranking::Formula;
use cuecard_ranking::conversation::Evidence;
use futures_util::future::join_all;
use lru::LruCache;
use tokio::sync::Semaphore;

use crate::candidates::{Candidate, Candidates};
use crate::plan::Plan;

/// Embeddings remembered for each profile: 384 numbers of 4 bytes each, some 16 MB.
const REMEMBERED: NonZero<usize> = NonZero::new(10_000).unwrap();

/// Candidates that wait for the encoder at once: enough to fill a batch, and a small part of its queue.
const EMBEDDED_AT_ONCE: usize = 16;

/// Embeddings by the text that they are of, of which no more than the hash is kept.
pub(crate) struct Embeddings {
    by_text: Mutex<LruCache<ContentHash, Vec<f32>>>,
    places: Semaphore,
}

impl Default for Embeddings {
    fn default() -> Self {
        Self { by_text: Mutex::new(LruCache::new(REMEMBERED)), places: Semaphore::new(EMBEDDED_AT_ONCE) }
    }
}

impl Embeddings {
    fn get(&self, text: &ContentHash) -> Option<Vec<f32>> {
        self.by_text.lock().unwrap_or_else(PoisonError::into_inner).get(text).cloned()
    }

    fn put(&self, text: ContentHash, embedding: Vec<f32>) {
        self.by_text.lock().unwrap_or_else(PoisonError::into_inner).put(text, embedding);
    }

    /// The embeddings of these texts; one that can't be embedded now has none. Those that have a place are queued before
    /// any is awaited, so that one pass may take them together.
    async fn of(&self, encoder: &Encoder, texts: Vec<String>) -> Vec<Option<Vec<f32>>> {
        join_all(texts.iter().map(|text| self.embedding(encoder, text))).await
    }

    async fn embedding(&self, encoder: &Encoder, text: &str) -> Option<Vec<f32>> {
        let hash = ContentHash::of_bytes(text.as_bytes());
        if let Some(known) = self.get(&hash) {
            return Some(known);
        }
        let _place = self.places.acquire().await.ok()?;
        let embedding = encoder.encode(text).ok()?.await.ok()?.embedding;
        self.put(hash, embedding.clone());
        Some(embedding)
    }
}

/// Embeds the candidates without a cosine where ranking or silence reads it.
pub(crate) async fn complete(encoder: &Encoder, embeddings: &Embeddings, found: &mut Candidates, plan: &Plan) {
    if plan.ranker == Formula::Conversation {
        return complete_evidence(encoder, embeddings, found).await;
    }
    let Some(question) = found.query.embedding.clone() else { return };
    if !plan.ranker.reads_cosines() && plan.silence.is_none() {
        return;
    }
    let is_bare = |candidate: &&mut Candidate| candidate.scores.cosine.is_none();
    let texts = found.candidates.iter_mut().filter(is_bare).map(|candidate| candidate.text()).collect();
    let embedded = embeddings.of(encoder, texts).await;
    let newest = found.query.newest_embedding.as_deref();
    let mut closest = None;
    for (candidate, embedding) in found.candidates.iter_mut().filter(is_bare).zip(embedded) {
        let Some(embedding) = embedding else { continue };
        candidate.scores.cosine = Some(dot(&question, &embedding));
        let closeness = newest.map(|newest| dot(newest, &embedding));
        closest = closest.into_iter().chain(closeness).max_by(f32::total_cmp);
    }
    found.saw_closeness(closest);
}

/// Tells of candidates without evidence what the call says for them, as far as their texts tell.
async fn complete_evidence(encoder: &Encoder, embeddings: &Embeddings, found: &mut Candidates) {
    let is_bare = |candidate: &&mut Candidate| candidate.evidence.is_none();
    let newest = found.query.newest_embedding.clone();
    let mut texts: Vec<_> = found.candidates.iter_mut().filter(is_bare).map(|candidate| candidate.text()).collect();
    if newest.is_none() {
        texts.clear();
    }
    let mut embedded = embeddings.of(encoder, texts).await.into_iter();
    let mut closest = None;
    for candidate in found.candidates.iter_mut().filter(is_bare) {
        let embedding = embedded.next().flatten();
        let cosine = newest.as_deref().zip(embedding.as_deref()).map(|(newest, embedding)| dot(newest, embedding));
        candidate.scores.cosine = candidate.scores.cosine.or(cosine);
        closest = closest.into_iter().chain(cosine).max_by(f32::total_cmp);
        let evidence = match &found.call {
            Some(call) => call.evidence_of(candidate, embedding.as_deref()),
            None => Evidence { newest_cosine: cosine.unwrap_or_default(), ..Evidence::default() },
        };
        candidate.evidence = Some(evidence);
    }
    found.saw_closeness(closest);
}

/// The cosine of two unit vectors.
pub(crate) fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

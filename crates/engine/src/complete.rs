//! Gives candidates of backends without vectors their cosine with the question.
//!
//! What CXone's search or a graph found has no embedding of its own. It is embedded when it is first found, on the
//! encoder aside of the questions, and remembered by its text, so that the same articles cost nothing the next time. What is
//! not embedded in time is ordered by what its backend said of it; the others keep their cosines.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};

use cuecard_encoder::Encoder;
use cuecard_knowledge::ContentHash;
use cuecard_ranking::Formula;
use cuecard_ranking::conversation::Evidence;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lru::LruCache;
use tokio::time::{Instant, timeout_at};

use crate::candidates::{Candidate, Candidates};
use crate::plan::Plan;

/// Embeddings remembered for each profile: 384 numbers of 4 bytes each, some 16 MB.
const REMEMBERED: NonZero<usize> = NonZero::new(10_000).unwrap();

/// Embeddings of candidates by the text that they are of, of which no more than the hash is kept.
pub(crate) struct CandidateEmbeddings {
    by_text: Mutex<LruCache<ContentHash, Vec<f32>>>,
}

impl Default for CandidateEmbeddings {
    fn default() -> Self {
        Self { by_text: Mutex::new(LruCache::new(REMEMBERED)) }
    }
}

impl CandidateEmbeddings {
    fn get(&self, text: &ContentHash) -> Option<Vec<f32>> {
        self.by_text.lock().unwrap_or_else(PoisonError::into_inner).get(text).cloned()
    }

    fn put(&self, text: ContentHash, embedding: Vec<f32>) {
        self.by_text.lock().unwrap_or_else(PoisonError::into_inner).put(text, embedding);
    }

    /// The embedding of a text; one that can't be embedded now has none.
    async fn of(&self, encoder: &Encoder, text: &str) -> Option<Vec<f32>> {
        let hash = ContentHash::of_bytes(text.as_bytes());
        if let Some(known) = self.get(&hash) {
            return Some(known);
        }
        let embedding = encoder.encode_aside(text).await.ok()?.embedding;
        self.put(hash, embedding.clone());
        Some(embedding)
    }
}

/// Embeds the candidates that nothing is known of by meaning, where ranking or silence reads it, for as long as there is
/// time.
pub(crate) async fn complete(
    encoder: &Encoder,
    embeddings: &CandidateEmbeddings,
    found: &mut Candidates,
    plan: &Plan,
    until: Instant,
) {
    let reads_call = plan.ranker == Formula::Conversation;
    if !reads_call && !plan.ranker.reads_cosines() && plan.silence.is_none() {
        return;
    }
    let is_bare = |candidate: &Candidate| {
        if reads_call { candidate.evidence.is_none() } else { candidate.scores.cosine.is_none() }
    };
    let bare: Vec<(usize, String)> = found
        .candidates
        .iter()
        .enumerate()
        .filter(|(_, candidate)| is_bare(candidate))
        .map(|(place, candidate)| (place, candidate.text()))
        .collect();
    if reads_call {
        for (place, _) in &bare {
            found.tell_call(*place, None);
        }
    }
    let asked = if reads_call { &found.query.newest_embedding } else { &found.query.embedding };
    let Some(asked) = asked.clone() else { return };
    // All are asked for before any is awaited, so that one pass of the encoder may take several.
    let embed = |(place, text): (usize, String)| async move { (place, embeddings.of(encoder, &text).await) };
    let mut embedded: FuturesUnordered<_> = bare.into_iter().map(embed).collect();
    while let Ok(Some((place, embedding))) = timeout_at(until, embedded.next()).await {
        let Some(embedding) = embedding else { continue };
        let closeness = found.query.newest_embedding.as_ref().map(|newest| dot(newest, &embedding));
        found.candidates[place].scores.cosine = Some(dot(&asked, &embedding));
        if reads_call {
            found.tell_call(place, Some(&embedding));
        }
        found.saw_closeness(closeness);
    }
}

impl Candidates {
    /// Tells a candidate that is no article of the index what the call says for it, as far as its text and its embedding
    /// tell.
    fn tell_call(&mut self, place: usize, embedding: Option<&[f32]>) {
        let evidence = match (&self.call, embedding.zip(self.query.newest_embedding.as_deref())) {
            (Some(call), _) => call.evidence_of(&self.candidates[place], embedding),
            (None, Some((text, newest))) => Evidence { newest_cosine: dot(text, newest), ..Evidence::default() },
            (None, None) => Evidence::default(),
        };
        self.candidates[place].evidence = Some(evidence);
    }
}

/// The cosine of two unit vectors.
pub(crate) fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

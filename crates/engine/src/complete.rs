//! Gives candidates of backends without vectors their cosine with the question.
//!
//! What CXone's search or a graph found has no embedding of its own. It is embedded when it is first found, on the
//! encoder aside of the questions, and remembered by its text, so that the same articles cost nothing the next time. What is
//! not embedded in time is ordered by what its backend said of it; the others keep their cosines.

use cuecard_encoder::Encoder;
use cuecard_ranking::conversation::Evidence;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use crate::by_text::ByText;
use crate::candidates::{Candidate, Candidates, Nearness};
use crate::plan::Plan;

/// Embeddings of candidates.
pub(crate) type CandidateEmbeddings = ByText<Vec<f32>>;

/// The embedding of a text; one that can't be embedded now has none.
async fn embedding(encoder: &Encoder, known: &CandidateEmbeddings, text: &str) -> Option<Vec<f32>> {
    if let Some(known) = known.get(text) {
        return Some(known);
    }
    let embedding = encoder.encode_aside(text).await.ok()?.embedding;
    known.put(text, embedding.clone());
    Some(embedding)
}

/// Embeds the candidates that nothing is known of by meaning, where ranking or silence reads it, for as long as there is
/// time.
pub(crate) async fn complete(
    encoder: &Encoder,
    known: &CandidateEmbeddings,
    found: &mut Candidates,
    plan: &Plan,
    until: Instant,
) {
    if !plan.ranker.reads_cosines() && plan.silence.is_none() {
        return;
    }
    let reads_call = plan.ranker.reads_call();
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
    let embed = |(place, text): (usize, String)| async move { (place, embedding(encoder, known, &text).await) };
    let mut embedded: FuturesUnordered<_> = bare.into_iter().map(embed).collect();
    while let Ok(Some((place, embedding))) = timeout_at(until, embedded.next()).await {
        let Some(embedding) = embedding else { continue };
        let closeness = found.query.newest_embedding.as_ref().map(|newest| dot(newest, &embedding));
        found.candidates[place].scores.cosine = Some(dot(&asked, &embedding));
        if reads_call {
            found.tell_call(place, Some(&embedding));
        }
        found.nearness = found.nearness.or_nearer(Nearness::of_passage(closeness));
    }
}

impl Candidates {
    /// Tells a candidate that is no article of the index what the call says for it, as far as its text and its embedding
    /// tell.
    fn tell_call(&mut self, place: usize, embedding: Option<&[f32]>) {
        let mut evidence = match (&self.call, embedding.zip(self.query.newest_embedding.as_deref())) {
            (Some(call), _) => call.evidence_of(&self.candidates[place], embedding),
            (None, Some((text, newest))) => Evidence { newest_cosine: dot(text, newest), ..Evidence::default() },
            (None, None) => Evidence::default(),
        };
        if let Some((adapted, embedding)) = self.query.adapted.as_deref().zip(embedding) {
            evidence.adapted = dot(adapted, embedding);
        }
        self.candidates[place].evidence = Some(evidence);
    }
}

/// The cosine of two unit vectors.
pub(crate) fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

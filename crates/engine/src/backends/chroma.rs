//! A Chroma collection, asked live.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use cuecard_knowledge::chroma::{ChromaCollection, ChromaHit};
use tokio::time::Instant;

use super::{Backend, BackendError, BackendName};
use crate::candidates::{Candidate, Found, Nearness, Scores};
use crate::extract::{Query, WithoutVectors};
use crate::plan::Plan;

/// A collection that is asked as soon as somebody has opened it.
pub struct ChromaBackend {
    opened: Arc<OnceLock<ChromaCollection>>,
}

impl ChromaBackend {
    /// Asks what stands here, once it does.
    pub fn new(opened: Arc<OnceLock<ChromaCollection>>) -> Self {
        Self { opened }
    }
}

#[async_trait]
impl Backend for ChromaBackend {
    fn name(&self) -> BackendName {
        BackendName::Chroma
    }

    /// The documents nearest to the question, and how near the nearest lies to its newest turn.
    async fn find(&self, query: &Arc<Query>, plan: &Arc<Plan>, _: Instant) -> Result<Found, BackendError> {
        let failed = |reason: String| BackendError::failed(BackendName::Chroma, reason);
        let collection =
            self.opened.get().ok_or_else(|| failed("the collection could not be opened yet".to_owned()))?;
        let lists = collection.query(&vectors(query)?, plan.candidates, &plan.filter).await;
        let mut lists = lists.map_err(|error| failed(error.to_string()))?.into_iter();
        let hits = lists.next().unwrap_or_default();
        let closeness = lists.next().and_then(|hits| Some(hits.first()?.relevance as f32));
        Ok(Found { nearness: Nearness::of_passage(closeness), ..Found::of(hits.into_iter().map(candidate)) })
    }
}

/// The question's vector, and that of its newest turn where silence is judged.
fn vectors(query: &Query) -> Result<Vec<&[f32]>, BackendError> {
    let embedding = query.embedding.as_deref().ok_or_else(|| {
        let cause = query.without_vectors.map_or_else(String::new, |reason| format!(": {reason}"));
        BackendError {
            is_overload: query.without_vectors.is_some_and(WithoutVectors::is_overload),
            ..BackendError::failed(BackendName::Chroma, format!("the question was not embedded{cause}"))
        }
    })?;
    Ok(std::iter::once(embedding).chain(query.newest_embedding.as_deref()).collect())
}

fn candidate(hit: ChromaHit) -> Candidate {
    let (passage, relevance) = (hit.passage().to_owned(), hit.relevance as f32);
    let scores = Scores { cosine: Some(relevance), ..Scores::default() };
    Candidate { scores, ..Candidate::new(Arc::new(hit.article), passage, BackendName::Chroma) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::query;

    #[test]
    fn a_collection_is_asked_by_the_window_and_by_the_newest_turn() {
        let asked = |newest_embedding| Query { embedding: Some(vec![1.0]), newest_embedding, ..query("refund") };
        assert_eq!(vectors(&asked(Some(vec![2.0]))).unwrap(), [[1.0], [2.0]]);
        assert_eq!(vectors(&asked(None)).unwrap(), [[1.0]]);
    }

    #[test]
    fn without_a_vector_it_is_not_asked_and_the_error_tells_overload_from_failure() {
        let words = "the question was not embedded";
        // (why there is no vector, what is said, whether the same question may well be answered in a moment)
        let table = [
            (WithoutVectors::Overload, "questions come faster than they are embedded", true),
            (WithoutVectors::QueueFull, "the encoder's queue was full", true),
            (WithoutVectors::EncoderFailed, "the encoder failed, at debug level the log says how", false),
        ];
        for (reason, said, is_overload) in table {
            let error = vectors(&Query { without_vectors: Some(reason), ..query("refund") }).unwrap_err();
            let expected =
                BackendError { is_overload, ..BackendError::failed(BackendName::Chroma, format!("{words}: {said}")) };
            assert_eq!(error, expected);
        }
    }
}

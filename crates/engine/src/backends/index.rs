//! The embedded index, searched on the search pool.

use std::sync::Arc;

use async_trait::async_trait;
use cuecard_knowledge::{Index, IndexHandle, LexicalHit, VectorHit};
use cuecard_ranking::Lookup;
use tokio::time::Instant;

use super::{Backend, BackendError, BackendName};
use crate::SearchPool;
use crate::call;
use crate::candidates::{Candidate, Candidates, Found, Nearness, Scores};
use crate::extract::Query;
use crate::plan::Plan;
use crate::rules::Mark;

/// The generation of the index that is in service.
pub struct IndexBackend {
    index: Arc<IndexHandle>,
    pool: SearchPool,
}

impl IndexBackend {
    /// Searches this index on that pool.
    pub fn new(index: Arc<IndexHandle>, pool: SearchPool) -> Self {
        Self { index, pool }
    }
}

#[async_trait]
impl Backend for IndexBackend {
    fn name(&self) -> BackendName {
        BackendName::Index
    }

    /// Takes milliseconds of the pool's CPU.
    async fn find(&self, query: &Arc<Query>, plan: &Arc<Plan>, _: Instant) -> Result<Found, BackendError> {
        let (index, query, plan) = (self.index.current(), Arc::clone(query), Arc::clone(plan));
        let searching = self.pool.run(move || search(&index, &query, &plan));
        searching.await.map_err(|error| BackendError::failed(BackendName::Index, error))
    }
}

/// Looks the query up as the plan's ranker needs it; a query without vectors is looked up by its words, whatever the
/// ranker.
fn search(index: &Arc<Index>, query: &Query, plan: &Plan) -> Found {
    if plan.ranker.reads_call() {
        return call::search(index, query, plan);
    }
    let lookups = if query.embedding.is_some() { plan.ranker.lookups() } else { &[Lookup::Lexical] };
    let (mut candidates, mut muted) = (Vec::new(), Vec::new());
    for lookup in lookups {
        let mut more = match lookup {
            Lookup::Vector => nearest(index, query, plan),
            Lookup::Lexical => lexical(index, query, plan),
        };
        muted.extend(query.heed_marks(&mut more));
        Candidates::merge(&mut candidates, more);
    }
    let is_nearest_known = lookups.contains(&Lookup::Vector);
    let nearest = nearest_passage(index, query, &candidates, is_nearest_known, plan);
    let (nearness, generation) = (Nearness::of_passage(nearest), Some(index.generation()));
    Found { candidates, nearness, generation, call: None, muted }
}

/// Not searched again where the newest turn is all that was asked for.
fn nearest_passage(
    index: &Index,
    query: &Query,
    found: &[Candidate],
    is_nearest_known: bool,
    plan: &Plan,
) -> Option<f32> {
    let newest = query.newest_embedding.as_ref()?;
    if is_nearest_known && query.embedding.as_ref() == Some(newest) {
        return found.iter().filter_map(|candidate| candidate.scores.cosine).max_by(f32::total_cmp);
    }
    let is_shown = |hit: &&VectorHit| query.mark(&index.article(hit.article).id) != Some(Mark::Muted);
    index.nearest(newest, plan.candidates, &plan.filter).iter().find(is_shown).map(|hit| hit.cosine)
}

fn nearest(index: &Index, query: &Query, plan: &Plan) -> Vec<Candidate> {
    let embedding = query.embedding.as_deref().unwrap_or_default();
    let candidate = |hit: VectorHit| {
        let article = index.article(hit.article);
        let passage = index.chunk_text(hit.article, hit.chunk).unwrap_or(&article.body);
        let scores = Scores { cosine: Some(hit.cosine), ..Scores::default() };
        Candidate { scores, ..Candidate::new(Arc::clone(article), passage, BackendName::Index) }
    };
    index.nearest(embedding, plan.candidates, &plan.filter).into_iter().map(candidate).collect()
}

fn lexical(index: &Index, query: &Query, plan: &Plan) -> Vec<Candidate> {
    let candidate = |hit: LexicalHit| {
        let article = index.article(hit.article);
        // Known for every candidate of an embedded query, so that silence can be judged whatever the ranker.
        let nearest = query.embedding.as_ref().and_then(|embedding| index.best_chunk(hit.article, embedding));
        let passage = nearest.as_ref().and_then(|nearest| index.chunk_text(nearest.article, nearest.chunk));
        let passage = passage.unwrap_or(&article.body);
        let scores = Scores { cosine: nearest.map(|nearest| nearest.cosine), bm25: Some(hit.bm25), search: None };
        Candidate { scores, ..Candidate::new(Arc::clone(article), passage, BackendName::Index) }
    };
    index.lexical(query.text.verbatim(), plan.candidates, &plan.filter).into_iter().map(candidate).collect()
}

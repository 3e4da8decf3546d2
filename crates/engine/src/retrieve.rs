//! From a query to the candidates of the embedded index, each with every score by name.

use std::sync::Arc;

use cuecard_knowledge::{Index, LexicalHit, VectorHit};
use cuecard_ranking::Lookup;

use crate::candidates::{Candidate, Candidates, Scores};
use crate::extract::Query;
use crate::plan::{Backend, Plan};

/// Looks the query up as the plan's ranker needs it; a query without vectors is looked up by its words, whatever the
/// ranker.
pub(crate) fn retrieve(index: &Index, query: Query, plan: &Plan) -> Candidates {
    let lookups = if query.embedding.is_some() { plan.ranker.lookups() } else { &[Lookup::Lexical] };
    let mut found = Candidates { generation: Some(index.generation()), ..Candidates::none(query) };
    for lookup in lookups {
        let candidates = match lookup {
            Lookup::Vector => nearest(index, &found.query, plan.candidates),
            Lookup::Lexical => lexical(index, &found.query, plan.candidates),
        };
        found.merge(candidates);
    }
    let is_nearest_known = lookups.contains(&Lookup::Vector);
    found.newest_turn_cosine = newest_turn_cosine(index, &found, is_nearest_known);
    found
}

/// Not searched again where the newest turn is all that was asked for.
fn newest_turn_cosine(index: &Index, found: &Candidates, is_nearest_known: bool) -> Option<f32> {
    let newest = found.query.newest_embedding.as_ref()?;
    if is_nearest_known && found.query.embedding.as_ref() == Some(newest) {
        return found.candidates.iter().filter_map(|candidate| candidate.scores.cosine).max_by(f32::total_cmp);
    }
    index.nearest(newest, 1).first().map(|hit| hit.cosine)
}

fn nearest(index: &Index, query: &Query, count: usize) -> Vec<Candidate> {
    let embedding = query.embedding.as_deref().unwrap_or_default();
    let candidate = |hit: VectorHit| {
        let article = index.article(hit.article);
        let passage = index.chunk_text(hit.article, hit.chunk).unwrap_or(&article.body).to_owned();
        let scores = Scores { cosine: Some(hit.cosine), ..Scores::default() };
        Candidate { article: Arc::clone(article), passage, backend: Backend::Index, matched_by: None, scores }
    };
    index.nearest(embedding, count).into_iter().map(candidate).collect()
}

fn lexical(index: &Index, query: &Query, count: usize) -> Vec<Candidate> {
    let candidate = |hit: LexicalHit| {
        let article = Arc::clone(index.article(hit.article));
        // Known for every candidate of an embedded query, so that silence can be judged whatever the ranker.
        let nearest = query.embedding.as_ref().and_then(|embedding| index.best_chunk(hit.article, embedding));
        let passage = nearest.as_ref().and_then(|nearest| index.chunk_text(nearest.article, nearest.chunk));
        let passage = passage.unwrap_or(&article.body).to_owned();
        let scores = Scores { cosine: nearest.map(|nearest| nearest.cosine), bm25: Some(hit.bm25), search: None };
        Candidate { article, passage, backend: Backend::Index, matched_by: None, scores }
    };
    index.lexical(&query.text, count).into_iter().map(candidate).collect()
}

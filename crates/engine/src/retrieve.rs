//! From a query to candidates: passages of the index, each with every score by name.

use std::sync::Arc;

use cuecard_knowledge::{Article, Index, LexicalHit, VectorHit};
use cuecard_ranking::Backend;
use serde::{Deserialize, Serialize};

use crate::extract::Query;
use crate::plan::Plan;

/// Passages that may answer a query, in the order in which the backends gave them.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// The query that they answer.
    pub query: Query,
    /// One per article.
    pub candidates: Vec<Candidate>,
    /// The cosine of the newest customer turn and the passage nearest to it in the whole index; silence is judged
    /// by it.
    pub newest_turn_cosine: Option<f32>,
    /// The generation of the index that answered.
    pub generation: u64,
}

/// A passage of one article.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The article.
    pub article: Arc<Article>,
    /// The chunk that matched best, or the body where only words matched.
    pub passage: String,
    /// What the backends said of it.
    pub scores: Scores,
}

impl Candidate {
    /// What was embedded: the article's heading and the passage.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.article.heading(), self.passage)
    }
}

/// Scores by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Cosine of query and passage, -1 to 1.
    pub cosine: Option<f32>,
    /// BM25 over the whole index, 0 or more.
    pub bm25: Option<f32>,
}

/// Asks each of the plan's backends; a query without vectors asks the lexical one whatever the plan says.
pub(crate) fn retrieve(index: &Index, query: Query, plan: &Plan) -> Candidates {
    let backends = if query.embedding.is_some() { plan.backends() } else { &[Backend::Lexical] };
    let newest = query.newest_embedding.as_ref().and_then(|newest| index.nearest(newest, 1).into_iter().next());
    let newest_turn_cosine = newest.map(|hit| hit.cosine);
    let generation = index.generation();
    let mut found = Candidates { query, candidates: Vec::new(), newest_turn_cosine, generation };
    for backend in backends {
        let candidates = match backend {
            Backend::Vector => nearest(index, &found.query, plan.candidates),
            Backend::Lexical => lexical(index, &found.query, plan.candidates),
        };
        merge(&mut found.candidates, candidates);
    }
    found
}

fn nearest(index: &Index, query: &Query, count: usize) -> Vec<Candidate> {
    let embedding = query.embedding.as_deref().unwrap_or_default();
    let candidate = |hit: VectorHit| {
        let article = index.article(hit.article);
        let passage = index.chunk_text(hit.article, hit.chunk).unwrap_or(&article.body).to_owned();
        let scores = Scores { cosine: Some(hit.cosine), bm25: None };
        Candidate { article: Arc::clone(article), passage, scores }
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
        let scores = Scores { cosine: nearest.map(|nearest| nearest.cosine), bm25: Some(hit.bm25) };
        Candidate { article, passage, scores }
    };
    index.lexical(&query.text, count).into_iter().map(candidate).collect()
}

/// Adds candidates; an article that is there already keeps its passage and gains the missing scores.
fn merge(found: &mut Vec<Candidate>, more: Vec<Candidate>) {
    for candidate in more {
        match found.iter_mut().find(|known| known.article.id == candidate.article.id) {
            Some(known) => {
                known.scores.cosine = known.scores.cosine.or(candidate.scores.cosine);
                known.scores.bm25 = known.scores.bm25.or(candidate.scores.bm25);
            }
            None => found.push(candidate),
        }
    }
}

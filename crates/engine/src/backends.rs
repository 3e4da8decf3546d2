//! Backends beside the embedded index: a knowledge graph and a Chroma collection.
//!
//! In: a query and a plan. Out: candidates of the same shape as the index gives. A backend that can't answer gives a
//! [`BackendError`]; the question goes on with what the others found.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use cuecard_knowledge::chroma::{ChromaCollection, ChromaHit};
use cuecard_knowledge::graph::{EmbeddedGraph, GraphArticle, GraphSettings, KeywordCatalog, Neo4jGraph};
use cuecard_knowledge::{Article, MatchedBy};
use tokio::time::{Instant, timeout_at};

use crate::candidates::{Candidate, Found, Scores};
use crate::extract::Query;
use crate::plan::{Backend, Plan};

/// Why a backend did not answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {reason}", backend.name())]
pub struct BackendError {
    /// Which.
    pub backend: Backend,
    /// What went wrong and what to do.
    pub reason: String,
}

/// Where the nodes are.
pub enum GraphStore {
    /// In memory.
    Embedded(EmbeddedGraph),
    /// In a Neo4j database.
    Neo4j(Neo4jGraph),
}

/// A knowledge graph and the keywords by which it is entered.
pub struct GraphBackend {
    store: GraphStore,
    /// Replaced when the keywords of the store have changed; none before they were first read.
    catalog: ArcSwapOption<KeywordCatalog>,
}

impl GraphBackend {
    /// A graph that is entered by exact keywords until it gets a catalog.
    pub fn new(store: GraphStore) -> Self {
        Self { store, catalog: ArcSwapOption::empty() }
    }

    /// The keywords that the store holds now; the catalog is made of them.
    pub async fn keywords(&self) -> Result<Vec<String>, BackendError> {
        match &self.store {
            GraphStore::Embedded(graph) => Ok(graph.keywords().map(str::to_owned).collect()),
            GraphStore::Neo4j(graph) => graph.keywords().await.map_err(|error| graph_error(&error)),
        }
    }

    /// Whether the store's keywords stay the same while the service runs.
    pub fn is_fixed(&self) -> bool {
        matches!(self.store, GraphStore::Embedded(_))
    }

    /// How often the store could not be made to keep its keywords unique.
    pub fn constraint_failures(&self) -> u64 {
        match &self.store {
            GraphStore::Embedded(_) => 0,
            GraphStore::Neo4j(graph) => graph.constraint_failures(),
        }
    }

    /// Puts a new catalog in service.
    pub fn replace_catalog(&self, catalog: KeywordCatalog) {
        self.catalog.store(Some(Arc::new(catalog)));
    }

    /// The articles of the first keyword that has any: the question itself, then what the catalog makes of it.
    pub async fn find(&self, query: &Query, plan: &Plan) -> Result<Found, BackendError> {
        let settings = GraphSettings { limit: plan.candidates, ..GraphSettings::default() };
        for (matched_by, keyword) in self.resolve(query, plan) {
            let articles = self.related(&keyword, &settings).await?;
            if !articles.is_empty() {
                let candidates = articles.into_iter().map(|article| of_graph(article, matched_by));
                return Ok(candidates.collect::<Vec<_>>().into());
            }
        }
        Ok(Found::default())
    }

    /// The keywords to try, in this order.
    fn resolve(&self, query: &Query, plan: &Plan) -> Vec<(MatchedBy, String)> {
        let phrases: Vec<&str> = query.key_phrases.iter().map(|phrase| phrase.text.as_str()).collect();
        let embedding = query.embedding.as_deref();
        let mut keywords = self.catalog.load().as_ref().map_or_else(Vec::new, |catalog| {
            catalog.resolve(&query.text, &phrases, embedding, plan.min_keyword_cosine)
        });
        // The store may know a keyword that the catalog does not know yet.
        if keywords.first().is_none_or(|(matched_by, _)| *matched_by != MatchedBy::Exact) {
            keywords.insert(0, (MatchedBy::Exact, query.text.clone()));
        }
        keywords
    }

    async fn related(&self, keyword: &str, settings: &GraphSettings) -> Result<Vec<GraphArticle>, BackendError> {
        match &self.store {
            GraphStore::Embedded(graph) => Ok(graph.related(keyword, settings)),
            GraphStore::Neo4j(graph) => graph.related(keyword, settings).await.map_err(|error| graph_error(&error)),
        }
    }
}

fn graph_error(error: &dyn std::error::Error) -> BackendError {
    BackendError { backend: Backend::Graph, reason: error.to_string() }
}

fn of_graph(node: GraphArticle, matched_by: MatchedBy) -> Candidate {
    let body = node.summary.unwrap_or_default();
    let article = Article {
        id: node.id,
        title: node.title,
        body: body.clone(),
        url: node.url,
        priority: node.priority,
        updated: node.updated,
        status: Some(node.status),
        ..Article::default()
    };
    let (article, backend) = (Arc::new(article), Backend::Graph);
    Candidate { article, passage: body, backend, matched_by: Some(matched_by), scores: Scores::default() }
}

/// The nearest documents of a Chroma collection, which may not be open yet and can't be asked without vectors.
pub(crate) async fn nearest_in_chroma(
    collection: Option<&ChromaCollection>,
    query: &Query,
    plan: &Plan,
) -> Result<Found, BackendError> {
    let error = |reason: String| BackendError { backend: Backend::Chroma, reason };
    let collection = collection.ok_or_else(|| error("the collection could not be opened yet".to_owned()))?;
    let embeddings = vectors(query).map_err(error)?;
    let lists = collection.query(&embeddings, plan.candidates).await.map_err(|cause| error(cause.to_string()))?;
    let mut lists = lists.into_iter();
    let hits = lists.next().unwrap_or_default();
    let newest_turn_cosine = lists.next().and_then(|hits| Some(hits.first()?.relevance as f32));
    Ok(Found { candidates: hits.into_iter().map(of_chroma).collect(), newest_turn_cosine })
}

/// The question's vector, and that of its newest turn where silence is judged.
fn vectors(query: &Query) -> Result<Vec<&[f32]>, String> {
    let embedding = query.embedding.as_deref().ok_or_else(|| {
        let cause = query.without_vectors.map_or_else(String::new, |reason| format!(": {reason}"));
        format!("the question was not embedded{cause}")
    })?;
    Ok(std::iter::once(embedding).chain(query.newest_embedding.as_deref()).collect())
}

/// What a backend gives before the deadline; one that hangs must not hold the question, nor the others' answers.
pub(crate) async fn within(
    deadline: Instant,
    backend: Backend,
    answer: impl Future<Output = Result<Found, BackendError>>,
) -> Result<Found, BackendError> {
    let late = |_| BackendError { backend, reason: "no answer before the question's deadline".to_owned() };
    timeout_at(deadline, answer).await.map_err(late)?
}

fn of_chroma(hit: ChromaHit) -> Candidate {
    let article = Article {
        id: hit.id,
        title: hit.title.unwrap_or_default(),
        body: hit.document.clone(),
        url: hit.url,
        source_name: Some(hit.source),
        ..Article::default()
    };
    let scores = Scores { cosine: Some(hit.relevance as f32), ..Scores::default() };
    let (article, backend) = (Arc::new(article), Backend::Chroma);
    Candidate { article, passage: hit.document, backend, matched_by: None, scores }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::future::pending;
    use std::time::Duration;

    use super::*;
    use crate::extract::WithoutVectors;

    fn query(embedding: Option<Vec<f32>>, newest_embedding: Option<Vec<f32>>) -> Query {
        let without_vectors = embedding.is_none().then_some(WithoutVectors::Overload);
        Query { text: "refund".into(), embedding, newest_embedding, key_phrases: Vec::new(), without_vectors }
    }

    #[test]
    fn a_collection_is_asked_by_the_window_and_by_the_newest_turn_and_never_without_a_vector() {
        assert_eq!(vectors(&query(Some(vec![1.0]), Some(vec![2.0]))).unwrap(), [[1.0], [2.0]]);
        assert_eq!(vectors(&query(Some(vec![1.0]), None)).unwrap(), [[1.0]]);
        let reason = vectors(&query(None, None)).unwrap_err();
        assert_eq!(reason, "the question was not embedded: questions come faster than they are embedded");
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_hangs_is_given_up_at_the_deadline() {
        let started = Instant::now();
        let deadline = started + Duration::from_secs(4);
        let error = within(deadline, Backend::Graph, pending()).await.unwrap_err();
        assert_eq!(error.to_string(), "graph: no answer before the question's deadline");
        assert_eq!(started.elapsed(), Duration::from_secs(4));
        let found = Found { newest_turn_cosine: Some(0.5), ..Found::default() };
        let answer = within(deadline + Duration::from_secs(1), Backend::Chroma, async { Ok(found) }).await;
        assert_eq!(answer.unwrap().newest_turn_cosine, Some(0.5));
    }
}

//! Backends beside the embedded index: a knowledge graph and a Chroma collection.
//!
//! In: a query and a plan. Out: candidates of the same shape as the index gives. A backend that can't answer gives a
//! [`BackendError`]; the question goes on with what the others found.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use cuecard_knowledge::chroma::{ChromaCollection, ChromaHit};
use cuecard_knowledge::graph::{EmbeddedGraph, GraphArticle, GraphSettings, KeywordCatalog, Neo4jGraph};
use cuecard_knowledge::{Article, MatchedBy};

use crate::candidates::{Candidate, Scores};
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

    /// Puts a new catalog in service.
    pub fn replace_catalog(&self, catalog: KeywordCatalog) {
        self.catalog.store(Some(Arc::new(catalog)));
    }

    /// The articles of the first keyword that has any: the question itself, then what the catalog makes of it.
    pub async fn find(&self, query: &Query, plan: &Plan) -> Result<Vec<Candidate>, BackendError> {
        let settings = GraphSettings { limit: plan.candidates, ..GraphSettings::default() };
        for (matched_by, keyword) in self.resolve(query, plan) {
            let articles = self.related(&keyword, &settings).await?;
            if !articles.is_empty() {
                return Ok(articles.into_iter().map(|article| of_graph(article, matched_by)).collect());
            }
        }
        Ok(Vec::new())
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

/// The nearest documents of a Chroma collection, which may not be open yet; none for a query without vectors.
pub(crate) async fn nearest_in_chroma(
    collection: Option<&ChromaCollection>,
    query: &Query,
    plan: &Plan,
) -> Result<Vec<Candidate>, BackendError> {
    let error = |reason: String| BackendError { backend: Backend::Chroma, reason };
    let collection = collection.ok_or_else(|| error("the collection could not be opened yet".to_owned()))?;
    let Some(embedding) = query.embedding.as_deref() else { return Ok(Vec::new()) };
    let hits = collection.query(embedding, plan.candidates).await.map_err(|cause| error(cause.to_string()))?;
    Ok(hits.into_iter().map(of_chroma).collect())
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

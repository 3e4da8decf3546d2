//! A knowledge graph, entered by its keywords.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use cuecard_knowledge::graph::{EmbeddedGraph, GraphArticle, GraphSettings, KeywordCatalog, Neo4jGraph};
use cuecard_knowledge::{Article, MatchedBy};
use tokio::time::Instant;

use super::{Backend, BackendError, BackendName};
use crate::candidates::{Candidate, Found};
use crate::extract::Query;
use crate::plan::Plan;
use crate::search_pool::SearchPool;

/// Where the nodes are.
pub enum GraphStore {
    /// In memory.
    Embedded(Arc<EmbeddedGraph>),
    /// In a Neo4j database.
    Neo4j(Neo4jGraph),
}

/// A knowledge graph and the keywords by which it is entered.
pub struct GraphBackend {
    store: GraphStore,
    /// Replaced when the keywords of the store have changed; none before they were first read.
    catalog: ArcSwapOption<KeywordCatalog>,
    pool: SearchPool,
}

impl GraphBackend {
    /// A graph that is entered by exact keywords until it gets a catalog. Keywords are compared, and a graph in memory is
    /// walked, on the pool.
    pub fn new(store: GraphStore, pool: SearchPool) -> Self {
        Self { store, catalog: ArcSwapOption::empty(), pool }
    }

    /// The keywords that the store holds now; the catalog is made of them.
    pub async fn keywords(&self) -> Result<Vec<String>, BackendError> {
        match &self.store {
            GraphStore::Embedded(graph) => Ok(graph.keywords().map(str::to_owned).collect()),
            GraphStore::Neo4j(graph) => graph.keywords().await.map_err(failed),
        }
    }

    /// Lets a database get ready for lookups, however long its first one takes.
    pub async fn prepare(&self) -> Result<(), BackendError> {
        match &self.store {
            GraphStore::Embedded(_) => Ok(()),
            GraphStore::Neo4j(graph) => graph.prepare().await.map_err(failed),
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

    async fn on_pool<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, BackendError> {
        self.pool.run(job).await.map_err(failed)
    }
}

#[async_trait]
impl Backend for GraphBackend {
    fn name(&self) -> BackendName {
        BackendName::Graph
    }

    /// The articles of the first keyword that has any: the question itself, then what the catalog makes of it.
    async fn find(&self, query: &Arc<Query>, plan: &Arc<Plan>, _: Instant) -> Result<Found, BackendError> {
        let settings =
            GraphSettings { limit: plan.candidates, filter: plan.filter.clone(), ..GraphSettings::default() };
        let (catalog, query, plan) = (self.catalog.load_full(), Arc::clone(query), Arc::clone(plan));
        let keywords = move || keywords(catalog.as_deref(), &query, &plan);
        match &self.store {
            GraphStore::Embedded(graph) => {
                let graph = Arc::clone(graph);
                let walk = move || {
                    let mut tried =
                        keywords().into_iter().map(|(by, keyword)| (by, graph.related(&keyword, &settings)));
                    tried.find(|(_, articles)| !articles.is_empty())
                };
                Ok(found(self.on_pool(walk).await?))
            }
            GraphStore::Neo4j(graph) => {
                for (matched_by, keyword) in self.on_pool(keywords).await? {
                    let articles = graph.related(&keyword, &settings).await.map_err(failed)?;
                    if !articles.is_empty() {
                        return Ok(found(Some((matched_by, articles))));
                    }
                }
                Ok(Found::default())
            }
        }
    }
}

/// The keywords to try, in this order.
fn keywords(catalog: Option<&KeywordCatalog>, query: &Query, plan: &Plan) -> Vec<(MatchedBy, String)> {
    let phrases: Vec<&str> = query.key_phrases.iter().map(|phrase| phrase.text.verbatim()).collect();
    let embedding = query.embedding.as_deref();
    let mut keywords = catalog.map_or_else(Vec::new, |catalog| {
        catalog.resolve(query.text.verbatim(), &phrases, embedding, plan.min_keyword_cosine)
    });
    // The store may know a keyword that the catalog does not know yet.
    if keywords.first().is_none_or(|(matched_by, _)| *matched_by != MatchedBy::Exact) {
        keywords.insert(0, (MatchedBy::Exact, query.text.verbatim().to_owned()));
    }
    keywords
}

fn found(by_keyword: Option<(MatchedBy, Vec<GraphArticle>)>) -> Found {
    by_keyword.map_or_else(Found::default, |(matched_by, articles)| {
        Found::of(articles.into_iter().map(|article| candidate(article, matched_by)))
    })
}

fn failed(error: impl std::error::Error) -> BackendError {
    BackendError::failed(BackendName::Graph, error)
}

fn candidate(node: GraphArticle, matched_by: MatchedBy) -> Candidate {
    let body = node.summary.unwrap_or_default();
    let article = Article {
        id: node.id,
        title: node.title,
        body: body.clone(),
        url: node.url,
        priority: node.priority,
        updated: node.updated,
        status: Some(node.status),
        audience: node.audience,
        language: node.language,
        ..Article::default()
    };
    Candidate { matched_by: Some(matched_by), ..Candidate::new(Arc::new(article), body, BackendName::Graph) }
}

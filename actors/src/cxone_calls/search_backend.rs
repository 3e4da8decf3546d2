//! CXone's own knowledge search as a backend of the engine.

use std::sync::Arc;

use async_trait::async_trait;
use cuecard_cxone::knowledge::search::SearchHit;
use cuecard_engine::knowledge::Article;
use cuecard_engine::{Backend, BackendError, BackendName, Candidate, Found, Plan, Query, Scores};
use tokio::time::Instant;

use super::CxoneCalls;
use crate::knowledge_sync::labelled;

/// Asks the tenant's search.
pub struct SearchBackend {
    calls: Arc<CxoneCalls>,
}

impl SearchBackend {
    /// Asks through these calls.
    pub fn new(calls: Arc<CxoneCalls>) -> Self {
        Self { calls }
    }
}

#[async_trait]
impl Backend for SearchBackend {
    fn name(&self) -> BackendName {
        BackendName::Search
    }

    async fn find(&self, query: &Arc<Query>, plan: &Arc<Plan>, deadline: Instant) -> Result<Found, BackendError> {
        let (words, language) = (query.text.verbatim(), plan.filter.language.as_ref());
        let found = self.calls.search(words, language, plan.cards, deadline).await;
        let hits = found.map_err(|error| BackendError::failed(BackendName::Search, error))?;
        Ok(Found::of(hits.into_iter().map(candidate)))
    }
}

fn candidate(hit: SearchHit) -> Candidate {
    let url = Some(hit.url).filter(|url| !url.is_empty());
    let article = Article { id: hit.id, title: hit.title, body: hit.body, url, ..Article::default() };
    let article = labelled(article, hit.labels).without_markup();
    let (body, scores) = (article.body.clone(), Scores { search: Some(hit.score), ..Scores::default() });
    Candidate { scores, ..Candidate::new(Arc::new(article), body, BackendName::Search) }
}

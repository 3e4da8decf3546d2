//! The lookup in Cypher, in the order of the embedded graph.
//!
//! Cypher sorts null first when it sorts descending and takes no parameter for hops and relation types, hence the
//! sorting by absence and the names that were checked to be identifiers. A property of another type than
//! expected counts as absent.

use neo4rs::Query;
use serde::Deserialize;

use crate::graph::article::GraphArticle;
use crate::graph::error::GraphError;
use crate::graph::settings::GraphSettings;

/// The query that gives [`ArticleRow`]s.
pub fn query(keyword: &str, settings: &GraphSettings) -> Result<Query, GraphError> {
    settings.check()?;
    let (relations, hops) = (settings.relations.join("|"), settings.max_hops);
    let text = format!(
        "MATCH (:Query {{keyword: $keyword}})-[:{relations}*1..{hops}]->(a:Article) WHERE a.status = $status \
         WITH DISTINCT a \
         RETURN coalesce(toStringOrNull(a.id), elementId(a)) AS id, coalesce(toStringOrNull(a.title), '') AS title, \
         a.status AS status, toStringOrNull(a.url) AS url, toStringOrNull(a.summary) AS summary, \
         toFloatOrNull(a.priority) AS priority, toStringOrNull(a.updated) AS updated \
         ORDER BY priority IS NULL, priority DESC, title, id LIMIT $limit"
    );
    let limit = i64::try_from(settings.limit).unwrap_or(i64::MAX);
    Ok(neo4rs::query(&text).param("keyword", keyword).param("status", settings.status.as_str()).param("limit", limit))
}

#[derive(Deserialize)]
pub struct ArticleRow {
    id: String,
    title: String,
    status: String,
    url: Option<String>,
    summary: Option<String>,
    priority: Option<f64>,
    updated: Option<String>,
}

impl From<ArticleRow> for GraphArticle {
    fn from(row: ArticleRow) -> Self {
        let ArticleRow { id, title, status, url, summary, priority, updated } = row;
        Self { id, title, status, url: filled(url), summary: filled(summary), priority, updated: filled(updated) }
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

//! The graph in a Neo4j database, asked over bolt.
//!
//! Input are keywords, output the same articles in the same order as the embedded graph gives for the same graph. Cypher
//! sorts null first when it sorts descending and takes no parameter for hops and relation types, hence the sorting by
//! absence and the names that were checked to be identifiers. A property of another type than expected counts as absent.
//!
//! Every call ends within its time: a server that is gone, silent or full gives a typed error, and one that comes back is
//! used again. When it is prepared, or after its first answer, the uniqueness constraint on keywords is made if it isn't there; when it can't be,
//! that is logged and counted, and queries go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use neo4rs::Query;
use serde::Deserialize;

use crate::article::Audience;
use crate::filter::Language;
use crate::graph::error::GraphError;
use crate::graph::neo4j::connection::{Connection, LONG, Neo4jSettings};
use crate::graph::nodes::{GraphArticle, GraphSettings};

/// Five times the largest graph that lookups are measured with; further ones are only found by their exact keyword.
const MOST_KEYWORDS: u32 = 500_000;

const CREATE_CONSTRAINT: &str =
    "CREATE CONSTRAINT query_keyword_unique IF NOT EXISTS FOR (q:Query) REQUIRE q.keyword IS UNIQUE";

const UNTRIED: u8 = 0;
const UNDER_WAY: u8 = 1;
const DONE: u8 = 2;

/// A Neo4j database that holds a graph. Cheap to clone, safe to ask from many threads; needs a tokio runtime.
#[derive(Clone)]
pub struct Neo4jGraph {
    pub(super) connection: Arc<Connection>,
    pub(super) constraint: Arc<Constraint>,
    timeout: Duration,
}

#[derive(Deserialize)]
struct KeywordRow {
    keyword: String,
}

impl Neo4jGraph {
    /// Prepares connections and opens none: the server may come later. Refuses an address that is none.
    pub fn connect(settings: &Neo4jSettings) -> Result<Self, GraphError> {
        let connection = Arc::new(Connection::open(settings)?);
        Ok(Self { connection, constraint: Arc::default(), timeout: settings.timeout })
    }

    /// Asks the server for nothing but an answer.
    pub async fn ping(&self) -> Result<(), GraphError> {
        self.connection.run(neo4rs::query("RETURN 1"), self.timeout).await
    }

    /// Makes the constraint if nobody did, and lets the server plan the lookup, with as much time as that takes: a server
    /// that just started needs longer for its first plan than a question can wait.
    pub async fn prepare(&self) -> Result<(), GraphError> {
        if self.constraint.begin() {
            self.constraint.make(&self.connection).await;
        }
        let query = lookup("", &GraphSettings::default())?;
        self.connection.rows::<ArticleRow>(query, LONG).await.map(drop)
    }

    /// As [`EmbeddedGraph::related`](crate::graph::EmbeddedGraph::related).
    pub async fn related(&self, keyword: &str, settings: &GraphSettings) -> Result<Vec<GraphArticle>, GraphError> {
        let query = lookup(keyword, settings)?;
        let rows: Vec<ArticleRow> = self.connection.rows(query, self.timeout).await?;
        self.constraint.make_once(&self.connection);
        Ok(rows.into_iter().map(GraphArticle::from).collect())
    }

    /// The keywords of all queries, in no order.
    pub async fn keywords(&self) -> Result<Vec<String>, GraphError> {
        let query = neo4rs::query(
            "MATCH (q:Query) WITH toStringOrNull(q.keyword) AS keyword WHERE keyword IS NOT NULL \
             RETURN DISTINCT keyword LIMIT $limit",
        );
        let query = query.param("limit", MOST_KEYWORDS + 1);
        let rows: Vec<KeywordRow> = self.connection.rows(query, LONG).await?;
        if rows.len() > MOST_KEYWORDS as usize {
            tracing::warn!(
                limit = MOST_KEYWORDS,
                "the graph has more keywords than are held, the rest match only exactly"
            );
        }
        Ok(rows.into_iter().take(MOST_KEYWORDS as usize).map(|row| row.keyword).collect())
    }

    /// How often the constraint on keywords could not be made.
    pub fn constraint_failures(&self) -> u64 {
        self.constraint.failures()
    }
}

/// The query that gives [`ArticleRow`]s.
fn lookup(keyword: &str, settings: &GraphSettings) -> Result<Query, GraphError> {
    settings.check()?;
    let (relations, hops) = (settings.relations.join("|"), settings.max_hops);
    let text = format!(
        "MATCH (:Query {{keyword: $keyword}})-[:{relations}*1..{hops}]->(a:Article) WHERE a.status = $status \
         AND NOT trim(toLower(coalesce(toStringOrNull(a.audience), ''))) IN $other_audiences \
         AND ($language = '' OR \
              split(replace(trim(toLower(coalesce(toStringOrNull(a.language), ''))), '_', '-'), '-')[0] IN ['', $language]) \
         WITH DISTINCT a \
         RETURN coalesce(toStringOrNull(a.id), elementId(a)) AS id, coalesce(toStringOrNull(a.title), '') AS title, \
         a.status AS status, toStringOrNull(a.url) AS url, toStringOrNull(a.summary) AS summary, \
         toFloatOrNull(a.priority) AS priority, toStringOrNull(a.updated) AS updated, \
         toStringOrNull(a.audience) AS audience, toStringOrNull(a.language) AS language \
         ORDER BY priority IS NULL, priority DESC, title, id LIMIT $limit"
    );
    let limit = i64::try_from(settings.limit).unwrap_or(i64::MAX);
    let other_audiences: Vec<&str> = settings.filter.audience.map(Audience::others).unwrap_or_default();
    let language = settings.filter.language.as_ref().map_or("", Language::as_str);
    let query = neo4rs::query(&text).param("keyword", keyword).param("status", settings.status.as_str());
    Ok(query.param("other_audiences", other_audiences).param("language", language).param("limit", limit))
}

#[derive(Deserialize)]
struct ArticleRow {
    id: String,
    title: String,
    status: String,
    url: Option<String>,
    summary: Option<String>,
    priority: Option<f64>,
    updated: Option<String>,
    audience: Option<String>,
    language: Option<String>,
}

impl From<ArticleRow> for GraphArticle {
    fn from(row: ArticleRow) -> Self {
        let ArticleRow { id, title, status, url, summary, priority, updated, audience, language } = row;
        let audience = audience.as_deref().and_then(Audience::named);
        let [url, summary, updated, language] = [url, summary, updated, language].map(filled);
        Self { id, title, status, url, summary, priority, updated, audience, language }.without_markup()
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

/// The uniqueness of keywords, which gives lookups their index.
///
/// Where nobody prepared the graph it is made in the background after the server's first answer, so that no lookup waits
/// for it and a server that is gone is not asked twice.
#[derive(Default)]
pub struct Constraint {
    state: AtomicU8,
    failures: AtomicU64,
}

impl Constraint {
    fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Begins to make the constraint unless somebody did.
    fn make_once(self: &Arc<Self>, connection: &Arc<Connection>) {
        if self.begin() {
            let (constraint, connection) = (Arc::clone(self), Arc::clone(connection));
            tokio::spawn(async move { constraint.make(&connection).await });
        }
    }

    fn begin(&self) -> bool {
        self.state.compare_exchange(UNTRIED, UNDER_WAY, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Makes the constraint, or counts that it can't be made.
    pub async fn make(&self, connection: &Connection) {
        let outcome = connection.run(neo4rs::query(CREATE_CONSTRAINT), LONG).await;
        // A connection that broke says nothing of the constraint: the next answer begins anew.
        let is_settled = !matches!(outcome, Err(GraphError::Unreachable { .. }));
        if let Err(error) = &outcome {
            self.failures.fetch_add(u64::from(is_settled), Ordering::Relaxed);
            tracing::warn!(%error, "the constraint query_keyword_unique can't be made, lookups go on without its index");
        }
        self.state.store(if is_settled { DONE } else { UNTRIED }, Ordering::Relaxed);
    }
}

//! The graph in a Neo4j database, asked over bolt.
//!
//! Input are keywords, output the same articles in the same order as the embedded graph gives for the same graph. Every
//! call ends within its time: a server that is gone, silent or full gives a typed error, and one that comes back is
//! used again. After the first answer the uniqueness constraint on keywords is made if it isn't there; when it can't be,
//! that is logged and counted, and queries go on.

mod connection;
mod constraint;
mod load;
mod lookup;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

pub use load::Neo4jLoad;
pub use settings::Neo4jSettings;

use crate::graph::article::GraphArticle;
use crate::graph::error::GraphError;
use crate::graph::neo4j::connection::{Connection, LONG};
use crate::graph::neo4j::constraint::Constraint;
use crate::graph::settings::GraphSettings;

/// Five times the largest graph that lookups are measured with; further ones are only found by their exact keyword.
const MOST_KEYWORDS: u32 = 500_000;

/// A Neo4j database that holds a graph. Cheap to clone, safe to ask from many threads; needs a tokio runtime.
#[derive(Clone)]
pub struct Neo4jGraph {
    connection: Arc<Connection>,
    constraint: Arc<Constraint>,
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

    /// As [`EmbeddedGraph::related`](crate::graph::EmbeddedGraph::related).
    pub async fn related(&self, keyword: &str, settings: &GraphSettings) -> Result<Vec<GraphArticle>, GraphError> {
        let query = lookup::query(keyword, settings)?;
        let rows: Vec<lookup::ArticleRow> = self.connection.rows(query, self.timeout).await?;
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
        self.constraint.make_once(&self.connection);
        Ok(rows.into_iter().take(MOST_KEYWORDS as usize).map(|row| row.keyword).collect())
    }

    /// How often the constraint on keywords could not be made.
    pub fn constraint_failures(&self) -> u64 {
        self.constraint.failures()
    }
}

//! Puts a graph file into the database.
//!
//! Nodes and relations are merged in batches: what is there already gets the file's properties, nothing is removed, and
//! a load that was interrupted is run again. On failure the batches before stay.

use std::collections::{BTreeMap, HashMap};

use neo4rs::BoltType;

use crate::graph::error::GraphError;
use crate::graph::file::GraphFile;
use crate::graph::neo4j::connection::LONG;
use crate::graph::neo4j::lookup::Neo4jGraph;
use crate::graph::nodes::{GraphArticle, GraphNode};

/// Rows for each request: enough that the request itself costs nothing.
const BATCH_ROWS: usize = 1_000;

/// A batch ends before this much text: the server holds it several times in its heap.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Not contract 002's: it lets a load find the articles that are there, and forbids nothing.
const ARTICLE_INDEX: &str = "CREATE INDEX article_id IF NOT EXISTS FOR (a:Article) ON (a.id)";

const QUERIES: &str = "UNWIND $rows AS row MERGE (:Query {keyword: row.keyword})";

/// A property that the file leaves out is null here, which removes it.
const ARTICLES: &str = "UNWIND $rows AS row MERGE (a:Article {id: row.id}) SET a += row";

/// What was merged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Neo4jLoad {
    pub queries: usize,
    pub articles: usize,
    pub relations: usize,
}

/// The parameters of one row, and about how many bytes they are.
struct Row {
    values: HashMap<String, BoltType>,
    bytes: usize,
}

impl Neo4jGraph {
    /// Merges `file` into the database. `progress` is told the rows done and those there are. Blocks nothing; ends with
    /// the first batch that fails.
    pub async fn load(
        &self,
        file: &GraphFile,
        progress: &(dyn Fn(usize, usize) + Send + Sync),
    ) -> Result<Neo4jLoad, GraphError> {
        self.ping().await?;
        self.constraint.make(&self.connection).await;
        self.connection.run(neo4rs::query(ARTICLE_INDEX), LONG).await?;
        let GraphFile { queries, articles, relations, .. } = file;
        let load = Neo4jLoad { queries: queries.len(), articles: articles.len(), relations: relations.len() };
        let mut done = Progress { done: 0, total: load.queries + load.articles + load.relations, tell: progress };
        done.add(0);
        self.merge(QUERIES, queries.iter().map(|keyword| row([("keyword", keyword.as_str())])), &mut done).await?;
        self.merge(ARTICLES, articles.iter().map(article_row), &mut done).await?;
        for (statement, rows) in relation_rows(file) {
            self.merge(&statement, rows.into_iter().map(row), &mut done).await?;
        }
        Ok(load)
    }

    async fn merge(
        &self,
        statement: &str,
        rows: impl Iterator<Item = Row>,
        done: &mut Progress<'_>,
    ) -> Result<(), GraphError> {
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            let mut bytes = 0;
            let fits = |row: &Row| {
                bytes += row.bytes;
                bytes <= BATCH_BYTES || bytes == row.bytes
            };
            let batch: Vec<_> = next_while(&mut rows, BATCH_ROWS, fits);
            let num_rows = batch.len();
            self.connection.run(neo4rs::query(statement).param("rows", batch), LONG).await?;
            done.add(num_rows);
        }
        Ok(())
    }
}

/// At most `most` values from the front, as long as each `fits`.
fn next_while(
    rows: &mut std::iter::Peekable<impl Iterator<Item = Row>>,
    most: usize,
    mut fits: impl FnMut(&Row) -> bool,
) -> Vec<HashMap<String, BoltType>> {
    let mut taken = Vec::new();
    while taken.len() < most
        && let Some(row) = rows.next_if(|row| fits(row))
    {
        taken.push(row.values);
    }
    taken
}

struct Progress<'a> {
    done: usize,
    total: usize,
    tell: &'a (dyn Fn(usize, usize) + Send + Sync),
}

impl Progress<'_> {
    fn add(&mut self, rows: usize) {
        self.done += rows;
        (self.tell)(self.done, self.total);
    }
}

fn row<const N: usize>(texts: [(&str, &str); N]) -> Row {
    let bytes = texts.iter().map(|(_, text)| text.len()).sum();
    Row { values: texts.map(|(name, text)| (name.to_owned(), text.into())).into(), bytes }
}

fn article_row(article: &GraphArticle) -> Row {
    let GraphArticle { id, title, status, url, summary, priority, updated, audience, language } = article;
    let mut row = row([("id", id), ("title", title), ("status", status)]);
    let audience = audience.map(<&str>::from);
    let [url, summary, updated, language] = [url, summary, updated, language].map(Option::as_deref);
    let texts =
        [("url", url), ("summary", summary), ("updated", updated), ("audience", audience), ("language", language)];
    for (name, text) in texts {
        row.bytes += text.map_or(0, str::len);
        row.values.insert(name.to_owned(), text.into());
    }
    row.values.insert("priority".to_owned(), (*priority).into());
    row
}

/// The relations by the statement that merges them: types and labels can't be parameters.
fn relation_rows(file: &GraphFile) -> BTreeMap<String, Vec<[(&'static str, &str); 2]>> {
    let mut rows: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for relation in &file.relations {
        let relation_type = &file.relation_types[relation.relation_type as usize];
        let (from, to) = (pattern(relation.from, "from"), pattern(relation.to, "to"));
        let statement =
            format!("UNWIND $rows AS row MATCH (a:{from}) MATCH (b:{to}) MERGE (a)-[:{relation_type}]->(b)");
        let names = [("from", name(file, relation.from)), ("to", name(file, relation.to))];
        rows.entry(statement).or_default().push(names);
    }
    rows
}

fn pattern(node: GraphNode, name: &str) -> String {
    match node {
        GraphNode::Query(_) => format!("Query {{keyword: row.{name}}}"),
        GraphNode::Article(_) => format!("Article {{id: row.{name}}}"),
    }
}

fn name(file: &GraphFile, node: GraphNode) -> &str {
    match node {
        GraphNode::Query(place) => &file.queries[place as usize],
        GraphNode::Article(place) => &file.articles[place as usize].id,
    }
}

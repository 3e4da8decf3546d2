//! The knowledge graph: from a keyword over relations to articles.
//!
//! Input is a graph file ([`read_graph`]) or a Neo4j database, and a keyword. Output are the articles that a path of
//! relations leads to, by priority. [`EmbeddedGraph`] and [`Neo4jGraph`] give the same answers to the same
//! graph; [`KeywordCatalog`] says which keywords a question means. On failure a [`GraphError`] says what to do; the
//! embedded graph can fail only when it is read.

mod embedded;
mod error;
mod file;
mod keywords;
mod neo4j;
mod nodes;

pub use embedded::{EmbeddedGraph, Unreachable};
pub use error::GraphError;
pub use file::{GraphFile, GraphReport, read_graph};
pub use keywords::{KeywordCatalog, MatchedBy};
pub use neo4j::{Neo4jGraph, Neo4jLoad, Neo4jSettings};
pub use nodes::{GraphArticle, GraphSettings};

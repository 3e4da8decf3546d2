//! Reads a graph file: JSON Lines of three kinds, plain or gzip-compressed, in any order.
//!
//! Output are the queries, articles and relations, and every bad row with its line and reason. Bad rows are skipped;
//! more than one in ten is an error. Whether a relation joins nodes that there are is known at the end of the file, so
//! such rows are looked at last. The same relation may stand there twice; of two nodes with one name the first
//! counts and the second is a bad row.

mod reading;
pub(super) mod row;

use std::path::{Path, PathBuf};

pub use row::{BadGraphRow, BadGraphRowReason};

use crate::graph::article::GraphArticle;
use crate::graph::error::GraphError;
use crate::graph::file::reading::Reading;
use crate::graph::nodes::GraphRelation;
use crate::rows::Rows;

/// A graph as its file has it, for [`EmbeddedGraph::new`](crate::graph::EmbeddedGraph::new) or
/// [`Neo4jGraph::load`](crate::graph::Neo4jGraph::load).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GraphFile {
    /// The keywords of the query nodes.
    pub(crate) queries: Vec<String>,
    pub(crate) articles: Vec<GraphArticle>,
    pub(crate) relation_types: Vec<String>,
    /// They name nodes and types by their places in the lists above.
    pub(crate) relations: Vec<GraphRelation>,
}

/// What a graph file held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphReport {
    pub path: PathBuf,
    /// Rows read, bad ones included, blank lines not.
    pub rows: u64,
    pub queries: usize,
    pub articles: usize,
    pub relations: usize,
    /// By line.
    pub bad_rows: Vec<BadGraphRow>,
}

impl GraphReport {
    /// One line for people: `graph.jsonl:7: the relation leads to article:x, which is not in the file`.
    pub fn describe(&self, bad_row: &BadGraphRow) -> String {
        format!("{}:{}: {}", self.path.display(), bad_row.line, bad_row.reason)
    }
}

/// Reads the graph file at `path`.
pub fn read_graph(path: &Path) -> Result<(GraphFile, GraphReport), GraphError> {
    let mut rows = Rows::open(path).map_err(|source| GraphError::Open { path: path.to_owned(), source })?;
    let mut reading = Reading::default();
    loop {
        let line = rows.line();
        match rows.next_row() {
            Ok(Some(row)) => reading.take(row),
            Ok(None) => return reading.finish(path),
            Err(source) => return Err(GraphError::Damaged { path: path.to_owned(), line, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn a_compressed_file_is_read_and_a_damaged_or_missing_one_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("graph.jsonl.gz");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        for n in 0..2_000 {
            writeln!(encoder, r#"{{"kind":"article","id":{n},"title":"T","status":"published"}}"#).unwrap();
        }
        let compressed = encoder.finish().unwrap();
        std::fs::write(&path, &compressed).unwrap();
        assert_eq!(read_graph(&path).unwrap().1.articles, 2_000);
        std::fs::write(&path, &compressed[..compressed.len() / 2]).unwrap();
        let error = read_graph(&path).unwrap_err();
        assert!(matches!(error, GraphError::Damaged { .. }) && error.to_string().contains("graph.jsonl.gz"), "{error}");
        let missing = read_graph(&directory.path().join("none")).unwrap_err();
        assert!(matches!(missing, GraphError::Open { .. }), "{missing}");
    }
}

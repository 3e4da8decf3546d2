//! Reads a graph file: JSON Lines of three kinds, plain or gzip-compressed, in any order.
//!
//! Output are the queries, articles and relations, and a report that names every bad row. Whether a relation joins nodes
//! that there are is known at the end of the file, so such rows are looked at last. The same relation may stand there
//! twice; of two nodes with one name the first counts and the second is a bad row.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use serde::Deserialize;

use crate::article::{flaw_of_id, text_or_null};
use crate::graph::nodes::{GraphArticle, GraphNode, GraphRelation, is_relation_type};
use crate::rows::{BadRow, FileReport, ReadError, RowText, read_file};

const WHAT: &str = "graph file";

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
    pub file: FileReport,
    pub queries: usize,
    pub articles: usize,
    pub relations: usize,
}

/// Reads the graph file at `path`.
pub fn read_graph(path: &Path) -> Result<(GraphFile, GraphReport), ReadError> {
    let mut reading = Reading::default();
    let report = read_file(WHAT, path, |row| reading.take(row))?;
    reading.finish(report)
}

/// A row that can stand alone; whether its nodes exist is not its business.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Row {
    Query {
        #[serde(default, deserialize_with = "text_or_null")]
        keyword: String,
    },
    Article(GraphArticle),
    Relation(RelationRow),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct RelationRow {
    from: NodeName,
    #[serde(rename = "type")]
    relation_type: String,
    to: NodeName,
}

/// A node by the name that the file gives it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
enum NodeName {
    Query(String),
    Article(String),
}

impl TryFrom<String> for NodeName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("query", keyword)) => Ok(Self::Query(keyword.to_owned())),
            Some(("article", id)) => Ok(Self::Article(id.to_owned())),
            _ => Err(format!("{text:?} is neither query:<keyword> nor article:<id>")),
        }
    }
}

impl Row {
    fn read(row: &mut RowText<'_>) -> Result<Self, String> {
        let row = match row.parse("a query, an article or a relation")? {
            Self::Article(article) => Self::Article(article.without_markup()),
            other => other,
        };
        match row.flaw() {
            Some(flaw) => Err(flaw),
            None => Ok(row),
        }
    }

    fn flaw(&self) -> Option<String> {
        match self {
            Self::Query { keyword } => keyword.trim().is_empty().then(|| "the query has no keyword".to_owned()),
            Self::Article(article) => {
                flaw_of_id(&article.id).map(|flaw| format!("the article has {flaw}")).or_else(|| {
                    let has_text = !article.title.trim().is_empty() || article.summary.is_some();
                    (!has_text).then(|| "the article has no text: neither title nor summary".to_owned())
                })
            }
            Self::Relation(RelationRow { relation_type: name, .. }) => (!is_relation_type(name))
                .then(|| format!("{name:?} is no relation type; letters, digits and underscores of ASCII make one")),
        }
    }
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    file: GraphFile,
    /// Each node with the line that it stands in.
    nodes: HashMap<NodeName, (GraphNode, u64)>,
    relations: Vec<(u64, RelationRow)>,
}

impl Reading {
    fn take(&mut self, mut row: RowText<'_>) -> Result<(), String> {
        let line = row.line;
        match Row::read(&mut row)? {
            Row::Query { keyword } => {
                let node = GraphNode::Query(self.file.queries.len() as u32);
                self.name(line, NodeName::Query(keyword.clone()), node)?;
                self.file.queries.push(keyword);
            }
            Row::Article(article) => {
                let node = GraphNode::Article(self.file.articles.len() as u32);
                self.name(line, NodeName::Article(article.id.clone()), node)?;
                self.file.articles.push(article);
            }
            Row::Relation(relation) => self.relations.push((line, relation)),
        }
        Ok(())
    }

    fn name(&mut self, line: u64, name: NodeName, node: GraphNode) -> Result<(), String> {
        match self.nodes.entry(name) {
            Entry::Vacant(slot) => {
                slot.insert((node, line));
                Ok(())
            }
            Entry::Occupied(first) => {
                let (what, name) = first.key().parts("the keyword", "the article id");
                Err(format!("{what} {name:?} was already used in line {}", first.get().1))
            }
        }
    }

    fn finish(mut self, mut report: FileReport) -> Result<(GraphFile, GraphReport), ReadError> {
        report.bad_rows.extend(self.join());
        report.bad_rows.sort_by_key(|bad| bad.line);
        report.check()?;
        let GraphFile { queries, articles, relations, .. } = &self.file;
        if articles.is_empty() {
            return Err(ReadError::NoArticles { what: WHAT, path: report.path });
        }
        let (queries, articles, relations) = (queries.len(), articles.len(), relations.len());
        Ok((self.file, GraphReport { file: report, queries, articles, relations }))
    }

    /// Joins the relations to their nodes; gives the rows of those that name a node that isn't there.
    fn join(&mut self) -> Vec<BadRow> {
        let (mut types, mut bad) = (HashMap::new(), Vec::new());
        for (line, row) in std::mem::take(&mut self.relations) {
            match (self.node(&row.from), self.node(&row.to)) {
                (Ok(from), Ok(to)) => {
                    let relation_type = *types.entry(row.relation_type).or_insert_with_key(|name| {
                        self.file.relation_types.push(name.clone());
                        self.file.relation_types.len() as u32 - 1
                    });
                    self.file.relations.push(GraphRelation { from, relation_type, to });
                }
                (Err(reason), _) | (_, Err(reason)) => bad.push(BadRow { line, reason }),
            }
        }
        self.file.relations.sort_unstable();
        self.file.relations.dedup();
        bad
    }

    fn node(&self, name: &NodeName) -> Result<GraphNode, String> {
        self.nodes.get(name).map(|(node, _)| *node).ok_or_else(|| {
            let (kind, name) = name.parts("query", "article");
            format!("the relation names {kind} {name:?}, which is not in the file")
        })
    }
}

impl NodeName {
    /// What its kind is called, and its name.
    fn parts<'a>(&'a self, query: &'static str, article: &'static str) -> (&'static str, &'a str) {
        match self {
            Self::Query(keyword) => (query, keyword),
            Self::Article(id) => (article, id),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::rows::{Rows, read_rows};

    const GRAPH: [&str; 6] = [
        r#"{"kind":"relation","from":"query:reset password","type":"RELATED_TO","to":"query:lost: password"}"#,
        r#"{"kind":"relation","from":"query:lost: password","type":"RESOLVES","to":"article:7"}"#,
        r#"{"kind":"query","keyword":"lost: password"}"#,
        r#"{"kind":"article","id":7,"status":"published","title":"T","url":"","summary":null,"priority":9,"updated":"2024-01-15"}"#,
        r#"{"kind":"query","keyword":"reset password"}"#,
        r#"{"kind":"relation","from":"query:lost: password","type":"RESOLVES","to":"article:7"}"#,
    ];

    fn read(lines: &[impl AsRef<[u8]>]) -> Result<(GraphFile, GraphReport), ReadError> {
        let bytes = lines.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(&b'\n');
        let mut reading = Reading::default();
        let rows = Rows::new(bytes.as_slice(), 1_000);
        let report = read_rows(WHAT, Path::new("graph.jsonl"), rows, |row| reading.take(row))?;
        reading.finish(report)
    }

    /// Relations by the names of their nodes, sorted.
    fn named(file: &GraphFile) -> Vec<String> {
        let name = |node| match node {
            GraphNode::Query(place) => file.queries[place as usize].as_str(),
            GraphNode::Article(place) => file.articles[place as usize].id.as_str(),
        };
        let types = &file.relation_types;
        let mut named: Vec<_> = file
            .relations
            .iter()
            .map(|relation| {
                format!("{} {} {}", name(relation.from), types[relation.relation_type as usize], name(relation.to))
            })
            .collect();
        named.sort();
        named
    }

    #[test]
    fn rows_in_any_order_make_the_same_graph() {
        let mut lines = GRAPH;
        for _ in 0..GRAPH.len() {
            let (file, report) = read(&lines).unwrap();
            assert_eq!(named(&file), ["lost: password RESOLVES 7", "reset password RELATED_TO lost: password"]);
            assert_eq!((report.file.rows, report.queries, report.articles, report.relations), (6, 2, 1, 2));
            let article = &file.articles[0];
            assert_eq!((article.id.as_str(), article.priority, article.url.as_deref()), ("7", Some(9.0), None));
            assert_eq!(article.updated.as_deref(), Some("2024-01-15"));
            lines.rotate_left(1);
        }
    }

    #[test]
    fn each_kind_of_bad_row_is_named_with_its_line_and_skipped() {
        for (row, reason) in [
            (r#"{"kind":"query"}"#, "the query has no keyword"),
            (r#"{"kind":"query","keyword":" "}"#, "the query has no keyword"),
            (r#"{"kind":"query","keyword":"k1"}"#, r#"the keyword "k1" was already used in line 2"#),
            (r#"{"kind":"query","keyword":3}"#, "not a query, an article or a relation: invalid type"),
            (r#"{"kind":"article","title":"T"}"#, "the article has no id"),
            (r#"{"kind":"article","id":"x","title":"","summary":" "}"#, "the article has no text"),
            (r#"{"kind":"article","id":"a","title":"T"}"#, r#"the article id "a" was already used in line 1"#),
            (r#"{"kind":"article","id":"x","title":"T","priority":"high"}"#, "not a query, an article or a relation"),
            (r#"{"kind":"node"}"#, "not a query, an article or a relation: unknown variant `node`"),
            (r#"["kind"]"#, "not a query, an article or a relation"),
            (r#"{"kind":"query","#, "broken JSON: EOF"),
            (
                r#"{"kind":"relation","from":"query:k1","type":"A","to":"article:b"}"#,
                r#"the relation names article "b""#,
            ),
            (
                r#"{"kind":"relation","from":"query:K1","type":"A","to":"article:a"}"#,
                r#"the relation names query "K1""#,
            ),
            (r#"{"kind":"relation","from":"k1","type":"A","to":"article:a"}"#, "not a query, an article or a relation"),
            (r#"{"kind":"relation","from":"query:k1","type":"A B","to":"article:a"}"#, r#""A B" is no relation type"#),
        ] {
            let mut lines = vec![r#"{"kind":"article","id":"a","title":"T"}"#.to_owned()];
            lines.extend((1..12).map(|n| format!(r#"{{"kind":"query","keyword":"k{n}"}}"#)));
            lines.push(row.to_owned());
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            let (file, report) = read(&lines).unwrap();
            assert_eq!((report.file.rows, file.queries.len(), report.file.bad_rows.len()), (13, 11, 1), "{reason}");
            let described = report.file.describe(&report.file.bad_rows[0]);
            assert!(described.starts_with(&format!("graph.jsonl:13: {reason}")), "{described}");
        }
    }

    #[test]
    fn more_than_one_bad_row_in_ten_stops_and_so_does_a_graph_without_articles() {
        let good = r#"{"kind":"article","id":"a","title":"T"}"#;
        let queries: Vec<_> = (0..8).map(|n| format!(r#"{{"kind":"query","keyword":"k{n}"}}"#)).collect();
        let lines = |num| {
            let mut lines = vec![good, "{}"];
            lines.extend(queries.iter().take(num).map(String::as_str));
            lines
        };
        assert_eq!(read(&lines(8)).unwrap().1.file.bad_rows.len(), 1);
        let error = read(&lines(7)).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "1 of 9 rows in graph.jsonl are bad, more than one in 10; mend them, the first is line 2: "
            )
        );
        assert!(matches!(read(&[&queries[0]]).unwrap_err(), ReadError::NoArticles { .. }));
    }

    proptest! {
        #[test]
        fn any_rows_are_counted_and_never_panic(
            lines in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..40),
                    "\\{\"kind\":\"(query|article|relation)\",\"(keyword|id|from|type|to)\":\"?[a-z:1]{0,9}\"?\\}".prop_map(String::into_bytes),
                ],
                0..20,
            ),
        ) {
            let all: Vec<_> = std::iter::once(GRAPH[3].as_bytes()).chain(lines.iter().map(Vec::as_slice)).collect();
            match read(&all) {
                Ok((file, report)) => {
                    let kept = file.queries.len() + file.articles.len();
                    prop_assert!(kept + report.file.bad_rows.len() <= report.file.rows as usize);
                }
                Err(ReadError::TooManyBadRows { bad, rows, .. }) => prop_assert!(bad * 10 > rows),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }

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
        assert!(matches!(error, ReadError::Damaged { .. }) && error.to_string().contains("graph.jsonl.gz"), "{error}");
        let missing = read_graph(&directory.path().join("none")).unwrap_err();
        assert!(matches!(missing, ReadError::Open { .. }), "{missing}");
    }
}

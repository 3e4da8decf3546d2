//! What was read of a graph file so far, and the joining of its relations at the end.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use crate::graph::error::GraphError;
use crate::graph::file::row::{BadGraphRow, BadGraphRowReason, NodeName, RelationRow, Row};
use crate::graph::file::{GraphFile, GraphReport};
use crate::graph::nodes::{GraphNode, GraphRelation};
use crate::rows::{self, are_tolerated};

#[derive(Default)]
pub struct Reading {
    file: GraphFile,
    /// Each node with the line that it stands in.
    nodes: HashMap<NodeName, (GraphNode, u64)>,
    relations: Vec<(u64, RelationRow)>,
    bad: Vec<BadGraphRow>,
    rows: u64,
}

impl Reading {
    pub fn take(&mut self, rows::Row { line, content }: rows::Row<'_>) {
        self.rows += 1;
        let row = content.map_err(BadGraphRowReason::TooLong).and_then(Row::read);
        if let Err(reason) = row.and_then(|row| self.keep(line, row)) {
            self.bad.push(BadGraphRow { line, reason });
        }
    }

    fn keep(&mut self, line: u64, row: Row) -> Result<(), BadGraphRowReason> {
        match row {
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

    fn name(&mut self, line: u64, name: NodeName, node: GraphNode) -> Result<(), BadGraphRowReason> {
        match self.nodes.entry(name) {
            Entry::Vacant(slot) => {
                slot.insert((node, line));
                Ok(())
            }
            Entry::Occupied(first) => {
                let first_line = first.get().1;
                Err(match first.key().clone() {
                    NodeName::Query(keyword) => BadGraphRowReason::DuplicateKeyword { keyword, first_line },
                    NodeName::Article(id) => BadGraphRowReason::DuplicateId { id, first_line },
                })
            }
        }
    }

    pub fn finish(mut self, path: &Path) -> Result<(GraphFile, GraphReport), GraphError> {
        self.join();
        let (path, rows, bad) = (path.to_owned(), self.rows, self.bad.len() as u64);
        if let Some(first) = self.bad.first()
            && !are_tolerated(bad, rows)
        {
            return Err(GraphError::TooManyBadRows { path, bad, rows, first: first.clone() });
        }
        let GraphFile { queries, articles, relations, .. } = &self.file;
        if articles.is_empty() {
            return Err(GraphError::NoArticles { path });
        }
        let (queries, articles, relations) = (queries.len(), articles.len(), relations.len());
        let report = GraphReport { path, rows, queries, articles, relations, bad_rows: self.bad };
        Ok((self.file, report))
    }

    fn join(&mut self) {
        let mut types: HashMap<String, u32> = HashMap::new();
        for (line, row) in std::mem::take(&mut self.relations) {
            match (self.node(&row.from), self.node(&row.to)) {
                (Ok(from), Ok(to)) => {
                    let next = types.len() as u32;
                    let relation_type = *types.entry(row.relation_type).or_insert(next);
                    self.file.relations.push(GraphRelation { from, relation_type, to });
                }
                (Err(reason), _) | (_, Err(reason)) => self.bad.push(BadGraphRow { line, reason }),
            }
        }
        self.file.relations.sort_unstable();
        self.file.relations.dedup();
        self.bad.sort_by_key(|bad| bad.line);
        let mut types: Vec<_> = types.into_iter().collect();
        types.sort_by_key(|(_, place)| *place);
        self.file.relation_types = types.into_iter().map(|(name, _)| name).collect();
    }

    fn node(&self, name: &NodeName) -> Result<GraphNode, BadGraphRowReason> {
        self.nodes.get(name).map(|(node, _)| *node).ok_or_else(|| {
            let (kind, name) = match name {
                NodeName::Query(keyword) => ("query", keyword),
                NodeName::Article(id) => ("article", id),
            };
            BadGraphRowReason::UnknownNode { kind, name: name.clone() }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const GRAPH: [&str; 6] = [
        r#"{"kind":"relation","from":"query:reset password","type":"RELATED_TO","to":"query:lost: password"}"#,
        r#"{"kind":"relation","from":"query:lost: password","type":"RESOLVES","to":"article:7"}"#,
        r#"{"kind":"query","keyword":"lost: password"}"#,
        r#"{"kind":"article","id":7,"status":"published","title":"T","url":"","summary":null,"priority":9,"updated":"2024-01-15"}"#,
        r#"{"kind":"query","keyword":"reset password"}"#,
        r#"{"kind":"relation","from":"query:lost: password","type":"RESOLVES","to":"article:7"}"#,
    ];

    fn read(lines: &[&str]) -> Result<(GraphFile, GraphReport), GraphError> {
        let mut reading = Reading::default();
        for (line, row) in (1..).zip(lines) {
            reading.take(rows::Row { line, content: Ok(row.as_bytes()) });
        }
        reading.finish(Path::new("graph.jsonl"))
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
            assert_eq!((report.rows, report.queries, report.articles, report.relations), (6, 2, 1, 2));
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
            assert_eq!((report.rows, file.queries.len(), report.bad_rows.len()), (13, 11, 1), "{reason}");
            let described = report.describe(&report.bad_rows[0]);
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
        assert_eq!(read(&lines(8)).unwrap().1.bad_rows.len(), 1);
        let error = read(&lines(7)).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "1 of 9 rows in graph.jsonl are bad, more than one in 10; mend them, the first is line 2: "
            )
        );
        assert!(matches!(read(&[&queries[0]]).unwrap_err(), GraphError::NoArticles { .. }));
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
            let mut reading = Reading::default();
            let all = std::iter::once(GRAPH[3].as_bytes()).chain(lines.iter().map(Vec::as_slice));
            for (line, row) in (1..).zip(all) {
                reading.take(rows::Row { line, content: Ok(row) });
            }
            match reading.finish(Path::new("graph.jsonl")) {
                Ok((file, report)) => {
                    let kept = file.queries.len() + file.articles.len();
                    prop_assert!(kept + report.bad_rows.len() <= report.rows as usize);
                }
                Err(GraphError::TooManyBadRows { bad, rows, .. }) => prop_assert!(bad * 10 > rows),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }
}

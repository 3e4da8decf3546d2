//! Rows of graph files, written shortly. Every name gets a prefix, so that graphs in one database don't meet.

use std::io::Write;

use cuecard_knowledge::graph::{GraphFile, GraphReport, read_graph};
use serde_json::{Value, json};

pub struct Rows {
    pub prefix: String,
    rows: Vec<Value>,
}

impl Rows {
    pub fn new(prefix: &str) -> Self {
        Self { prefix: format!("{prefix} "), rows: Vec::new() }
    }

    /// `?keyword` is a query, `id` an article.
    fn node(&self, name: &str) -> String {
        match name.strip_prefix('?') {
            Some(keyword) => format!("query:{}{keyword}", self.prefix),
            None => format!("article:{}{name}", self.prefix),
        }
    }

    pub fn query(&mut self, keyword: &str) {
        self.rows.push(json!({"kind": "query", "keyword": format!("{}{keyword}", self.prefix)}));
    }

    /// A published article with `rest` over it.
    pub fn article(&mut self, id: &str, rest: &Value) {
        let id = format!("{}{id}", self.prefix);
        let mut row = json!({"kind": "article", "id": id, "status": "published", "title": id, "url": null,
            "summary": null, "priority": null});
        let rest = rest.as_object().cloned().unwrap_or_default();
        row.as_object_mut().unwrap().extend(rest);
        self.rows.push(row);
    }

    pub fn relation(&mut self, from: &str, relation_type: &str, to: &str) {
        let (from, to) = (self.node(from), self.node(to));
        self.rows.push(json!({"kind": "relation", "from": from, "type": relation_type, "to": to}));
    }

    pub fn read(&self) -> (GraphFile, GraphReport) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for row in &self.rows {
            writeln!(file, "{row}").unwrap();
        }
        read_graph(file.path()).unwrap()
    }
}

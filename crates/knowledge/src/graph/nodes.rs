//! What a graph consists of, the order in which a lookup gives articles, and what a lookup follows.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::article::{Audience, audience_or_nothing, filled_text, text_or_nothing, text_or_null, text_or_number};
use crate::filter::ArticleFilter;
use crate::graph::error::GraphError;
use crate::markup;

/// An article of the graph. A missing title or status is empty; a blank url, summary or date is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GraphArticle {
    /// In a Neo4j database whose articles carry no id, the id of the node.
    #[serde(default, deserialize_with = "text_or_number")]
    pub id: String,
    #[serde(default, deserialize_with = "text_or_null")]
    pub title: String,
    #[serde(default, deserialize_with = "text_or_null")]
    pub status: String,
    #[serde(default, deserialize_with = "filled_text", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, deserialize_with = "filled_text", skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The higher the better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<f64>,
    /// When the article was last changed, as the graph says it.
    #[serde(default, deserialize_with = "filled_text", skip_serializing_if = "Option::is_none")]
    pub updated: Option<String>,
    #[serde(default, deserialize_with = "audience_or_nothing", skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    #[serde(default, deserialize_with = "text_or_nothing", skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

impl GraphArticle {
    /// Title and summary as an agent reads them.
    pub(super) fn without_markup(mut self) -> Self {
        self.title = markup::title_of(self.title);
        let summary = self.summary.map(|summary| markup::body_of(summary, &self.title));
        self.summary = summary.filter(|summary| !summary.trim().is_empty());
        self
    }

    /// By priority descending, none last, then by title, then by id; texts by code point, as Neo4j compares them.
    pub fn order(&self, other: &Self) -> Ordering {
        let by_priority = match (self.priority, other.priority) {
            (Some(one), Some(two)) => two.partial_cmp(&one).unwrap_or(Ordering::Equal),
            (one, two) => two.is_some().cmp(&one.is_some()),
        };
        by_priority.then_with(|| self.title.cmp(&other.title)).then_with(|| self.id.cmp(&other.id))
    }
}

/// A node by its place in the lists of a graph file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GraphNode {
    Query(u32),
    Article(u32),
}

/// A directed relation of some type, by its place in the list of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GraphRelation {
    pub from: GraphNode,
    pub relation_type: u32,
    pub to: GraphNode,
}

/// The longest name of a relation type; names in real graphs are a few words.
const LONGEST_RELATION_TYPE: usize = 64;

/// Whether a name may stand in a Cypher text, which takes relation types nowhere else.
pub fn is_relation_type(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let is_plain = |character: char| character.is_ascii_alphanumeric() || character == '_';
    starts_well && name.len() <= LONGEST_RELATION_TYPE && name.chars().all(is_plain)
}

/// Beyond this a path says nothing of its start any more, and the number of paths explodes.
const MOST_HOPS: usize = 5;

/// A lookup: paths of 1 to `max_hops` relations of these types lead to articles of this status that are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphSettings {
    pub max_hops: usize,
    pub relations: Vec<String>,
    pub status: String,
    /// Which of them are shown; it says nothing of their status.
    pub filter: ArticleFilter,
    /// Articles given at most.
    pub limit: usize,
}

impl Default for GraphSettings {
    /// Contract 002.
    fn default() -> Self {
        Self {
            max_hops: 2,
            relations: ["RELATED_TO", "SIMILAR_TO", "RESOLVES"].map(str::to_owned).into(),
            status: "published".to_owned(),
            filter: ArticleFilter::default(),
            limit: 5,
        }
    }
}

impl GraphSettings {
    /// Refuses what can't be asked of a graph. The embedded graph finds nothing by such settings.
    pub fn check(&self) -> Result<(), GraphError> {
        let refuse = |what: String| Err(GraphError::Settings { what });
        if !(1..=MOST_HOPS).contains(&self.max_hops) {
            return refuse(format!("max_hops is {}, it must be 1 to {MOST_HOPS}", self.max_hops));
        }
        if self.relations.is_empty() {
            return refuse("no relation type is named, name at least one".to_owned());
        }
        match self.relations.iter().find(|name| !is_relation_type(name)) {
            Some(name) => {
                refuse(format!("{name:?} is no relation type; letters, digits and underscores of ASCII make one"))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_plain_identifiers_are_relation_types() {
        for name in ["RELATED_TO", "_x", "a1", &"x".repeat(64)] {
            assert!(is_relation_type(name), "{name}");
        }
        for name in ["", "1a", "A B", "A|B", "A`", "A]->(n) DETACH DELETE n//", "GEHÖRT_ZU", &"x".repeat(65)] {
            assert!(!is_relation_type(name), "{name}");
        }
    }

    #[test]
    fn settings_that_no_graph_can_answer_are_refused_by_name() {
        let plain = GraphSettings::default();
        plain.check().unwrap();
        for (settings, said) in [
            (GraphSettings { max_hops: 0, ..plain.clone() }, "max_hops is 0"),
            (GraphSettings { max_hops: 6, ..plain.clone() }, "max_hops is 6"),
            (GraphSettings { relations: Vec::new(), ..plain.clone() }, "no relation type"),
            (GraphSettings { relations: vec!["A`B".to_owned()], ..plain.clone() }, "\"A`B\" is no relation type"),
        ] {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}

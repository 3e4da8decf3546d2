//! An article as a node of the graph, and the order in which a lookup gives articles.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::article::{filled_text, text_or_null, text_or_number};

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
}

impl GraphArticle {
    /// By priority descending, none last, then by title, then by id; texts by code point, as Neo4j compares them.
    pub fn order(&self, other: &Self) -> Ordering {
        let by_priority = match (self.priority, other.priority) {
            (Some(one), Some(two)) => two.partial_cmp(&one).unwrap_or(Ordering::Equal),
            (one, two) => two.is_some().cmp(&one.is_some()),
        };
        by_priority.then_with(|| self.title.cmp(&other.title)).then_with(|| self.id.cmp(&other.id))
    }
}

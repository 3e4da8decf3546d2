//! One row of a graph file.

use std::fmt;

use serde::Deserialize;
use serde_json::error::Category;
use thiserror::Error;

use crate::article::text_or_null;
use crate::graph::article::GraphArticle;
use crate::graph::nodes::is_relation_type;
use crate::rows::{TooLong, json_flaw};

/// A row that can stand alone; whether its nodes exist is not its business.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Row {
    Query {
        #[serde(default, deserialize_with = "text_or_null")]
        keyword: String,
    },
    Article(GraphArticle),
    Relation(RelationRow),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RelationRow {
    pub from: NodeName,
    #[serde(rename = "type")]
    pub relation_type: String,
    pub to: NodeName,
}

/// A node by the name that the file gives it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum NodeName {
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

/// A row that was skipped. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadGraphRow {
    pub line: u64,
    pub reason: BadGraphRowReason,
}

impl fmt::Display for BadGraphRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.reason)
    }
}

/// Why a row was skipped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadGraphRowReason {
    #[error("the query has no keyword")]
    NoKeyword,
    #[error("the article has no id")]
    NoId,
    #[error("the article has no text: neither title nor summary")]
    NoText,
    #[error("the keyword {keyword:?} was already used in line {first_line}")]
    DuplicateKeyword { keyword: String, first_line: u64 },
    #[error("the article id {id:?} was already used in line {first_line}")]
    DuplicateId { id: String, first_line: u64 },
    #[error("{name:?} is no relation type; letters, digits and underscores of ASCII make one")]
    NoRelationType { name: String },
    #[error("the relation names {kind} {name:?}, which is not in the file")]
    UnknownNode { kind: &'static str, name: String },
    #[error("invalid UTF-8 at byte {at}")]
    InvalidUtf8 { at: usize },
    #[error("broken JSON: {detail}")]
    BrokenJson { detail: String },
    #[error("not a query, an article or a relation: {detail}")]
    NotAGraphRow { detail: String },
    #[error("{0}; shorten the summary")]
    TooLong(TooLong),
}

impl Row {
    pub fn read(bytes: &[u8]) -> Result<Self, BadGraphRowReason> {
        let text =
            std::str::from_utf8(bytes).map_err(|error| BadGraphRowReason::InvalidUtf8 { at: error.valid_up_to() })?;
        let row: Self = serde_json::from_str(text).map_err(|error| {
            let detail = json_flaw(&error);
            match error.classify() {
                Category::Data => BadGraphRowReason::NotAGraphRow { detail },
                _ => BadGraphRowReason::BrokenJson { detail },
            }
        })?;
        match row.flaw() {
            Some(reason) => Err(reason),
            None => Ok(row),
        }
    }

    fn flaw(&self) -> Option<BadGraphRowReason> {
        match self {
            Self::Query { keyword } => keyword.trim().is_empty().then_some(BadGraphRowReason::NoKeyword),
            Self::Article(article) if article.id.trim().is_empty() => Some(BadGraphRowReason::NoId),
            Self::Article(article) => {
                let has_text = !article.title.trim().is_empty() || article.summary.is_some();
                (!has_text).then_some(BadGraphRowReason::NoText)
            }
            Self::Relation(RelationRow { relation_type: name, .. }) => {
                (!is_relation_type(name)).then(|| BadGraphRowReason::NoRelationType { name: name.clone() })
            }
        }
    }
}

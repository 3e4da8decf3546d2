//! The room from outside: indexes that are built, refused, replaced; polls; graphs and collections on real servers.
#![allow(clippy::unwrap_used)]

mod building;
mod chroma;
mod fake_chroma;
mod fake_encoder;
mod filtering;
mod graph_file;
mod graph_rows;
mod graph_stores;
mod keywords;
mod markup;
mod neo4j_failures;
mod refusing;
mod services;
mod syncing;

use cuecard_knowledge::ArticleFilter;

/// Shows every published article.
const ALL: ArticleFilter = ArticleFilter { audience: None, language: None };

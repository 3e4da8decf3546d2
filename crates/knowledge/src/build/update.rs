//! What a build is asked to take in.

use crate::article::Article;

/// Whether an update is all that its source holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// What the source held before and is not in the update is removed.
    Full,
    /// Nothing is removed.
    Partial,
}

/// What a source answered. Of several articles with one id the last counts.
#[derive(Debug, Clone)]
pub struct Update {
    /// `file:<name>`, `cxone:<profile>`, `chroma:<collection>`.
    pub source: String,
    pub articles: Vec<Article>,
    pub completeness: Completeness,
}

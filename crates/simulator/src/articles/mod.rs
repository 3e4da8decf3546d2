//! The knowledge of a tenant: what its article endpoints answer from.
//!
//! Input: articles from JSON Lines, changes while it runs. Output: a [`Library`] that lists and searches them. A library
//! never changes; a change makes another one, so that a reader keeps what it holds.

mod library;
mod search;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::json_lines::{self, ReadError};
pub(crate) use library::{Library, Listing};

/// An article as far as the endpoints need it; other fields are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Article {
    /// Its id.
    pub id: String,
    /// Shown above the card.
    pub title: String,
    /// The whole text.
    pub body: String,
    /// Where it can be read.
    #[serde(default)]
    pub url: Option<String>,
}

impl Article {
    /// All articles of a file, `.gz` too.
    pub fn load(path: &Path) -> Result<Vec<Self>, ReadError> {
        json_lines::read(path)
    }
}

/// How the list of articles is answered, whatever there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArticlesAnswer {
    /// 200 with all of them.
    #[default]
    Whole,
    /// 200 with none, as a tenant that lost its knowledge would.
    Empty,
    /// 200 with the first half, as a tenant that lost half of it would.
    Half,
    /// 206 with those that have changed since the date that the request names; all of them without a date.
    Partial,
}

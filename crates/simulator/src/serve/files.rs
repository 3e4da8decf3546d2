//! What a stand-in plays and answers from, as it stands in files.
//!
//! Input: JSON Lines, plain or gzip, of `{id, title?, turns: [{speaker, text}], …}` or `{id, title, body, url?, …}`, other fields
//! ignored. Output: [`Conversation`]s, each with an interaction id that a contract accepts, or [`Article`]s. The first row
//! that can't be read ends it with an error that names file and line: what a stand-in plays must be what its user wrote.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base::contracts::{MAX_ID_LENGTH, is_of_id};

/// Every gzip file starts with these bytes.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An article as far as the endpoints need it; other fields are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        read(path)
    }
}

/// One recorded conversation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Conversation {
    /// Its name in the file.
    pub id: String,
    /// What it is called on the desktop; what the customer says first where it has no title.
    #[serde(default)]
    pub title: Option<String>,
    /// What was said, in order.
    pub turns: Vec<Turn>,
}

/// What one side said before the other answered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Turn {
    /// `agent`; anything else counts as customer.
    pub speaker: String,
    /// Never empty when it is played.
    pub text: String,
}

impl Turn {
    /// Whether anybody but the agent speaks.
    pub fn is_customer(&self) -> bool {
        !self.speaker.eq_ignore_ascii_case("agent")
    }

    /// Whether there is a word to play.
    pub fn has_words(&self) -> bool {
        !self.text.trim().is_empty()
    }
}

impl Conversation {
    /// All conversations of a file, `.gz` too.
    pub fn load(path: &Path) -> Result<Vec<Self>, ReadError> {
        read(path)
    }
}

/// One interaction id per conversation: its own id with unsafe characters replaced, and numbered when it is taken.
pub(crate) fn interaction_ids(conversations: &[Conversation], taken: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut given = HashSet::new();
    let mut name = |conversation: &Conversation| {
        let base = safe_id(&conversation.id);
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let free =
            std::iter::once(base.clone()).chain(numbered).find(|id| !taken(id) && !given.contains(id)).unwrap_or(base);
        given.insert(free.clone());
        free
    };
    conversations.iter().map(&mut name).collect()
}

fn safe_id(id: &str) -> String {
    let safe = |character| if is_of_id(character) { character } else { '-' };
    // Room for the number that tells two apart.
    let name: String = id.chars().map(safe).take(MAX_ID_LENGTH - 12).collect();
    if name.is_empty() { "interaction".to_owned() } else { name }
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself.
    #[error("cannot read {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// One of its rows.
    #[error("{path} line {line} can't be used")]
    Row {
        /// Which file.
        path: PathBuf,
        /// Counts from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

/// All rows of the file at `path`.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, ReadError> {
    let file_error = |source| ReadError::File { path: path.to_owned(), source };
    let mut rows = Vec::new();
    for (index, line) in open(path).map_err(file_error)?.lines().enumerate() {
        let line = line.map_err(file_error)?;
        if line.trim().is_empty() {
            continue;
        }
        let row = serde_json::from_str(&line).map_err(|source| ReadError::Row {
            path: path.to_owned(),
            line: index + 1,
            source,
        })?;
        rows.push(row);
    }
    Ok(rows)
}

fn open(path: &Path) -> std::io::Result<BufReader<Box<dyn Read>>> {
    let mut file = BufReader::new(File::open(path)?);
    let zipped = file.fill_buf()?.starts_with(&GZIP_MAGIC);
    let plain: Box<dyn Read> = if zipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    Ok(BufReader::new(plain))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::Value;
    use std::io::Write;

    const ROWS: &[u8] = b"{\"a\":1}\n\n{\"a\":2}\n";

    #[test]
    fn plain_and_zipped_rows_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("rows.jsonl");
        std::fs::write(&plain, ROWS).unwrap();
        let zipped = folder.path().join("rows.jsonl.gz");
        let mut encoder = flate2::write::GzEncoder::new(File::create(&zipped).unwrap(), flate2::Compression::fast());
        encoder.write_all(ROWS).unwrap();
        encoder.finish().unwrap();
        let rows: Vec<Value> = read(&plain).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows, read::<Value>(&zipped).unwrap());
    }

    #[test]
    fn errors_name_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let missing = read::<Value>(&path).unwrap_err().to_string();
        assert!(missing.contains("rows.jsonl"), "{missing}");
        std::fs::write(&path, "{\"a\":1}\n\nnope\n").unwrap();
        let broken = read::<Value>(&path).unwrap_err().to_string();
        assert!(broken.contains("rows.jsonl line 3"), "{broken}");
    }

    fn named(id: &str) -> Conversation {
        Conversation { id: id.into(), title: None, turns: Vec::new() }
    }

    #[test]
    fn ids_are_safe_and_never_shared() {
        let conversations = [named("a b/ü"), named("x"), named("x"), named(""), named("old")];
        let ids = interaction_ids(&conversations, &|id| id == "old");
        assert_eq!(ids, ["a-b--", "x", "x-2", "interaction", "old-2"]);
        let long = interaction_ids(&[named(&"y".repeat(400))], &|_| false);
        assert!(long[0].len() <= MAX_ID_LENGTH);
    }

    #[test]
    fn speakers() {
        let turn = |speaker: &str| serde_json::from_value::<Turn>(serde_json::json!({"speaker": speaker, "text": " "}));
        assert!(!turn("agent").unwrap().is_customer());
        assert!(!turn("AGENT").unwrap().is_customer());
        assert!(turn("customer").unwrap().is_customer());
        assert!(turn("action").unwrap().is_customer());
        assert!(!turn("customer").unwrap().has_words());
    }
}

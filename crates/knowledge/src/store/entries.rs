//! `articles.jsonl`: one line for each article, with all that the other files of the generation say about it.
//!
//! Entries are sorted by article id, so that an article's position is the order in which ties are broken. Reading checks
//! that the entries fit the rest: sorted, passages inside their body, every row used once.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::article::Article;
use crate::hashing::ContentHash;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Its number in the lexical index.
    pub document: u64,
    pub content: ContentHash,
    /// The sources that hold it, at least one.
    pub sources: BTreeSet<String>,
    pub passages: Vec<PassageRow>,
    /// The number of the name that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<u32>,
    /// Its title without the names in it; none where nothing is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<TitleRow>,
    /// The rows of the codes that stand for the sentences of its body.
    #[serde(default)]
    pub sentences: Range<u32>,
    /// What it is found by beside its text: its heading, its tags, and the phrases in which customers ask for it.
    #[serde(default)]
    pub heading: String,
    pub article: Arc<Article>,
}

/// A title and the row of the codes that stands for it, which equal titles share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TitleRow {
    pub row: u32,
    /// Under which its vector lies in the embeddings.
    pub key: ContentHash,
}

/// A passage and the row of the vector tables that stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassageRow {
    /// Bytes of the article's body.
    pub body: Range<usize>,
    pub row: u32,
    /// Under which its vector lies in the embeddings.
    pub key: ContentHash,
}

impl Entry {
    pub fn order(&self) -> (&str, ContentHash) {
        (&self.article.id, self.content)
    }
}

/// One line for each entry, which must be in order.
pub fn write_entries(entries: &[Entry], mut output: &mut dyn Write) -> io::Result<()> {
    for entry in entries {
        serde_json::to_writer(&mut output, entry)?;
        output.write_all(b"\n")?;
    }
    Ok(())
}

/// Hash over the content of all entries in their order.
pub fn content_of(entries: &[Entry]) -> ContentHash {
    let mut hasher = blake3::Hasher::new();
    for entry in entries {
        hasher.update(entry.content.as_bytes());
    }
    hasher.finalize().into()
}

/// How much of each kind the other files of a generation hold.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Rows of vectors.
    pub rows: usize,
    pub names: usize,
    /// Rows of titles.
    pub titles: usize,
    /// Rows of sentences.
    pub sentences: usize,
}

/// Reads what [`write_entries`] wrote for other files of this extent, or says what doesn't fit.
pub fn read_entries(bytes: &[u8], extent: Extent) -> Result<Vec<Entry>, String> {
    let entries: Vec<Entry> = bytes
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(serde_json::from_slice)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("an entry can't be read: {error}"))?;
    if !entries.is_sorted_by(|a, b| a.order() < b.order()) {
        return Err("the articles are out of order".to_owned());
    }
    let mut used = vec![false; extent.rows];
    for entry in &entries {
        let is_missing = |number: Option<u32>, extent: usize| number.is_some_and(|number| number as usize >= extent);
        if is_missing(entry.name, extent.names) {
            return Err(format!("the name of {:?} is missing", entry.article.id));
        }
        if is_missing(entry.title.as_ref().map(|title| title.row), extent.titles) {
            return Err(format!("the title of {:?} is missing", entry.article.id));
        }
        if entry.sentences.start > entry.sentences.end || entry.sentences.end as usize > extent.sentences {
            return Err(format!("sentences of {:?} are missing", entry.article.id));
        }
        for passage in &entry.passages {
            if entry.article.body.get(passage.body.clone()).is_none() {
                return Err(format!("a passage of {:?} lies outside its body", entry.article.id));
            }
            match used.get_mut(passage.row as usize) {
                Some(used) if !*used => *used = true,
                _ => return Err(format!("the row of a passage of {:?} is missing or used twice", entry.article.id)),
            }
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const EXTENT: Extent = Extent { rows: 3, names: 1, titles: 2, sentences: 4 };

    fn entry(id: &str, rows: &[u32]) -> Entry {
        let article = Article { id: id.into(), body: "body".into(), ..Article::default() };
        let key = ContentHash::of_bytes(b"");
        Entry {
            document: 1,
            content: ContentHash::of_article(&article),
            sources: BTreeSet::from(["file:a".to_owned()]),
            passages: rows.iter().map(|&row| PassageRow { body: 0..4, row, key }).collect(),
            name: Some(0),
            title: Some(TitleRow { row: 1, key }),
            sentences: 1..4,
            heading: String::new(),
            article: Arc::new(article),
        }
    }

    fn bytes(entries: &[Entry]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_entries(entries, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn entries_are_read_back_and_must_fit_together() {
        let read = read_entries(&bytes(&[entry("a", &[1]), entry("b", &[0, 2])]), EXTENT).unwrap();
        assert_eq!(read[1].passages[1].row, 2);
        let mut outside = entry("a", &[0]);
        outside.passages[0].body = 2..9;
        for (entries, what) in [
            (vec![entry("b", &[1]), entry("a", &[0])], "out of order"),
            (vec![entry("a", &[1]), entry("b", &[1])], "used twice"),
            (vec![entry("a", &[3])], "missing"),
            (vec![outside], "outside"),
        ] {
            let error = read_entries(&bytes(&entries), EXTENT).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        for (extent, what) in [
            (Extent { names: 0, ..EXTENT }, "the name of"),
            (Extent { titles: 1, ..EXTENT }, "the title of"),
            (Extent { sentences: 3, ..EXTENT }, "sentences of"),
        ] {
            let error = read_entries(&bytes(&[entry("a", &[1])]), extent).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        assert!(read_entries(b"{}\n", EXTENT).is_err());
    }
}

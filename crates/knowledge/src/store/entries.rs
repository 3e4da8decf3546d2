//! `base.articles` and `delta.articles`: one line for each article, with where its passages and sentences lie.
//!
//! The entries of a generation are sorted by article id, so that an article's position is the order in which ties are
//! broken. Putting them together checks that they fit the rest: sorted, passages inside their body, every row used once.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;
use serde::{Deserialize, Serialize};

use crate::article::Article;
use crate::hashing::ContentHash;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number in the lexical index.
    pub document: u64,
    pub content: ContentHash,
    /// The sources that hold it, at least one.
    pub sources: BTreeSet<String>,
    pub passages: Vec<PassageRow>,
    /// The rows of the codes that stand for the sentences of its body.
    pub sentences: Range<u32>,
    pub article: Arc<Article>,
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

/// One line for each entry.
pub fn write_entries<'a>(
    entries: impl IntoIterator<Item = &'a Arc<Entry>>,
    mut output: &mut dyn Write,
) -> io::Result<()> {
    for entry in entries {
        serde_json::to_writer(&mut output, entry.as_ref())?;
        output.write_all(b"\n")?;
    }
    Ok(())
}

/// Reads what [`write_entries`] wrote, on all cores.
pub fn read_entries(bytes: &[u8]) -> Result<Vec<Arc<Entry>>, String> {
    let lines = bytes.par_split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let entries = lines.map(|line| serde_json::from_slice(line).map(Arc::new)).collect::<Result<_, _>>();
    entries.map_err(|error| format!("an entry can't be read: {error}"))
}

/// Hash over the content of all entries in their order.
pub fn content_of(entries: &[Arc<Entry>]) -> ContentHash {
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
    /// Rows of sentences.
    pub sentences: usize,
}

/// The entries with these documents, in this order; those of the delta count before those of the base. Or what is wrong.
pub fn together(
    base: &[Arc<Entry>],
    delta: &[Arc<Entry>],
    documents: impl Iterator<Item = u64>,
) -> Result<Vec<Arc<Entry>>, String> {
    let by_document: HashMap<u64, &Arc<Entry>> =
        base.iter().chain(delta).map(|entry| (entry.document, entry)).collect();
    let entry = |document| by_document.get(&document).map(|entry| Arc::clone(entry));
    let missing = |document| format!("the article of document {document} is missing");
    documents.map(|document| entry(document).ok_or_else(|| missing(document))).collect()
}

/// Whether entries are in order and use each row that they name once, or what is wrong.
pub fn check(entries: &[Arc<Entry>], extent: Extent) -> Result<(), String> {
    if !entries.is_sorted_by(|a, b| a.order() < b.order()) {
        return Err("the articles are out of order".to_owned());
    }
    let mut used = vec![false; extent.rows];
    for entry in entries {
        let id = &entry.article.id;
        if entry.sentences.start > entry.sentences.end || entry.sentences.end as usize > extent.sentences {
            return Err(format!("sentences of {id:?} are missing"));
        }
        for passage in &entry.passages {
            if entry.article.body.get(passage.body.clone()).is_none() {
                return Err(format!("a passage of {id:?} lies outside its body"));
            }
            match used.get_mut(passage.row as usize) {
                Some(used) if !*used => *used = true,
                _ => return Err(format!("the row of a passage of {id:?} is missing or used twice")),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const EXTENT: Extent = Extent { rows: 3, sentences: 4 };

    fn entry(document: u64, id: &str, rows: &[u32]) -> Arc<Entry> {
        let article = Article { id: id.into(), body: "body".into(), ..Article::default() };
        let key = ContentHash::of_bytes(b"");
        Arc::new(Entry {
            document,
            content: ContentHash::of_article(&article),
            sources: BTreeSet::from(["file:a".to_owned()]),
            passages: rows.iter().map(|&row| PassageRow { body: 0..4, row, key }).collect(),
            sentences: 1..4,
            article: Arc::new(article),
        })
    }

    #[test]
    fn entries_are_read_back_in_the_order_of_the_documents() {
        let mut bytes = Vec::new();
        write_entries(&[entry(1, "a", &[1]), entry(2, "b", &[0, 2])], &mut bytes).unwrap();
        let base = read_entries(&bytes).unwrap();
        assert_eq!(base[1].passages[1].row, 2);
        let changed = entry(2, "b", &[0]);
        let entries = together(&base, &[entry(3, "aa", &[2]), Arc::clone(&changed)], [1, 3, 2].into_iter()).unwrap();
        assert_eq!(entries.iter().map(|entry| entry.article.id.as_str()).collect::<Vec<_>>(), ["a", "aa", "b"]);
        assert!(Arc::ptr_eq(&entries[2], &changed));
        assert!(together(&base, &[], [1, 3].into_iter()).unwrap_err().contains("document 3"));
        assert!(read_entries(b"{}\n").is_err());
    }

    #[test]
    fn entries_must_fit_together() {
        assert_eq!(check(&[entry(1, "a", &[1]), entry(2, "b", &[0, 2])], EXTENT), Ok(()));
        let mut outside = Entry::clone(&entry(1, "a", &[0]));
        outside.passages[0].body = 2..9;
        for (entries, what) in [
            (vec![entry(1, "b", &[1]), entry(2, "a", &[0])], "out of order"),
            (vec![entry(1, "a", &[1]), entry(2, "b", &[1])], "used twice"),
            (vec![entry(1, "a", &[3])], "missing"),
            (vec![Arc::new(outside)], "outside"),
        ] {
            let error = check(&entries, EXTENT).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        let error = check(&[entry(1, "a", &[1])], Extent { sentences: 3, ..EXTENT }).unwrap_err();
        assert!(error.contains("sentences of"), "{error}");
    }
}

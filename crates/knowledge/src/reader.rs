//! Reads an article file.
//!
//! Output are the articles in the order of the file and every bad row with its line and reason. Bad rows are skipped;
//! more than one in ten is an error, as is a file that can't be read to its end.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use serde_json::error::Category;
use thiserror::Error;

use crate::article::Article;
use crate::rows::{ROWS_PER_TOLERATED_BAD_ROW, Row, Rows, TooLong, are_tolerated, json_flaw};

/// The articles of one file, with what was wrong in it.
#[derive(Debug, Clone, PartialEq)]
pub struct ArticleFile {
    pub path: PathBuf,
    pub articles: Vec<Article>,
    pub bad_rows: Vec<BadRow>,
    /// Rows read, bad ones included, blank lines not.
    pub rows: u64,
}

impl ArticleFile {
    /// One line for people: `kb.jsonl:7: no id`.
    pub fn describe(&self, bad_row: &BadRow) -> String {
        format!("{}:{}: {}", self.path.display(), bad_row.line, bad_row.reason)
    }
}

/// A row that was skipped. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    pub line: u64,
    pub reason: BadRowReason,
}

impl fmt::Display for BadRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.reason)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadRowReason {
    #[error("no id")]
    NoId,
    #[error("no text: neither title nor body")]
    NoText,
    #[error("the id {id:?} was already used in line {first_line}; give each article its own")]
    DuplicateId { id: String, first_line: u64 },
    #[error("invalid UTF-8 at byte {at}")]
    InvalidUtf8 { at: usize },
    #[error("broken JSON: {detail}")]
    BrokenJson { detail: String },
    #[error("not an article: {detail}")]
    NotAnArticle { detail: String },
    #[error("{0}; split the article")]
    TooLong(TooLong),
}

#[derive(Debug, Error)]
pub enum ReadError {
    #[error("can't open the article file {}: {source}; name JSON Lines that this user may read", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("can't read the article file {} after line {line}: {source}; is the file complete?", path.display())]
    Damaged { path: PathBuf, line: u64, source: io::Error },
    #[error(
        "{bad} of {rows} rows in {} are bad, more than one in {ROWS_PER_TOLERATED_BAD_ROW}; mend them, the first is {first}",
        path.display()
    )]
    TooManyBadRows { path: PathBuf, bad: u64, rows: u64, first: BadRow },
    #[error("there is no article in {}; write one on each line, with an id and a title or a body", path.display())]
    NoArticles { path: PathBuf },
}

/// Reads the article file at `path`.
pub fn read_articles(path: &Path) -> Result<ArticleFile, ReadError> {
    read_rows(path, Rows::open(path).map_err(|source| ReadError::Open { path: path.to_owned(), source })?)
}

fn read_rows(path: &Path, mut rows: Rows<impl BufRead>) -> Result<ArticleFile, ReadError> {
    let mut reading = Reading::default();
    loop {
        let line = rows.line();
        match rows.next_row() {
            Ok(Some(row)) => reading.take(row),
            Ok(None) => return reading.finish(path),
            Err(source) => return Err(ReadError::Damaged { path: path.to_owned(), line, source }),
        }
    }
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    articles: Vec<Article>,
    bad: Vec<BadRow>,
    first_lines: HashMap<String, u64>,
    rows: u64,
}

impl Reading {
    fn take(&mut self, Row { line, content }: Row<'_>) {
        self.rows += 1;
        match content.map_err(BadRowReason::TooLong).and_then(|bytes| self.read(line, bytes)) {
            Ok(article) => self.articles.push(article),
            Err(reason) => self.bad.push(BadRow { line, reason }),
        }
    }

    fn read(&mut self, line: u64, bytes: &[u8]) -> Result<Article, BadRowReason> {
        let text = std::str::from_utf8(bytes).map_err(|error| BadRowReason::InvalidUtf8 { at: error.valid_up_to() })?;
        let article: Article = serde_json::from_str(text).map_err(|error| {
            let detail = json_flaw(&error);
            match error.classify() {
                Category::Data => BadRowReason::NotAnArticle { detail },
                _ => BadRowReason::BrokenJson { detail },
            }
        })?;
        if article.id.trim().is_empty() {
            return Err(BadRowReason::NoId);
        }
        if article.title.trim().is_empty() && article.body.trim().is_empty() {
            return Err(BadRowReason::NoText);
        }
        match self.first_lines.entry(article.id.clone()) {
            Entry::Occupied(first) => Err(BadRowReason::DuplicateId { id: article.id, first_line: *first.get() }),
            Entry::Vacant(slot) => {
                slot.insert(line);
                Ok(article)
            }
        }
    }

    fn finish(self, path: &Path) -> Result<ArticleFile, ReadError> {
        let path = path.to_owned();
        let bad = self.bad.len() as u64;
        if let Some(first) = self.bad.first()
            && !are_tolerated(bad, self.rows)
        {
            return Err(ReadError::TooManyBadRows { path, bad, rows: self.rows, first: first.clone() });
        }
        if self.articles.is_empty() {
            return Err(ReadError::NoArticles { path });
        }
        Ok(ArticleFile { path, articles: self.articles, bad_rows: self.bad, rows: self.rows })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{BufReader, Write};

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 64;

    fn read(bytes: &[u8]) -> Result<ArticleFile, ReadError> {
        // A buffer shorter than a line makes the line span several fills.
        read_rows(Path::new("kb.jsonl"), Rows::new(BufReader::with_capacity(7, bytes), LIMIT))
    }

    fn good_rows(num_rows: usize) -> Vec<u8> {
        (0..num_rows).flat_map(|n| format!("{{\"id\":\"{n}\",\"title\":\"T\"}}\n").into_bytes()).collect()
    }

    #[test]
    fn each_kind_of_bad_row_is_named_with_its_line_and_skipped() {
        let table: [(&[u8], &str); 11] = [
            (br#"{"title":"T"}"#, "no id"),
            (br#"{"id":" ","title":"T"}"#, "no id"),
            (br#"{"id":null,"title":"T"}"#, "no id"),
            (br#"{"id":"a","title":" ","body":""}"#, "no text: neither title nor body"),
            (br#"{"id":"3","title":"again"}"#, r#"the id "3" was already used in line 4"#),
            (b"{\"id\":\"a\",\"title\":\"\xff\"}", "invalid UTF-8 at byte 19"),
            (br#"{"id":"a","title":"#, "broken JSON: EOF while parsing a value at column 18"),
            (br#"["a"]"#, "not an article: invalid type: sequence, expected an object with id, title and body"),
            (br#"{"id":"a","title":3}"#, "not an article: invalid type: integer `3`, expected a string at column 19"),
            (br#"{"id":[1],"title":"T"}"#, "not an article: the id must be a text or a whole number"),
            (&[b' '; LIMIT + 1], "longer than 64 bytes"),
        ];
        for (row, reason) in table {
            let mut bytes = good_rows(20);
            bytes.extend_from_slice(row);
            bytes.extend_from_slice(b"\n{\"id\":\"last\",\"body\":\"B\"}");
            let file = read(&bytes).unwrap();
            assert_eq!((file.rows, file.articles.len()), (22, 21), "{reason}");
            assert_eq!(file.articles[20].id, "last");
            let described = file.describe(&file.bad_rows[0]);
            assert!(described.starts_with(&format!("kb.jsonl:21: {reason}")), "{described}");
        }
    }

    #[test]
    fn a_byte_order_mark_blank_lines_and_windows_line_ends_are_no_rows() {
        let file =
            read(b"\xef\xbb\xbf{\"id\":\"a\",\"title\":\"T\"}\r\n\r\n\n{\"id\":\"b\",\"title\":\"T\"}\r\n").unwrap();
        assert_eq!((file.rows, file.bad_rows.len()), (2, 0));
    }

    #[test]
    fn one_bad_row_in_ten_is_tolerated_and_more_is_not() {
        let with_bad = |num_good| [good_rows(num_good), b"{}\n".to_vec()].concat();
        assert_eq!(read(&with_bad(9)).unwrap().bad_rows.len(), 1);
        let error = read(&with_bad(8)).unwrap_err().to_string();
        assert_eq!(
            error,
            "1 of 9 rows in kb.jsonl are bad, more than one in 10; mend them, the first is line 9: no id"
        );
    }

    #[test]
    fn an_empty_file_is_refused() {
        assert!(matches!(read(b"\n\n").unwrap_err(), ReadError::NoArticles { .. }));
    }

    #[test]
    fn a_compressed_file_is_read_and_a_damaged_one_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kb.jsonl.gz");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&good_rows(2_000)).unwrap();
        let compressed = encoder.finish().unwrap();
        std::fs::write(&path, &compressed).unwrap();
        assert_eq!(read_articles(&path).unwrap().articles.len(), 2_000);

        let mut flipped = compressed.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0xff;
        for damaged in [&compressed[..compressed.len() / 2], &flipped, &compressed[..3]] {
            std::fs::write(&path, damaged).unwrap();
            let error = read_articles(&path).unwrap_err();
            assert!(matches!(error, ReadError::Damaged { .. } | ReadError::TooManyBadRows { .. }), "{error}");
            assert!(error.to_string().contains("kb.jsonl.gz"), "{error}");
        }
        let missing = read_articles(&directory.path().join("none")).unwrap_err();
        assert!(matches!(missing, ReadError::Open { .. }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_counted_and_never_panic(
            lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..20),
        ) {
            let bytes = lines.join(&b'\n');
            match read(&bytes) {
                Ok(file) => prop_assert_eq!(file.rows, (file.articles.len() + file.bad_rows.len()) as u64),
                Err(ReadError::TooManyBadRows { bad, rows, .. }) => prop_assert!(bad * 10 > rows),
                Err(ReadError::NoArticles { .. }) => {}
                Err(other) => prop_assert!(false, "{}", other),
            }
        }

        #[test]
        fn bytes_inside_a_row_never_panic(inside in prop::collection::vec(any::<u8>(), 0..40)) {
            let row = [b"{\"id\":\"a\",\"title\":\"".as_slice(), &inside, b"\"}"].concat();
            let _ = read(&[good_rows(20), row].concat());
        }
    }
}

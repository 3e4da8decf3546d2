//! Reads an article file.
//!
//! Output are the articles in the order of the file, and a report that names every bad row. Of several rows with one id
//! the first counts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::BufRead;
use std::path::Path;

use crate::article::{Article, flaw_of_id};
use crate::rows::{FileReport, ReadError, RowText, Rows, read_rows};

const WHAT: &str = "article file";

/// The articles of one file, with what was wrong in it.
#[derive(Debug, Clone, PartialEq)]
pub struct ArticleFile {
    pub articles: Vec<Article>,
    pub report: FileReport,
}

/// Reads the article file at `path`.
pub fn read_articles(path: &Path) -> Result<ArticleFile, ReadError> {
    let open = |source| ReadError::Open { what: WHAT, path: path.to_owned(), source };
    read(path, Rows::open(path).map_err(open)?)
}

fn read(path: &Path, rows: Rows<impl BufRead>) -> Result<ArticleFile, ReadError> {
    let (mut articles, mut first_lines) = (Vec::new(), HashMap::new());
    let report = read_rows(WHAT, path, rows, |row| {
        articles.push(article(row, &mut first_lines)?);
        Ok(())
    })?;
    report.check()?;
    if articles.is_empty() {
        return Err(ReadError::NoArticles { what: WHAT, path: path.to_owned() });
    }
    Ok(ArticleFile { articles, report })
}

fn article(mut row: RowText<'_>, first_lines: &mut HashMap<String, u64>) -> Result<Article, String> {
    let article = row.parse::<Article>("an article")?.without_markup();
    if let Some(flaw) = flaw_of_id(&article.id) {
        return Err(flaw);
    }
    if article.is_blank() {
        return Err("no text: neither title nor body".to_owned());
    }
    match first_lines.entry(article.id.clone()) {
        Entry::Occupied(first) => {
            let (id, first) = (&article.id, first.get());
            Err(format!("the id {id:?} was already used in line {first}; give each article its own"))
        }
        Entry::Vacant(slot) => {
            slot.insert(row.line);
            Ok(article)
        }
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
        super::read(Path::new("kb.jsonl"), Rows::new(BufReader::with_capacity(7, bytes), LIMIT))
    }

    fn good_rows(num_rows: usize) -> Vec<u8> {
        (0..num_rows).flat_map(|n| format!("{{\"id\":\"{n}\",\"title\":\"T\"}}\n").into_bytes()).collect()
    }

    #[test]
    fn each_kind_of_bad_row_is_named_with_its_line_and_skipped() {
        let table: [(&[u8], &str); 10] = [
            (br#"{"title":"T"}"#, "no id"),
            (br#"{"id":" ","title":"T"}"#, "no id"),
            (br#"{"id":null,"title":"T"}"#, "no id"),
            (br#"{"id":"a","title":" ","body":""}"#, "no text: neither title nor body"),
            (br#"{"id":"3","title":"again"}"#, r#"the id "3" was already used in line 4"#),
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
            assert_eq!((file.report.rows, file.articles.len()), (22, 21), "{reason}");
            assert_eq!(file.articles[20].id, "last");
            let described = file.report.describe(&file.report.bad_rows[0]);
            assert!(described.starts_with(&format!("kb.jsonl:21: {reason}")), "{described}");
        }
    }

    #[test]
    fn an_id_that_no_index_of_a_database_takes_is_none() {
        let rows = [1024, 1025].map(|length| format!("{{\"id\":\"{}\",\"title\":\"T\"}}\n", "x".repeat(length)));
        let bytes = [good_rows(20), rows.concat().into_bytes()].concat();
        let file = super::read(Path::new("kb.jsonl"), Rows::new(BufReader::new(&*bytes), 4096)).unwrap();
        assert_eq!(file.articles.len(), 21);
        let described = file.report.describe(&file.report.bad_rows[0]);
        assert!(described.contains("an id of 1025 bytes; one has at most 1024"), "{described}");
    }

    #[test]
    fn bytes_that_are_no_utf8_half_an_emoji_and_no_number_cost_no_article() {
        let rows = [
            b"{\"id\":\"a\",\"title\":\"Geb\xfchren\"}".as_slice(),
            br#"{"id":"b","title":"Smile \ud83d"}"#,
            br#"{"id":"c","title":"C","views":NaN}"#,
            br#"{"id":"d","title":"D","priority":NaN}"#,
        ];
        let file = read(&[good_rows(20).as_slice(), &rows.join(&b'\n')].concat()).unwrap();
        let titles: Vec<_> = file.articles[20..].iter().map(|article| article.title.as_str()).collect();
        assert_eq!(titles, ["Geb\u{fffd}hren", "Smile \u{fffd}", "C"]);
        assert_eq!((file.report.repaired_rows, file.report.bad_rows.len(), file.report.bad_rows[0].line), (2, 1, 24));
        assert!(file.report.bad_rows[0].reason.starts_with("not an article: "), "{:?}", file.report.bad_rows);
    }

    #[test]
    fn a_byte_order_mark_blank_lines_and_windows_line_ends_are_no_rows() {
        let file =
            read(b"\xef\xbb\xbf{\"id\":\"a\",\"title\":\"T\"}\r\n\r\n\n{\"id\":\"b\",\"title\":\"T\"}\r\n").unwrap();
        assert_eq!((file.report.rows, file.report.bad_rows.len()), (2, 0));
    }

    #[test]
    fn one_bad_row_in_ten_is_tolerated_and_more_is_not() {
        let with_bad = |num_good| [good_rows(num_good), b"{}\n".to_vec()].concat();
        assert_eq!(read(&with_bad(9)).unwrap().report.bad_rows.len(), 1);
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
                Ok(file) => {
                    prop_assert_eq!(file.report.rows, (file.articles.len() + file.report.bad_rows.len()) as u64);
                }
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

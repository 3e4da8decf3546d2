//! Files of rows: JSON Lines, plain or gzip-compressed (told apart by the first two bytes, not by the name).
//!
//! Input is a path, output one row after another with its line, and a report of what could not be used. Blank lines and a
//! byte order mark are no rows. A line is read up to a limit, so that a file without line breaks can't fill the memory; a
//! longer one is passed over and named. Bad rows are skipped; more than one in ten is an error, as is a file that can't
//! be read to its end.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use cuecard_text::json::{self, Parsed};
use flate2::bufread::MultiGzDecoder;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The longest line that is read: a hundred times the longest article seen in real help centres.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// More than one bad row in this many stops the reading: the file is then something else than it should be.
const ROWS_PER_TOLERATED_BAD_ROW: u64 = 10;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const READ_BUFFER_BYTES: usize = 128 * 1024;

/// What was read of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    pub path: PathBuf,
    /// Rows read, bad ones included, blank lines not.
    pub rows: u64,
    /// The rows that were skipped, by line.
    pub bad_rows: Vec<BadRow>,
    /// Rows that were read with replacement characters for bytes that are not UTF-8, or for halves of surrogate pairs.
    pub repaired_rows: u64,
}

/// A row that was skipped. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    pub line: u64,
    pub reason: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.reason)
    }
}

/// Why a file can't be used; `what` it should be is an article file or a graph file.
#[derive(Debug, Error)]
pub enum ReadError {
    #[error("can't open the {what} {}: {source}; name JSON Lines that this user may read", path.display())]
    Open { what: &'static str, path: PathBuf, source: io::Error },
    #[error("can't read the {what} {} after line {line}: {source}; is the file complete?", path.display())]
    Damaged { what: &'static str, path: PathBuf, line: u64, source: io::Error },
    #[error(
        "{bad} of {rows} rows in {} are bad, more than one in {ROWS_PER_TOLERATED_BAD_ROW}; mend them, the first is {first}",
        path.display()
    )]
    TooManyBadRows { path: PathBuf, bad: u64, rows: u64, first: BadRow },
    #[error("there is no article in the {what} {}; write one on each line, with an id and a title or a text", path.display())]
    NoArticles { what: &'static str, path: PathBuf },
}

impl FileReport {
    /// One line for people: `kb.jsonl:7: no id`.
    pub fn describe(&self, bad_row: &BadRow) -> String {
        format!("{}:{}: {}", self.path.display(), bad_row.line, bad_row.reason)
    }

    /// Refuses a file in which more than a few rows are bad.
    pub(crate) fn check(&self) -> Result<(), ReadError> {
        let (bad, rows) = (self.bad_rows.len() as u64, self.rows);
        match self.bad_rows.first() {
            Some(first) if bad * ROWS_PER_TOLERATED_BAD_ROW > rows => {
                Err(ReadError::TooManyBadRows { path: self.path.clone(), bad, rows, first: first.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// Hands each row of the file at `path` to `take`, which says what is wrong with a bad one.
pub(crate) fn read_file(
    what: &'static str,
    path: &Path,
    take: impl FnMut(RowText<'_>) -> Result<(), String>,
) -> Result<FileReport, ReadError> {
    let rows = Rows::open(path).map_err(|source| ReadError::Open { what, path: path.to_owned(), source })?;
    read_rows(what, path, rows, take)
}

/// As [`read_file`], for rows that are open.
pub(crate) fn read_rows(
    what: &'static str,
    path: &Path,
    mut rows: Rows<impl BufRead>,
    mut take: impl FnMut(RowText<'_>) -> Result<(), String>,
) -> Result<FileReport, ReadError> {
    let mut report = FileReport { path: path.to_owned(), rows: 0, bad_rows: Vec::new(), repaired_rows: 0 };
    loop {
        let line = rows.line();
        let row = rows.next_row().map_err(|source| ReadError::Damaged { what, path: path.to_owned(), line, source })?;
        let Some(Row { line, content }) = row else { return Ok(report) };
        report.rows += 1;
        let taken = content
            .map_err(|too_long| format!("{too_long}; shorten it"))
            .and_then(|bytes| take(RowText { line, bytes, repaired_rows: &mut report.repaired_rows }));
        report.bad_rows.extend(taken.err().map(|reason| BadRow { line, reason }));
    }
}

/// The text of a row that is to be read.
pub(crate) struct RowText<'a> {
    /// Where it stands, from 1.
    pub line: u64,
    bytes: &'a [u8],
    repaired_rows: &'a mut u64,
}

impl RowText<'_> {
    /// Reads its JSON as `what` it should be.
    pub fn parse<T: DeserializeOwned>(&mut self, what: &str) -> Result<T, String> {
        let Parsed { value, repairs } = json::parse(self.bytes).map_err(|error| {
            let flaw = json_flaw(error.cause());
            if error.is_syntax() { format!("broken JSON: {flaw}") } else { format!("not {what}: {flaw}") }
        })?;
        *self.repaired_rows += u64::from(repairs.invalid_utf8 + repairs.lone_surrogates > 0);
        Ok(value)
    }
}

/// Reads the rows of a file.
pub struct Rows<R> {
    input: R,
    limit: usize,
    buffer: Vec<u8>,
    line: u64,
}

/// A line that is not blank.
pub struct Row<'a> {
    /// Its number, from 1.
    pub line: u64,
    /// Its bytes without the line break.
    pub content: Result<&'a [u8], TooLong>,
}

/// A row of more bytes than are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("longer than {limit} bytes")]
pub struct TooLong {
    /// The most bytes that a row may have.
    pub limit: usize,
}

/// What is wrong with the JSON of one row: the column, but no line, since to the library each row is line 1.
pub fn json_flaw(error: &serde_json::Error) -> String {
    let (text, column) = (error.to_string(), error.column());
    match text.strip_suffix(&format!(" at line {} column {column}", error.line())) {
        Some(what) => format!("{what} at column {column}"),
        None => text,
    }
}

impl Rows<Box<dyn BufRead>> {
    /// Opens a file, and unpacks it when it is compressed.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut plain = BufReader::with_capacity(READ_BUFFER_BYTES, File::open(path)?);
        let is_compressed = plain.fill_buf()?.starts_with(&GZIP_MAGIC);
        let input: Box<dyn BufRead> = if is_compressed {
            Box::new(BufReader::with_capacity(READ_BUFFER_BYTES, MultiGzDecoder::new(plain)))
        } else {
            Box::new(plain)
        };
        Ok(Self::new(input, MAX_LINE_BYTES))
    }
}

impl<R: BufRead> Rows<R> {
    pub(crate) fn new(input: R, limit: usize) -> Self {
        Self { input, limit, buffer: Vec::new(), line: 0 }
    }

    /// Lines read so far.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The next row; none at the end of the file.
    pub fn next_row(&mut self) -> io::Result<Option<Row<'_>>> {
        let start = loop {
            let line = read_line(&mut self.input, &mut self.buffer, self.limit)?;
            self.line += 1;
            match line {
                Line::End => return Ok(None),
                Line::TooLong => {
                    return Ok(Some(Row { line: self.line, content: Err(TooLong { limit: self.limit }) }));
                }
                Line::Whole => {}
            }
            let has_mark = self.line == 1 && self.buffer.starts_with(BYTE_ORDER_MARK);
            let start = if has_mark { BYTE_ORDER_MARK.len() } else { 0 };
            if !self.buffer[start..].trim_ascii().is_empty() {
                break start;
            }
        };
        Ok(Some(Row { line: self.line, content: Ok(&self.buffer[start..]) }))
    }
}

enum Line {
    Whole,
    TooLong,
    End,
}

/// Reads up to the next line break and leaves at most `limit` bytes in `line`; of a longer one nothing.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>, limit: usize) -> io::Result<Line> {
    line.clear();
    if input.by_ref().take(limit as u64 + 1).read_until(b'\n', line)? == 0 {
        return Ok(Line::End);
    }
    let is_ended = line.pop_if(|last| *last == b'\n').is_some();
    if is_ended || line.len() <= limit {
        return Ok(Line::Whole);
    }
    line.clear();
    input.skip_until(b'\n')?;
    Ok(Line::TooLong)
}

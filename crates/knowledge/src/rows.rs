//! Files of rows: JSON Lines, plain or gzip-compressed (told apart by the first two bytes, not by the name).
//!
//! Input is a path, output one row after another with its line. Blank lines and a byte order mark are no rows. A line is
//! read up to a limit, so that a file without line breaks can't fill the memory; a longer one is passed over and named.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// The longest line that is read: a hundred times the longest article seen in real help centres.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// More than one bad row in this many stops the build: the file is then something else than it should be.
pub(crate) const ROWS_PER_TOLERATED_BAD_ROW: u64 = 10;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const READ_BUFFER_BYTES: usize = 128 * 1024;

/// Whether this many bad rows are bad luck.
pub(crate) fn are_tolerated(bad: u64, rows: u64) -> bool {
    bad * ROWS_PER_TOLERATED_BAD_ROW <= rows
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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

/// Reads up to the next line break and leaves at most `limit` bytes in `line`.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>, limit: usize) -> io::Result<Line> {
    line.clear();
    let mut too_long = false;
    let mut started = false;
    loop {
        let buffer = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if buffer.is_empty() {
            return Ok(match (too_long, started) {
                (true, _) => Line::TooLong,
                (_, true) => Line::Whole,
                _ => Line::End,
            });
        }
        started = true;
        let newline = buffer.iter().position(|&byte| byte == b'\n');
        let part = &buffer[..newline.unwrap_or(buffer.len())];
        too_long |= line.len() + part.len() > limit;
        if !too_long {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(newline.is_some());
        input.consume(used);
        if newline.is_some() {
            return Ok(if too_long { Line::TooLong } else { Line::Whole });
        }
    }
}

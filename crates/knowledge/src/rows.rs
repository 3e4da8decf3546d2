//! Files of rows: JSON Lines, plain or gzip-compressed (told apart by the first two bytes, not by the name).
//!
//! Input is a path, output one line after another. A line is read up to a limit, so that a file without line breaks can't
//! fill the memory; a longer one is passed over and named.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// The longest line that is read: a hundred times the longest article seen in real help centres.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;

/// More than one bad row in this many stops the build: the file is then something else than it should be.
pub(crate) const ROWS_PER_TOLERATED_BAD_ROW: u64 = 10;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const READ_BUFFER_BYTES: usize = 128 * 1024;

/// Opens a file of rows and unpacks it when it is compressed.
pub(crate) fn open_rows(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut plain = BufReader::with_capacity(READ_BUFFER_BYTES, File::open(path)?);
    if plain.fill_buf()?.starts_with(&GZIP_MAGIC) {
        return Ok(Box::new(BufReader::with_capacity(READ_BUFFER_BYTES, MultiGzDecoder::new(plain))));
    }
    Ok(Box::new(plain))
}

pub(crate) enum Line {
    Whole,
    TooLong,
    End,
}

/// Reads up to the next line break and leaves at most `limit` bytes in `line`.
pub(crate) fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>, limit: usize) -> io::Result<Line> {
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

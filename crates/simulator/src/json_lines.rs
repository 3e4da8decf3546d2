//! JSON Lines files, plain or gzip, read row by row.
//!
//! Input: a path. Output: one value per line that is not blank. The first row that can't be read ends it with an error
//! that names file and line: what a stand-in plays must be what its user wrote.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use serde::de::DeserializeOwned;

/// Every gzip file starts with these bytes.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

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
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, ReadError> {
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
}

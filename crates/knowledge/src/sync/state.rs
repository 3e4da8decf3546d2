//! Where the polls of each source stand, in `INDEX/sync.json`.
//!
//! What is kept is only worth something together with the articles that it speaks of: it counts as long as the source
//! holds as many articles in the index as when it was written, so that an index that was built anew is asked for whole.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::IndexError;
use crate::index::Index;
use crate::store::durable::sync_directory;

const FILE: &str = "sync.json";

/// How the last good poll of a source ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncState {
    /// `Last-Modified` as it came; sent back with the next poll.
    pub last_modified: Option<String>,
    /// Articles that the source held in the index after it.
    pub articles: usize,
}

fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

fn read_all(directory: &Path) -> Result<BTreeMap<String, SyncState>, IndexError> {
    let path = path(directory);
    match fs::read(&path) {
        // A file that can't be read costs one full answer, and nothing is lost with it.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(IndexError::io("read", &path)(error)),
    }
}

/// How many articles of the index a source holds.
fn held(index: &Index, source: &str) -> usize {
    index.manifest().sources.get(source).map_or(0, |summary| summary.articles)
}

/// Where the polls of a source stand; `None` when it was never polled, or the index is another one since.
pub fn read_state(directory: &Path, index: &Index, source: &str) -> Result<Option<SyncState>, IndexError> {
    let state = read_all(directory)?.remove(source);
    Ok(state.filter(|state| state.articles == held(index, source)))
}

/// Notes that a poll of the source succeeded and its articles are in `index`.
pub fn write_state(
    directory: &Path,
    index: &Index,
    source: &str,
    last_modified: Option<String>,
) -> Result<(), IndexError> {
    let mut states = read_all(directory)?;
    states.insert(source.to_owned(), SyncState { last_modified, articles: held(index, source) });
    let path = path(directory);
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        serde_json::to_writer_pretty(&mut file, &states)?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error).map(drop)
    };
    write().map_err(IndexError::io("write", &path))?;
    sync_directory(directory)
}

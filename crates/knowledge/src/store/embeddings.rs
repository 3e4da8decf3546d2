//! `INDEX/embeddings`: every vector that was ever made, by hash of model and text.
//!
//! A build that was interrupted, an article that comes back, and a model that is switched back cost nothing. It is a
//! cache and no more: a file that can't be read is thrown away, one that can't be used is done without, each with a
//! warning. Vectors that nothing uses are dropped once they outnumber the others.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use redb::{Builder, Database, DatabaseError, Error, ReadableDatabase, ReadableTableMetadata, TableDefinition};

use crate::hashing::ContentHash;

const TABLE: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("vectors");

/// redb's own default of 1 GiB would outweigh everything else in the process.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Below this many unused vectors dropping them isn't worth the writing.
const UNUSED_TOLERATED: u64 = 1_024;

/// Vectors that are kept from one run to the next.
pub struct Embeddings {
    /// None from the first failure on.
    database: Option<Database>,
}

impl Embeddings {
    /// Opens the file at `path`; without a path nothing is kept.
    pub fn open(path: Option<&Path>) -> Self {
        let database = path.and_then(|path| match open(path) {
            Ok(database) => Some(database),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "embeddings can't be kept and will be made anew");
                None
            }
        });
        Self { database }
    }

    /// Fills each slot with the vector of its key; says for each whether there was one of that length.
    pub fn fill(&mut self, keys_and_slots: &mut [(ContentHash, &mut [f32])]) -> Vec<bool> {
        let found = self.attempt(|database| fill(database, keys_and_slots));
        found.unwrap_or_else(|| vec![false; keys_and_slots.len()])
    }

    /// Keeps vectors; on disk when this returns.
    pub fn keep(&mut self, vectors: &[(ContentHash, &[f32])]) {
        self.attempt(|database| keep(database, vectors));
    }

    /// Drops what is not in `used` once there is more than twice as much as the `most_used` at most that are.
    pub fn prune(&mut self, most_used: usize, used: impl FnOnce() -> HashSet<ContentHash>) {
        self.attempt(|database| prune(database, most_used, used));
    }

    fn attempt<T>(&mut self, work: impl FnOnce(&Database) -> Result<T, Error>) -> Option<T> {
        let outcome = work(self.database.as_ref()?);
        if let Err(error) = &outcome {
            tracing::warn!(%error, "embeddings can't be kept any more and will be made anew");
            self.database = None;
        }
        outcome.ok()
    }
}

fn open(path: &Path) -> Result<Database, Error> {
    let create = || Builder::new().set_cache_size(CACHE_BYTES).create(path);
    let is_unreadable = |error: &DatabaseError| match error {
        DatabaseError::Storage(redb::StorageError::Corrupted(_)) | DatabaseError::UpgradeRequired(_) => true,
        // A file that was never one of redb's is reported as an invalid one by the system's error type.
        DatabaseError::Storage(redb::StorageError::Io(error)) => error.kind() == io::ErrorKind::InvalidData,
        _ => false,
    };
    match create() {
        Err(error) if is_unreadable(&error) => {
            tracing::warn!(path = %path.display(), %error, "embeddings can't be read and are made anew");
            fs::remove_file(path)?;
            Ok(create()?)
        }
        other => Ok(other?),
    }
}

fn fill(database: &Database, keys_and_slots: &mut [(ContentHash, &mut [f32])]) -> Result<Vec<bool>, Error> {
    let transaction = database.begin_read()?;
    let table = match transaction.open_table(TABLE) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(vec![false; keys_and_slots.len()]),
        other => other?,
    };
    let filled = keys_and_slots
        .iter_mut()
        .map(|(key, slot)| Ok(table.get(key.as_bytes())?.is_some_and(|value| from_bytes(value.value(), slot))));
    filled.collect()
}

fn keep(database: &Database, vectors: &[(ContentHash, &[f32])]) -> Result<(), Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(TABLE)?;
        for (key, vector) in vectors {
            let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
            table.insert(key.as_bytes(), bytes.as_slice())?;
        }
    }
    Ok(transaction.commit()?)
}

fn prune(database: &Database, most_used: usize, used: impl FnOnce() -> HashSet<ContentHash>) -> Result<(), Error> {
    if num_kept(database)? <= 2 * most_used as u64 + UNUSED_TOLERATED {
        return Ok(());
    }
    let used = used();
    let used: HashSet<&[u8; 32]> = used.iter().map(ContentHash::as_bytes).collect();
    let transaction = database.begin_write()?;
    transaction.open_table(TABLE)?.retain(|key, _| used.contains(key))?;
    Ok(transaction.commit()?)
}

fn num_kept(database: &Database) -> Result<u64, Error> {
    match database.begin_read()?.open_table(TABLE) {
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
        table => Ok(table?.len()?),
    }
}

fn from_bytes(bytes: &[u8], slot: &mut [f32]) -> bool {
    if bytes.len() != size_of_val(slot) {
        return false;
    }
    for (value, bytes) in slot.iter_mut().zip(bytes.as_chunks().0) {
        *value = f32::from_le_bytes(*bytes);
    }
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(number: u32) -> ContentHash {
        ContentHash::of_bytes(&number.to_le_bytes())
    }

    fn stored(embeddings: &mut Embeddings, number: u32) -> Option<Vec<f32>> {
        let mut slot = vec![0.0; 2];
        let found = embeddings.fill(&mut [(key(number), &mut slot)]);
        found[0].then_some(slot)
    }

    #[test]
    fn vectors_are_kept_over_a_restart_and_only_of_the_right_length() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("embeddings");
        let mut embeddings = Embeddings::open(Some(&path));
        assert_eq!(stored(&mut embeddings, 1), None);
        embeddings.keep(&[(key(1), &[0.6, 0.8]), (key(2), &[1.0])]);
        drop(embeddings);
        let mut embeddings = Embeddings::open(Some(&path));
        assert_eq!(stored(&mut embeddings, 1), Some(vec![0.6, 0.8]));
        assert_eq!(stored(&mut embeddings, 2), None);
    }

    #[test]
    fn unused_vectors_go_when_they_outnumber_the_used() {
        let directory = tempfile::tempdir().unwrap();
        let mut embeddings = Embeddings::open(Some(&directory.path().join("embeddings")));
        let prune = |embeddings: &mut Embeddings| embeddings.prune(1, || HashSet::from([key(0)]));
        let vectors = |numbers: std::ops::Range<u32>| -> Vec<_> {
            numbers.map(|number| (key(number), [1.0, 0.0].as_slice())).collect()
        };
        embeddings.keep(&vectors(0..1_000));
        prune(&mut embeddings);
        assert!(stored(&mut embeddings, 999).is_some());
        embeddings.keep(&vectors(1_000..2_000));
        prune(&mut embeddings);
        assert!(stored(&mut embeddings, 0).is_some());
        assert_eq!(stored(&mut embeddings, 999), None);
    }

    #[test]
    fn a_file_that_is_no_database_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("embeddings");
        fs::write(&path, "these are no embeddings, whatever the name says".repeat(1_000)).unwrap();
        let mut embeddings = Embeddings::open(Some(&path));
        embeddings.keep(&[(key(1), &[0.6, 0.8])]);
        assert!(stored(&mut embeddings, 1).is_some());
    }
}

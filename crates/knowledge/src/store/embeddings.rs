//! `INDEX/embeddings`: every vector that was ever made, by hash of model and text.
//!
//! A build that was interrupted, an article that comes back, and a model that is switched back cost nothing. It is a
//! cache: a file that can't be read is thrown away with a warning, and vectors that no generation uses are dropped once
//! they outnumber the others.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError, ReadableTableMetadata, TableDefinition};

use crate::error::IndexError;
use crate::hashing::ContentHash;

const TABLE: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("vectors");

/// redb's own default of 1 GiB would outweigh everything else in the process.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Below this many unused vectors dropping them isn't worth the writing.
const UNUSED_TOLERATED: u64 = 1_024;

pub struct Embeddings {
    path: PathBuf,
    database: Database,
}

impl Embeddings {
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let create = || Builder::new().set_cache_size(CACHE_BYTES).create(path);
        let database = match create() {
            Err(
                error @ (DatabaseError::Storage(redb::StorageError::Corrupted(_)) | DatabaseError::UpgradeRequired(_)),
            ) => {
                discard(path, &error)?;
                create()
            }
            // A file that was never one of redb's is reported as an invalid one by the system's error type.
            Err(DatabaseError::Storage(redb::StorageError::Io(error)))
                if error.kind() == std::io::ErrorKind::InvalidData =>
            {
                discard(path, &error)?;
                create()
            }
            other => other,
        };
        let database = database.map_err(|error| failed(path, error))?;
        Ok(Self { path: path.to_owned(), database })
    }

    /// Puts the vector of `key` into `vector`; `false` when there is none of that length.
    pub fn fill(&self, keys_and_slots: &mut [(ContentHash, &mut [f32])]) -> Result<Vec<bool>, IndexError> {
        self.try_fill(keys_and_slots).map_err(|error| failed(&self.path, error))
    }

    /// Keeps the vectors of `texts` for the builds to come; on disk when this returns.
    pub fn keep(&self, vectors: &[(ContentHash, &[f32])]) -> Result<(), IndexError> {
        self.try_keep(vectors).map_err(|error| failed(&self.path, error))
    }

    /// Drops what is not in `used` once that is more than what is.
    pub fn prune(&self, used: &HashSet<ContentHash>) -> Result<(), IndexError> {
        self.try_prune(used).map_err(|error| failed(&self.path, error))
    }

    fn try_fill(&self, keys_and_slots: &mut [(ContentHash, &mut [f32])]) -> Result<Vec<bool>, redb::Error> {
        use redb::ReadableDatabase;
        let transaction = self.database.begin_read()?;
        let table = match transaction.open_table(TABLE) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(vec![false; keys_and_slots.len()]),
            other => other?,
        };
        keys_and_slots
            .iter_mut()
            .map(|(key, slot)| Ok(table.get(key.as_bytes())?.is_some_and(|value| from_bytes(value.value(), slot))))
            .collect()
    }

    fn try_keep(&self, vectors: &[(ContentHash, &[f32])]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, vector) in vectors {
                table.insert(key.as_bytes(), to_bytes(vector).as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn try_prune(&self, used: &HashSet<ContentHash>) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            if table.len()? <= 2 * used.len() as u64 + UNUSED_TOLERATED {
                return Ok(());
            }
            let used: HashSet<&[u8; 32]> = used.iter().map(ContentHash::as_bytes).collect();
            table.retain(|key, _| used.contains(key))?;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn discard(path: &Path, error: &dyn std::error::Error) -> Result<(), IndexError> {
    tracing::warn!(path = %path.display(), %error, "embeddings can't be read and are made anew");
    fs::remove_file(path).map_err(IndexError::io("remove the unreadable", path))
}

fn failed(path: &Path, error: impl Into<redb::Error>) -> IndexError {
    IndexError::Embeddings { path: path.to_owned(), source: Box::new(error.into()) }
}

fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
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

    fn stored(embeddings: &Embeddings, number: u32) -> Option<Vec<f32>> {
        let mut slot = vec![0.0; 2];
        let found = embeddings.fill(&mut [(key(number), &mut slot)]).unwrap();
        found[0].then_some(slot)
    }

    #[test]
    fn vectors_are_kept_over_a_restart_and_only_of_the_right_length() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("embeddings");
        let embeddings = Embeddings::open(&path).unwrap();
        assert_eq!(stored(&embeddings, 1), None);
        embeddings.keep(&[(key(1), &[0.6, 0.8]), (key(2), &[1.0])]).unwrap();
        drop(embeddings);
        let embeddings = Embeddings::open(&path).unwrap();
        assert_eq!(stored(&embeddings, 1), Some(vec![0.6, 0.8]));
        assert_eq!(stored(&embeddings, 2), None);
    }

    #[test]
    fn unused_vectors_go_when_they_outnumber_the_used() {
        let directory = tempfile::tempdir().unwrap();
        let embeddings = Embeddings::open(&directory.path().join("embeddings")).unwrap();
        let used = HashSet::from([key(0)]);
        let keep = |numbers: std::ops::Range<u32>| {
            let vectors: Vec<_> = numbers.map(|number| (key(number), [1.0, 0.0].as_slice())).collect();
            embeddings.keep(&vectors).unwrap();
        };
        keep(0..1_000);
        embeddings.prune(&used).unwrap();
        assert!(stored(&embeddings, 999).is_some());
        keep(1_000..2_000);
        embeddings.prune(&used).unwrap();
        assert!(stored(&embeddings, 0).is_some());
        assert_eq!(stored(&embeddings, 999), None);
    }

    #[test]
    fn a_file_that_is_no_database_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("embeddings");
        fs::write(&path, "these are no embeddings, whatever the name says".repeat(1_000)).unwrap();
        let embeddings = Embeddings::open(&path).unwrap();
        embeddings.keep(&[(key(1), &[0.6, 0.8])]).unwrap();
        assert!(stored(&embeddings, 1).is_some());
    }
}

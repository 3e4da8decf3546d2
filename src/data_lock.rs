//! One `serve` at a time on a data directory and a ledger: two would push each card and send each piece of feedback twice.
//!
//! The lock is the kernel's, on a file of each directory, so that it ends with the process however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::AccessFlags;

const FILE: &str = "serve.lock";

/// Holds the directories until it is dropped.
#[derive(Debug)]
pub struct DataLock {
    _files: Vec<File>,
}

/// The directory can't be had.
#[derive(Debug, thiserror::Error)]
pub enum DataLockError {
    /// Another process has it.
    #[error(
        "the data directory {} is in use by another cuecard (it holds {FILE} there); stop that one, or give this one a \
         directory of its own by data.dir (CUECARD_DATA_DIR), and a ledger of its own by data.database_url",
        dir.display()
    )]
    Taken {
        /// The directory.
        dir: PathBuf,
    },
    /// It can't be written.
    #[error("the data directory {} can't be used: {source}; data.dir or CUECARD_DATA_DIR names another", dir.display())]
    Unusable {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DataLock {
    /// Takes these directories, which are made where there are none.
    pub fn take(dirs: &[PathBuf]) -> Result<Self, DataLockError> {
        Ok(Self { _files: dirs.iter().map(|dir| lock(dir)).collect::<Result<_, _>>()? })
    }

    /// Whether somebody has one of these directories. Makes none, and takes none for longer than it looks.
    pub fn is_taken(dirs: &[PathBuf]) -> Result<bool, DataLockError> {
        for dir in dirs {
            if is_locked(dir)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether this process may make files in a directory, or make the directory where there is none yet. Makes nothing.
pub fn may_be_written(dir: &Path) -> Result<(), DataLockError> {
    // What is relative lies in the directory that the process works in, and every path in the root.
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let there = absolute.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    let source = if there.is_dir() {
        match nix::unistd::access(there, AccessFlags::W_OK | AccessFlags::X_OK) {
            Ok(()) => return Ok(()),
            Err(error) => error.into(),
        }
    } else {
        io::Error::from(io::ErrorKind::NotADirectory)
    };
    Err(DataLockError::Unusable { dir: dir.to_owned(), source })
}

fn is_locked(dir: &Path) -> Result<bool, DataLockError> {
    let unusable = |source| DataLockError::Unusable { dir: dir.to_owned(), source };
    let file = match File::open(dir.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened.map_err(unusable)?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

fn lock(dir: &Path) -> Result<File, DataLockError> {
    let unusable = |source| DataLockError::Unusable { dir: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(unusable)?;
    let file = OpenOptions::new().create(true).append(true).open(dir.join(FILE)).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DataLockError::Taken { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn directories_are_held_by_one_until_that_one_ends() {
        let place = TempDir::new().unwrap();
        let [dir, ledger, other] = ["made/here", "ledger", "other"].map(|name| place.path().join(name));
        assert!(!DataLock::is_taken(std::slice::from_ref(&dir)).unwrap() && !dir.exists(), "looking makes nothing");
        may_be_written(&dir).unwrap();
        let held = DataLock::take(&[dir.clone(), ledger.clone()]).unwrap();
        assert!(DataLock::is_taken(&[other.clone(), ledger.clone()]).unwrap());
        for taken in [&[dir.clone()][..], &[other.clone(), ledger.clone()]] {
            let refused = DataLock::take(taken).unwrap_err().to_string();
            assert!(refused.contains("serve.lock") && refused.contains("CUECARD_DATA_DIR"), "{refused}");
        }
        DataLock::take(&[other]).unwrap();
        drop(held);
        assert!(!DataLock::is_taken(&[dir.clone(), ledger.clone()]).unwrap());
        DataLock::take(&[dir, ledger]).unwrap();
        std::fs::write(place.path().join("file"), "").unwrap();
        let unusable = DataLock::take(&[place.path().join("file")]).unwrap_err();
        assert!(matches!(unusable, DataLockError::Unusable { .. }), "{unusable}");
        let unusable = may_be_written(&place.path().join("file/below")).unwrap_err();
        assert!(matches!(unusable, DataLockError::Unusable { .. }), "{unusable}");
    }
}

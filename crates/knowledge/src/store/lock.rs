//! One writer at a time: an advisory lock on `INDEX/lock`, released by the system when the process ends.

use std::fs::{File, OpenOptions, TryLockError};

use crate::error::IndexError;
use crate::store::layout::Layout;

/// Holds the lock while it lives.
#[derive(Debug)]
pub struct WriterLock {
    _file: File,
}

impl WriterLock {
    pub fn take(layout: &Layout) -> Result<Self, IndexError> {
        let path = layout.lock();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(IndexError::io("open the lock", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(IndexError::Locked { lock: path }),
            Err(TryLockError::Error(source)) => Err(IndexError::Io { action: "take the lock", path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_second_writer_is_told_which_lock_and_comes_in_after_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path());
        let first = WriterLock::take(&layout).unwrap();
        let error = WriterLock::take(&layout).unwrap_err();
        assert!(error.to_string().contains(&layout.lock().display().to_string()), "{error}");
        drop(first);
        WriterLock::take(&layout).unwrap();
    }
}

//! Writes that survive a power cut: content first, then the directory that names it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::error::IndexError;

const WRITE_BUFFER_BYTES: usize = 256 * 1024;

/// Creates `path`, lets `content` fill it, and flushes it to disk.
pub fn write_file(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), IndexError> {
    let write = || {
        let mut writer = BufWriter::with_capacity(WRITE_BUFFER_BYTES, File::create_new(path)?);
        content(&mut writer)?;
        writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    };
    write().map_err(IndexError::io("write", path))
}

/// Flushes the names in `directory` to disk.
pub fn sync_directory(directory: &Path) -> Result<(), IndexError> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(IndexError::io("flush", directory))
}

pub fn create_directory(path: &Path) -> Result<(), IndexError> {
    fs::create_dir_all(path).map_err(IndexError::io("create", path))
}

/// Gives an immutable file a second name; where the file system has no hard links, a copy.
pub fn link_or_copy(from: &Path, to: &Path) -> Result<(), IndexError> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    copy(from, to)
}

pub fn copy(from: &Path, to: &Path) -> Result<(), IndexError> {
    fs::copy(from, to)
        .and_then(|_| File::open(to)?.sync_all())
        .map_err(IndexError::io("copy a file of the generation before to", to))
}

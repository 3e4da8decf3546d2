//! Moves an index that is damaged out of the way, so that another one can begin in its place, and nothing is deleted.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::error::IndexError;
use crate::store::directory::{Layout, WriterLock, create_directory, sync_directory};

/// Moves what the directory holds of an index into one of its own below it, which is returned. The embeddings stay: they
/// are found by the text that they are of, so that the articles need not be embedded again. Refused while somebody writes
/// the index.
pub fn set_aside(directory: &Path) -> Result<PathBuf, IndexError> {
    let layout = Layout::new(directory);
    let _writing = WriterLock::take(&layout)?;
    // Below the directory, which may be a volume's root and can't be renamed itself.
    let aside = directory.join(format!("damaged-{}", Timestamp::now().strftime("%Y%m%dT%H%M%S")));
    create_directory(&aside)?;
    // CURRENT last: as long as it is there, an index without generations is damaged, and nobody sweeps what is left.
    for path in [layout.generations(), layout.current()] {
        let Some(name) = path.file_name() else { continue };
        match fs::rename(&path, aside.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(IndexError::io("set aside", &path)(error)),
            _ => {}
        }
    }
    sync_directory(&aside)?;
    sync_directory(directory)?;
    Ok(aside)
}

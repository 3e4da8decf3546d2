//! `INDEX/CURRENT`: which generation is in service.
//!
//! One line: the number, and the hash of that generation's manifest, from which the hash of every other file follows.
//! It is replaced by rename, so that a reader sees the old line or the new one.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::IndexError;
use crate::hashing::ContentHash;
use crate::store::durable::sync_directory;
use crate::store::layout::Layout;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Current {
    pub generation: u64,
    pub manifest: ContentHash,
}

impl Current {
    /// What is in service; no such file means that there is no index.
    pub fn read(layout: &Layout) -> Result<Self, IndexError> {
        let path = layout.current();
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(IndexError::NoIndex { directory: layout.root().to_owned() });
            }
            Err(source) => return Err(IndexError::Io { action: "read", path, source }),
        };
        parse(&text).ok_or_else(|| IndexError::Damaged {
            directory: layout.root().to_owned(),
            what: "CURRENT names no generation".to_owned(),
        })
    }

    /// Puts this generation into service in one step.
    pub fn publish(self, layout: &Layout) -> Result<(), IndexError> {
        let path = layout.current();
        let replace = |root: &Path| {
            let mut file = NamedTempFile::with_prefix_in(".CURRENT.", root)?;
            writeln!(file, "{} {}", self.generation, self.manifest)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)
        };
        replace(layout.root()).map_err(IndexError::io("replace", &path))?;
        sync_directory(layout.root())
    }
}

fn parse(text: &str) -> Option<Current> {
    let (generation, manifest) = text.trim_end().split_once(' ')?;
    Some(Current { generation: generation.parse().ok()?, manifest: ContentHash::try_from(manifest.to_owned()).ok()? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_published_is_read_and_anything_else_is_damage() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path());
        assert!(matches!(Current::read(&layout).unwrap_err(), IndexError::NoIndex { .. }));
        for generation in [1, 12] {
            let current = Current { generation, manifest: ContentHash::of_bytes(b"m") };
            current.publish(&layout).unwrap();
            assert_eq!(Current::read(&layout).unwrap(), current);
        }
        for text in ["", "12", "12 abc", "x 00", "\u{fffd}"] {
            fs::write(layout.current(), text).unwrap();
            assert!(matches!(Current::read(&layout).unwrap_err(), IndexError::Damaged { .. }), "{text:?}");
        }
    }
}

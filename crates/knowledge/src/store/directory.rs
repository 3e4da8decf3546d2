//! An index directory: its paths, the generation in service, the one writer, and writes that survive a power cut.
//!
//! `CURRENT` is one line: the number of the generation in service and the hash of its manifest, from which the hash of
//! every other file follows. It is replaced by rename, so that a reader sees the old line or the new one. Every file is
//! flushed to disk before the directory that names it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::IndexError;
use crate::hashing::ContentHash;

/// What the names of all files of a base start with.
pub const BASE: &str = "base.";
pub const BASE_ARTICLES: &str = "base.articles";
pub const BASE_VECTORS: &str = "base.vectors";
pub const BASE_SENTENCES: &str = "base.sentences";
pub const BASE_NEIGHBOURS: &str = "base.graph";
pub const DELTA_ARTICLES: &str = "delta.articles";
pub const DELTA_VECTORS: &str = "delta.vectors";
pub const DELTA_SENTENCES: &str = "delta.sentences";
pub const RELATIONS: &str = "relations.json";
pub const NAMES: &str = "names.codes";
pub const TITLES: &str = "titles.codes";
pub const LEXICAL: &str = "lexical";
pub const MANIFEST: &str = "manifest.json";

/// Paths below one index directory.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn current(&self) -> PathBuf {
        self.root.join("CURRENT")
    }

    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub fn embeddings(&self) -> PathBuf {
        self.root.join("embeddings")
    }

    pub fn generations(&self) -> PathBuf {
        self.root.join("generations")
    }

    pub fn generation(&self, number: u64) -> PathBuf {
        self.generations().join(number.to_string())
    }

    /// Removes every generation but the one in service and the one before it. Debris of a writer that died goes too;
    /// a reader that still holds an old generation has its files open and goes on.
    fn sweep(&self, in_service: Option<u64>) -> Result<(), IndexError> {
        let (numbers, strangers) = self.listed()?;
        let before = numbers.iter().copied().filter(|&number| Some(number) < in_service).max();
        let superfluous =
            numbers.iter().copied().filter(|&number| Some(number) != in_service && Some(number) != before);
        for path in superfluous.map(|number| self.generation(number)).chain(strangers) {
            tracing::debug!(path = %path.display(), "generation removed");
            fs::remove_dir_all(&path).map_err(IndexError::io("remove the old generation", &path))?;
        }
        Ok(())
    }

    /// What is superfluous costs disk and nothing else, so that it keeps no build from its end.
    pub fn sweep_or_warn(&self, in_service: Option<u64>) {
        if let Err(error) = self.sweep(in_service) {
            tracing::warn!(%error, "a superfluous generation was left");
        }
    }

    /// The numbers of the generations there are, and the directories among them whose name is no number.
    fn listed(&self) -> Result<(Vec<u64>, Vec<PathBuf>), IndexError> {
        let generations = self.generations();
        let unreadable = || IndexError::io("list", &generations);
        let (mut numbers, mut strangers) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&generations).map_err(unreadable())? {
            let entry = entry.map_err(unreadable())?;
            if !entry.file_type().map_err(unreadable())?.is_dir() {
                continue;
            }
            match entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                Some(number) => numbers.push(number),
                None => strangers.push(entry.path()),
            }
        }
        Ok((numbers, strangers))
    }

    /// A number above that of every generation there is.
    pub fn next_number(&self) -> Result<u64, IndexError> {
        Ok(self.listed()?.0.into_iter().max().map_or(1, |highest| highest + 1))
    }
}

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

/// Holds the lock while it lives.
#[derive(Debug)]
pub struct WriterLock {
    _file: File,
}

impl WriterLock {
    pub fn take(layout: &Layout) -> Result<Self, IndexError> {
        let (file, path) = Self::open(layout)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(IndexError::Locked { lock: path }),
            Err(TryLockError::Error(source)) => Err(IndexError::Io { action: "take the lock", path, source }),
        }
    }

    /// Blocks until the writer that holds it is done.
    pub fn wait(layout: &Layout) -> Result<Self, IndexError> {
        let (file, path) = Self::open(layout)?;
        file.lock().map_err(IndexError::io("take the lock", &path))?;
        Ok(Self { _file: file })
    }

    fn open(layout: &Layout) -> Result<(File, PathBuf), IndexError> {
        let path = layout.lock();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        Ok((file.map_err(IndexError::io("open the lock", &path))?, path))
    }
}

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_generation_in_service_and_the_one_before_it_stay() {
        for (there, in_service, left) in [
            (&[1, 2, 3, 4][..], Some(4), &[3, 4][..]),
            (&[1, 2, 9, 10, 11], Some(10), &[9, 10]),
            (&[7, 8], Some(7), &[7]),
            (&[1, 2], None, &[]),
            (&[], None, &[]),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let layout = Layout::new(directory.path());
            fs::create_dir_all(layout.generations().join("unfinished")).unwrap();
            for &number in there {
                fs::create_dir_all(layout.generation(number).join("lexical")).unwrap();
            }
            layout.sweep(in_service).unwrap();
            let (mut numbers, strangers) = layout.listed().unwrap();
            numbers.sort_unstable();
            assert_eq!((numbers.as_slice(), strangers.len()), (left, 0));
            assert_eq!(layout.next_number().unwrap(), left.last().map_or(1, |highest| highest + 1));
        }
    }

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

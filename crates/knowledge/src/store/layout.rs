//! The paths of an index directory and the sweeping of generations that nobody needs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::IndexError;

pub const ARTICLES: &str = "articles.jsonl";
pub const BASE_VECTORS: &str = "base.vectors";
pub const BASE_GRAPH: &str = "base.graph";
pub const DELTA_VECTORS: &str = "delta.vectors";
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
}

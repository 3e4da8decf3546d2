//! A generation: its manifest, which has length and hash of each of its files, and the reading of those files.
//!
//! Everything is compared before it is used: the hash of the manifest with `CURRENT`, the format version, every file with
//! the manifest. What doesn't fit is an [`IndexError::Damaged`] that names the file; nothing is repaired here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::encoder::ModelIdentity;
use crate::error::IndexError;
use crate::hashing::ContentHash;
use crate::relations::Name;
use crate::store::directory::{
    ARTICLES, BASE_NEIGHBOURS, BASE_VECTORS, Current, DELTA_VECTORS, LEXICAL, Layout, MANIFEST, NAME_CODES, NAMES,
    SENTENCES, TITLES, write_file,
};
use crate::store::entries::{Entry, Extent, read_entries};
use crate::vectors::codes::Codes;
use crate::vectors::matrix::{Matrix, read_vectors};
use crate::vectors::nearest_neighbours::NeighbourGraph;

/// Goes up whenever a file of a generation changes its meaning.
pub const FORMAT_VERSION: u64 = 3;

/// What an index holds, for people and for the check before it is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format_version: u64,
    pub generation: u64,
    pub built_at: Timestamp,
    /// Name plus fingerprint of the model whose vectors these are.
    pub model: String,
    pub dimensions: usize,
    pub articles: usize,
    /// Passages with a vector, one or more for each article.
    pub chunks: usize,
    pub sources: BTreeMap<String, SourceSummary>,
    /// Hash over the content hashes of all articles: two indexes of the same articles have the same.
    pub content: ContentHash,
    /// The number of the next lexical document; none is used twice.
    pub(crate) next_document: u64,
    pub(crate) base_rows: usize,
    pub(crate) delta_rows: usize,
    pub(crate) names: usize,
    pub(crate) title_rows: usize,
    pub(crate) sentence_rows: usize,
    pub(crate) files: BTreeMap<String, FileRecord>,
}

/// What one source contributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSummary {
    pub articles: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    pub bytes: u64,
    pub blake3: ContentHash,
}

/// The one field that every version of the format keeps.
#[derive(Deserialize)]
struct Version {
    format_version: u64,
}

impl Manifest {
    pub fn identity(&self) -> ModelIdentity {
        ModelIdentity { model: self.model.clone(), dimensions: self.dimensions }
    }

    /// Writes `manifest.json` into `directory` and says what `CURRENT` has to name.
    pub fn write(&self, directory: &Path) -> Result<Current, IndexError> {
        let path = directory.join(MANIFEST);
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::from).map_err(IndexError::io("write", &path))?;
        write_file(&path, |file| file.write_all(&text))?;
        Ok(Current { generation: self.generation, manifest: ContentHash::of_bytes(&text) })
    }

    /// The manifest of the generation that `current` names.
    pub fn read(layout: &Layout, current: Current) -> Result<Self, IndexError> {
        let directory = layout.root();
        let damaged = |what: String| IndexError::Damaged { directory: directory.to_owned(), what };
        let path = layout.generation(current.generation).join(MANIFEST);
        let bytes = fs::read(&path).map_err(|error| damaged(format!("{}: {error}", path.display())))?;
        if ContentHash::of_bytes(&bytes) != current.manifest {
            return Err(damaged(format!("{} is not what CURRENT names", path.display())));
        }
        let unreadable = |error: serde_json::Error| damaged(format!("{}: {error}", path.display()));
        let Version { format_version } = serde_json::from_slice(&bytes).map_err(unreadable)?;
        if format_version != FORMAT_VERSION {
            let directory = directory.to_owned();
            return Err(IndexError::OtherFormat { directory, found: format_version, expected: FORMAT_VERSION });
        }
        serde_json::from_slice(&bytes).map_err(unreadable)
    }

    /// The whole content of a file of this generation, or what is wrong with it.
    pub fn read_file(&self, directory: &Path, name: &str) -> Result<Vec<u8>, String> {
        let record = self.files.get(name).ok_or_else(|| format!("the manifest lacks {name}"))?;
        let bytes = fs::read(directory.join(name)).map_err(|error| format!("{name}: {error}"))?;
        let found = FileRecord { bytes: bytes.len() as u64, blake3: ContentHash::of_bytes(&bytes) };
        record.compare(name, &found)?;
        Ok(bytes)
    }

    /// Compares every file below `prefix` with its record without keeping it.
    pub fn verify_files(&self, directory: &Path, prefix: &str) -> Result<(), String> {
        for (name, record) in self.files.iter().filter(|(name, _)| name.starts_with(prefix)) {
            let found = FileRecord::of(&directory.join(name)).map_err(|error| format!("{name}: {error}"))?;
            record.compare(name, &found)?;
        }
        Ok(())
    }
}

impl FileRecord {
    pub fn of(path: &Path) -> io::Result<Self> {
        const BUFFER_BYTES: usize = 256 * 1024;
        let mut file = File::open(path)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                let blake3 = ContentHash::from(hasher.finalize());
                return Ok(Self { bytes: hasher.count(), blake3 });
            }
            hasher.update(&buffer[..read]);
        }
    }

    fn compare(&self, name: &str, found: &Self) -> Result<(), String> {
        if found.bytes != self.bytes {
            return Err(format!("{name} has {} bytes instead of {}", found.bytes, self.bytes));
        }
        if found.blake3 != self.blake3 {
            return Err(format!("{name} has another checksum"));
        }
        Ok(())
    }
}

/// A published generation whose manifest has been read.
#[derive(Debug)]
pub struct Generation {
    pub manifest: Manifest,
    root: PathBuf,
    directory: PathBuf,
}

impl Generation {
    pub fn read(layout: &Layout, current: Current) -> Result<Self, IndexError> {
        let manifest = Manifest::read(layout, current)?;
        let directory = layout.generation(current.generation);
        Ok(Self { manifest, root: layout.root().to_owned(), directory })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn record(&self, name: &str) -> Option<&FileRecord> {
        self.manifest.files.get(name)
    }

    /// Refuses vectors of another model.
    pub fn expect(&self, expected: &ModelIdentity) -> Result<(), IndexError> {
        let found = self.manifest.identity();
        if found == *expected { Ok(()) } else { Err(IndexError::other_model(&self.root, found, expected)) }
    }

    pub fn entries(&self) -> Result<Vec<Entry>, IndexError> {
        let Manifest { base_rows, delta_rows, names, title_rows, sentence_rows, .. } = self.manifest;
        let extent = Extent { rows: base_rows + delta_rows, names, titles: title_rows, sentences: sentence_rows };
        let entries = self.bytes(ARTICLES).and_then(|bytes| read_entries(&bytes, extent));
        entries.map_err(|what| self.damaged(&what))
    }

    pub fn names(&self) -> Result<Vec<Name>, IndexError> {
        let names = self
            .bytes(NAMES)
            .and_then(|bytes| serde_json::from_slice::<Vec<Name>>(&bytes).map_err(|error| format!("{NAMES}: {error}")));
        match names.map_err(|what| self.damaged(&what))? {
            names if names.len() == self.manifest.names => Ok(names),
            _ => Err(self.misfit(NAMES)),
        }
    }

    /// The codes of the names.
    pub fn name_codes(&self) -> Result<Codes, IndexError> {
        self.codes(NAME_CODES, self.manifest.names)
    }

    /// The codes of the masked titles.
    pub fn titles(&self) -> Result<Codes, IndexError> {
        self.codes(TITLES, self.manifest.title_rows)
    }

    /// The codes of the sentences.
    pub fn sentences(&self) -> Result<Codes, IndexError> {
        self.codes(SENTENCES, self.manifest.sentence_rows)
    }

    fn codes(&self, name: &str, num_rows: usize) -> Result<Codes, IndexError> {
        let codes = self.bytes(name).and_then(|bytes| Codes::read(&bytes)).map_err(|what| self.damaged(&what))?;
        if codes.num_rows() == num_rows && codes.dimensions() == self.manifest.dimensions {
            Ok(codes)
        } else {
            Err(self.misfit(name))
        }
    }

    /// The error as it is for a build from this source alone: what else the generation holds would be lost.
    pub fn costing_others(&self, error: IndexError, source: &str) -> IndexError {
        let others: Vec<_> = self.manifest.sources.keys().filter(|other| *other != source).cloned().collect();
        match error {
            IndexError::Damaged { directory, what } if !others.is_empty() => {
                IndexError::OthersLost { directory, what, sources: others.join(", ") }
            }
            other => other,
        }
    }

    pub fn base(&self) -> Result<Matrix, IndexError> {
        self.matrix(BASE_VECTORS, self.manifest.base_rows)
    }

    pub fn delta(&self) -> Result<Matrix, IndexError> {
        self.matrix(DELTA_VECTORS, self.manifest.delta_rows)
    }

    pub fn has_neighbours(&self) -> bool {
        self.record(BASE_NEIGHBOURS).is_some()
    }

    /// The nearest-neighbour graph over `base`, when this generation has one.
    pub fn neighbours(&self, base: &Matrix) -> Result<Option<NeighbourGraph>, IndexError> {
        if !self.has_neighbours() {
            return Ok(None);
        }
        let neighbours = self.bytes(BASE_NEIGHBOURS).and_then(|bytes| NeighbourGraph::from_bytes(&bytes));
        match neighbours.map_err(|what| self.damaged(&what))? {
            neighbours if neighbours.fits(base) => Ok(Some(neighbours)),
            _ => Err(self.damaged(&format!("{BASE_NEIGHBOURS} is over other vectors"))),
        }
    }

    /// Compares the lexical files with the manifest.
    pub fn verify_lexical(&self) -> Result<PathBuf, IndexError> {
        self.verify(LEXICAL)?;
        Ok(self.path(LEXICAL))
    }

    /// Compares every file whose name starts with `prefix` with the manifest.
    pub fn verify(&self, prefix: &str) -> Result<(), IndexError> {
        self.manifest.verify_files(&self.directory, prefix).map_err(|what| self.damaged(&what))
    }

    pub fn damaged(&self, what: &str) -> IndexError {
        let what = format!("generation {}: {what}", self.manifest.generation);
        IndexError::Damaged { directory: self.root.clone(), what }
    }

    fn matrix(&self, name: &str, num_rows: usize) -> Result<Matrix, IndexError> {
        let matrix = self.bytes(name).and_then(|bytes| read_vectors(&bytes)).map_err(|what| self.damaged(&what))?;
        if matrix.num_rows() == num_rows && matrix.dimensions() == self.manifest.dimensions {
            Ok(matrix)
        } else {
            Err(self.misfit(name))
        }
    }

    fn misfit(&self, name: &str) -> IndexError {
        self.damaged(&format!("{name} has another size than the manifest says"))
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        self.manifest.read_file(&self.directory, name)
    }
}

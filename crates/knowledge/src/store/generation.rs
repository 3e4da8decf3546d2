//! A generation: its manifest, which has length and hash of each of its files, and the reading of those files.
//!
//! Everything is compared before it is used: the hash of the manifest with `CURRENT`, the format version, every file with
//! the manifest. What doesn't fit is an [`IndexError::Damaged`] that names the file; nothing is repaired here.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rayon::join;
use serde::{Deserialize, Serialize};
use tantivy::directory::{Directory, MmapDirectory};

use crate::encoder::ModelIdentity;
use crate::error::IndexError;
use crate::hashing::ContentHash;
use crate::relations::Related;
use crate::store::directory::{
    BASE, BASE_ARTICLES, BASE_NEIGHBOURS, BASE_SENTENCES, BASE_VECTORS, Current, DELTA_ARTICLES, DELTA_SENTENCES,
    DELTA_VECTORS, LEXICAL, Layout, MANIFEST, NAMES, RELATIONS, TITLES, write_file,
};
use crate::store::entries::{Entry, read_entries, together};
use crate::vectors::Segment;
use crate::vectors::codes::Codes;
use crate::vectors::matrix::Matrix;
use crate::vectors::nearest_neighbours::NeighbourGraph;
use crate::vectors::numbers::MappedBytes;

/// Goes up whenever a file of a generation changes its meaning.
pub const FORMAT_VERSION: u64 = 4;

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

    /// What this generation does not have in common with another, of the files whose names start with `prefix`.
    fn files_unlike<'a>(
        &'a self,
        other: Option<&'a Self>,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a FileRecord)> {
        let is_shared = move |name: &String, record| other.is_some_and(|other| other.files.get(name) == Some(record));
        self.files.iter().filter(move |(name, record)| name.starts_with(prefix) && !is_shared(name, *record))
    }

    /// Whether all files of the base are those of another generation.
    pub fn shares_base(&self, other: &Self) -> bool {
        self.files_unlike(Some(other), BASE).next().is_none() && other.files_unlike(Some(self), BASE).next().is_none()
    }
}

impl FileRecord {
    /// Reads the file on all cores.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_mmap_rayon(path)?;
        Ok(Self { bytes: hasher.count(), blake3: hasher.finalize().into() })
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update_rayon(bytes);
        Self { bytes: bytes.len() as u64, blake3: hasher.finalize().into() }
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

    /// The entries alone, in their order; what makes vectors and words unusable leaves them.
    pub fn entries(&self) -> Result<Vec<Arc<Entry>>, IndexError> {
        let (base, delta) = (self.listed(BASE_ARTICLES)?, self.listed(DELTA_ARTICLES)?);
        let documents = self.related()?.articles.into_iter().map(|article| article.document);
        together(&base, &delta, documents).map_err(|what| self.damaged(&what))
    }

    /// Its base, with the graph where it has one.
    pub fn base(&self) -> Result<Part, IndexError> {
        let vectors = || {
            let matrix = self.matrix(BASE_VECTORS)?;
            let neighbours = self.neighbours(&matrix)?;
            Ok(Segment::new(matrix, neighbours))
        };
        let (vectors, (entries, sentences)) =
            join(vectors, || join(|| self.listed(BASE_ARTICLES), || self.codes(BASE_SENTENCES)));
        Ok(Part { entries: entries?, vectors: Arc::new(vectors?), sentences: sentences? })
    }

    /// What changed since the base was made.
    pub fn delta(&self) -> Result<Part, IndexError> {
        let vectors = Arc::new(Segment::new(self.matrix(DELTA_VECTORS)?, None));
        Ok(Part { entries: self.listed(DELTA_ARTICLES)?, vectors, sentences: self.codes(DELTA_SENTENCES)? })
    }

    /// How the articles stand to one another, with the codes of the names and those of the masked titles.
    pub fn relations(&self) -> Result<(Related, Codes, Codes), IndexError> {
        let (related, names, titles) = (self.related()?, self.codes(NAMES)?, self.codes(TITLES)?);
        let fit = names.num_rows() == related.names.len() && titles.num_rows() == related.titles.len();
        if fit && related.is_whole() { Ok((related, names, titles)) } else { Err(self.misfit(RELATIONS)) }
    }

    fn related(&self) -> Result<Related, IndexError> {
        let read = |bytes: MappedBytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string());
        self.file(RELATIONS, read)
    }

    fn listed(&self, name: &str) -> Result<Vec<Arc<Entry>>, IndexError> {
        self.file(name, |bytes| read_entries(&bytes))
    }

    fn codes(&self, name: &str) -> Result<Codes, IndexError> {
        let codes = self.file(name, Codes::of_file)?;
        if codes.dimensions() == self.manifest.dimensions { Ok(codes) } else { Err(self.misfit(name)) }
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

    fn neighbours(&self, base: &Matrix) -> Result<Option<NeighbourGraph>, IndexError> {
        if self.record(BASE_NEIGHBOURS).is_none() {
            return Ok(None);
        }
        let neighbours = self.file(BASE_NEIGHBOURS, |bytes| NeighbourGraph::from_bytes(&bytes))?;
        if neighbours.fits(base) { Ok(Some(neighbours)) } else { Err(self.misfit(BASE_NEIGHBOURS)) }
    }

    /// Compares the lexical files with the manifest, but those that it has in common with another generation.
    pub fn verify_lexical(&self, other: Option<&Manifest>) -> Result<PathBuf, IndexError> {
        for (name, record) in self.manifest.files_unlike(other, LEXICAL) {
            let found = FileRecord::of(&self.path(name)).map_err(|error| self.damaged(&format!("{name}: {error}")))?;
            record.compare(name, &found).map_err(|what| self.damaged(&what))?;
        }
        Ok(self.path(LEXICAL))
    }

    pub fn damaged(&self, what: &str) -> IndexError {
        let what = format!("generation {}: {what}", self.manifest.generation);
        IndexError::Damaged { directory: self.root.clone(), what }
    }

    fn matrix(&self, name: &str) -> Result<Matrix, IndexError> {
        let matrix = self.file(name, Matrix::of_file)?;
        if matrix.dimensions() == self.manifest.dimensions { Ok(matrix) } else { Err(self.misfit(name)) }
    }

    fn misfit(&self, name: &str) -> IndexError {
        self.damaged(&format!("{name} does not fit the other files"))
    }

    fn file<T>(&self, name: &str, read: impl FnOnce(MappedBytes) -> Result<T, String>) -> Result<T, IndexError> {
        let value = self.mapped(name).and_then(|bytes| read(bytes).map_err(|what| format!("{name}: {what}")));
        value.map_err(|what| self.damaged(&what))
    }

    /// A file, mapped and compared with the manifest; or what is wrong with it.
    fn mapped(&self, name: &str) -> Result<MappedBytes, String> {
        let record = self.record(name).ok_or_else(|| format!("the manifest lacks {name}"))?;
        // The library that maps the lexical files maps these, too.
        let directory = MmapDirectory::open(&self.directory).map_err(|error| error.to_string())?;
        let file = directory.open_read(Path::new(name)).map_err(|error| format!("{name}: {error}"))?;
        let bytes = file.read_bytes().map_err(|error| format!("{name}: {error}"))?;
        record.compare(name, &FileRecord::of_bytes(&bytes))?;
        Ok(bytes)
    }
}

/// The base of a generation, or its delta: articles, and the vectors and codes that their rows count in.
pub struct Part {
    pub entries: Vec<Arc<Entry>>,
    pub vectors: Arc<Segment>,
    /// The codes of the sentences.
    pub sentences: Codes,
}

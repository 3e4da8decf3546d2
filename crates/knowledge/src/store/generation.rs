//! Reads the files of one generation, each compared with the manifest before it is used.
//!
//! What doesn't fit is an [`IndexError::Damaged`] that names the file; nothing is repaired here.

use std::path::PathBuf;

use crate::encoder::ModelIdentity;
use crate::error::IndexError;
use crate::store::current::Current;
use crate::store::entries::{Entry, read_entries};
use crate::store::layout::{ARTICLES, BASE_GRAPH, BASE_VECTORS, DELTA_VECTORS, LEXICAL, Layout};
use crate::store::manifest::{FileRecord, Manifest};
use crate::vectors::file::read_vectors;
use crate::vectors::graph::Graph;
use crate::vectors::matrix::Matrix;

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
        let num_rows = self.manifest.base_rows + self.manifest.delta_rows;
        let entries = self.bytes(ARTICLES).and_then(|bytes| read_entries(&bytes, num_rows));
        entries.map_err(|what| self.damaged(&what))
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

    pub fn has_graph(&self) -> bool {
        self.record(BASE_GRAPH).is_some()
    }

    /// The graph over `base`, when this generation has one.
    pub fn graph(&self, base: &Matrix) -> Result<Option<Graph>, IndexError> {
        if !self.has_graph() {
            return Ok(None);
        }
        let graph = self.bytes(BASE_GRAPH).and_then(|bytes| Graph::from_bytes(&bytes));
        match graph.map_err(|what| self.damaged(&what))? {
            graph if graph.fits(base) => Ok(Some(graph)),
            _ => Err(self.damaged(&format!("{BASE_GRAPH} is over other vectors"))),
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
            Err(self.damaged(&format!("{name} has another size than the manifest says")))
        }
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        self.manifest.read_file(&self.directory, name)
    }
}

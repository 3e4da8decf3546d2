//! Why an index can't be built or read.
//!
//! Every refusal names the directory and says what to run; callers match on the cases.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::encoder::ModelIdentity;

#[derive(Debug, Error)]
pub enum IndexError {
    #[error(
        "there is no index in {0}; build it with `cuecard index --articles FILE --index {0}`",
        directory.display()
    )]
    NoIndex { directory: PathBuf },
    #[error(
        "the index in {0} is damaged: {what}; build it again with `cuecard index --articles FILE --index {0}`",
        directory.display()
    )]
    Damaged { directory: PathBuf, what: String },
    #[error(
        "the index in {} is damaged: {what}; it also holds the articles of {sources}, which this build would lose; \
         move the directory away and build it from every source again",
        directory.display()
    )]
    OthersLost { directory: PathBuf, what: String, sources: String },
    #[error(
        "the index in {0} was made by {found} with {found_dimensions} dimensions, the model in use is {expected} with \
         {expected_dimensions}; build it again with `cuecard index --articles FILE --index {0}`",
        directory.display()
    )]
    OtherModel {
        directory: PathBuf,
        found: String,
        found_dimensions: usize,
        expected: String,
        expected_dimensions: usize,
    },
    #[error(
        "the index in {0} has format version {found}, this program reads {expected}; build it again with \
         `cuecard index --articles FILE --index {0}`",
        directory.display()
    )]
    OtherFormat { directory: PathBuf, found: u64, expected: u64 },
    #[error(
        "another writer holds {}; wait until it has finished, the lock goes with its process",
        lock.display()
    )]
    Locked { lock: PathBuf },
    #[error("the source of an update needs a name, for example `file:kb.jsonl`")]
    NoSourceName,
    #[error("the encoder failed: {0}")]
    Encoder(#[source] Box<dyn StdError + Send + Sync>),
    #[error("the encoder {model} gave {what}; see that its files are whole")]
    EncoderAnswer { model: String, what: String },
    #[error("can't {action} {}: {source}; see that this user may and that the disk has room", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the lexical index in {} failed: {source}; give the disk room and build it again", path.display())]
    Lexical { path: PathBuf, source: Box<tantivy::TantivyError> },
    #[error(
        "can't start {threads} threads for the nearest-neighbour graph: {source}; allow this user more (ulimit -u)"
    )]
    Threads { threads: usize, source: rayon::ThreadPoolBuildError },
    #[error("can't write the nearest-neighbour graph: {0}")]
    Neighbours(#[source] bincode::Error),
}

impl IndexError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn lexical(path: &Path) -> impl FnOnce(tantivy::TantivyError) -> Self {
        move |source| Self::Lexical { path: path.to_owned(), source: Box::new(source) }
    }

    pub(crate) fn other_model(directory: &Path, found: ModelIdentity, expected: &ModelIdentity) -> Self {
        Self::OtherModel {
            directory: directory.to_owned(),
            found: found.model,
            found_dimensions: found.dimensions,
            expected: expected.model.clone(),
            expected_dimensions: expected.dimensions,
        }
    }
}

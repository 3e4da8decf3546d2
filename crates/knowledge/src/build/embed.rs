//! Passages and vectors of articles that are new to the index.
//!
//! A text whose vector is known under this model is not embedded again; equal texts are embedded once. What the encoder
//! gave is kept on disk every few hundred texts, so that an interrupted build goes on where it stopped. An answer of the
//! wrong number, length or norm is an error.

use std::collections::HashMap;

use crate::build::plan::Fresh;
use crate::build::report::{BuildPhase, BuildProgress};
use crate::encoder::TextEncoder;
use crate::error::IndexError;
use crate::hashing::ContentHash;
use crate::passages::passages;
use crate::store::embeddings::Embeddings;
use crate::store::entries::{Entry, PassageRow};
use crate::vectors::matrix::Matrix;

/// Texts for each call of the encoder, which makes its own batches: enough for several of its threads.
const TEXTS_PER_CALL: usize = 64;

/// Calls between two writes to the embeddings: a write costs milliseconds, the texts of eight calls seconds.
const CALLS_PER_WRITE: usize = 8;

/// How far a norm may be from 1; the weights of all models in use are exact to far less.
const NORM_TOLERANCE: f32 = 0.01;

/// Entries whose rows count from 0 in a matrix of their own.
pub struct FreshEntries {
    pub entries: Vec<Entry>,
    pub matrix: Matrix,
    /// Texts that the encoder was asked for.
    pub embedded: usize,
}

/// Makes entries of `fresh`, numbering their documents from `first_document`.
pub fn fresh_entries(
    fresh: Vec<Fresh>,
    first_document: u64,
    encoder: &dyn TextEncoder,
    embeddings: &Embeddings,
    progress: &dyn BuildProgress,
) -> Result<FreshEntries, IndexError> {
    let mut rows = Rows::default();
    let entries = (first_document..)
        .zip(fresh)
        .map(|(document, Fresh { article, content, sources })| {
            let passages = passages(&article, encoder).into_iter();
            let passages = passages
                .map(|passage| {
                    let (row, key) = rows.add(ContentHash::of_text(encoder.model(), &passage.text), passage.text);
                    PassageRow { body: passage.body, row, key }
                })
                .collect();
            Entry { document, content, sources, passages, article }
        })
        .collect();
    let mut matrix = Matrix::zeros(encoder.dimensions(), rows.keys.len());
    let missing = rows.fill_known(&mut matrix, embeddings)?;
    let embedded = missing.len();
    if embedded > 0 {
        progress.phase(BuildPhase::Embedding);
        let call = Calls { encoder, embeddings, progress };
        call.embed(missing, &rows, &mut matrix)?;
    }
    Ok(FreshEntries { entries, matrix, embedded })
}

/// The texts by row; rows with equal texts share a key.
#[derive(Default)]
struct Rows {
    keys: Vec<ContentHash>,
    by_key: HashMap<ContentHash, Vec<u32>>,
    texts: HashMap<ContentHash, String>,
}

impl Rows {
    fn add(&mut self, key: ContentHash, text: String) -> (u32, ContentHash) {
        let row = self.keys.len() as u32;
        self.keys.push(key);
        self.by_key.entry(key).or_default().push(row);
        self.texts.entry(key).or_insert(text);
        (row, key)
    }

    /// Fills the rows whose vectors are kept; gives the other texts, longest first: the time left is then
    /// overestimated rather than under.
    fn fill_known(
        &mut self,
        matrix: &mut Matrix,
        embeddings: &Embeddings,
    ) -> Result<Vec<(ContentHash, String)>, IndexError> {
        let mut slots: Vec<_> = self.keys.iter().copied().zip(matrix.rows_mut()).collect();
        for (key, known) in self.keys.iter().zip(embeddings.fill(&mut slots)?) {
            if known {
                self.texts.remove(key);
            }
        }
        let mut missing: Vec<_> = std::mem::take(&mut self.texts).into_iter().collect();
        missing.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
        Ok(missing)
    }
}

struct Calls<'a> {
    encoder: &'a dyn TextEncoder,
    embeddings: &'a Embeddings,
    progress: &'a dyn BuildProgress,
}

impl Calls<'_> {
    fn embed(&self, missing: Vec<(ContentHash, String)>, rows: &Rows, matrix: &mut Matrix) -> Result<(), IndexError> {
        let total = missing.len();
        let mut done = 0;
        self.progress.embedded(done, total);
        let mut unwritten: Vec<(ContentHash, Vec<f32>)> = Vec::new();
        let (keys, texts): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
        for (keys, texts) in keys.chunks(TEXTS_PER_CALL).zip(texts.chunks(TEXTS_PER_CALL)) {
            let vectors = match embed_checked(self.encoder, texts) {
                Ok(vectors) => vectors,
                Err(error) => {
                    self.keep(&mut unwritten)?;
                    return Err(error);
                }
            };
            for (key, vector) in keys.iter().zip(vectors) {
                for row in rows.by_key.get(key).into_iter().flatten() {
                    matrix.row_mut(*row as usize).copy_from_slice(&vector);
                }
                unwritten.push((*key, vector));
            }
            done += texts.len();
            self.progress.embedded(done, total);
            if unwritten.len() >= TEXTS_PER_CALL * CALLS_PER_WRITE {
                self.keep(&mut unwritten)?;
            }
        }
        self.keep(&mut unwritten)
    }

    fn keep(&self, unwritten: &mut Vec<(ContentHash, Vec<f32>)>) -> Result<(), IndexError> {
        let vectors: Vec<_> = unwritten.iter().map(|(key, vector)| (*key, vector.as_slice())).collect();
        self.embeddings.keep(&vectors)?;
        unwritten.clear();
        Ok(())
    }
}

/// One call of the encoder, its answer checked.
pub fn embed_checked(encoder: &dyn TextEncoder, texts: &[String]) -> Result<Vec<Vec<f32>>, IndexError> {
    let vectors = encoder.embed(texts).map_err(IndexError::Encoder)?;
    let what = if vectors.len() == texts.len() {
        vectors.iter().find_map(|vector| flaw(vector, encoder.dimensions()))
    } else {
        Some(format!("{} vectors for {} texts", vectors.len(), texts.len()))
    };
    match what {
        None => Ok(vectors),
        Some(what) => Err(IndexError::EncoderAnswer { model: encoder.model().to_owned(), what }),
    }
}

fn flaw(vector: &[f32], dimensions: usize) -> Option<String> {
    if vector.len() != dimensions {
        return Some(format!("a vector of {} dimensions instead of {dimensions}", vector.len()));
    }
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    // A NaN is not within the tolerance either.
    let is_unit = (norm - 1.0).abs() <= NORM_TOLERANCE;
    (!is_unit).then(|| format!("a vector of length {norm} instead of 1"))
}

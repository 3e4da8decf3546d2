//! Makes the vectors of many texts.
//!
//! A text whose vector is kept under this model is not embedded again; equal texts are embedded once. What the encoder
//! gave is kept on disk every few hundred texts, so that work that was interrupted goes on where it stopped. An answer of
//! the wrong number, length or norm is an error.

use std::collections::HashMap;

use crate::encoder::TextEncoder;
use crate::error::IndexError;
use crate::hashing::ContentHash;
use crate::store::embeddings::Embeddings;
use crate::vectors::matrix::Matrix;

/// Texts for each call of the encoder, which makes its own batches: enough for several of its threads.
const TEXTS_PER_CALL: usize = 64;

/// Calls between two writes to the embeddings: a write costs milliseconds, the texts of eight calls seconds.
const CALLS_PER_WRITE: usize = 8;

/// How far a norm may be from 1; the weights of all models in use are exact to far less.
const NORM_TOLERANCE: f32 = 0.01;

/// A text without a vector, and its rows.
struct Missing {
    key: ContentHash,
    text: String,
    rows: Vec<usize>,
}

/// Embeds texts, each given with the key under which its vector is kept: one row for each, and how many texts the
/// encoder was asked for. `progress` is told how many of these are done, and nothing where there are none.
pub fn embed(
    texts: Vec<(ContentHash, String)>,
    encoder: &dyn TextEncoder,
    embeddings: &mut Embeddings,
    progress: &dyn Fn(usize, usize),
) -> Result<(Matrix, usize), IndexError> {
    let mut matrix = Matrix::zeros(encoder.dimensions(), texts.len());
    let known = embeddings.fill(&mut texts.iter().map(|(key, _)| *key).zip(matrix.rows_mut()).collect::<Vec<_>>());
    let missing = missing(texts, &known);
    let num_asked = missing.len();
    if num_asked > 0 {
        progress(0, num_asked);
    }
    let mut num_done = 0;
    for calls in missing.chunks(TEXTS_PER_CALL * CALLS_PER_WRITE) {
        let mut made = Vec::new();
        let answered = calls.chunks(TEXTS_PER_CALL).try_for_each(|call| {
            let texts: Vec<_> = call.iter().map(|missing| missing.text.clone()).collect();
            made.extend(call.iter().zip(embed_checked(encoder, &texts)?));
            num_done += texts.len();
            progress(num_done, num_asked);
            Ok(())
        });
        embeddings.keep(&made.iter().map(|(missing, vector)| (missing.key, vector.as_slice())).collect::<Vec<_>>());
        answered?;
        for (missing, vector) in made {
            missing.rows.iter().for_each(|&row| matrix.row_mut(row).copy_from_slice(&vector));
        }
    }
    Ok((matrix, num_asked))
}

/// Each text that is not known once, longest first: the time left is then overestimated rather than under.
fn missing(texts: Vec<(ContentHash, String)>, known: &[bool]) -> Vec<Missing> {
    let mut by_key: HashMap<ContentHash, Missing> = HashMap::new();
    for (row, (key, text)) in texts.into_iter().enumerate().filter(|(row, _)| !known[*row]) {
        by_key.entry(key).or_insert_with(|| Missing { key, text, rows: Vec::new() }).rows.push(row);
    }
    let mut missing: Vec<_> = by_key.into_values().collect();
    missing.sort_by(|a, b| b.text.len().cmp(&a.text.len()).then_with(|| a.key.cmp(&b.key)));
    missing
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

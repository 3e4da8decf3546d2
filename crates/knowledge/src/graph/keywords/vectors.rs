//! The vectors of keywords, kept on disk by hash of model and text, and the search for the nearest.
//!
//! The search compares all rows, but most of them by half: a dot product is at most that of the first halves plus the
//! product of the lengths of the second ones, and where that can't reach what is asked for the second halves are not
//! looked at. The few rows that are left are compared by their f32 vectors, so the result is that of comparing all so.

use std::collections::HashSet;
use std::path::Path;

use crate::build::embed_checked;
use crate::encoder::TextEncoder;
use crate::error::IndexError;
use crate::hashing::ContentHash;
use crate::store::embeddings::Embeddings;
use crate::vectors::cosine;
use crate::vectors::matrix::Matrix;
use crate::vectors::quantised::{Quantised, QuantisedQuery};

/// Texts for each call of the encoder, whose answers are kept before the next: some seconds of work.
const TEXTS_PER_CALL: usize = 512;

/// One row for each keyword.
pub struct KeywordVectors {
    matrix: Matrix,
    first: Quantised,
    second: Quantised,
    /// The length of the second half of each row.
    second_lengths: Vec<f32>,
}

impl KeywordVectors {
    /// Embeds every keyword whose vector is not in the cache and keeps it there.
    pub fn build(keywords: &[String], encoder: &dyn TextEncoder, cache: Option<&Path>) -> Result<Self, IndexError> {
        let matrix = embedded(keywords, encoder, cache)?;
        let middle = matrix.dimensions() / 2;
        let (mut first, mut second) = (Matrix::new(middle), Matrix::new(matrix.dimensions() - middle));
        for (one, other) in matrix.rows().map(|row| row.split_at(middle)) {
            first.push(one);
            second.push(other);
        }
        let second_lengths = second.rows().map(length).collect();
        Ok(Self { first: Quantised::of(&first), second: Quantised::of(&second), second_lengths, matrix })
    }

    /// The `k` rows nearest to a unit vector that reach `min_cosine`, the nearest first, ties in their own order. None
    /// for a vector of another length, or of less than two numbers.
    pub fn nearest(&self, vector: &[f32], k: usize, min_cosine: f32) -> Vec<u32> {
        if k == 0 || vector.len() != self.matrix.dimensions() || vector.len() < 2 {
            return Vec::new();
        }
        let mut near: Vec<(f32, u32)> = self
            .candidates(vector, k, min_cosine)
            .into_iter()
            .map(|row| (cosine(self.matrix.row(row as usize), vector), row))
            .filter(|(cosine, _)| *cosine >= min_cosine)
            .collect();
        near.sort_by(|(one, one_row), (two, two_row)| two.total_cmp(one).then(one_row.cmp(two_row)));
        near.into_iter().take(k).map(|(_, row)| row).collect()
    }

    /// Every row that may be among the `k` nearest, and some that were before better ones came.
    fn candidates(&self, vector: &[f32], k: usize, min_cosine: f32) -> Vec<u32> {
        let (first, second) = vector.split_at(vector.len() / 2);
        let (first, second, second_length) = (QuantisedQuery::of(first), QuantisedQuery::of(second), length(second));
        let (mut least, mut best, mut candidates) = (min_cosine, Vec::new(), Vec::new());
        for (row, row_length) in self.second_lengths.iter().enumerate() {
            let (first_dot, first_error) = self.first.cosine(row, &first);
            if first_dot + first_error + row_length * second_length < least {
                continue;
            }
            let (second_dot, second_error) = self.second.cosine(row, &second);
            let (cosine, error) = (first_dot + second_dot, first_error + second_error);
            if cosine + error >= least {
                candidates.push(row as u32);
                best.push(cosine - error);
                best.sort_by(|one, two| two.total_cmp(one));
                best.truncate(k);
                // As many rows as are asked for reach this much.
                least = best.get(k - 1).map_or(least, |kth| kth.max(least));
            }
        }
        candidates
    }
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}

fn embedded(keywords: &[String], encoder: &dyn TextEncoder, cache: Option<&Path>) -> Result<Matrix, IndexError> {
    let mut cache = cache.and_then(|path| usable(Embeddings::open(path)));
    let keys: Vec<_> = keywords.iter().map(|keyword| ContentHash::of_text(encoder.model(), keyword)).collect();
    let mut matrix = Matrix::zeros(encoder.dimensions(), keywords.len());
    let known = fill(&mut matrix, &keys, cache.as_ref());
    let missing: Vec<usize> = (0..keywords.len()).filter(|&place| !known[place]).collect();
    for places in missing.chunks(TEXTS_PER_CALL) {
        let texts: Vec<_> = places.iter().map(|&place| keywords[place].clone()).collect();
        for (&place, vector) in places.iter().zip(embed_checked(encoder, &texts)?) {
            matrix.row_mut(place).copy_from_slice(&vector);
        }
        let rows: Vec<_> = places.iter().map(|&place| (keys[place], matrix.row(place))).collect();
        cache = cache.filter(|cache| usable(cache.keep(&rows)).is_some());
    }
    if let Some(cache) = cache {
        usable(cache.prune(&keys.into_iter().collect::<HashSet<_>>()));
    }
    Ok(matrix)
}

/// Which rows the cache knew.
fn fill(matrix: &mut Matrix, keys: &[ContentHash], cache: Option<&Embeddings>) -> Vec<bool> {
    let mut slots: Vec<_> = keys.iter().copied().zip(matrix.rows_mut()).collect();
    cache.and_then(|cache| usable(cache.fill(&mut slots))).unwrap_or_else(|| vec![false; keys.len()])
}

fn usable<T>(outcome: Result<T, IndexError>) -> Option<T> {
    outcome.inspect_err(|error| tracing::warn!(%error, "keywords go on without their cache of embeddings")).ok()
}

//! What this room asks of an encoder: the texts of articles in, unit vectors out.
//!
//! The encoder itself lives in another room; an error of its own stops the build and leaves the index as it was.

use std::error::Error;
use std::ops::Range;

/// A sentence encoder. Its vectors are L2-normalised, so that a dot product is the cosine.
pub trait TextEncoder: Send + Sync {
    /// Name plus fingerprint of the weights. Two encoders with the same model give the same vectors and chunks.
    fn model(&self) -> &str;

    /// Length of every vector.
    fn dimensions(&self) -> usize;

    /// Byte ranges of the pieces that each fit the model, overlapping, in order; one for a short text.
    fn chunks(&self, text: &str) -> Vec<Range<usize>>;

    /// One vector for each text, in order. Blocks until all are there.
    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>>;
}

/// Which vectors an index holds, to be compared before a foreign one is searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelIdentity {
    /// Name plus fingerprint of the weights, see [`TextEncoder::model`].
    pub model: String,
    pub dimensions: usize,
}

impl ModelIdentity {
    pub fn of(encoder: &dyn TextEncoder) -> Self {
        Self { model: encoder.model().to_owned(), dimensions: encoder.dimensions() }
    }
}

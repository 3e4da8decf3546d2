//! A test double of the encoder: the vector of a text is the sum of the vectors of its words, each drawn from the
//! word's hash, so that texts with words in common are near each other and equal texts are equal. It counts what it was
//! asked for and can be told to fail.

use std::error::Error;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cuecard_knowledge::TextEncoder;

pub const DIMENSIONS: usize = 64;

pub struct FakeEncoder {
    pub model: String,
    pub dimensions: usize,
    /// Words of a piece; consecutive pieces share a quarter.
    pub words_per_chunk: usize,
    /// After so many texts every call fails.
    pub fails_after: AtomicUsize,
    pub texts: Mutex<Vec<String>>,
}

impl FakeEncoder {
    pub fn new() -> Self {
        Self {
            model: "fake-1".to_owned(),
            dimensions: DIMENSIONS,
            words_per_chunk: 40,
            fails_after: AtomicUsize::new(usize::MAX),
            texts: Mutex::new(Vec::new()),
        }
    }

    pub fn other(model: &str, dimensions: usize) -> Self {
        Self { model: model.to_owned(), dimensions, ..Self::new() }
    }

    /// The texts asked for since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.texts.lock().unwrap())
    }

    pub fn vector(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0_f32; self.dimensions];
        for word in text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let mut bytes = vec![0; self.dimensions];
            blake3::Hasher::new().update(word.to_lowercase().as_bytes()).finalize_xof().fill(&mut bytes);
            for (value, byte) in vector.iter_mut().zip(bytes) {
                *value += f32::from(byte) - 127.5;
            }
        }
        let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if norm == 0.0 {
            vector[0] = 1.0;
            return vector;
        }
        vector.into_iter().map(|value| value / norm).collect()
    }
}

impl TextEncoder for FakeEncoder {
    fn model(&self) -> &str {
        &self.model
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn chunks(&self, text: &str) -> Vec<Range<usize>> {
        let starts: Vec<usize> =
            text.split_whitespace().map(|word| word.as_ptr() as usize - text.as_ptr() as usize).collect();
        if starts.len() <= self.words_per_chunk {
            return std::iter::once(0..text.len()).collect();
        }
        let step = self.words_per_chunk - self.words_per_chunk / 4;
        let end_of = |word: usize| starts.get(word).copied().unwrap_or(text.len());
        (0..starts.len())
            .step_by(step)
            .map(|first| if first == 0 { 0 } else { starts[first] }..end_of(first + self.words_per_chunk))
            .collect()
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
        let mut asked = self.texts.lock().unwrap();
        if asked.len() + texts.len() > self.fails_after.load(Ordering::Relaxed) {
            return Err("out of torch".into());
        }
        asked.extend_from_slice(texts);
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}

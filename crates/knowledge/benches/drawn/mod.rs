//! An encoder without a model: each vector is a function of its text.

use std::error::Error;
use std::ops::Range;

use cuecard_knowledge::TextEncoder;
use rand::Rng;
use rand::rngs::StdRng;

pub const DIMENSIONS: usize = 384;

/// Gives a text the vector that the function draws.
pub struct Drawn(pub fn(&str) -> Vec<f32>);

impl TextEncoder for Drawn {
    fn model(&self) -> &'static str {
        "drawn"
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn chunks(&self, text: &str) -> Vec<Range<usize>> {
        std::iter::once(0..text.len()).collect()
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
        Ok(texts.iter().map(|text| (self.0)(text)).collect())
    }
}

/// Any point of a cube around the origin.
pub fn direction(mut random: StdRng) -> Vec<f32> {
    (0..DIMENSIONS).map(|_| random.random_range(-1.0..1.0)).collect()
}

pub fn unit(vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.into_iter().map(|value| value / norm).collect()
}

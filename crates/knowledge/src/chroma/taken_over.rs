//! An encoder that knows the vectors of a collection.

use std::collections::HashMap;
use std::error::Error;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::encoder::TextEncoder;
use crate::hashing::ContentHash;

/// Answers the texts that it knows with the collection's own vectors and asks the inner encoder for the others. To a
/// build it is the inner encoder: the vectors were compared with what that one makes of the same documents.
pub struct TakenOver<'a> {
    inner: &'a dyn TextEncoder,
    known: HashMap<ContentHash, Vec<f32>>,
    answered: AtomicUsize,
}

impl<'a> TakenOver<'a> {
    /// `known` are unit vectors by the hash of their text under the model of `inner`.
    pub(crate) fn new(inner: &'a dyn TextEncoder, known: HashMap<ContentHash, Vec<f32>>) -> Self {
        Self { inner, known, answered: AtomicUsize::new(0) }
    }

    /// How many texts it knows.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many texts were answered without the inner encoder.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    fn vector(&self, text: &str) -> Option<Vec<f32>> {
        self.known.get(&ContentHash::of_text(self.inner.model(), text)).cloned()
    }
}

impl TextEncoder for TakenOver<'_> {
    fn model(&self) -> &str {
        self.inner.model()
    }

    fn dimensions(&self) -> usize {
        self.inner.dimensions()
    }

    fn chunks(&self, text: &str) -> Vec<Range<usize>> {
        self.inner.chunks(text)
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
        let mut vectors: Vec<Option<Vec<f32>>> = texts.iter().map(|text| self.vector(text)).collect();
        let unknown: Vec<String> =
            texts.iter().zip(&vectors).filter(|(_, known)| known.is_none()).map(|(text, _)| text.clone()).collect();
        self.answered.fetch_add(texts.len() - unknown.len(), Ordering::Relaxed);
        if !unknown.is_empty() {
            let slots = vectors.iter_mut().filter(|vector| vector.is_none());
            slots.zip(self.inner.embed(&unknown)?).for_each(|(slot, vector)| *slot = Some(vector));
        }
        // An encoder that answered too few vectors leaves gaps; whoever asked counts them.
        Ok(vectors.into_iter().flatten().collect())
    }
}

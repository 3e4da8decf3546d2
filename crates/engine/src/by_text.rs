//! What the encoder made of texts, remembered by the texts, of which no more than the hash is kept.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};

use cuecard_knowledge::ContentHash;
use lru::LruCache;

/// Texts remembered: 384 numbers of 4 bytes each, some 16 MB.
const REMEMBERED: NonZero<usize> = NonZero::new(10_000).unwrap();

/// A bounded memory; the text that was not asked for the longest goes first.
pub(crate) struct ByText<V>(Mutex<LruCache<ContentHash, V>>);

impl<V> Default for ByText<V> {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl<V: Clone> ByText<V> {
    pub(crate) fn get(&self, text: &str) -> Option<V> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key(text)).cloned()
    }

    pub(crate) fn put(&self, text: &str, made: V) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(key(text), made);
    }
}

fn key(text: &str) -> ContentHash {
    ContentHash::of_bytes(text.as_bytes())
}

//! What texts say to an index, read once: a call is asked about again with each turn, and its earlier turns stay as they are.

use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use crate::hashing::ContentHash;
use crate::phrasing::Gram;
use crate::relations::Heard;

/// Texts remembered; the one that was not asked for the longest goes first.
const REMEMBERED: NonZero<usize> = NonZero::new(4_096).unwrap();
/// Longer texts, in bytes, are read each time, so that what is remembered stays below some 32 MB.
const LONGEST: usize = 1_024;

/// What a text says.
#[derive(Debug, PartialEq)]
pub struct Reading {
    /// Its words as articles' words are compared, in the order of speech; at most the first few thousand.
    pub words: Vec<String>,
    /// What of them articles' phrases have too.
    pub grams: Vec<Gram>,
    /// The names of articles of which something is said.
    pub names: Vec<Heard>,
}

/// Readings by the texts, of which no more than the hash is kept.
pub struct Readings(Mutex<LruCache<ContentHash, Arc<Reading>>>);

impl Default for Readings {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl Readings {
    /// What is remembered of this text, or what `read` says of it.
    pub fn get(&self, text: &str, read: impl FnOnce() -> Reading) -> Arc<Reading> {
        if text.len() > LONGEST {
            return Arc::new(read());
        }
        let key = ContentHash::of_bytes(text.as_bytes());
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reading) = known().get(&key) {
            return Arc::clone(reading);
        }
        // Read outside of the lock: others look things up meanwhile.
        let reading = Arc::new(read());
        known().put(key, Arc::clone(&reading));
        reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_once_and_a_long_one_each_time() {
        let (readings, long) = (Readings::default(), "word ".repeat(LONGEST));
        let mut num_read = 0;
        for text in ["my router", "my router", "my phone", &long, &long] {
            let reading = readings.get(text, || {
                num_read += 1;
                Reading { words: vec![text.to_owned()], grams: Vec::new(), names: Vec::new() }
            });
            assert_eq!(reading.words, [text]);
        }
        assert_eq!(num_read, 4);
    }
}

//! Lists of words that are looked up.
//!
//! Input: words as one text. Output: whether a word is one of them.

use std::{collections::HashSet, sync::OnceLock};

/// A list of words, separated by white space.
pub(super) struct Words {
    text: &'static str,
    set: OnceLock<HashSet<&'static str>>,
}

impl Words {
    pub const fn new(text: &'static str) -> Self {
        Self { text, set: OnceLock::new() }
    }

    pub fn contains(&self, word: &str) -> bool {
        self.set.get_or_init(|| self.text.split_whitespace().collect()).contains(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_in_its_list() {
        let words = Words::new(
            "one two
             three",
        );
        assert_eq!(["one", "three", "four", ""].map(|word| words.contains(word)), [true, true, false, false]);
    }
}

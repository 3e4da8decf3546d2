//! Key phrases: the words of a text that received most attention.
//!
//! Input: the words with the word pieces each is made of, and the attention every piece received.
//! Output: at most [`MAX_PHRASES`] words. Nothing here can fail.

use std::{collections::HashSet, fmt, ops::Range, sync::LazyLock};

/// Key phrases kept per text (contract 001).
const MAX_PHRASES: usize = 5;

/// Written English needs no list for these; a recogniser's transcript is full of them.
const SPOKEN_FILLERS: [&str; 10] = ["uh", "um", "uhm", "hmm", "mhm", "yeah", "yep", "okay", "ok", "oh"];

static STOP_WORDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let mut words: HashSet<String> = stop_words::get("en").into_iter().collect();
    words.extend(SPOKEN_FILLERS.map(str::to_owned));
    words
});

/// A word and its weight.
#[derive(Clone, PartialEq)]
pub struct KeyPhrase {
    /// In lower case, as BM25 compares it.
    pub text: String,
    /// Attention received by the word's pieces together, averaged over layers, heads and query
    /// positions; over all pieces of a text, `[CLS]` and `[SEP]` included, it adds up to 1.
    pub attention: f32,
}

/// Prints no customer text: a phrase is what somebody said.
impl fmt::Debug for KeyPhrase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KeyPhrase")
            .field("chars", &self.text.chars().count())
            .field("attention", &self.attention)
            .finish()
    }
}

/// One word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// In lower case.
    pub(crate) text: String,
    /// Its word pieces, as positions in the model's input.
    pub(crate) pieces: Range<usize>,
}

/// The words with most attention, most first, ties in the order of the text.
///
/// A word gets the **sum** of its pieces: attention is a share of what the model looked at, and
/// shares add up. A word that the model must spell in pieces is also a rare one, which is what a
/// lexical search wants. Of a repeated word the occurrence with most attention counts.
pub(crate) fn key_phrases(words: Vec<Word>, attention: &[f32]) -> Vec<KeyPhrase> {
    let mut phrases: Vec<KeyPhrase> =
        words.into_iter().filter(|word| is_phrase(&word.text)).map(|word| word.weighted(attention)).collect();
    phrases.sort_by(|left, right| right.attention.total_cmp(&left.attention));
    let mut best: Vec<KeyPhrase> = Vec::with_capacity(MAX_PHRASES);
    for phrase in phrases {
        if best.len() == MAX_PHRASES {
            break;
        }
        if best.iter().all(|better| better.text != phrase.text) {
            best.push(phrase);
        }
    }
    best
}

impl Word {
    fn weighted(self, attention: &[f32]) -> KeyPhrase {
        let attention = attention.get(self.pieces).map_or(0.0, |pieces| pieces.iter().sum());
        KeyPhrase { text: self.text, attention }
    }
}

/// Stop words and punctuation (no letter, no digit) are no phrases.
fn is_phrase(word: &str) -> bool {
    word.chars().any(char::is_alphanumeric) && !STOP_WORDS.contains(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(texts: &[(&str, Range<usize>)]) -> Vec<Word> {
        texts.iter().map(|(text, pieces)| Word { text: (*text).to_owned(), pieces: pieces.clone() }).collect()
    }

    fn texts(phrases: &[KeyPhrase]) -> Vec<&str> {
        phrases.iter().map(|phrase| phrase.text.as_str()).collect()
    }

    #[test]
    fn pieces_add_up_and_stop_words_fall_out() {
        let words = words(&[("the", 1..2), ("warranty", 2..4), (",", 4..5), ("battery", 5..6), ("um", 6..7)]);
        let phrases = key_phrases(words, &[0.3, 0.2, 0.05, 0.02, 0.1, 0.06, 0.2]);
        assert_eq!(texts(&phrases), ["warranty", "battery"]);
        assert!((phrases[0].attention - 0.07).abs() < 1e-6);
    }

    #[test]
    fn repeats_keep_their_best_place_and_five_remain() {
        let words =
            words(&[("a1", 0..1), ("b", 1..2), ("c", 2..3), ("e", 3..4), ("f", 4..5), ("a1", 5..6), ("g", 6..7)]);
        let phrases = key_phrases(words, &[0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.02]);
        assert_eq!(texts(&phrases), ["a1", "f", "e", "c", "b"]);
        assert_eq!(phrases[0].attention, 0.06);
    }

    #[test]
    fn debug_hides_what_was_said() {
        let phrase = KeyPhrase { text: "secret".to_owned(), attention: 0.5 };
        assert_eq!(format!("{phrase:?}"), "KeyPhrase { chars: 6, attention: 0.5 }");
    }
}

//! What is said about a text (its vector, and the words that received most attention), and the wait for it.

use std::{
    collections::HashSet,
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, LazyLock},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use cuecard_text::Spoken;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::{EncoderError, hand::LiveReply, word_pieces::Word};

/// Key phrases kept per text (contract 001).
const MAX_PHRASES: usize = 5;

/// Written English needs no list for these; a recogniser's transcript is full of them.
const SPOKEN_FILLERS: [&str; 10] = ["uh", "um", "uhm", "hmm", "mhm", "yeah", "yep", "okay", "ok", "oh"];

static STOP_WORDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let mut words: HashSet<String> = stop_words::get("en").into_iter().collect();
    words.extend(SPOKEN_FILLERS.map(str::to_owned));
    words
});

/// What one forward pass says about a text.
#[derive(Clone, PartialEq)]
pub struct Encoding {
    /// Mean over the text's word pieces, L2-normalised: `[384]`.
    pub embedding: Vec<f32>,
    /// At most 5, most attention first, no repeats.
    pub key_phrases: Vec<KeyPhrase>,
    /// Word pieces that the model saw, `[CLS]` and `[SEP]` included: 2 to 256.
    pub word_pieces: usize,
    /// The text was longer and only its end was seen.
    pub truncated: bool,
}

/// A word and its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyPhrase {
    /// In lower case, as BM25 compares it.
    pub text: Spoken,
    /// Attention received by the word's pieces together, averaged over layers, heads and query
    /// positions; over all pieces of a text, `[CLS]` and `[SEP]` included, it adds up to 1.
    pub attention: f32,
}

/// Prints sizes, never what a customer said.
impl fmt::Debug for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Encoding")
            .field("dimensions", &self.embedding.len())
            .field("key_phrases", &self.key_phrases.len())
            .field("word_pieces", &self.word_pieces)
            .field("truncated", &self.truncated)
            .finish()
    }
}

/// The answer to come; a future for any runtime. Dropped, its text is passed over when its turn comes.
pub struct PendingEncoding {
    answer: Pin<Box<dyn Future<Output = Result<Encoding, EncoderError>> + Send>>,
}

impl fmt::Debug for PendingEncoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PendingEncoding").finish_non_exhaustive()
    }
}

impl Future for PendingEncoding {
    type Output = Result<Encoding, EncoderError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.answer.as_mut().poll(context)
    }
}

impl PendingEncoding {
    pub(crate) fn new() -> (Arc<LiveReply>, Self) {
        let (reply, answer) = oneshot::channel();
        (LiveReply::new(reply), Self::of(async move { answer.await.unwrap_or(Err(EncoderError::Closed)) }))
    }

    pub(crate) fn of(answer: impl Future<Output = Result<Encoding, EncoderError>> + Send + 'static) -> Self {
        Self { answer: Box::pin(answer) }
    }

    /// Waits with the thread parked. Unlike a channel's blocking receive it does not panic where
    /// somebody calls it inside a runtime.
    pub(crate) fn wait(self) -> Result<Encoding, EncoderError> {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut pending = pin!(self);
        loop {
            match pending.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => thread::park(),
            }
        }
    }
}

/// The words with most attention, most first, ties in the order of the text.
///
/// A word gets the **sum** of its pieces: attention is a share of what the model looked at, and
/// shares add up. A word that the model must spell in pieces is also a rare one, which is what a
/// lexical search wants. Of a repeated word the occurrence with most attention counts.
pub(crate) fn key_phrases(words: Vec<Word>, attention: &[f32]) -> Vec<KeyPhrase> {
    let mut phrases: Vec<KeyPhrase> =
        words.into_iter().filter(|word| is_phrase(word.text.verbatim())).map(|word| word.weighted(attention)).collect();
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
    use std::ops::Range;

    use super::*;

    fn words(texts: &[(&str, Range<usize>)]) -> Vec<Word> {
        texts.iter().map(|(text, pieces)| Word { text: (*text).into(), pieces: pieces.clone() }).collect()
    }

    fn texts(phrases: &[KeyPhrase]) -> Vec<&str> {
        phrases.iter().map(|phrase| phrase.text.verbatim()).collect()
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
        let phrase = KeyPhrase { text: "secret".into(), attention: 0.5 };
        assert_eq!(format!("{phrase:?}"), "KeyPhrase { text: 6 bytes, attention: 0.5 }");
    }
}

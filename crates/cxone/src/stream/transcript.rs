//! What of a transcript is new.
//!
//! Input: the transcripts of an interaction's channels, each of them the whole conversation so far or only what is new.
//! Output: the words that were not heard before. No word is kept: what was heard is remembered as a hash and a length,
//! so that a transcript of any length costs the same, for a bounded number of interactions.
//!
//! A transcript that starts with what was heard goes on from there; one that doesn't is new as a whole. That holds for
//! the channels joined and, where these match nothing, for each channel by its place. Words that are heard for the first
//! time after a reconnect are new; those of an interaction that was forgotten are all new again.

use std::num::NonZeroUsize;

use lru::LruCache;
use sha2::{Digest, Sha256};

use crate::interaction_id::InteractionId;

/// More conversations than one tenant holds at a time, at some kilobytes each.
const MAX_INTERACTIONS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// An interaction has one or two; of more, those behind are compared only joined.
const MAX_CHANNELS: usize = 16;
/// What may follow heard words without being one.
const CLOSING_MARKS: &[char] = &['.', ',', ';', ':', '!', '?', '…'];

/// What was heard in each interaction; the one that was silent the longest is forgotten first.
pub(super) struct Transcripts {
    heard: LruCache<InteractionId, Heard>,
}

impl Default for Transcripts {
    fn default() -> Self {
        Self::new(MAX_INTERACTIONS)
    }
}

impl Transcripts {
    pub(super) fn new(max_interactions: NonZeroUsize) -> Self {
        Self { heard: LruCache::new(max_interactions) }
    }

    /// The new words of `channels`, joined with a space; none if all were heard before.
    pub(super) fn hear(&mut self, interaction: &InteractionId, channels: &[&str]) -> Option<String> {
        let new = self.heard.get_or_insert_mut_ref(interaction, Heard::default).hear(channels);
        (!new.is_empty()).then_some(new)
    }

    pub(super) fn forget(&mut self, interaction: &InteractionId) {
        self.heard.pop(interaction);
    }
}

#[derive(Default)]
struct Heard {
    whole: Start,
    /// As each channel last stood.
    channels: Vec<Start>,
}

impl Heard {
    fn hear(&mut self, channels: &[&str]) -> String {
        let joined = join(channels.iter().copied());
        if joined.is_empty() {
            return joined;
        }
        let new = if self.whole.is_start_of(&joined) {
            let heard = self.whole.bytes;
            self.whole.push(&joined[heard..]);
            words_after(&joined, heard).to_owned()
        } else {
            let new = join(channels.iter().enumerate().map(|(place, text)| self.new_in_channel(place, text)));
            if !new.is_empty() {
                self.whole.push(" ");
                self.whole.push(&new);
            }
            new
        };
        self.channels = channels.iter().take(MAX_CHANNELS).map(|text| Start::of(text)).collect();
        new
    }

    fn new_in_channel<'a>(&self, place: usize, text: &'a str) -> &'a str {
        match self.channels.get(place) {
            Some(heard) if heard.is_start_of(text) => words_after(text, heard.bytes),
            _ => text,
        }
    }
}

/// The beginning of a text, without the text.
#[derive(Clone, Default)]
struct Start {
    hash: Sha256,
    bytes: usize,
}

impl Start {
    fn of(text: &str) -> Self {
        let mut start = Self::default();
        start.push(text);
        start
    }

    fn push(&mut self, text: &str) {
        self.hash.update(text);
        self.bytes += text.len();
    }

    fn is_start_of(&self, text: &str) -> bool {
        text.get(..self.bytes).is_some_and(|start| Sha256::digest(start) == self.hash.clone().finalize())
    }
}

fn join<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let spoken: Vec<&str> = texts.map(str::trim).filter(|text| !text.is_empty()).collect();
    spoken.join(" ")
}

/// What follows the first `heard` bytes. A word that has grown since is new as a whole; marks that only close what was
/// heard are no words.
fn words_after(text: &str, heard: usize) -> &str {
    let (before, rest) = text.split_at(heard);
    if rest.starts_with(is_inside_word) || is_joined(before, rest) {
        return &text[start_of_last_word(before)..];
    }
    rest.trim_start_matches(|letter: char| letter.is_whitespace() || CLOSING_MARKS.contains(&letter)).trim_end()
}

/// The end of the text where it ends in no word. In a loop: a word may be as long as a frame, and a stack is not.
fn start_of_last_word(mut text: &str) -> usize {
    loop {
        let before = text.trim_end_matches(is_inside_word);
        let mark = before.char_indices().next_back();
        match mark {
            Some((place, _)) if before.len() < text.len() && is_joined(&text[..place], &text[place..]) => {
                text = &text[..place];
            }
            _ => return before.len(),
        }
    }
}

/// Whether a mark at the start of `rest` joins what stands on both of its sides to one word: `don't`, `5.50`.
fn is_joined(before: &str, rest: &str) -> bool {
    let (last, mut following) = (before.chars().next_back(), rest.chars());
    let (Some(last), Some(mark), Some(next)) = (last, following.next(), following.next()) else { return false };
    match mark {
        '\'' | '\u{2019}' => last.is_alphabetic() && next.is_alphabetic(),
        '.' | ',' | ':' => last.is_ascii_digit() && next.is_ascii_digit(),
        _ => false,
    }
}

/// Where no space stands between words, nothing tells where one begins.
fn is_inside_word(letter: char) -> bool {
    (letter.is_alphanumeric() || is_indic(letter)) && !is_written_without_spaces(letter)
}

/// Some of the signs inside a word there count as no letters; the dandas end a sentence.
fn is_indic(letter: char) -> bool {
    matches!(letter, '\u{900}'..='\u{dff}') && !matches!(letter, '\u{964}' | '\u{965}')
}

/// Thai, Lao, Tibetan, Burmese, Khmer, Chinese and Japanese; Korean has spaces.
fn is_written_without_spaces(letter: char) -> bool {
    matches!(letter,
        '\u{e00}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{a4cf}' | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> InteractionId {
        text.parse().unwrap()
    }

    /// What each frame of one interaction adds.
    fn heard(frames: &[&[&str]]) -> Vec<String> {
        let mut transcripts = Transcripts::default();
        frames.iter().map(|channels| transcripts.hear(&id("c-1"), channels).unwrap_or_default()).collect()
    }

    #[test]
    fn only_what_was_not_heard_before_is_new() {
        type Case<'a> = (&'a str, &'a [&'a [&'a str]], &'a [&'a str]);
        let table: [Case<'_>; 26] = [
            (
                "whole conversations",
                &[&["my bill"], &["my bill is wrong"], &["my bill is wrong again"]],
                &["my bill", "is wrong", "again"],
            ),
            ("only what is new", &[&["my bill"], &["is wrong"], &["again"]], &["my bill", "is wrong", "again"]),
            ("the same again", &[&["my bill"], &["my bill"], &["my bill"]], &["my bill", "", ""]),
            ("the same piece again", &[&["hello"], &["my bill"], &["my bill"]], &["hello", "my bill", ""]),
            ("a piece that grows", &[&["hello"], &["my bill"], &["my bill is"]], &["hello", "my bill", "is"]),
            ("first pieces, then all", &[&["my"], &["bill"], &["my bill is wrong"]], &["my", "bill", "is wrong"]),
            ("first all, then pieces", &[&["my bill"], &["my bill is"], &["wrong"]], &["my bill", "is", "wrong"]),
            (
                "all after pieces of it",
                &[&["a b"], &["c"], &["a b c"], &["d"], &["a b c d e"]],
                &["a b", "c", "", "d", "e"],
            ),
            (
                "all after a repeated piece",
                &[&["a b"], &["c"], &["c"], &["c"], &["a b c d"]],
                &["a b", "c", "", "", "d"],
            ),
            ("less than was heard", &[&["my bill is wrong"], &["my bill"]], &["my bill is wrong", "my bill"]),
            ("an earlier one changed", &[&["my bill"], &["our bill is"]], &["my bill", "our bill is"]),
            ("a word that grows", &[&["I need a car"], &["I need a carpet"]], &["I need a car", "carpet"]),
            ("a contraction that grows", &[&["I don"], &["I don't know"]], &["I don", "don't know"]),
            ("a number that grows", &[&["it costs 5"], &["it costs 5.50 euros"]], &["it costs 5", "5.50 euros"]),
            ("and grows on", &[&["call 1.25"], &["call 1.255"]], &["call 1.25", "1.255"]),
            ("a sentence after a number", &[&["I have 5"], &["I have 5. Two went"]], &["I have 5", "Two went"]),
            ("a sentence that ends", &[&["is it"], &["is it?"], &["is it? Yes."]], &["is it", "", "Yes."]),
            ("an amount", &[&["pay"], &["pay -5 €"], &["pay -5 €, $7"]], &["pay", "-5 €", "$7"]),
            ("without spaces", &[&["我要"], &["我要退款"]], &["我要", "退款"]),
            ("without spaces or case", &[&["ฉันต้อง"], &["ฉันต้องการ"]], &["ฉันต้อง", "การ"]),
            ("a Hebrew word that grows", &[&["אני קורא ספר"], &["אני קורא ספרים"]], &["אני קורא ספר", "ספרים"]),
            ("an Arabic word that grows", &[&["أريد كتاب"], &["أريد كتابا"]], &["أريد كتاب", "كتابا"]),
            ("a Hindi word that grows", &[&["मुझे रास्त"], &["मुझे रास्ता"]], &["मुझे रास्त", "रास्ता"]),
            ("no words", &[&[], &[""], &[" \n"], &["a"], &[]], &["", "", "", "a", ""]),
            ("a new channel", &[&["hello"], &["hello", "my bill"]], &["hello", "my bill"]),
            (
                "channels that each go on",
                &[&["a", "b"], &["a c", "b d"], &["a c", "b d e"], &["", "f"]],
                &["a b", "c d", "e", "f"],
            ),
        ];
        for (what, frames, expected) in table {
            assert_eq!(heard(frames), expected, "{what}");
        }
    }

    #[test]
    fn interactions_do_not_cross_and_an_ended_one_begins_anew() {
        let mut transcripts = Transcripts::default();
        assert_eq!(transcripts.hear(&id("a"), &["one"]).as_deref(), Some("one"));
        assert_eq!(transcripts.hear(&id("b"), &["one two"]).as_deref(), Some("one two"));
        assert_eq!(transcripts.hear(&id("a"), &["one"]), None);
        transcripts.forget(&id("a"));
        assert_eq!(transcripts.hear(&id("a"), &["one"]).as_deref(), Some("one"));
        assert_eq!(transcripts.hear(&id("b"), &["one two"]), None);
    }

    #[test]
    fn the_interaction_that_was_silent_the_longest_is_forgotten_first() {
        let mut transcripts = Transcripts::new(NonZeroUsize::new(2).unwrap());
        for interaction in ["a", "b", "a", "c"] {
            transcripts.hear(&id(interaction), &["one"]);
        }
        assert_eq!(transcripts.heard.len(), 2);
        assert_eq!(transcripts.hear(&id("a"), &["one"]), None, "heard after b");
        assert_eq!(transcripts.hear(&id("b"), &["one"]).as_deref(), Some("one"));
    }

    #[test]
    fn what_is_kept_does_not_grow_with_what_is_said() {
        let mut transcripts = Transcripts::default();
        let mut text = "word ".repeat(100_000);
        transcripts.hear(&id("c-1"), &[&text]);
        text.push_str("more");
        assert_eq!(transcripts.hear(&id("c-1"), &[&text]).as_deref(), Some("more"));
        let many = vec!["word"; 1000];
        transcripts.hear(&id("c-1"), &many);
        assert_eq!(transcripts.heard.peek(&id("c-1")).unwrap().channels.len(), MAX_CHANNELS);
        assert!(size_of::<Heard>() + MAX_CHANNELS * size_of::<Start>() < 2300);
    }

    /// A frame holds a mebibyte, and a thread's stack is not larger.
    #[test]
    fn a_word_of_any_length_that_grows_is_new_as_a_whole() {
        let word = "1.".repeat(300_000) + "1";
        let grown = word.clone() + "2";
        assert_eq!(heard(&[&[&word], &[&grown]]), [word, grown]);
    }

    proptest! {
        #[test]
        fn a_conversation_is_heard_once_however_it_is_cut(
            words in prop::collection::vec("[a-zé0-9]{1,6}", 1..30),
            cuts in prop::collection::vec(any::<bool>(), 30),
            whole in any::<bool>(),
        ) {
            let mut transcripts = Transcripts::default();
            let mut heard = Vec::new();
            let mut start = 0;
            for end in 1..=words.len() {
                if cuts[end - 1] || end == words.len() {
                    // Pieces are told apart, so that none repeats the one before it.
                    let piece = words[if whole { 0 } else { start }..end].join(" ");
                    let piece = if whole { piece } else { format!("#{start} {piece}") };
                    heard.extend(transcripts.hear(&id("c-1"), &[&piece]));
                    start = end;
                }
            }
            let heard = heard.join(" ");
            let heard: Vec<&str> = heard.split(' ').filter(|word| !word.starts_with('#')).collect();
            prop_assert_eq!(heard, words);
        }

        #[test]
        fn any_texts_in_any_order_are_heard_without_a_panic(
            frames in prop::collection::vec(prop::collection::vec("[aàß🙂 .]{0,4}", 0..4), 1..20)
        ) {
            let mut transcripts = Transcripts::default();
            for frame in &frames {
                let channels: Vec<&str> = frame.iter().map(String::as_str).collect();
                transcripts.hear(&id("c-1"), &channels);
                prop_assert_eq!(transcripts.hear(&id("c-1"), &channels), None, "{:?}", frame);
            }
        }
    }
}

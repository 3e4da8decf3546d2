//! The part of an e-mail address before the "at".
//!
//! Input: tokens, the place of the "at" and the domain behind it. Output: where the name begins, or nothing where the
//! words are no address. A name is read backwards: the last word, what signs tie to it ("j dot smith"), letters that
//! are spelled, a number that is said behind a word.

use super::super::{
    tokens::{TokenKind, Tokens},
    vocabulary::Meaning,
    words::Words,
};
use super::{announcement, domain::Domain};

/// RFC 5321 allows 64 characters before the "at"; no name that is said has more tokens.
const MAX_TOKENS: usize = 64;
/// A number before a word, as in "four one nine lisa". A longer one is told for itself.
const MAX_DIGITS_BEFORE_WORD: usize = 4;
/// A number behind a word.
const MAX_DIGITS_BEHIND_WORD: usize = 8;
/// A written number that may be part of a name.
const MAX_WRITTEN_DIGITS: usize = 5;

/// Words before "at" that are no name: what people do at a place, or what they find there.
static NO_NAMES: Words = Words::new(
    "me you him her us them it this that these those here there who what i we he she they one ones am is are
     was were be been being not look looked looking looks shop shopped shopping buy bought order ordered
     sell sold find found see saw seen sign signed log logged in up out on off over back down around work
     works worked working meet meeting met available listed cheaper cheapest better free live sale sales
     price prices deal deals offer offers stock store website site page account accounts arrive arrived
     visit visited register registered complained got get read check checked book booked paid pay people now
     today everything something anything all even only the a an and web address addresses js net com org as
     to or for by with of from",
);

/// The place of the first token of the name.
pub(super) fn start(tokens: &Tokens, at: usize, floor: usize, domain: &Domain, written: bool) -> Option<usize> {
    let mut walk = Walk::new(tokens, at, floor);
    walk.first_unit(written)?;
    if written {
        return Some(walk.start);
    }
    while walk.extend() {}
    let announced = announcement::start(tokens, walk.start, floor);
    let is_alone = || announcement::is_alone(tokens, walk.start..domain.end);
    let is_sure = walk.looks_like_address(domain) || announced.is_some() || domain.is_provider || is_alone();
    let is_name = walk.is_tied || !walk.is_no_name;
    (is_name && is_sure).then(|| announced.unwrap_or(walk.start))
}

/// Whether a word is no name by itself.
pub(super) fn is_no_name(word: &str) -> bool {
    NO_NAMES.contains(word)
}

/// The way back from the "at".
struct Walk<'a> {
    tokens: &'a Tokens,
    floor: usize,
    at: usize,
    /// The first token of the name so far.
    start: usize,
    /// Whether a sign ties words together.
    is_tied: bool,
    /// Letters that are spelled.
    num_letters: usize,
    num_words: usize,
    num_digits: usize,
    /// Whether the word before the "at" is no name by itself.
    is_no_name: bool,
}

impl<'a> Walk<'a> {
    fn new(tokens: &'a Tokens, at: usize, floor: usize) -> Self {
        let (is_tied, is_no_name) = (false, false);
        Self { tokens, floor, at, start: at, is_tied, num_letters: 0, num_words: 0, num_digits: 0, is_no_name }
    }

    /// The place before the name so far.
    fn before(&self) -> Option<usize> {
        let place = self.start.checked_sub(1)?;
        (place >= self.floor && self.at - place <= MAX_TOKENS).then_some(place)
    }

    /// Takes the tokens that stand before the "at" without a gap, or the word there.
    fn first_unit(&mut self, written: bool) -> Option<()> {
        let last = self.before()?;
        if !self.is_part(last) {
            return None;
        }
        self.take_unit(last);
        self.is_no_name = !written && NO_NAMES.contains(self.tokens.text(last));
        // "Node.js at nodejs.org": what is written without a gap is a name only by its last part.
        self.is_tied &= !self.is_no_name;
        Some(())
    }

    /// Takes a word and what is written before it without a gap.
    fn take_unit(&mut self, last: usize) {
        self.take(last);
        while self.tokens.glued(self.start)
            && let Some(before) = self.before()
        {
            let sign =
                self.tokens.symbol(before).is_some_and(|symbol| matches!(symbol, '.' | '_' | '-' | '+' | '%' | '\''));
            let part = before.checked_sub(1).filter(|part| *part >= self.floor && sign && self.tokens.glued(before));
            match part.filter(|part| self.is_part(*part)) {
                Some(part) => {
                    self.is_tied = true;
                    self.take(part);
                }
                None if self.is_part(before) => self.take(before),
                None => break,
            }
        }
    }

    fn take(&mut self, place: usize) {
        self.start = place;
        match self.tokens.kind(place) {
            Some(TokenKind::Code) => self.is_tied = true,
            _ if self.tokens.is_number(place) => self.num_digits += self.length(place),
            _ if self.is_single(place) => self.num_letters += 1,
            _ => self.num_words += 1,
        }
    }

    fn length(&self, place: usize) -> usize {
        if self.tokens.is_word(place) { 1 } else { self.tokens.text(place).len() }
    }

    fn is_part(&self, place: usize) -> bool {
        matches!(self.tokens.kind(place), Some(TokenKind::Word | TokenKind::Digits | TokenKind::Code))
    }

    fn is_single(&self, place: usize) -> bool {
        self.tokens.is_word(place) && self.tokens.text(place).chars().count() == 1
    }

    /// Takes what belongs to the name before it; says whether there was something.
    fn extend(&mut self) -> bool {
        let Some(before) = self.before() else { return false };
        self.extend_by_sign(before) || self.extend_by_letter(before) || self.extend_by_number(before)
    }

    /// "j dot", "john underscore".
    fn extend_by_sign(&mut self, before: usize) -> bool {
        let sign = match self.tokens.symbol(before) {
            Some('.') => self.is_single(self.start) && before.checked_sub(1).is_some_and(|part| self.is_single(part)),
            Some(symbol) => matches!(symbol, '_' | '-'),
            None => matches!(self.tokens.meaning(before), Meaning::Symbol('.' | '_' | '-' | '+')),
        };
        let part = before.checked_sub(1).filter(|part| *part >= self.floor && sign && self.is_part(*part));
        let Some(part) = part else { return false };
        self.is_tied = true;
        self.take_unit(part);
        true
    }

    /// "j o h n", "j smith".
    fn extend_by_letter(&mut self, before: usize) -> bool {
        let next_to_letter = self.is_single(self.start) || self.tokens.is_number(self.start);
        let is_pronoun = matches!(self.tokens.text(before), "i" | "a");
        let belongs = self.is_single(before) && (next_to_letter || !is_pronoun);
        if belongs {
            self.take_unit(before);
        }
        belongs
    }

    /// "mike seventy two", "four one nine lisa".
    fn extend_by_number(&mut self, before: usize) -> bool {
        let behind_number = self.tokens.is_number(self.start);
        let is_number = self.tokens.is_number(before) && self.length(before) <= MAX_WRITTEN_DIGITS;
        let belongs = if is_number {
            let max =
                if self.num_words + self.num_letters == 0 { MAX_DIGITS_BEHIND_WORD } else { MAX_DIGITS_BEFORE_WORD };
            self.num_digits + self.length(before) <= max
        } else {
            let is_name = self.tokens.meaning(before) == Meaning::Other && !NO_NAMES.contains(self.tokens.text(before));
            behind_number
                && !self.is_tied
                && self.num_words == 0
                && self.is_part(before)
                && is_name
                && !announcement::leads(self.tokens.text(before))
        };
        if belongs {
            self.take_unit(before);
        }
        belongs
    }

    /// Whether the form alone shows that this is an address.
    fn looks_like_address(&self, domain: &Domain) -> bool {
        let has_letters = self.num_words + self.num_letters > 0 || domain.is_provider;
        let is_spelled = self.num_letters > 1 || self.num_letters == 1 && self.num_words > 0;
        self.is_tied && has_letters || is_spelled || self.num_digits > 0 && (self.num_words > 0 || domain.is_provider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What of the text before "at" is the name.
    fn name(text: &str, domain: &str) -> Option<String> {
        let tokens = Tokens::read(&format!("{text} at {domain}"));
        let at = (0..tokens.len()).rev().find(|place| tokens.mark(*place) == Some('@'))?;
        let domain = Domain::read(&tokens, at + 1, false)?;
        let start = start(&tokens, at, 0, &domain, false)?;
        Some((start..at).map(|place| tokens.text(place)).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_name_is_known_by_its_form() {
        // (what is said before the "at", the name)
        for (text, expected) in [
            ("this is j dot smith", Some("j dot smith")),
            ("i think j o h n", Some("j o h n")),
            ("use mike seventy two", Some("mike seventy two")),
            ("so four one nine lisa", Some("four one nine lisa")),
            ("i saw j smith", Some("j smith")),
            ("i found frank", None),
            ("i looked", None),
            ("version two dot one", None),
        ] {
            assert_eq!(name(text, "example dot com").as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn where_mailboxes_are_a_word_is_enough() {
        assert_eq!(name("i found frank", "gmail dot com").as_deref(), Some("frank"));
        assert_eq!(name("i looked", "gmail dot com"), None);
    }
}

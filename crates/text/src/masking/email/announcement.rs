//! What is said before an e-mail address: "my email is", "send it to", or nothing but "sure, it's".
//!
//! Input: tokens and the place where the name seems to begin. Output: where it begins, with the words between the
//! announcement and the name that nothing ties to it: of "my email is sarah jones at …" both are the name.

use std::ops::Range;

use super::super::{runs::filler_end, tokens::Tokens, words::Words};
use super::name::is_no_name;

/// Words of a name that nothing ties together.
const MAX_LOOSE_WORDS: usize = 3;
/// How far the word "email" stands before "is".
const MAX_WORDS_TO_SUBJECT: usize = 5;
/// Where more is said than an address, it is not said alone.
const MAX_COURTESIES: usize = 8;

/// Words that an address follows.
static LEADS: Words = Words::new("is it's its that's be to on under via as with use lautet ist unter an was");

/// What an address is told as, or the telling and sending itself.
static SUBJECTS: Words = Words::new(
    "email emails email's mail mails address adresse login send sent write wrote forward contact reach go schick
     schreib",
);

/// What is said beside an address where nothing else is said.
static COURTESIES: Words =
    Words::new("it's its it is that's that would be sure please thanks thank you no and the address email my bitte");

/// Where an address begins that is announced.
pub(super) fn start(tokens: &Tokens, name: usize, floor: usize) -> Option<usize> {
    let mut start = name;
    for _ in 0..=MAX_LOOSE_WORDS {
        let before = start.checked_sub(1).filter(|before| *before >= floor)?;
        if names_email(tokens, before) {
            return Some(start);
        }
        if leads(tokens.text(before)) {
            return has_subject(tokens, before, floor).then_some(start);
        }
        if !is_loose(tokens, before) {
            return None;
        }
        start = before;
    }
    None
}

/// Whether an address follows the word, if something is said of one before.
pub(super) fn leads(word: &str) -> bool {
    LEADS.contains(word)
}

/// "email", or "email:".
fn names_email(tokens: &Tokens, place: usize) -> bool {
    let label = if tokens.symbol(place) == Some(':') { place.checked_sub(1) } else { Some(place) };
    let said = label.map_or("", |label| tokens.text(label));
    matches!(said, "email" | "emails" | "email's" | "mail" | "mails" | "address" | "adresse" | "login")
}

fn has_subject(tokens: &Tokens, lead: usize, floor: usize) -> bool {
    let first = lead.saturating_sub(MAX_WORDS_TO_SUBJECT).max(floor);
    let mut words = (first..lead).rev().take_while(|place| tokens.is_word(*place));
    words.any(|place| SUBJECTS.contains(tokens.text(place)))
}

fn is_loose(tokens: &Tokens, place: usize) -> bool {
    let word = tokens.text(place);
    tokens.is_word(place) && (word == "the" || !is_no_name(word)) && filler_end(tokens, place).is_none()
}

/// Whether nothing is said but the address.
pub(super) fn is_alone(tokens: &Tokens, address: Range<usize>) -> bool {
    let is_courtesy = |place: usize| {
        COURTESIES.contains(tokens.text(place)) || filler_end(tokens, place).is_some() || tokens.symbol(place).is_some()
    };
    let num_behind = tokens.len().saturating_sub(address.end);
    address.start <= MAX_COURTESIES
        && num_behind <= MAX_COURTESIES
        && (0..address.start).chain(address.end..tokens.len()).all(is_courtesy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_says_where_the_name_begins() {
        // (what stands before the "at", how many words of it are the name)
        for (text, expected) in [
            ("my email is sarah jones", Some(2)),
            ("send it to bob", Some(1)),
            ("email bob", Some(1)),
            ("mail: the real tom", Some(3)),
            ("there is a sale", None),
            ("she is bob", None),
            ("", None),
        ] {
            let tokens = Tokens::read(text);
            let last = tokens.len().saturating_sub(1);
            assert_eq!(start(&tokens, last, 0).map(|start| tokens.len() - start), expected, "{text}");
        }
    }

    #[test]
    fn an_address_is_alone_between_courtesies() {
        let tokens = Tokens::read("sure, it's X please");
        assert!(is_alone(&tokens, 3..4));
        assert!(!is_alone(&tokens, 4..5));
    }
}

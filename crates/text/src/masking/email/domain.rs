//! The part of an e-mail address behind the "at".
//!
//! Input: tokens and the place behind the "at". Output: where the domain ends, and whether people have their mailboxes
//! there. A domain is written without gaps, or said: its labels may be several words, dots are a word, and the last
//! label may be spelled ("dot c o m").

use super::super::{
    tokens::{TokenKind, Tokens},
    vocabulary::Meaning,
    words::Words,
};
use super::bracketed;

/// A label that is said has no more words or spelled letters.
const MAX_WORDS: usize = 12;
/// Labels of a domain.
const MAX_LABELS: usize = 6;
/// Tokens of a label that is written.
const MAX_TOKENS: usize = 32;

/// What a domain ends in, as far as people say it: kinds, countries, cities.
static LAST_LABELS: Words = Words::new(
    "com net org edu gov info biz io ai app dev me co uk de at ch fr it es nl be pl eu us ca au nz ie in jp cn
     se no dk fi cz sk hu ro bg gr pt br mx ar za ru ua tr il ae sa sg hk kr fm tv cc ly lu li is online shop
     email cloud xyz tech london berlin ac",
);

/// Where people have their mailboxes.
static PROVIDERS: Words = Words::new(
    "gmail googlemail outlook hotmail yahoo ymail icloud aol gmx web live msn proton protonmail tonline posteo
     freenet mailbox btinternet comcast verizon fastmail zoho yandex mail wanadoo orange laposte libero bluewin
     tutanota tuta virginmedia hey",
);

/// Words that a domain which is said has none of.
static NOT_SAID: Words = Words::new(
    "the a an my your our his her their this that least all any some and or but is are was i you we they it he
     she in on",
);

/// What files are called; after "@" it is an image for screens of twice the density.
static FILE_ENDINGS: Words = Words::new("png jpg jpeg gif svg webp");

pub(super) struct Domain {
    /// The place behind it.
    pub end: usize,
    pub is_provider: bool,
}

impl Domain {
    pub fn read(tokens: &Tokens, place: usize, written: bool) -> Option<Self> {
        let (first, mut place) = label(tokens, place, written)?;
        let is_provider = PROVIDERS.contains(&first);
        let mut end = None;
        for _ in 0..MAX_LABELS {
            let Some(behind_dot) = dot(tokens, place) else { break };
            if let Some(last) = last_label(tokens, behind_dot, written) {
                end = Some(last);
                place = last;
            } else {
                let Some((_, behind_label)) = label(tokens, behind_dot, written) else { break };
                place = behind_label;
            }
        }
        end.map(|end| Self { end, is_provider })
    }
}

/// Where a dot ends, written without gaps or said.
fn dot(tokens: &Tokens, place: usize) -> Option<usize> {
    let word = tokens.mark(place + 1) == Some('.') && tokens.is_word(place + 1);
    if let Some(brackets) = bracketed(tokens, place + 1).filter(|_| word) {
        return Some(brackets.end);
    }
    if tokens.mark(place) != Some('.') {
        return None;
    }
    let is_said = tokens.symbol(place).is_none();
    let is_written = tokens.glued(place) == tokens.glued(place + 1) && tokens.get(place + 1).is_some();
    (is_said || is_written).then_some(place + 1)
}

/// A label up to the dot behind it: what it says, without gaps and signs, and where it ends. One that is written has no
/// gaps.
fn label(tokens: &Tokens, start: usize, written: bool) -> Option<(String, usize)> {
    let mut said = String::new();
    let (mut place, mut num_words) = (start, 0);
    while place - start < MAX_TOKENS {
        if dot(tokens, place).is_some() {
            return (!said.is_empty()).then_some((said, place));
        }
        if place > start && !tokens.glued(place) {
            if written {
                return None;
            }
            num_words += 1;
        }
        let belongs = match tokens.kind(place)? {
            TokenKind::Word => {
                let sign = matches!(tokens.meaning(place), Meaning::Symbol(symbol) if symbol != '-');
                !sign && !NOT_SAID.contains(tokens.text(place))
            }
            TokenKind::Digits | TokenKind::Code => true,
            TokenKind::Symbol(symbol) => matches!(symbol, '-' | '_') && tokens.glued(place),
            TokenKind::Masked(_) => false,
        };
        if !belongs || num_words > MAX_WORDS {
            return None;
        }
        if tokens.meaning(place) != Meaning::Symbol('-') {
            said.push_str(tokens.text(place));
        }
        place += 1;
    }
    None
}

/// Where a label ends that a domain may end with.
fn last_label(tokens: &Tokens, place: usize, written: bool) -> Option<usize> {
    if !tokens.is_word(place) {
        return None;
    }
    let text = tokens.text(place);
    if LAST_LABELS.contains(text) {
        return Some(place + 1);
    }
    let is_glued = tokens.glued(place) && text.len() >= 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if written && is_glued && !FILE_ENDINGS.contains(text) {
        return Some(place + 1);
    }
    spelled(tokens, place)
}

/// A last label that is spelled: "c o m", "d e".
fn spelled(tokens: &Tokens, place: usize) -> Option<usize> {
    let letters = |num: usize| {
        let places = place..place + num;
        places.map(|place| tokens.letter(place).filter(|_| tokens.text(place).len() == 1)).collect::<Option<String>>()
    };
    let known = |num: &usize| letters(*num).is_some_and(|said| LAST_LABELS.contains(&said));
    [3, 2].into_iter().find(known).map(|num| place + num)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_ends_in_a_country_or_a_kind() {
        // (text, how many tokens belong to the domain)
        for (text, expected) in [
            ("example.com please", Some(3)),
            ("example dot co dot uk", Some(5)),
            ("uni dash leeds dot a c dot u k okay", Some(9)),
            ("t minus online dot de", Some(5)),
            ("blue river dot com", Some(4)),
            ("gmail dot c o m", Some(5)),
            ("the store dot com", None),
            ("noon dot", None),
            ("noon. Com", None),
            ("home", None),
            ("work dot dot dot", None),
        ] {
            assert_eq!(Domain::read(&Tokens::read(text), 0, false).map(|domain| domain.end), expected, "{text}");
        }
    }

    #[test]
    fn mailboxes_are_known() {
        for (text, expected) in [("g m x dot net", true), ("t online dot de", true), ("acme dot com", false)] {
            let domain = Domain::read(&Tokens::read(text), 0, false);
            assert_eq!(domain.map(|domain| domain.is_provider), Some(expected), "{text}");
        }
    }
}

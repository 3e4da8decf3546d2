//! Numbers of payment cards.
//!
//! Input: a run, the place of an item in it and the hint. Output: where a card number ends that begins there. By itself
//! one is known by the digits its brand begins with, its length and its check digit (Luhn). Where the words say that it
//! is a card, a wrong check digit hides nothing: one digit that was misheard must not show the other fifteen.

use std::ops::Range;

use super::{
    hint::{Hint, Near},
    runs::{Item, Origin, Run},
};

/// ISO/IEC 7812.
const MIN_DIGITS: usize = 13;
const MAX_DIGITS: usize = 19;

/// So many words before the digits name them; what was said earlier may be what the card paid for.
const MAX_WORDS_FROM_THING: usize = 4;

/// As on the cards of American Express, 4-6-5.
const MAX_DIGITS_OF_GROUP: usize = 6;

pub(super) fn end(run: &Run<'_>, start: usize, near: Option<Near>) -> Option<usize> {
    let names_thing = near.is_some_and(|near| near.hint == Hint::Thing && near.distance < MAX_WORDS_FROM_THING);
    if names_thing {
        return None;
    }
    let told = near.is_some_and(|near| near.hint == Hint::Card);
    let ends = || run.ends(start, MAX_DIGITS).filter(|(_, digits)| digits.len() >= MIN_DIGITS);
    let fits = |&(end, digits): &(usize, &str)| {
        let lengths = Lengths::of(digits);
        let length = lengths.usual == digits.len()
            || run.is_parted(end) && (lengths.rare.contains(&digits.len()) || told && lengths.usual > 0);
        length && has_check_digit(digits) && (told || is_in_groups(run, start..end))
    };
    let misheard = |&(end, digits): &(usize, &str)| {
        let lengths = Lengths::of(digits);
        told && (lengths.usual == digits.len() || lengths.usual > 0 && run.is_parted(end))
    };
    let usual = |&(_, digits): &(usize, &str)| Lengths::of(digits).usual == digits.len();
    (ends().filter(fits).last())
        .or_else(|| ends().filter(misheard).find(usual))
        .or_else(|| ends().filter(misheard).last())
        .map(|(end, _)| end)
}

/// Whether the items are one number, not several beside each other: no card is written in longer groups. Digits that are said
/// one by one are one number however many pauses are heard between them, which speech recognition writes as commas.
fn is_in_groups(run: &Run<'_>, items: Range<usize>) -> bool {
    let is_group = |item: &Item| item.num_digits() <= MAX_DIGITS_OF_GROUP;
    let is_dictated = |item: &Item| item.origin == Origin::Spoken && item.num_digits() == 1;
    let is_list = run.is_list(items.clone());
    let items = &run.items[items];
    items.len() == 1 || items.iter().all(is_dictated) || !is_list && items.iter().all(is_group)
}

/// How many digits the numbers of a brand have.
struct Lengths {
    usual: usize,
    /// Lengths that are believed only where the run ends with them.
    rare: &'static [usize],
}

impl Lengths {
    /// By the first digits, as the brands have them assigned.
    fn of(digits: &str) -> Self {
        let first = |num_digits: usize| digits.get(..num_digits).and_then(|first| first.parse().ok()).unwrap_or(0_u32);
        let (usual, rare): (usize, &'static [usize]) = match (first(1), first(2), first(4)) {
            (4, ..) => (16, &[13, 19]),
            (_, 34 | 37, _) => (15, &[]),
            (_, 30 | 36 | 38 | 39, _) => (14, &[16, 19]),
            (_, 35 | 51..=55, _) | (_, _, 2221..=2720 | 2200..=2204) => (16, &[]),
            (_, 62 | 64 | 65, _) | (_, _, 6011) => (16, &[17, 18, 19]),
            (_, 50 | 56..=69, _) => (16, &[]),
            _ => (0, &[]),
        };
        Self { usual, rare }
    }
}

/// Luhn's sum, ISO/IEC 7812-1 annex B.
fn has_check_digit(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit.wrapping_sub(b'0'));
            match (place % 2, digit * 2) {
                (0, _) => digit,
                (_, doubled @ 10..) => doubled - 9,
                (_, doubled) => doubled,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::super::{runs::Runs, tokens::Tokens};
    use super::*;

    /// How many items the card number has that the text begins with.
    fn num_items(text: &str, hint: Option<Hint>) -> Option<usize> {
        let runs = Runs::read(&Tokens::read(text));
        let run = runs.iter().next()?;
        end(&run, 0, hint.map(|hint| Near { hint, distance: 0 }))
    }

    #[test]
    fn a_card_is_known_by_its_brand_its_length_and_its_check_digit() {
        // (text, how many items are the card number)
        for (text, expected) in [
            ("4526018159083012", Some(1)),
            ("4526 0181 5908 3012 12 27", Some(4)),
            ("4526 0181 5908 3013", None),
            ("3431 672326 86561", Some(3)),
            ("4595711777743", Some(1)),
            ("4595711777743 1", None),
            ("0000000000000000", None),
            ("1526018159083010", None),
        ] {
            assert_eq!(num_items(text, None), expected, "{text}");
        }
    }

    #[test]
    fn words_weigh_more_than_the_check_digit() {
        assert_eq!(num_items("4526 0181 5908 3013", Some(Hint::Card)), Some(4));
        assert_eq!(num_items("4526 0181 5908 3013 12 27", Some(Hint::Card)), Some(4));
        assert_eq!(num_items("4526 0181 5908 3012", Some(Hint::Thing)), None);
    }
}

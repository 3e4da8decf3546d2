//! National ids that are digits alone: the social security and taxpayer numbers of the USA, the patients' numbers of
//! Britain's health service.
//!
//! Input: a run, the place of an item in it and the hint. Output: where an id ends that begins there. Nine digits are
//! an id where the words say so, or where they stand in groups of three, two and four in the ranges that are given out.
//! Ten are one only where the words say so: they look like a phone number.

use super::{
    hint::{Hint, Near},
    runs::{Gap, Run},
};

const NUM_DIGITS: usize = 9;
const NUM_DIGITS_NHS: usize = 10;

pub(super) fn end(run: &Run<'_>, start: usize, near: Option<Near>) -> Option<usize> {
    let hint = near.map(|near| near.hint);
    let fits = |&(end, digits): &(usize, &str)| match hint {
        Some(Hint::Thing) => false,
        Some(Hint::NationalId) => digits.len() == NUM_DIGITS,
        Some(Hint::Nhs) => digits.len() == NUM_DIGITS_NHS,
        _ => digits.len() == NUM_DIGITS && !run.hangs_on(end) && is_grouped(run, start..end) && is_given_out(digits),
    };
    run.ends(start, NUM_DIGITS_NHS).find(fits).map(|(end, _)| end)
}

/// Whether the digits stand as 123-45-6789, with the same sign or a space twice; a group may be said digit by digit.
fn is_grouped(run: &Run<'_>, items: std::ops::Range<usize>) -> bool {
    let mut borders = Vec::new();
    let mut num_digits = 0;
    for item in &run.items[items.clone()] {
        if num_digits > 0 && (item.gap != Gap::Space || items.len() == 3) {
            borders.push((num_digits, item.gap));
        }
        num_digits += item.num_digits();
    }
    matches!(borders[..], [(3, first), (5, second)] if first == second && first != Gap::Break)
}

/// The areas that are given out: never 000 or 666, and from 900 on only to taxpayers, whose groups are told apart.
fn is_given_out(digits: &str) -> bool {
    let number = |places| digits.get(places).and_then(|digits: &str| digits.parse().ok()).unwrap_or(0_u32);
    match (number(0..3), number(3..5), number(5..9)) {
        (0 | 666, ..) | (_, _, 0) => false,
        (900.., group, _) => matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99),
        (_, group, _) => group != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{runs::Runs, tokens::Tokens};
    use super::*;

    fn is_id(text: &str, hint: Option<Hint>) -> bool {
        let runs = Runs::read(&Tokens::read(text));
        let near = hint.map(|hint| Near { hint, distance: 0 });
        runs.iter().next().is_some_and(|run| end(&run, 0, near) == Some(run.items.len()))
    }

    #[test]
    fn groups_in_the_ranges_that_are_given_out_are_an_id() {
        // (text, whether it is one by itself)
        for (text, expected) in [
            ("434-45-4206", true),
            ("434 45 4206", true),
            ("four three four dash four five dash four two zero six", true),
            ("000-45-4206", false),
            ("666-45-4206", false),
            ("434-00-4206", false),
            ("434-45-0000", false),
            ("926-93-3728", false),
            ("926-94-3728", true),
            ("434454206", false),
            ("434-45-4206-1", false),
        ] {
            assert_eq!(is_id(text, None), expected, "{text}");
        }
    }

    #[test]
    fn words_tell_an_id() {
        // (text, what the words say, whether it is one)
        for (text, hint, expected) in [
            ("434454206", Hint::NationalId, true),
            ("434-45-4206", Hint::Thing, false),
            ("407 806 6712", Hint::Nhs, true),
            ("407 806 6712", Hint::NationalId, false),
        ] {
            assert_eq!(is_id(text, Some(hint)), expected, "{text}");
        }
    }
}

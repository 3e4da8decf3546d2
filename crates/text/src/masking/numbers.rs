//! Cards, national ids and phone numbers in the runs of a text.
//!
//! Input: tokens. Output: the finds in their order. A number begins where the run does, after another find, or where
//! the groups show it; what it is depends on nothing behind it but on what parts it from there. So a placeholder in its
//! place changes no other decision.

use super::{
    Found, Kind, card,
    hint::{self, Near},
    national_id, phone,
    runs::{Gap, Origin, Run, Runs},
    tokens::Tokens,
    written_forms,
};

/// A run with fewer digits has no find.
const MIN_DIGITS: usize = 7;

pub(super) fn find(tokens: &Tokens) -> Vec<Found> {
    let runs = Runs::read(tokens);
    let mut found = Vec::new();
    for run in runs.iter() {
        if run.num_digits() >= MIN_DIGITS && !written_forms::is_unit(tokens, run.tokens().end) {
            let search = Search { tokens, run, near: hint::around(tokens, &run.tokens()) };
            search.find(&mut found);
        }
    }
    found
}

struct Search<'a> {
    tokens: &'a Tokens,
    run: Run<'a>,
    near: Option<Near>,
}

impl Search<'_> {
    fn find(&self, found: &mut Vec<Found>) {
        let mut place = 0;
        let mut behind_find = true;
        while let Some(item) = self.run.items.get(place) {
            let begins = item.origin != Origin::Opaque && (behind_find || self.may_begin(place));
            let number = if begins { self.number(place) } else { None };
            behind_find = item.origin == Origin::Opaque || number.is_some();
            place = match number {
                Some((kind, end)) => {
                    found.push(Found { kind, tokens: self.tokens_of(place, end) });
                    end
                }
                None => place + 1,
            };
        }
    }

    /// Whether a number may begin in the middle of a run: behind a break, or where the groups get another shape, as in
    /// "room 12 415-555-0132".
    fn may_begin(&self, place: usize) -> bool {
        let Some(item) = self.run.items.get(place) else { return false };
        let looser = || self.run.items.get(place + 1).is_some_and(|next| item.gap < next.gap && next.gap != Gap::Break);
        let other_shape = || {
            let before = place.checked_sub(1).and_then(|before| self.run.items.get(before));
            before.is_some_and(|before| before.num_digits() != item.num_digits()) && item.num_digits() >= 3
        };
        item.plus.is_some()
            || item.gap == Gap::Break
            || item.origin == Origin::Written && item.gap == Gap::Space && (looser() || other_shape())
    }

    /// The number that begins there, and where it ends.
    fn number(&self, place: usize) -> Option<(Kind, usize)> {
        if let Some(sure) = self.checked(place) {
            return Some(sure);
        }
        let end = phone::end(&self.run, place, self.run.items.len(), self.near)?;
        let inside = (place + 1..end).find(|inside| self.may_begin(*inside) && self.checked(*inside).is_some());
        let end = inside.map_or(Some(end), |inside| phone::end(&self.run, place, inside, self.near))?;
        Some((Kind::Phone, end))
    }

    /// A number that more speaks for than its length.
    fn checked(&self, place: usize) -> Option<(Kind, usize)> {
        let card = || card::end(&self.run, place, self.near).map(|end| (Kind::Card, end));
        national_id::end(&self.run, place, self.near).map(|end| (Kind::NationalId, end)).or_else(card)
    }

    /// The tokens of a number, with the plus sign and the bracket that it begins with.
    fn tokens_of(&self, place: usize, end: usize) -> std::ops::Range<usize> {
        let items = &self.run.items[place..end];
        let (Some(first), Some(last)) = (items.first(), items.last()) else { return 0..0 };
        let start = first.plus.unwrap_or(first.tokens.start);
        let end = last.tokens.end;
        let num = |bracket| (start..end).filter(|place| self.tokens.symbol(*place) == Some(bracket)).count();
        let opens = |place: &usize| self.tokens.symbol(*place) == Some('(');
        let bracket = start.checked_sub(1).filter(opens).filter(|_| num(')') > num('('));
        bracket.unwrap_or(start)..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(Kind, &str)> {
        let tokens = Tokens::read(text);
        find(&tokens).into_iter().map(|found| (found.kind, &text[tokens.source(&found.tokens)])).collect()
    }

    #[test]
    fn numbers_are_told_apart_within_a_run() {
        // (text, the finds with what they cover)
        for (text, expected) in [
            ("415-555-0132 415-555-0133", vec![(Kind::Phone, "415-555-0132"), (Kind::Phone, "415-555-0133")]),
            ("12 415-555-0132", vec![(Kind::Phone, "415-555-0132")]),
            ("room 1205 4526 0181 5908 3012", vec![]),
            ("12 4526 0181 5908 3012", vec![(Kind::Card, "4526 0181 5908 3012")]),
            (
                "4526 0181 5908 3012, 434-45-4206",
                vec![(Kind::Card, "4526 0181 5908 3012"), (Kind::NationalId, "434-45-4206")],
            ),
            ("[card] 415-555-0132", vec![(Kind::Phone, "415-555-0132")]),
            ("9400111899223857268499", vec![]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn the_sign_and_the_bracket_before_a_number_belong_to_it() {
        // (text, what the find covers)
        for (text, expected) in [
            ("(+1 (415) 555-0132)", "+1 (415) 555-0132"),
            ("((415) 555-0132)", "(415) 555-0132"),
            ("(415 555 0132)", "415 555 0132"),
            (
                "it's plus four four seven seven double oh nine hundred one two three",
                "plus four four seven seven double oh nine hundred one two three",
            ),
        ] {
            assert_eq!(found(text), [(Kind::Phone, expected)], "{text}");
        }
    }
}

//! Phone numbers: of the USA and Canada, of Britain and Germany, and with the code of any country.
//!
//! Input: a run, the place of an item in it, how far a number may reach, and the hint. Output: where a number ends that
//! begins there. By themselves only the forms are believed that little else has; where the words say that it is a phone
//! number, any seven to fifteen digits are one.

use std::ops::Range;

use super::{
    hint::{Hint, Near},
    runs::{Gap, Origin, Run},
};

/// E.164 has no more digits; after "00" two more.
const MAX_DIGITS: usize = 15;
const MAX_DIGITS_WITH_ZEROS: usize = 17;
/// A number without its area code, as it is told to a neighbour.
const MIN_DIGITS_TOLD: usize = 7;
/// With the code of the country.
const MIN_DIGITS_ABROAD: usize = 8;
/// With the zero before the area. Shorter ones exist and look like dates.
const DIGITS_AT_HOME: Range<usize> = 9..13;
/// Written in one group, only the mobile numbers of Germany have more: twelve digits are more often the number of a thing.
const MAX_DIGITS_AT_HOME_IN_ONE: usize = 11;
/// The North American plan: area, exchange and line.
const DIGITS_OF_NANP: usize = 10;

pub(super) fn end(run: &Run<'_>, start: usize, limit: usize, near: Option<Near>) -> Option<usize> {
    let hint = near.map(|near| near.hint);
    let told = matches!(hint, Some(Hint::Phone | Hint::Number));
    let call = Call { run, start, limit, told };
    let sure = call.with_plus().or_else(|| call.in_brackets());
    if sure.is_some() || hint == Some(Hint::Thing) {
        return sure;
    }
    call.with_zeros().or_else(|| call.north_american()).or_else(|| call.at_home()).or_else(|| call.as_told())
}

/// A number that may begin at an item.
struct Call<'a> {
    run: &'a Run<'a>,
    start: usize,
    limit: usize,
    told: bool,
}

impl Call<'_> {
    fn ends(&self, max_digits: usize) -> impl Iterator<Item = (usize, &str)> {
        self.run.ends(self.start, max_digits).take_while(|(end, _)| *end <= self.limit)
    }

    /// The longest number that fits and reaches to where the digits are parted from what follows.
    fn longest(&self, max_digits: usize, fits: impl Fn(usize, &str) -> bool) -> Option<usize> {
        let parted = |&(end, digits): &(usize, &str)| self.is_parted(end) && fits(end, digits);
        let ends = self.ends(max_digits).take_while(|(end, _)| self.told || !self.is_behind_comma(end - 1));
        ends.filter(parted).last().map(|(end, _)| end)
    }

    /// A long group that is written as one is parted from what follows it.
    fn is_parted(&self, end: usize) -> bool {
        self.run.is_parted(end) || end == self.start + 1 && self.is_written() && !self.run.hangs_on(end)
    }

    /// Whether this written group comes after a comma: it is another number, where nothing tells of a phone.
    fn is_behind_comma(&self, place: usize) -> bool {
        place > self.start
            && self.run.items[self.start..=place].iter().all(|item| item.origin == Origin::Written)
            && self.run.items[place].gap == Gap::Break
    }

    fn is_written(&self) -> bool {
        self.run.items.get(self.start).is_some_and(|item| item.origin == Origin::Written)
    }

    fn with_plus(&self) -> Option<usize> {
        self.run.items.get(self.start).filter(|item| item.plus.is_some())?;
        let american = self.ends(MAX_DIGITS).find(|(_, digits)| digits.strip_prefix('1').is_some_and(is_nanp));
        let abroad = |_, digits: &str| digits.len() >= MIN_DIGITS_ABROAD && has_country(digits);
        american.map(|(end, _)| end).or_else(|| self.longest(MAX_DIGITS, abroad))
    }

    fn with_zeros(&self) -> Option<usize> {
        let fits = |_, digits: &str| {
            digits.strip_prefix("00").is_some_and(|rest| rest.len() > MIN_DIGITS_ABROAD && has_country(rest))
        };
        self.longest(MAX_DIGITS_WITH_ZEROS, fits)
    }

    /// "(415) 555-0132": brackets stand in no other number.
    fn in_brackets(&self) -> Option<usize> {
        let bracket = |place: usize| self.run.items.get(place).is_some_and(|item| item.gap == Gap::Bracket);
        let fits = |(end, digits): &(usize, &str)| is_nanp(digits) && !self.run.hangs_on(*end);
        let area = self.run.items.get(self.start).is_some_and(|item| item.num_digits() == 3);
        if area && bracket(self.start + 1) { self.ends(DIGITS_OF_NANP).find(fits).map(|(end, _)| end) } else { None }
    }

    fn north_american(&self) -> Option<usize> {
        let fits = |(end, digits): &(usize, &str)| {
            let national = digits.strip_prefix('1').unwrap_or(digits);
            let items = self.start..*end;
            is_nanp(national)
                && !self.run.hangs_on(*end)
                && (self.told || self.is_grouped(items.clone(), digits.len()) && !self.run.is_list(items))
        };
        self.ends(DIGITS_OF_NANP + 1).find(fits).map(|(end, _)| end)
    }

    /// Whether items border on area, exchange and line, or are the whole number. So "4 15 23 42 8 16" is none.
    fn is_grouped(&self, items: Range<usize>, num_digits: usize) -> bool {
        let country = num_digits - DIGITS_OF_NANP;
        let mut sum = 0;
        let borders: Vec<usize> = self.run.items[items]
            .iter()
            .map(|item| {
                sum += item.num_digits();
                sum
            })
            .collect();
        let has = |border: usize| borders.contains(&(border + country));
        has(3) && has(6) || borders.len() == 1 || borders.len() == 2 && (has(0) || has(3) || has(6))
    }

    fn at_home(&self) -> Option<usize> {
        let fits = |end: usize, digits: &str| {
            let area = digits.strip_prefix('0').is_some_and(|area| !area.starts_with('0'));
            let too_long_for_one =
                end == self.start + 1 && digits.len() > MAX_DIGITS_AT_HOME_IN_ONE && !digits.starts_with("01");
            DIGITS_AT_HOME.contains(&digits.len())
                && area
                && (self.told || !too_long_for_one && !self.run.is_list(self.start..end))
        };
        self.longest(DIGITS_AT_HOME.end - 1, fits)
    }

    fn as_told(&self) -> Option<usize> {
        if !self.told {
            return None;
        }
        let is_list = |end| self.run.are_parted(self.start..end) && self.run.is_list(self.start..end);
        self.longest(MAX_DIGITS, |end, digits| digits.len() >= MIN_DIGITS_TOLD && !self.is_date(end) && !is_list(end))
    }

    /// "03 14 2026".
    fn is_date(&self, end: usize) -> bool {
        let groups: Vec<&str> = (self.start..end).map(|item| self.run.digits(item..item + 1)).collect();
        matches!(groups[..], [day, month, year]
            if day.len() <= 2 && month.len() <= 2 && year.len() == 4 && (year.starts_with("19") || year.starts_with("20")))
    }
}

/// Neither the area nor the exchange begins with 0 or 1.
fn is_nanp(digits: &str) -> bool {
    let begins = |place: usize| digits.as_bytes().get(place).is_some_and(|digit| (b'2'..=b'9').contains(digit));
    digits.len() == DIGITS_OF_NANP && begins(0) && begins(3) && !is_one_digit(digits)
}

/// Whether a country may have the code that the digits begin with: of the zones 28, 83 and 89 none is given out.
fn has_country(digits: &str) -> bool {
    !digits.starts_with('0') && !["28", "83", "89"].iter().any(|zone| digits.starts_with(zone)) && !is_one_digit(digits)
}

fn is_one_digit(digits: &str) -> bool {
    digits.bytes().all(|digit| Some(&digit) == digits.as_bytes().first())
}

#[cfg(test)]
mod tests {
    use super::super::{runs::Runs, tokens::Tokens};
    use super::*;

    fn num_items(text: &str, hint: Option<Hint>) -> Option<usize> {
        let runs = Runs::read(&Tokens::read(text));
        let run = runs.iter().next()?;
        end(&run, 0, run.items.len(), hint.map(|hint| Near { hint, distance: 0 }))
    }

    #[test]
    fn some_forms_are_believed_by_themselves() {
        // (text, how many items are the number)
        for (text, expected) in [
            ("415-555-0132", Some(3)),
            ("4155550132", Some(1)),
            ("1 415 555 0132", Some(4)),
            ("415 555 0132 9", Some(3)),
            ("+49 30 23125 014", Some(4)),
            ("0049 30 23125 014", Some(4)),
            ("020 7946 0958", Some(3)),
            ("030/23125014", Some(2)),
            ("4 15 23 42 8 16", None),
            ("115-555-0132", None),
            ("415-155-0132", None),
            ("555-0132", None),
            ("000 000 0000", None),
            ("03 14 2026", None),
            ("one two three four five six seven eight nine ten", None),
        ] {
            assert_eq!(num_items(text, None), expected, "{text}");
        }
    }

    #[test]
    fn words_decide_the_others() {
        // (text, what the words say, how many items are the number)
        for (text, hint, expected) in [
            ("555-0132", Hint::Phone, Some(2)),
            ("4155550132", Hint::Thing, None),
            ("(415) 555-0132", Hint::Thing, Some(3)),
            ("+1 415 555 0132", Hint::Thing, Some(4)),
            ("03 14 2026", Hint::Phone, None),
            ("12", Hint::Phone, None),
        ] {
            assert_eq!(num_items(text, Some(hint)), expected, "{text}");
        }
    }
}

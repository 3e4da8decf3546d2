//! Digits that are told one after the other, written or spoken, as runs of items.
//!
//! Input: tokens. Output: runs. An item is what was written or said as one: `0132`, "twenty three", "double five".
//! Items belong to one run where nothing but spaces, dashes, dots, commas, brackets and fillers stands between them. A
//! number is found at the borders of items, never inside one.

use std::ops::Range;

use super::{
    Kind,
    tokens::{TokenKind, Tokens},
    vocabulary::{FILLER_PHRASES, Meaning},
    written_forms,
};

/// More fillers than people put into a number: what comes then is another one.
const MAX_FILLERS: usize = 6;

/// What stands between two items. The later ones part more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gap {
    Space,
    Bracket,
    Dash,
    Dot,
    Slash,
    /// A comma, the end of a sentence, a filler, or the plus sign of another number.
    Break,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Written,
    Spoken,
    /// A placeholder, or a word that only looks like a digit: no number reaches over it.
    Opaque,
}

#[derive(Debug)]
pub(super) struct Item {
    pub tokens: Range<usize>,
    /// What parts it from the item before.
    pub gap: Gap,
    /// The place of the plus sign before it.
    pub plus: Option<usize>,
    pub origin: Origin,
    digits: Range<usize>,
}

impl Item {
    pub fn num_digits(&self) -> usize {
        self.digits.len()
    }
}

/// The items of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'a> {
    pub items: &'a [Item],
    digits: &'a str,
}

impl Run<'_> {
    /// The digits of items; all of one run stand in one place.
    pub fn digits(&self, items: Range<usize>) -> &str {
        match (self.items.get(items.start), items.end.checked_sub(1).and_then(|last| self.items.get(last))) {
            (Some(first), Some(last)) if first.digits.start <= last.digits.end => {
                &self.digits[first.digits.start..last.digits.end]
            }
            _ => "",
        }
    }

    pub fn num_digits(&self) -> usize {
        self.digits(0..self.items.len()).len()
    }

    /// Whether a number may end before this item because the run does, or because something parts it from the next.
    pub fn is_parted(&self, place: usize) -> bool {
        self.items.get(place).is_none_or(|item| item.gap == Gap::Break)
    }

    /// Whether another group hangs on with a sign and no break.
    pub fn hangs_on(&self, place: usize) -> bool {
        self.items.get(place).is_some_and(|item| matches!(item.gap, Gap::Dash | Gap::Dot | Gap::Slash))
    }

    /// The items that may follow each other in one number from a place on: up to a placeholder or another plus sign,
    /// and to so many digits. Each end comes with the digits up to it.
    pub fn ends(&self, start: usize, max_digits: usize) -> impl Iterator<Item = (usize, &str)> {
        let items = self.items.get(start..).unwrap_or_default();
        let whole =
            move |(place, item): &(usize, &Item)| item.origin != Origin::Opaque && (*place == 0 || item.plus.is_none());
        (items.iter().enumerate())
            .take_while(whole)
            .map(move |(place, _)| (start + place + 1, self.digits(start..start + place + 1)))
            .take_while(move |(_, digits)| digits.len() <= max_digits)
    }

    /// Whether items are several numbers: each parted from the next, and too short or too long for the group of one or
    /// not all of their run; or each as much larger than the one before.
    pub fn is_list(&self, items: Range<usize>) -> bool {
        let is_group = |item: &Item| (3..=6).contains(&item.num_digits());
        let are_groups = self.items.get(items.clone()).is_some_and(|items| items.iter().all(is_group));
        let goes_on = items.len() < self.items.len();
        self.are_parted(items.clone()) && (goes_on || !are_groups) || self.counts(items)
    }

    /// Whether a break parts each item from the next.
    pub fn are_parted(&self, items: Range<usize>) -> bool {
        let behind_first = self.items.get(items.start + 1..items.end).unwrap_or_default();
        !behind_first.is_empty() && behind_first.iter().all(|item| item.gap == Gap::Break)
    }

    fn counts(&self, items: Range<usize>) -> bool {
        let numbers: Vec<i64> =
            items.map(|item| self.digits(item..item + 1)).filter_map(|digits| digits.parse().ok()).collect();
        let step = |pair: &[i64]| pair[1].wrapping_sub(pair[0]);
        let first = numbers.windows(2).next().map(step);
        numbers.len() > 2 && first != Some(0) && numbers.windows(2).all(|pair| Some(step(pair)) == first)
    }

    pub fn tokens(&self) -> Range<usize> {
        match (self.items.first(), self.items.last()) {
            (Some(first), Some(last)) => first.plus.unwrap_or(first.tokens.start)..last.tokens.end,
            _ => 0..0,
        }
    }
}

/// All runs of a text.
#[derive(Debug, Default)]
pub(super) struct Runs {
    items: Vec<Item>,
    digits: String,
    /// The items of each run.
    bounds: Vec<Range<usize>>,
}

impl Runs {
    pub fn read(tokens: &Tokens) -> Self {
        let mut reader = Reader { runs: Self::default(), first: 0, pending: None };
        let mut place = 0;
        while place < tokens.len() {
            place = reader.step(tokens, place);
        }
        reader.end_run();
        reader.runs
    }

    pub fn iter(&self) -> impl Iterator<Item = Run<'_>> {
        self.bounds.iter().map(|items| Run { items: &self.items[items.clone()], digits: &self.digits })
    }
}

/// What stands between the last item and the next.
struct Pending {
    gap: Gap,
    plus: Option<usize>,
    num_fillers: usize,
}

const NOTHING: Pending = Pending { gap: Gap::Space, plus: None, num_fillers: 0 };

struct Reader {
    runs: Runs,
    /// The first item of the open run.
    first: usize,
    pending: Option<Pending>,
}

impl Reader {
    /// Takes what begins at a token; says where the next begins.
    fn step(&mut self, tokens: &Tokens, place: usize) -> usize {
        match tokens.kind(place) {
            Some(TokenKind::Digits) => {
                if let Some(end) = written_forms::end(tokens, place) {
                    self.end_run();
                    return end;
                }
                self.pass_interjection(tokens, place);
                self.push(tokens.text(place), place..place + 1, Origin::Written);
                place + 1
            }
            Some(TokenKind::Masked(kind)) => {
                if kind == Kind::Email {
                    self.end_run();
                } else {
                    self.push("", place..place + 1, Origin::Opaque);
                }
                place + 1
            }
            _ => self.spoken_or_gap(tokens, place),
        }
    }

    fn spoken_or_gap(&mut self, tokens: &Tokens, place: usize) -> usize {
        let mut digits = String::new();
        if let Some(end) = spoken_number(tokens, place, &mut digits) {
            self.push(&digits, place..end, Origin::Spoken);
            return end;
        }
        // Before a run, only what a number begins with says anything.
        let matters = self.first < self.runs.items.len() || matches!(tokens.mark(place), Some('+' | '('));
        let gap = if matters { gap(tokens, place) } else { None };
        let Some((gap, end)) = gap else {
            self.end_run();
            return place + 1;
        };
        self.widen(tokens, gap, place);
        end
    }

    fn push(&mut self, digits: &str, tokens: Range<usize>, origin: Origin) {
        let pending = self.pending.take().unwrap_or(NOTHING);
        let start = self.runs.digits.len();
        self.runs.digits.push_str(digits);
        let digits = start..self.runs.digits.len();
        self.runs.items.push(Item { tokens, gap: pending.gap, plus: pending.plus, origin, digits });
    }

    /// An "oh" or a "one" alone before a written number belongs to the words before it: "this one 4155550132".
    fn pass_interjection(&mut self, tokens: &Tokens, place: usize) {
        let [only] = &mut self.runs.items[self.first..] else { return };
        if only.origin == Origin::Spoken && only.num_digits() == 1 && tokens.text(place).len() > 2 {
            only.origin = Origin::Opaque;
            only.digits = only.digits.end..only.digits.end;
        }
    }

    fn widen(&mut self, tokens: &Tokens, gap: Gap, place: usize) {
        let pending = self.pending.get_or_insert(NOTHING);
        pending.gap = pending.gap.max(gap);
        pending.num_fillers += 1;
        if tokens.mark(place) == Some('+') && (tokens.is_word(place) || tokens.glued(place + 1)) {
            pending.plus = Some(place);
        } else if tokens.symbol(place) != Some('(') {
            pending.plus = None;
        }
        if pending.num_fillers > MAX_FILLERS {
            let plus = pending.plus;
            self.end_run();
            self.pending = Some(Pending { plus, ..NOTHING });
        }
    }

    fn end_run(&mut self) {
        self.pending = None;
        if self.first < self.runs.items.len() {
            self.runs.bounds.push(self.first..self.runs.items.len());
            self.first = self.runs.items.len();
        }
    }
}

/// Reads a number that is said; says where the next token begins.
pub(super) fn spoken_number(tokens: &Tokens, place: usize, into: &mut String) -> Option<usize> {
    let hundreds = |count: String, into: &mut String| {
        let zeros = match tokens.meaning(place + 1) {
            Meaning::Hundred => "00",
            Meaning::Thousand => "000",
            _ => "",
        };
        into.push_str(&count);
        into.push_str(zeros);
        place + 1 + usize::from(!zeros.is_empty())
    };
    match tokens.meaning(place) {
        Meaning::Digit(digit) => Some(hundreds(digit.to_string(), into)),
        Meaning::Pair(pair) => Some(hundreds(pair.to_string(), into)),
        Meaning::Tens(tens) => {
            let unit = place + 1 + usize::from(tokens.symbol(place + 1) == Some('-') && tokens.glued(place + 2));
            let (number, end) = match tokens.meaning(unit) {
                Meaning::Digit(digit @ 1..) => (tens + digit, unit + 1),
                _ => (tens, place + 1),
            };
            into.push_str(&number.to_string());
            Some(end)
        }
        Meaning::Hundred => {
            into.push_str("100");
            Some(place + 1)
        }
        Meaning::Times(times) => {
            let digit = match tokens.meaning(place + 1) {
                Meaning::Digit(digit) => digit.to_string(),
                _ if tokens.kind(place + 1) == Some(TokenKind::Digits) && tokens.text(place + 1).len() == 1 => {
                    tokens.text(place + 1).to_owned()
                }
                _ => return None,
            };
            into.push_str(&digit.repeat(usize::from(times)));
            Some(place + 2)
        }
        _ => None,
    }
}

/// What may stand between two items, and where it ends.
fn gap(tokens: &Tokens, place: usize) -> Option<(Gap, usize)> {
    if let Some(end) = filler_end(tokens, place) {
        return Some((Gap::Break, end));
    }
    let tight = tokens.symbol(place).is_none() || (tokens.glued(place) && tokens.glued(place + 1));
    let gap = match tokens.mark(place)? {
        '-' => Gap::Dash,
        '.' if tight => Gap::Dot,
        '/' => Gap::Slash,
        '(' | ')' => Gap::Bracket,
        '+' | ',' | '.' | ';' => Gap::Break,
        _ => return None,
    };
    Some((gap, place + 1))
}

/// Where the filler ends that begins there.
pub(super) fn filler_end(tokens: &Tokens, place: usize) -> Option<usize> {
    if tokens.meaning(place) == Meaning::Filler {
        return Some(place + 1);
    }
    let said = |phrase: &&&[&str]| phrase.iter().enumerate().all(|(offset, word)| tokens.text(place + offset) == *word);
    FILLER_PHRASES.iter().find(said).map(|phrase| place + phrase.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<String> {
        super::super::numbers_told(text).iter().map(|items| items.join(" ")).collect()
    }

    #[test]
    fn digits_are_read_as_they_are_said() {
        // (text, the items of each run)
        for (text, expected) in [
            ("four one five double five", vec!["4 1 5 55"]),
            ("twenty three forty five seventy", vec!["23 45 70"]),
            ("fifty-five, oh-one", vec!["55 0 1"]),
            ("eight hundred triple five two thousand", vec!["800 555 2000"]),
            ("dreiundzwanzig null eins", vec!["23 0 1"]),
            ("415 uh five five five and then 0132", vec!["415 5 5 5 0132"]),
            ("double 5 triple", vec!["55"]),
            ("one or two days", vec!["1", "2"]),
            ("at 14:30 on 03/14/2026 for $12.50", vec![]),
            ("oh, 415 555", vec![" 415 555"]),
            ("one one one [phone] two", vec!["1 1 1  2"]),
        ] {
            assert_eq!(digits(text), expected, "{text}");
        }
    }

    #[test]
    fn gaps_say_how_far_apart_items_are() {
        let tokens = Tokens::read("1 (2) 3-4.5 um 6, 7. 8/9");
        let runs = Runs::read(&tokens);
        let gaps: Vec<Gap> = runs.iter().flat_map(|run| run.items.iter().map(|item| item.gap)).collect();
        let expected = [
            Gap::Space,
            Gap::Bracket,
            Gap::Bracket,
            Gap::Dash,
            Gap::Dot,
            Gap::Break,
            Gap::Break,
            Gap::Break,
            Gap::Slash,
        ];
        assert_eq!(gaps, expected);
    }

    #[test]
    fn a_long_pause_ends_a_run() {
        assert_eq!(digits("1 uh uh uh uh uh uh uh 2"), ["1", "2"]);
    }
}

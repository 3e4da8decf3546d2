//! Masking finds what it must and leaves the rest: measured over a table that was written by hand before the masker.
//!
//! A find is right where the table has a span of the same kind that covers the same characters, no more and no fewer. A
//! card with one digit less is a miss and a false find. "Hidden" is the share of the table's spans of which every
//! character is in some find, whatever its kind and however wide: what can't be read any more.

#![allow(clippy::unwrap_used)]

use std::{borrow::Cow, fmt, ops::Range};

use cuecard_text::{
    Spoken,
    masking::{Find, Kind, finds, mask},
};
use proptest::prelude::*;

const TABLE: &str = include_str!("masking/table.tsv");

/// What the table promises.
const MIN_LINES: usize = 400;
const MIN_SHARE_WITHOUT_FINDS: f64 = 0.45;
/// What masking promises, in all and over the half that nobody tuned for.
const MIN_PRECISION: f64 = 0.95;
const MIN_RECALL: f64 = 0.95;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Tune,
    Check,
}

struct Line {
    half: Half,
    text: String,
    spans: Vec<Find>,
}

/// The table's lines. A line that can't be read fails the test.
fn table() -> Vec<Line> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (half, marked) = line.split_once('\t').unwrap();
            let half = match half {
                "tune" => Half::Tune,
                "check" => Half::Check,
                other => panic!("{other} is no half"),
            };
            let (text, spans) = read_marks(&marked.replace("\\u{200b}", "\u{200b}"));
            Line { half, text, spans }
        })
        .collect()
}

/// Takes `{kind|words}` out of a line.
fn read_marks(mut marked: &str) -> (String, Vec<Find>) {
    let (mut text, mut spans) = (String::new(), Vec::new());
    while let Some((before, rest)) = marked.split_once('{') {
        let (kind, rest) = rest.split_once('|').unwrap();
        let (words, rest) = rest.split_once('}').unwrap();
        let kind = Kind::ALL.into_iter().find(|known| known.to_string() == kind).unwrap();
        text.push_str(before);
        spans.push(Find { kind, range: text.len()..text.len() + words.len() });
        text.push_str(words);
        marked = rest;
    }
    text.push_str(marked);
    (text, spans)
}

#[derive(Default, Clone, Copy)]
struct Counts {
    expected: usize,
    found: usize,
    right: usize,
    hidden: usize,
}

impl Counts {
    fn precision(self) -> f64 {
        self.right as f64 / self.found.max(1) as f64
    }

    fn recall(self) -> f64 {
        self.right as f64 / self.expected.max(1) as f64
    }

    fn add(&mut self, line: &Line, found: &[Find], kind: Option<Kind>) {
        let of_kind = |find: &&Find| kind.is_none_or(|kind| kind == find.kind);
        let spans: Vec<&Find> = line.spans.iter().filter(of_kind).collect();
        self.expected += spans.len();
        self.found += found.iter().filter(of_kind).count();
        self.right += spans.iter().filter(|span| found.contains(span)).count();
        self.hidden += spans.iter().filter(|span| is_hidden(&span.range, found)).count();
    }
}

fn is_hidden(span: &Range<usize>, found: &[Find]) -> bool {
    span.clone().all(|byte| found.iter().any(|find| find.range.contains(&byte)))
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = self.hidden as f64 / self.expected.max(1) as f64;
        let Self { expected, found, right, .. } = self;
        let (precision, recall) = (self.precision(), self.recall());
        write!(formatter, "{expected} | {found} | {right} | {precision:.3} | {recall:.3} | {hidden:.3}")
    }
}

fn count<'a>(lines: impl IntoIterator<Item = &'a Line>, kind: Option<Kind>) -> Counts {
    let mut counts = Counts::default();
    for line in lines {
        counts.add(line, &finds(&line.text), kind);
    }
    counts
}

/// Says what is wrong in the half that may be looked at.
fn print_mistakes(lines: &[Line]) {
    for line in lines.iter().filter(|line| line.half == Half::Tune) {
        let found = finds(&line.text);
        let show = |find: &Find| format!("{} {:?}", find.kind, &line.text[find.range.clone()]);
        let missed: Vec<_> = line.spans.iter().filter(|span| !found.contains(span)).map(show).collect();
        let wrong: Vec<_> = found.iter().filter(|find| !line.spans.contains(find)).map(show).collect();
        if !missed.is_empty() || !wrong.is_empty() {
            println!("{:?}: missed {missed:?}, wrong {wrong:?}", line.text);
        }
    }
}

#[test]
fn the_table_is_large_and_half_of_it_has_nothing_to_mask() {
    let lines = table();
    assert!(lines.len() >= MIN_LINES, "{}", lines.len());
    for half in [Half::Tune, Half::Check] {
        let (without, with): (Vec<_>, Vec<_>) =
            lines.iter().filter(|line| line.half == half).partition(|line| line.spans.is_empty());
        let share = without.len() as f64 / (without.len() + with.len()) as f64;
        assert!(share >= MIN_SHARE_WITHOUT_FINDS, "{half:?}: {share}");
    }
    assert_eq!(lines.iter().filter(|line| line.half == Half::Tune).count() * 2, lines.len());
}

#[test]
fn what_names_a_person_is_found_and_the_rest_is_left() {
    let lines = table();
    print_mistakes(&lines);
    println!("| half | kind | expected | found | right | precision | recall | hidden |");
    for (name, half) in [("tune", Some(Half::Tune)), ("check", Some(Half::Check)), ("both", None)] {
        let lines = || lines.iter().filter(|line| half.is_none_or(|half| half == line.half));
        for kind in Kind::ALL {
            println!("| {name} | {kind} | {} |", count(lines(), Some(kind)));
        }
        let all = count(lines(), None);
        println!("| {name} | all | {all} |");
        if half != Some(Half::Tune) {
            assert!(all.precision() >= MIN_PRECISION, "{name}: precision {}", all.precision());
            assert!(all.recall() >= MIN_RECALL, "{name}: recall {}", all.recall());
        }
    }
}

#[test]
fn a_text_without_finds_is_borrowed() {
    for line in table().iter().filter(|line| finds(&line.text).is_empty()) {
        assert!(matches!(mask(&line.text), Cow::Borrowed(same) if same == line.text), "{}", line.text);
    }
}

#[test]
fn a_masked_line_of_the_table_stays_as_it_is() {
    for line in table() {
        let once = mask(&line.text);
        assert_eq!(mask(&once), once, "{}", line.text);
    }
}

#[test]
fn what_was_said_is_masked_by_its_own_method() {
    let said = Spoken::new("it's anna at gmail dot com or 415-555-0132");
    assert_eq!(said.masked(), "it's [email] or [phone]");
}

/// Would the work grow with the square of the length, these texts took hours.
#[test]
fn a_long_text_is_masked_however_it_is_made() {
    const NUM_BYTES: usize = 256 << 10;
    for piece in
        ["4 1 5 ", "4", "415-", "at ", "a.", "@", "de 12 ", "one ", "double ", "[phone]", "1, ", "\u{200b}", "電"]
    {
        let text = piece.repeat(NUM_BYTES / piece.len());
        let once = mask(&text);
        assert!(once.len() <= text.len(), "{piece}");
    }
}

/// Pieces of which numbers and addresses are made, and what stands around them, parted by `|`.
const PIECES: &str = "
    0 | 1 | 4 | 9 | 12 | 415 | 555 | 0132 | 4111 | 1111 | 123456789 | 0301234567 | 4155550132 | 434-45-4206 |
    4526018159083012 | DE91374071881817414333 | d | e | g b | AB | c | KN341213D | one | two | five | oh | twenty |
    double | triple | hundred | thousand | uh | and then | plus | + | - | . | , | / | ( | ) | @ | at | dot | com |
    dot com | gmail | anna | underscore | is | my | the | number | phone | call | order | card | social | nhs | iban
    | area code | email | euros | $ | # | [phone] | [card] | [email] | [iban] | [national id] | [ | x | as in |
    dreiundzwanzig | ni | national insurance | i t i n | a | for | in | order number | and | 10:30 | 03/14/2026 |
    E-1042 | : | = | web | de | web dot de | to | o | i | mike | KN | GG 44 | hundert | % | no
";

fn pieces() -> impl Strategy<Value = String> {
    let pieces = PIECES.split('|').map(str::trim).chain(["\u{200b}", "\n"]);
    let piece = prop::sample::select(pieces.collect::<Vec<_>>());
    let glue = prop::sample::select(vec![" ", " ", " ", "", "-", ", ", "."]);
    prop::collection::vec((piece, glue), 0..40)
        .prop_map(|parts| parts.into_iter().flat_map(|(piece, glue)| [piece, glue]).collect())
}

fn assert_sound(text: &str) {
    let found = finds(text);
    assert!(found.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start), "{text:?}: {found:?}");
    assert!(found.iter().all(|find| !text[find.range.clone()].is_empty()), "{text:?}: {found:?}");
    let once = mask(text);
    assert_eq!(mask(&once), once, "{text:?}");
    assert!(!found.is_empty() || once == text, "{text:?}");
}

/// The digits of a card: a brand's first ones, 16 in all, the last of them the check digit (Luhn).
fn card() -> impl Strategy<Value = String> {
    ("(4[0-9]|5[1-5])[0-9]{13}").prop_map(|digits| {
        let sum: u32 = digits.bytes().rev().enumerate().map(|(place, digit)| luhn(place + 1, digit - b'0')).sum();
        format!("{digits}{}", (10 - sum % 10) % 10)
    })
}

/// What a digit adds to the sum, at its place from the end.
fn luhn(place: usize, digit: u8) -> u32 {
    let digit = u32::from(digit);
    match (place % 2, digit * 2) {
        (0, _) => digit,
        (_, doubled @ 10..) => doubled - 9,
        (_, doubled) => doubled,
    }
}

const DIGITS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// The ways in which people write and say a card's digits.
fn written(digits: &str, way: usize) -> String {
    let groups = || digits.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into_owned());
    let words = || digits.bytes().map(|digit| DIGITS[usize::from(digit - b'0')]);
    match way {
        0 => digits.to_owned(),
        1 => groups().collect::<Vec<_>>().join(" "),
        2 => groups().collect::<Vec<_>>().join("-"),
        3 => words().collect::<Vec<_>>().join(" "),
        _ => words().map(|word| if word == "zero" { "oh" } else { word }).collect::<Vec<_>>().join(", "),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_masked_once_and_for_all(text in "\\PC{0,120}") {
        assert_sound(&text);
    }

    #[test]
    fn any_characters_are_masked_once_and_for_all(text in prop::collection::vec(any::<char>(), 0..80)) {
        assert_sound(&text.into_iter().collect::<String>());
    }

    #[test]
    fn any_digits_and_signs_are_masked_once_and_for_all(text in "[0-9 ().,/+@a-d-]{0,160}") {
        assert_sound(&text);
    }

    #[test]
    fn any_pieces_of_numbers_are_masked_once_and_for_all(text in pieces()) {
        assert_sound(&text);
    }

    #[test]
    fn no_digit_of_a_card_is_left_however_it_is_said(
        digits in card(),
        way in 0..5_usize,
        before in prop::sample::select(vec!["", "My card number is ", "it's ", "sure, please charge it to ", "so that is "]),
        after in prop::sample::select(vec!["", ".", ", thanks", " and my name is Anna", " is what the card says?"]),
    ) {
        let masked = mask(&format!("{before}{}{after}", written(&digits, way))).into_owned();
        prop_assert!(masked.contains(Kind::Card.placeholder()), "{}", masked);
        prop_assert!(!masked.contains(|letter: char| letter.is_ascii_digit()), "{}", masked);
        let is_digit = |word: &str| DIGITS.contains(&word) || word == "oh";
        let words = masked.split(|letter: char| !letter.is_alphabetic());
        prop_assert!(!words.into_iter().any(is_digit), "{}", masked);
    }
}

//! Numbers that begin with letters: IBANs and Britain's national insurance numbers, written or spelled.
//!
//! Input: tokens. Output: the finds in their order. From each token that may be the first, characters are collected:
//! those of codes and digits, of spoken digits and of spelled letters. An IBAN is known by its country's length and its
//! check digits (modulo 97), a national insurance number by its prefix and its suffix; where the words announce one, a
//! wrong check digit or a missing suffix hides nothing.

use super::{
    Found, Kind,
    hint::{self, Hint},
    runs::{filler_end, spoken_number},
    tokens::{TokenKind, Tokens},
};

/// ISO 13616: no country has longer ones.
const MAX_CHARACTERS: usize = 34;
/// A national insurance number without its suffix.
const MIN_CHARACTERS: usize = NUM_CHARACTERS_NINO - 1;
/// More fillers and signs in a row than people put into a number.
const MAX_BETWEEN: usize = 6;
/// Groups of letters in a written IBAN, the bank's code among them.
const MAX_LETTERS: usize = 4;

/// The lengths of IBANs by country, from the registry of ISO 13616.
const LENGTHS: [(usize, &str); 18] = [
    (15, "no"),
    (16, "be bi"),
    (18, "dk fi fo gl nl sd fk"),
    (19, "mk si"),
    (20, "at ba ee kz xk lt lu mn"),
    (21, "hr lv li ch"),
    (22, "bh bg cr ge de ie me rs gb va"),
    (23, "il ae iq tl gi so om"),
    (24, "ad cz md pk ro sa sk es se tn vg"),
    (25, "ly pt st"),
    (26, "is tr"),
    (27, "fr gr it mr mc sm bu dj"),
    (28, "al az cy do gt hu lb ni pl sv by"),
    (29, "br eg ps qa ua"),
    (30, "jo kw mu ye"),
    (31, "mt sc"),
    (32, "lc"),
    (33, "ru"),
];

/// What no prefix of a national insurance number has, as first letter, as second letter and in all.
const NO_FIRST: &str = "dfiquv";
const NO_SECOND: &str = "dfioquv";
const NO_PREFIXES: [&str; 7] = ["bg", "gb", "nk", "kn", "tn", "nt", "zz"];
const NUM_CHARACTERS_NINO: usize = 9;

pub(super) fn find(tokens: &Tokens) -> Vec<Found> {
    let mut found = Vec::new();
    let (mut place, mut floor) = (0, 0);
    while place < tokens.len() {
        match number(tokens, place, floor) {
            Some((kind, end)) => {
                found.push(Found { kind, tokens: place..end });
                (place, floor) = (end, end);
            }
            None => place += 1,
        }
    }
    found
}

fn number(tokens: &Tokens, place: usize, floor: usize) -> Option<(Kind, usize)> {
    if !may_begin(tokens, place) {
        return None;
    }
    let collected = Collected::from(tokens, place)?;
    let hint = hint::before(tokens, place, floor).map(|near| near.hint);
    if let Some(end) = iban(&collected, hint == Some(Hint::Iban)) {
        return Some((Kind::Iban, end));
    }
    national_insurance(&collected, hint).map(|end| (Kind::NationalId, end))
}

/// Whether letters stand there that a number begins with: two, or one that is spelled.
fn may_begin(tokens: &Tokens, place: usize) -> bool {
    let letters = |text: &str| text.bytes().take(2).filter(u8::is_ascii_alphabetic).count() == 2;
    match tokens.kind(place) {
        Some(TokenKind::Code) => letters(tokens.text(place)),
        Some(TokenKind::Word) => {
            tokens.letter(place).is_some() || tokens.text(place).len() == 2 && letters(tokens.text(place))
        }
        _ => false,
    }
}

/// Characters that follow each other, and where a number of them may end.
struct Collected {
    characters: String,
    /// How many characters there are at the end of a token, and the token behind it.
    ends: Vec<(usize, usize)>,
    /// How many characters there are before the group of letters that was read as it is written. There is one at most, the
    /// code of a bank; two may be words that by chance fit the check digits.
    word_at: Option<usize>,
    /// Whether a placeholder follows: digits, as far as anything here is decided.
    ends_at_placeholder: bool,
}

impl Collected {
    /// Two letters and what follows, where digits come next: no other text is read further.
    fn from(tokens: &Tokens, place: usize) -> Option<Self> {
        let mut collected =
            Self { characters: String::new(), ends: Vec::new(), word_at: None, ends_at_placeholder: false };
        let (mut place, mut num_between) = (place, 0);
        while collected.characters.len() < MAX_CHARACTERS && num_between <= MAX_BETWEEN {
            if let Some(end) = collected.take(tokens, place) {
                num_between = 0;
                place = end;
                collected.ends.push((collected.characters.len(), place));
            } else if let Some(end) = between(tokens, place).filter(|_| !collected.characters.is_empty()) {
                num_between += 1;
                place = end;
            } else {
                collected.ends_at_placeholder = matches!(tokens.kind(place), Some(TokenKind::Masked(_)));
                break;
            }
            if !collected.begins_well() {
                return None;
            }
        }
        (collected.characters.len() >= MIN_CHARACTERS).then_some(collected)
    }

    fn take(&mut self, tokens: &Tokens, place: usize) -> Option<usize> {
        match tokens.kind(place)? {
            TokenKind::Digits | TokenKind::Code => {
                self.characters.push_str(tokens.text(place));
                Some(place + 1)
            }
            TokenKind::Word => self.take_word(tokens, place),
            _ => None,
        }
    }

    fn take_word(&mut self, tokens: &Tokens, place: usize) -> Option<usize> {
        // The two letters of a country, not the "o" of "oh".
        let is_prefix = self.characters.len() < 2;
        if let Some(letter) = tokens.letter(place).filter(|letter| is_prefix || *letter != 'o') {
            self.characters.push(letter);
            return Some(after_spelling(tokens, place + 1));
        }
        if let Some(end) = spoken_number(tokens, place, &mut self.characters) {
            return Some(end);
        }
        if filler_end(tokens, place).is_some() {
            return None;
        }
        let word = tokens.text(place);
        if word.len() > MAX_LETTERS || !word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return None;
        }
        if !is_prefix && self.word_at.is_some() {
            return None;
        }
        if !is_prefix {
            self.word_at = Some(self.characters.len());
        }
        self.characters.push_str(word);
        Some(place + 1)
    }

    fn begins_well(&self) -> bool {
        self.characters
            .bytes()
            .take(4)
            .enumerate()
            .all(|(place, byte)| if place < 2 { byte.is_ascii_alphabetic() } else { byte.is_ascii_digit() })
    }

    /// The first so many characters and the token behind them, where a token ends there.
    fn first(&self, num_characters: usize) -> Option<(&str, usize)> {
        let (_, end) = self.ends.iter().find(|(num, _)| *num == num_characters)?;
        Some((self.characters.get(..num_characters)?, *end))
    }
}

/// Passes what explains a letter: "d as in david".
fn after_spelling(tokens: &Tokens, place: usize) -> usize {
    match (tokens.text(place), tokens.text(place + 1)) {
        ("as", "in") if tokens.is_word(place + 2) => place + 3,
        ("for" | "like" | "wie", _) if tokens.is_word(place + 1) => place + 2,
        _ => place,
    }
}

/// What may stand between two groups.
fn between(tokens: &Tokens, place: usize) -> Option<usize> {
    let sign = matches!(tokens.mark(place), Some('-' | '.' | ',' | '/'));
    filler_end(tokens, place).or_else(|| sign.then_some(place + 1))
}

fn iban(collected: &Collected, told: bool) -> Option<usize> {
    let country = collected.characters.get(..2)?;
    let (length, _) = LENGTHS.iter().find(|(_, countries)| countries.split(' ').any(|code| code == country))?;
    let (characters, end) = collected.first(*length)?;
    let has_word = collected.word_at.is_some_and(|before| before < *length);
    (is_97(characters) || told && !has_word).then_some(end)
}

/// ISO 7064: the number that the characters are, the first four at the end, leaves one when divided by 97.
fn is_97(characters: &str) -> bool {
    let (first, rest) = characters.split_at_checked(4).unwrap_or_default();
    let rest = rest.chars().chain(first.chars()).try_fold(0, |rest: u32, character| {
        let value = character.to_digit(36)?;
        Some((rest * if value < 10 { 10 } else { 100 } + value) % 97)
    });
    rest == Some(1)
}

fn national_insurance(collected: &Collected, hint: Option<Hint>) -> Option<usize> {
    let told = hint == Some(Hint::NationalId);
    let is_prefix = is_prefix(collected.characters.get(..2)?);
    let has_digits = collected.characters.get(2..8)?.bytes().all(|byte| byte.is_ascii_digit());
    if hint == Some(Hint::Thing) || !has_digits {
        return None;
    }
    let whole = collected.first(NUM_CHARACTERS_NINO).filter(|(text, _)| text.ends_with(['a', 'b', 'c', 'd']));
    // Without suffix, two letters before six digits may be the model of anything, or a word before more digits.
    let next = collected.characters.as_bytes().get(NUM_CHARACTERS_NINO - 1);
    let more_digits = next.map_or(collected.ends_at_placeholder, u8::is_ascii_digit);
    let short = collected.first(NUM_CHARACTERS_NINO - 1).filter(|_| told && is_prefix && !more_digits);
    whole.filter(|_| told || is_prefix).or(short).map(|(_, end)| end)
}

fn is_prefix(prefix: &str) -> bool {
    let mut letters = prefix.chars();
    let (Some(first), Some(second)) = (letters.next(), letters.next()) else { return false };
    !NO_FIRST.contains(first) && !NO_SECOND.contains(second) && !NO_PREFIXES.contains(&prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The finds with the words that they cover.
    fn found(text: &str) -> Vec<(Kind, &str)> {
        let tokens = Tokens::read(text);
        find(&tokens).into_iter().map(|found| (found.kind, &text[tokens.source(&found.tokens)])).collect()
    }

    #[test]
    fn an_iban_is_known_by_its_length_and_its_check_digits() {
        // (text, the IBAN in it)
        for (text, expected) in [
            ("to DE91 3740 7188 1817 4143 33 now", Some("DE91 3740 7188 1817 4143 33")),
            ("GB67NWBK15354930666836", Some("GB67NWBK15354930666836")),
            ("b e four nine 3663 0626 uh 1169", Some("b e four nine 3663 0626 uh 1169")),
            (
                "d as in david e nine one 3740 7188 1817 4143 33",
                Some("d as in david e nine one 3740 7188 1817 4143 33"),
            ),
            ("DE91 3740 7188 1817 4143 34", None),
            ("iban DE91 3740 7188 1817 4143 34", Some("DE91 3740 7188 1817 4143 34")),
            ("iban DE91 3740 7188", None),
            ("is 01223300085. It does not look", None),
            ("ZZ91 3740 7188 1817 4143 33", None),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|iban| (Kind::Iban, iban)).collect();
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn a_national_insurance_number_is_known_by_its_prefix_and_its_suffix() {
        // (text, the number in it)
        for (text, expected) in [
            ("GG446431A", Some("GG446431A")),
            ("gg 44 64 31 a", Some("gg 44 64 31 a")),
            (
                "hotel juliet eight five one nine seven eight bravo",
                Some("hotel juliet eight five one nine seven eight bravo"),
            ),
            ("part GG446431A", None),
            ("GG446431E", None),
            ("QQ446431A", None),
            ("national insurance QQ446431A", Some("QQ446431A")),
            ("GG446431", None),
            ("national insurance GG446431", Some("GG446431")),
            ("my ssn at 356699275", None),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|id| (Kind::NationalId, id)).collect();
            assert_eq!(found(text), expected, "{text}");
        }
    }
}

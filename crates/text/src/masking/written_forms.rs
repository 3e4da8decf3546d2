//! Digits that are written as something else than a number to call or to pay with: dates, prices, addresses of machines,
//! codes.
//!
//! Input: tokens and the place of a token of digits. Output: where the form ends that begins there, or nothing.

use super::{
    tokens::{TokenKind, Tokens},
    vocabulary::Meaning,
    words::Words,
};

/// A number in groups has no more of them: sixteen digits, one by one, and their signs.
const MAX_PARTS: usize = 20;

/// What makes a count or a price of the digits before it.
static UNITS: Words = Words::new(
    "dollar dollars euro euros pound pounds pence cent cents bucks yen usd eur gbp percent prozent bytes byte kb
     mb gb tb hertz km kilometers miles kg grams ml people pieces stück times volts watts steps views requests",
);

const CURRENCIES: [char; 4] = ['$', '€', '£', '¥'];

/// Words that stand before a phone number without a gap: `tel.0301234567`.
static LABELS: Words = Words::new("tel telephone telefon fax phone mob mobile cell ph call x");

/// Where the form ends that begins with these digits.
pub(super) fn end(tokens: &Tokens, place: usize) -> Option<usize> {
    let chain = Chain::at(tokens, place);
    let end = chain.as_ref().map_or(place + 1, |chain| chain.end);
    let is_other = is_price_or_count(tokens, place, end)
        || belongs_to_code(tokens, place)
        || chain.is_some_and(|chain| chain.is_other_form());
    is_other.then_some(end)
}

fn is_price_or_count(tokens: &Tokens, start: usize, end: usize) -> bool {
    let currency = |place| tokens.symbol(place).is_some_and(|symbol| CURRENCIES.contains(&symbol));
    start.checked_sub(1).is_some_and(currency)
        || currency(end)
        || matches!(tokens.symbol(end), Some('%' | '°'))
        || is_unit(tokens, end)
}

/// Whether the word there counts what stands before it.
pub(super) fn is_unit(tokens: &Tokens, place: usize) -> bool {
    tokens.is_word(place) && UNITS.contains(tokens.text(place))
}

/// Whether the digits hang on letters, as in `E-1042`, `INV-2026-0417` or a web address, or on `#`.
fn belongs_to_code(tokens: &Tokens, place: usize) -> bool {
    let mut digits = place;
    for _ in 0..MAX_PARTS {
        let Some(sign) = digits.checked_sub(1) else { return false };
        let is_label = |place: usize| LABELS.contains(tokens.text(place));
        let before = sign.checked_sub(1);
        if tokens.symbol(sign) == Some('#') {
            return !before.is_some_and(is_label);
        }
        let Some(before) = before else { return false };
        match tokens.symbol(sign) {
            Some('-' | '_' | '.' | '/' | '=' | '&' | '\\' | '+') if tokens.glued(digits) && tokens.glued(sign) => {}
            _ => return false,
        }
        match tokens.kind(before) {
            Some(TokenKind::Code) => return true,
            Some(TokenKind::Word) => {
                return tokens.meaning(before) == Meaning::Other
                    && tokens.letter(before).is_none_or(|_| tokens.text(before).len() == 1)
                    && !is_label(before);
            }
            Some(TokenKind::Digits) => digits = before,
            _ => return false,
        }
    }
    false
}

/// Groups of digits with one sign between each two and no gap.
struct Chain<'a> {
    /// No more than [`MAX_PARTS`] of them.
    parts: Vec<&'a str>,
    signs: Vec<char>,
    end: usize,
    /// Whether letters hang on its end: `2021-03-16T18`.
    has_letters: bool,
}

impl<'a> Chain<'a> {
    /// The chain that begins there; none where the digits go on one that began before, or where a find was masked within
    /// it: what is another form has none.
    fn at(tokens: &'a Tokens, place: usize) -> Option<Self> {
        let goes_on = place >= 2
            && (tokens.is_number(place - 2) || matches!(tokens.kind(place - 2), Some(TokenKind::Masked(_))))
            && tokens.glued(place)
            && tokens.glued(place - 1)
            && tokens.symbol(place - 1).is_some();
        if goes_on {
            return None;
        }
        let mut chain = Self { parts: vec![tokens.text(place)], signs: Vec::new(), end: place + 1, has_letters: false };
        while let Some(sign) = tokens.symbol(chain.end)
            && matches!(sign, '.' | '/' | '-' | ',' | ':')
            && tokens.glued(chain.end)
            && tokens.glued(chain.end + 1)
        {
            match tokens.kind(chain.end + 1) {
                Some(TokenKind::Digits) if chain.parts.len() < MAX_PARTS => {
                    chain.signs.push(sign);
                    chain.parts.push(tokens.text(chain.end + 1));
                }
                Some(TokenKind::Digits) => {}
                Some(TokenKind::Masked(_)) => return None,
                _ => break,
            }
            chain.end += 2;
        }
        chain.has_letters = matches!(tokens.symbol(chain.end), Some('-' | '_' | '.'))
            && tokens.glued(chain.end)
            && tokens.glued(chain.end + 1)
            && tokens.kind(chain.end + 1) == Some(TokenKind::Code);
        Some(chain)
    }

    fn is_other_form(&self) -> bool {
        let is_time = self.signs.contains(&':');
        let is_list = self.signs.contains(&',') && self.signs.contains(&'.') || self.parts.len() == MAX_PARTS;
        self.has_letters
            || is_time
            || is_list
            || self.is_date()
            || self.is_machine()
            || self.is_version()
            || self.is_grouped_by_thousands()
            || self.is_decimal()
    }

    fn all_signs(&self, wanted: &[char]) -> bool {
        !self.signs.is_empty() && self.signs.iter().all(|sign| wanted.contains(sign))
    }

    fn lengths(&self) -> Vec<usize> {
        self.parts.iter().map(|part| part.len()).collect()
    }

    fn is_date(&self) -> bool {
        self.all_signs(&['.', '/', '-'])
            && matches!(self.lengths()[..], [1 | 2, 1 | 2, 2 | 4] | [4, 1 | 2, 1 | 2])
            && self.parts.iter().any(|part| part.parse().is_ok_and(|number: u16| (1..=31).contains(&number)))
    }

    /// Four numbers up to 255.
    fn is_machine(&self) -> bool {
        self.parts.len() >= 4
            && self.signs[..3].iter().all(|sign| *sign == '.')
            && self.parts[..4].iter().all(|part| part.len() <= 3 && part.parse().is_ok_and(|number: u16| number < 256))
            && !self.parts[0].starts_with('0')
    }

    /// `5.1.4`.
    fn is_version(&self) -> bool {
        self.all_signs(&['.']) && (3..=5).contains(&self.parts.len()) && self.parts.iter().all(|part| part.len() == 1)
    }

    /// `1,299,000` or `1.299.000`, with or without what comes after the comma.
    fn is_grouped_by_thousands(&self) -> bool {
        let same = self.signs.first().is_some_and(|sign| matches!(sign, ',' | '.'));
        let lengths = self.lengths();
        let groups = self.signs.iter().take_while(|sign| Some(*sign) == self.signs.first()).count() + 1;
        let rest = self.parts.len() - groups;
        same && rest <= 1
            && !self.parts[0].starts_with('0')
            && lengths[0] <= 3
            && lengths[1..groups].iter().all(|length| *length == 3)
    }

    /// `0.123456` or `63389.0`, but not `0171.3920012` and `555.0132`.
    fn is_decimal(&self) -> bool {
        let lengths = self.lengths();
        let is_phone = self.parts[0].starts_with('0') && lengths[0] > 1 || lengths[..] == [3, 4];
        self.all_signs(&['.', ',']) && lengths.len() == 2 && !is_phone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_known_by_their_shape() {
        // (text, whether its first digits begin another form)
        for (text, expected) in [
            ("03/14/2026", true),
            ("2026-03-14", true),
            ("192.168.178.1", true),
            ("5.1.4", true),
            ("1,299.00", true),
            ("1.299.000", true),
            ("0.123456789", true),
            ("63389.0", true),
            ("0.0573687,0.0307035", true),
            ("4403,7", true),
            ("4403,7,6249052604052604", false),
            ("4403,7,[card]", false),
            ("2021-03-16T18:19", true),
            ("555.0132", false),
            ("0171.3920012", false),
            ("415.555.0132", false),
            ("415-555-0132", false),
            ("01.42.68.53.00", false),
            ("030/1234567", false),
            ("4155550132 dollars", true),
            ("4155550132 please", false),
        ] {
            assert_eq!(end(&Tokens::read(text), 0).is_some(), expected, "{text}");
        }
    }

    #[test]
    fn digits_that_hang_on_letters_are_a_code() {
        // (text, place of the digits, whether they are)
        for (text, place, expected) in [
            ("E-1042", 2, true),
            ("INV-2026-0417", 4, true),
            ("#4155", 1, true),
            ("phone #4155", 2, false),
            ("tel.0301", 2, false),
            ("five-5550132", 2, false),
            ("at 4155", 1, false),
        ] {
            assert_eq!(end(&Tokens::read(text), place).is_some(), expected, "{text}");
        }
    }
}

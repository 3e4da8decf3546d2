//! What the words around a run of digits say about it: "call me at" before it, "is my order number" behind it.
//!
//! Input: tokens and the place of a run. Output: the kind that the nearest telling word speaks for, or that it speaks
//! against them all. Looking back ends at an earlier number, because the words before belong to that one.

use std::ops::Range;

use super::{
    tokens::{TokenKind, Tokens},
    words::Words,
};

/// What a word says about the digits near it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    Phone,
    /// "the number is": a phone number where nothing says otherwise.
    Number,
    Card,
    Iban,
    NationalId,
    /// The number of a patient in Britain's health service.
    Nhs,
    /// An order, a parcel, a device: it names no person.
    Thing,
}

/// A hint, and how many words before the run it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Near {
    pub hint: Hint,
    pub distance: usize,
}

/// Beyond so many words the talk is of something else.
const MAX_WORDS_BEFORE: usize = 8;
/// "… is the best phone number to reach me".
const MAX_WORDS_AFTER: usize = 5;
/// A thing that was named earlier says nothing about the digits any more: people tell a number right after its name.
const MAX_WORDS_FROM_THING: usize = 6;
/// Tokens are also symbols, which are no words; so many are looked at in all.
const MAX_TOKENS: usize = 32;
/// So many digits are a number of their own.
const MIN_DIGITS_OF_OTHER: usize = 6;
/// An abbreviation that is spelled, "i t i n", has no more letters.
const MAX_SPELLED: usize = 6;

static OWNERS: Words = Words::new(
    "my our his her their best new old other work home office direct daytime private meine unsere seine ihre
     deren neue alte mein",
);

/// Cards that pay for nothing.
static OTHER_CARDS: Words =
    Words::new("sim gift graphics video sd memory sound membership loyalty library network report business green");

/// Words between "is" and what the digits are: "is my old mobile".
static LINKING: Words =
    Words::new("is my the our his her your a best for on direct meine die der das ist national new old");

/// What people tell the number of that names no person.
static THINGS: Words = Words::new(
    "order orders tracking track parcel package shipment shipping invoice ticket case confirmation serial
     account reference ref booking reservation receipt claim policy membership loyalty part model sku item
     barcode ean upc isbn imei imsi iccid asin code pin voucher coupon license licence key transaction id uuid
     batch lot meter version build firmware flight room zip zipcode postcode plz vat file meeting po rma gift
     dhl ups fedex usps error password passcode otp subscription contract incident bestellung auftrag sendung
     paket rechnung vorgang gutschein aktenzeichen konto vertrag",
);

/// What the nearest telling word says.
pub(super) fn around(tokens: &Tokens, run: &Range<usize>) -> Option<Near> {
    let before = before(tokens, run.start, 0);
    match before {
        Some(Near { hint: Hint::Number, .. }) | None => after(tokens, run.end).or(before),
        told => told,
    }
}

/// What the words before a place say, from the floor on: the end of the find before.
pub(super) fn before(tokens: &Tokens, place: usize, floor: usize) -> Option<Near> {
    let mut weak = None;
    for word in Back::from(tokens, place, floor) {
        match word.hint(tokens) {
            Some(Hint::Thing) if word.distance > MAX_WORDS_FROM_THING => {}
            // "phone number and postcode are": both are told, the first one first.
            Some(Hint::Thing) if weak.is_none() && word.is_second(tokens) => {
                weak = Some(Near { hint: Hint::Thing, distance: word.distance });
            }
            Some(Hint::Number) => weak = weak.or(Some(Near { hint: Hint::Number, distance: word.distance })),
            Some(hint) => return Some(Near { hint, distance: word.distance }),
            None => {}
        }
    }
    weak
}

/// A word that stands before the run; a spelled abbreviation is one word.
struct WordBefore {
    first: usize,
    last: usize,
    spelled: Option<String>,
    distance: usize,
}

impl WordBefore {
    fn is_second(&self, tokens: &Tokens) -> bool {
        self.first.checked_sub(1).is_some_and(|place| matches!(tokens.word(place), "and" | "und"))
    }

    fn hint(&self, tokens: &Tokens) -> Option<Hint> {
        let word = self.spelled.as_deref().unwrap_or_else(|| tokens.text(self.first));
        let qualifier = self.first.checked_sub(1).map_or("", |place| tokens.word(place));
        let next = tokens.word(self.last + 1);
        qualified(qualifier, word, next)
    }
}

/// The words before a place, the nearest first.
struct Back<'a> {
    tokens: &'a Tokens,
    place: usize,
    floor: usize,
    num_words: usize,
    num_tokens: usize,
    num_digits: usize,
}

impl<'a> Back<'a> {
    fn from(tokens: &'a Tokens, place: usize, floor: usize) -> Self {
        Self { tokens, place, floor, num_words: 0, num_tokens: 0, num_digits: 0 }
    }

    fn spelled(&self, last: usize) -> (usize, Option<String>) {
        let (mut first, mut letters) = (last, vec![self.tokens.text(last)]);
        let mut place = last;
        while let Some(before) = place.checked_sub(1)
            && letters.len() < MAX_SPELLED
        {
            place = before;
            if self.tokens.symbol(place) == Some('.') {
                continue;
            }
            if place < self.floor || self.tokens.word(place).is_empty() || self.tokens.text(place).len() != 1 {
                break;
            }
            first = place;
            letters.push(self.tokens.text(place));
        }
        letters.reverse();
        (first, (letters.len() > 1).then(|| letters.concat()))
    }
}

impl Iterator for Back<'_> {
    type Item = WordBefore;

    fn next(&mut self) -> Option<WordBefore> {
        while let Some(place) = self.place.checked_sub(1)
            && place >= self.floor
            && self.num_tokens < MAX_TOKENS
            && self.num_words < MAX_WORDS_BEFORE
        {
            self.place = place;
            self.num_tokens += 1;
            if self.tokens.is_number(place) {
                self.num_digits += if self.tokens.is_word(place) { 1 } else { self.tokens.text(place).len() };
            }
            if self.num_digits >= MIN_DIGITS_OF_OTHER || matches!(self.tokens.kind(place), Some(TokenKind::Masked(_))) {
                return None;
            }
            if self.tokens.is_word(place) {
                let single = self.tokens.text(place).len() == 1;
                let (first, spelled) = if single { self.spelled(place) } else { (place, None) };
                self.place = first;
                let word = WordBefore { first, last: place, spelled, distance: self.num_words };
                self.num_words += 1;
                return Some(word);
            }
        }
        None
    }
}

/// What is said behind the run, as in "… is my order number".
fn after(tokens: &Tokens, place: usize) -> Option<Near> {
    let is_said = |place| matches!(tokens.text(place), "is" | "was" | "that's" | "as" | "ist" | "das");
    let place = place + usize::from(tokens.symbol(place) == Some(','));
    if !is_said(place) {
        return None;
    }
    let end = place + 1 + MAX_WORDS_AFTER;
    for word in place + 1..end {
        if tokens.word(word).is_empty() {
            return None;
        }
        let hint = qualified(tokens.word(word - 1), tokens.word(word), tokens.word(word + 1));
        if let Some(hint) = hint {
            return Some(Near { hint, distance: 0 });
        }
        if !LINKING.contains(tokens.text(word)) && tokens.word(word + 1) != "number" {
            return None;
        }
    }
    None
}

/// What a word says between its neighbours.
fn qualified(before: &str, word: &str, after: &str) -> Option<Hint> {
    match (before, word, after) {
        ("in", "order", _)
        | ("in" | "this" | "that" | "any" | "either", "case", _)
        | (_, "number" | "numbers", "of")
        | (_, "social", "media" | "club" | "event" | "app") => None,
        ("area", "code", _) | ("customer", "service", _) => Some(Hint::Phone),
        ("tax" | "taxpayer", "id", _) | ("national", "insurance" | "ins", _) => Some(Hint::NationalId),
        ("health", "service" | "number", _) => Some(Hint::Nhs),
        (_, "customer" | "member", "number" | "no" | "id" | "is" | "") => Some(Hint::Thing),
        (kind, "card" | "cards", _) if OTHER_CARDS.contains(kind) => Some(Hint::Thing),
        (owner, "number" | "nummer" | "number's", _) if OWNERS.contains(owner) => Some(Hint::Phone),
        ("the" | "a" | "that" | "this" | "and" | "die" | "", "number" | "nummer" | "number's", _) => Some(Hint::Number),
        _ => alone(word),
    }
}

/// What a word says by itself.
fn alone(word: &str) -> Option<Hint> {
    Some(match word {
        "phone" | "phones" | "phone's" | "telephone" | "tel" | "telefon" | "mobile" | "mobile's" | "mobil" | "cell"
        | "cellphone" | "landline" | "festnetz" | "call" | "callback" | "ring" | "reach" | "dial" | "text" | "sms"
        | "whatsapp" | "fax" | "contact" | "handy" | "rückruf" | "anrufen" | "ruf" | "rufen" | "erreichen"
        | "erreichbar" | "durchwahl" | "voicemail" | "line" | "telefonnummer" | "handynummer" | "rufnummer"
        | "mobilnummer" | "rückrufnummer" | "faxnummer" => Hint::Phone,
        "card" | "card's" | "cards" | "visa" | "mastercard" | "amex" | "maestro" | "credit" | "debit" | "karte"
        | "kreditkarte" | "kartennummer" | "kreditkartennummer" => Hint::Card,
        "iban" | "ibans" => Hint::Iban,
        "social" | "ssn" | "itin" | "nino" | "ni" | "taxpayer" => Hint::NationalId,
        "nhs" => Hint::Nhs,
        _ if is_thing(word) => Hint::Thing,
        _ => return None,
    })
}

/// German ends the name of every number so; those of a phone or a card are told before.
fn is_thing(word: &str) -> bool {
    THINGS.contains(word) || word.ends_with("nummer") && word != "nummer"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said about the digits `#` in a text.
    fn hint(text: &str) -> Option<Hint> {
        let tokens = Tokens::read(text);
        let place = (0..tokens.len()).find(|place| tokens.symbol(*place) == Some('#')).unwrap_or_default();
        around(&tokens, &(place..place + 1)).map(|near| near.hint)
    }

    #[test]
    fn the_nearest_telling_word_decides() {
        // (text, what it says about the digits at #)
        for (text, expected) in [
            ("call me on #", Some(Hint::Phone)),
            ("I call about my order #", Some(Hint::Thing)),
            ("my order is late so call #", Some(Hint::Phone)),
            ("my number is #", Some(Hint::Phone)),
            ("the number is #", Some(Hint::Number)),
            ("the order came and the number is #", Some(Hint::Thing)),
            ("# is my cell", Some(Hint::Phone)),
            ("# is my order number", Some(Hint::Thing)),
            ("# is it", None),
            ("in order to reach me #", Some(Hint::Phone)),
            ("just in case #", None),
            ("in this case #", None),
            ("my i t i n is #", Some(Hint::NationalId)),
            ("S.S.N. #", Some(Hint::NationalId)),
            ("national insurance number #", Some(Hint::NationalId)),
            ("social media #", None),
            ("my sim card number is #", Some(Hint::Thing)),
            ("die sendungsnummer ist #", Some(Hint::Thing)),
            ("order 4155550132 and #", None),
            ("phone [card] #", None),
            ("phone number and postcode are #", Some(Hint::Phone)),
            ("order and invoice are #", Some(Hint::Thing)),
            ("the kb number #", None),
            ("the number of steps #", None),
            ("order it came late but it is fine #", None),
        ] {
            assert_eq!(hint(text), expected, "{text}");
        }
    }
}

//! What a spoken word means where numbers and addresses are told, in English and German.
//!
//! Input: a word in lower case. Output: the digit, the symbol or the pause that it stands for; most words mean nothing
//! here.

/// The part of a word in a number or an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// One digit.
    Digit(u8),
    /// Two digits: ten to nineteen, and what German says in one word, "dreiundzwanzig".
    Pair(u8),
    /// Twenty to ninety, of which a digit may follow.
    Tens(u8),
    Hundred,
    Thousand,
    /// The next digit so many times.
    Times(u8),
    /// A symbol that is said: "dash", "dot", "at".
    Symbol(char),
    /// A pause: it belongs to no number and parts none.
    Filler,
    Other,
}

/// Fillers of several words.
pub(super) const FILLER_PHRASES: [&[&str]; 9] = [
    &["and", "then"],
    &["let", "me", "see"],
    &["let's", "see"],
    &["hang", "on"],
    &["hold", "on"],
    &["that's", "right"],
    &["you", "know"],
    &["und", "dann"],
    &["wait"],
];

/// No word of the vocabulary is longer, in bytes.
const LONGEST: usize = 20;

pub(super) fn meaning(word: &str) -> Meaning {
    if word.len() > LONGEST {
        return Meaning::Other;
    }
    if let Some(digit) = digit(word) {
        return Meaning::Digit(digit);
    }
    match word {
        "hundred" | "hundert" => Meaning::Hundred,
        "thousand" | "tausend" => Meaning::Thousand,
        "double" | "doppel" => Meaning::Times(2),
        "triple" | "treble" => Meaning::Times(3),
        "quadruple" => Meaning::Times(4),
        "at" | "ät" | "aet" | "klammeraffe" => Meaning::Symbol('@'),
        "dot" | "punkt" | "point" => Meaning::Symbol('.'),
        "dash" | "hyphen" | "minus" | "bindestrich" | "strich" => Meaning::Symbol('-'),
        "underscore" | "unterstrich" => Meaning::Symbol('_'),
        "slash" | "schrägstrich" => Meaning::Symbol('/'),
        "plus" => Meaning::Symbol('+'),
        "comma" | "komma" => Meaning::Symbol(','),
        "uh" | "um" | "er" | "erm" | "hmm" | "hm" | "mm" | "mhm" | "ah" | "eh" | "äh" | "ähm" | "öh" | "okay"
        | "ok" | "yeah" | "yes" | "yep" | "right" | "then" | "so" | "like" | "well" | "space" | "ja" | "dann"
        | "genau" | "also" | "moment" => Meaning::Filler,
        _ => teens(word)
            .or_else(|| german_pair(word))
            .map(Meaning::Pair)
            .or_else(|| tens(word).map(Meaning::Tens))
            .unwrap_or(Meaning::Other),
    }
}

fn digit(word: &str) -> Option<u8> {
    Some(match word {
        "zero" | "oh" | "o" | "nought" | "naught" | "null" => 0,
        "one" | "eins" => 1,
        "two" | "zwei" | "zwo" => 2,
        "three" | "drei" => 3,
        "four" | "vier" => 4,
        "five" | "fünf" | "fuenf" | "funf" => 5,
        "six" | "sechs" => 6,
        "seven" | "sieben" => 7,
        "eight" | "acht" => 8,
        "nine" | "niner" | "neun" => 9,
        _ => return None,
    })
}

fn teens(word: &str) -> Option<u8> {
    Some(match word {
        "ten" | "zehn" => 10,
        "eleven" | "elf" => 11,
        "twelve" | "zwölf" | "zwoelf" => 12,
        "thirteen" | "dreizehn" => 13,
        "fourteen" | "vierzehn" => 14,
        "fifteen" | "fünfzehn" => 15,
        "sixteen" | "sechzehn" => 16,
        "seventeen" | "siebzehn" => 17,
        "eighteen" | "achtzehn" => 18,
        "nineteen" | "neunzehn" => 19,
        _ => return None,
    })
}

fn tens(word: &str) -> Option<u8> {
    Some(match word {
        "twenty" => 20,
        "thirty" => 30,
        "forty" | "fourty" => 40,
        "fifty" => 50,
        "sixty" => 60,
        "seventy" => 70,
        "eighty" => 80,
        "ninety" => 90,
        _ => return None,
    })
}

/// "dreiundzwanzig", and "zwanzig" alone: no digit that follows belongs to it.
fn german_pair(word: &str) -> Option<u8> {
    if !word.ends_with("ig") {
        return None;
    }
    let Some((unit, tens)) = word.split_once("und") else { return german_tens(word) };
    let unit = if unit == "ein" { 1 } else { digit(unit).filter(|digit| *digit > 1)? };
    Some(german_tens(tens)? + unit)
}

fn german_tens(word: &str) -> Option<u8> {
    Some(match word {
        "zwanzig" => 20,
        "dreißig" | "dreissig" => 30,
        "vierzig" => 40,
        "fünfzig" => 50,
        "sechzig" => 60,
        "siebzig" => 70,
        "achtzig" => 80,
        "neunzig" => 90,
        _ => return None,
    })
}

/// The letter that a word spells: the letter itself, or its word in the alphabet of the NATO.
pub(super) fn letter(word: &str) -> Option<char> {
    let mut letters = word.chars();
    if let (Some(only @ 'a'..='z'), None) = (letters.next(), letters.next()) {
        return Some(only);
    }
    match word {
        "alpha" | "alfa" | "bravo" | "charlie" | "delta" | "echo" | "foxtrot" | "golf" | "hotel" | "india"
        | "juliet" | "juliett" | "kilo" | "lima" | "mike" | "november" | "oscar" | "papa" | "quebec" | "romeo"
        | "sierra" | "tango" | "uniform" | "victor" | "whiskey" | "xray" | "yankee" | "zulu" => word.chars().next(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_digits() {
        // (word, what it means)
        for (word, expected) in [
            ("oh", Meaning::Digit(0)),
            ("seventeen", Meaning::Pair(17)),
            ("dreiundzwanzig", Meaning::Pair(23)),
            ("einundachtzig", Meaning::Pair(81)),
            ("neunzig", Meaning::Pair(90)),
            ("ninety", Meaning::Tens(90)),
            ("hundert", Meaning::Hundred),
            ("hund", Meaning::Other),
            ("nullundzwanzig", Meaning::Other),
            ("undundund", Meaning::Other),
        ] {
            assert_eq!(meaning(word), expected, "{word}");
        }
    }

    #[test]
    fn words_spell_letters() {
        for (word, expected) in [("q", Some('q')), ("quebec", Some('q')), ("queue", None), ("ä", None), ("", None)] {
            assert_eq!(letter(word), expected, "{word}");
        }
    }
}

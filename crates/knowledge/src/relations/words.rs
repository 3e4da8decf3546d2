//! Words of names and titles as they are compared: lower case, runs of letters or of digits, without a plural s.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Words that say little within a name.
static STOP_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "a about am an and any are as at be been but by can could did do does for from had has have he her his how i if in into \
     is it its may me my no not of off on or our out she should so some such than that the their them then there these \
     they this those to up us was we were what when where which who why will with would you your"
        .split_whitespace()
        .collect()
});

/// Whether a word says little within a name.
pub fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(word)
}

/// The words of a text. An apostrophe cuts off what follows it: "the hotel's" is about the hotel.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    runs(text).map(|run| without_plural(run.to_lowercase()))
}

fn without_plural(mut word: String) -> String {
    if word.chars().count() > 3 && word.ends_with('s') && !word.ends_with("ss") {
        word.pop();
    }
    word
}

/// Runs of letters and runs of digits.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|character: char| !character.is_alphanumeric());
        let is_letter = |character: char| character.is_alphabetic() || is_mark(character);
        let first = rest.chars().next()?;
        let belongs = |character: char| if first.is_numeric() { character.is_numeric() } else { is_letter(character) };
        let end = rest.find(|character: char| !belongs(character)).unwrap_or(rest.len()).max(first.len_utf8());
        let (run, after) = rest.split_at(end);
        rest = after_apostrophe(after);
        Some(run)
    })
}

fn after_apostrophe(rest: &str) -> &str {
    match rest.strip_prefix(['\'', '’']) {
        Some(after) => after.trim_start_matches(char::is_alphabetic),
        None => rest,
    }
}

/// Marks that belong to the letter before them, as in Devanagari or in decomposed accents.
fn is_mark(character: char) -> bool {
    unicode_normalization::char::is_combining_mark(character)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_compared_without_case_plural_and_what_an_apostrophe_adds() {
        for (text, expected) in [
            ("The Hotel's rooms", vec!["the", "hotel", "room"]),
            ("E-1042, Hub4", vec!["e", "1042", "hub", "4"]),
            ("don’t miss the bus", vec!["don", "miss", "the", "bus"]),
            ("Gebühren ÄNDERN", vec!["gebühren", "ändern"]),
            ("हिन्दी ²x", vec!["हिन्दी", "²", "x"]),
            ("'' – 🙂", vec![]),
        ] {
            assert_eq!(words(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_ends(text: String) {
            prop_assert!(words(&text).all(|word| !word.is_empty()));
        }
    }
}

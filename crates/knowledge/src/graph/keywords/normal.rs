//! The form in which texts are compared as words.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Lower-case words with one space between them: compatible characters are one (NFKC), whatever is no letter, digit or
/// mark on one parts words. Every word stays. Empty for a text without words.
pub fn normalised(text: &str) -> String {
    let mut form = String::with_capacity(text.len());
    // Lower case may bring marks that compose with what stands before, hence the second time.
    for character in text.nfkc().flat_map(char::to_lowercase).nfkc() {
        let is_part_of_word = character.is_alphanumeric() || is_combining_mark(character);
        if is_part_of_word {
            form.push(character);
        } else if !form.ends_with(' ') && !form.is_empty() {
            form.push(' ');
        }
    }
    form.truncate(form.trim_end().len());
    form
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_punctuation_space_and_compatible_characters_are_folded() {
        for (text, form) in [
            ("  How do I RESET my password?! ", "how do i reset my password"),
            ("can't  log\tin", "can t log in"),
            ("can’t log in", "can t log in"),
            ("ＷｉＦｉ－Router ﬁxed №5", "wifi router fixed no5"),
            ("Cafe\u{301} MÜNCHEN", "café münchen"),
            ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
            ("パスワード を リセット", "パスワード を リセット"),
            ("हिन्दी में?", "हिन्दी में"),
            ("?!…", ""),
            ("", ""),
        ] {
            assert_eq!(normalised(text), form, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_normalised_text_stays_as_it_is(text in "\\PC{0,40}") {
            let form = normalised(&text);
            prop_assert_eq!(normalised(&form), form.clone());
            prop_assert!(!form.contains("  ") && form.trim() == form);
        }
    }
}

//! What a character is to the masker, so that a number is seen in whatever script it is written.
//!
//! Input: a character. Output: its class. Digits of all scripts are ASCII digits, full-width characters and the many dashes
//! are those of ASCII; what has no width, combines with the character before or controls a terminal is nothing, so that it
//! can't hide a digit.

/// The class of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Nothing,
    Space,
    /// A letter; one that has an upper or lower case belongs to a script that puts spaces between words.
    Letter {
        letter: char,
        cased: bool,
    },
    Digit(char),
    Symbol(char),
}

/// Code points of the digits zero outside ASCII (Unicode 14, general category Nd); nine more digits follow each.
const ZEROS: [u32; 65] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
    0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0,
    0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0,
    0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0,
    0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

pub(super) fn class(character: char) -> Class {
    if character.is_ascii() { ascii(character) } else { beyond_ascii(character) }
}

fn ascii(character: char) -> Class {
    match character {
        'a'..='z' | 'A'..='Z' => Class::Letter { letter: character.to_ascii_lowercase(), cased: true },
        '0'..='9' => Class::Digit(character),
        _ if character.is_whitespace() => Class::Space,
        _ if character.is_control() => Class::Nothing,
        _ => Class::Symbol(character),
    }
}

fn beyond_ascii(character: char) -> Class {
    match character {
        // Full-width forms stand in the order of ASCII.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0).map_or(Class::Nothing, ascii),
        _ if has_no_width(character) => Class::Nothing,
        '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => Class::Symbol('-'),
        '\u{2018}' | '\u{2019}' | '\u{2bc}' => Class::Symbol('\''),
        '\u{fe6b}' => Class::Symbol('@'),
        '\u{3002}' | '\u{fe52}' | '\u{ff61}' | '\u{2024}' => Class::Symbol('.'),
        '\u{3001}' | '\u{fe50}' | '\u{60c}' => Class::Symbol(','),
        _ if character.is_whitespace() => Class::Space,
        _ if character.is_control() => Class::Nothing,
        _ => digit(character).map_or_else(|| letter_or_symbol(character), Class::Digit),
    }
}

/// What joins, hides, directs or decorates other characters.
fn has_no_width(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}')
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(character, '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20f0}' | '\u{fe00}'..='\u{fe0f}')
        || matches!(character, '\u{e0000}'..='\u{e01ef}')
}

fn digit(character: char) -> Option<char> {
    let code = u32::from(character);
    let last = ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?;
    char::from_digit(code - ZEROS[last], 10)
}

fn letter_or_symbol(character: char) -> Class {
    if !character.is_alphabetic() {
        return Class::Symbol(character);
    }
    let cased = character.is_lowercase() || character.is_uppercase();
    Class::Letter { letter: character.to_lowercase().next().unwrap_or(character), cased }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_all_scripts_are_ascii_digits() {
        for (written, digit) in [('7', '7'), ('７', '7'), ('٤', '4'), ('९', '9'), ('𝟝', '5')] {
            assert_eq!(class(written), Class::Digit(digit), "{written}");
        }
    }

    #[test]
    fn zeros_are_sorted_so_that_they_can_be_searched() {
        assert!(ZEROS.is_sorted());
    }

    #[test]
    fn what_has_no_width_is_nothing() {
        for hidden in ['\u{200b}', '\u{feff}', '\u{ad}', '\u{301}', '\u{20e3}', '\u{0}', '\u{e0041}'] {
            assert_eq!(class(hidden), Class::Nothing, "{hidden:?}");
        }
    }

    #[test]
    fn letters_are_lower_case_and_symbols_those_of_ascii() {
        assert_eq!(class('Ä'), Class::Letter { letter: 'ä', cased: true });
        assert_eq!(class('Ｑ'), Class::Letter { letter: 'q', cased: true });
        assert_eq!(class('電'), Class::Letter { letter: '電', cased: false });
        assert_eq!(class('–'), Class::Symbol('-'));
        assert_eq!(class('\u{a0}'), Class::Space);
    }
}

//! Titles without the names in them: what is left is the question that an article answers, whomever it is about.

use std::collections::HashSet;

use super::mined::bare;
use super::words::{is_stop_word, words};

/// Names of so many words at most are mined.
const LONGEST_NAME: usize = 3;

/// The title without the words of its entity and of mined names. Stop words stay; a title of nothing but names stays as
/// it is.
pub fn masked_title(title: &str, entity: Option<&str>, mined: &HashSet<String>) -> String {
    let of_entity: HashSet<_> = entity.into_iter().flat_map(words).filter(|word| !is_stop_word(word)).collect();
    let tokens: Vec<&str> = title.split_whitespace().collect();
    let mut kept: Vec<bool> = tokens.iter().map(|token| !consists_of(token, &of_entity)).collect();
    let bare: Vec<_> = tokens.iter().map(|token| bare(token).to_lowercase()).collect();
    for length in 1..=LONGEST_NAME {
        for (start, window) in bare.windows(length).enumerate() {
            if mined.contains(&window.join(" ")) {
                for (word, kept) in window.iter().zip(&mut kept[start..]) {
                    *kept &= is_stop_word(word);
                }
            }
        }
    }
    let left: Vec<_> = tokens.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(token, _)| *token).collect();
    let left = left.join(" ");
    if words(&left).next().is_some() { left } else { title.to_owned() }
}

/// Whether a token has words, and all of them are among these.
fn consists_of(token: &str, names: &HashSet<String>) -> bool {
    let mut words = words(token).peekable();
    words.peek().is_some() && words.all(|word| names.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_the_question() {
        let mined = HashSet::from(["orchard garden".to_owned(), "malta".to_owned()]);
        let table = [
            ("Can I bring my pet to A and B Guest House?", Some("A AND B GUEST HOUSE"), "Can I bring my pet to A and"),
            ("Is there parking at the Orchard Garden?", None, "Is there parking at the"),
            ("Do you ship to Malta, please?", Some("Shipping"), "Do you ship to please?"),
            ("Harbour 100: what the plan includes", Some("Harbour 100"), "what the plan includes"),
            ("Orchard Garden", Some("Orchard Garden"), "Orchard Garden"),
            ("", Some("x"), ""),
        ];
        for (title, entity, expected) in table {
            assert_eq!(masked_title(title, entity, &mined), expected);
        }
    }
}

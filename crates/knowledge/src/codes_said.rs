//! Codes and numbers as people write and say them, where articles write them in another way: "E1042" or "E ten forty-two" for
//! "E-1042", "E 17" for "E17".
//!
//! An index splits its articles into runs of letters and digits. What a text says is compared with that, and only what an
//! article does say is added: no word is made up.

use cuecard_text::masking::numbers_told;

/// Items of a number that are tried as one word.
const LONGEST: usize = 8;
/// Items of all numbers of a text that are looked at, the last ones; a longer list is no question.
const MOST_ITEMS: usize = 128;
/// A shorter number is said for other reasons than because an article has it.
const FEWEST_DIGITS: usize = 2;

/// The words of articles that a text means beside its own `words`. `words` are compared as articles' words are, in the order of
/// speech.
pub fn codes_said(text: &str, words: &[String], is_known: impl Fn(&str) -> bool) -> Vec<String> {
    let mut codes = Vec::new();
    for word in words.iter().filter(|word| has_letters_and_digits(word) && !is_known(word)) {
        codes.extend(runs(word).filter(|run| is_known(run)).map(str::to_owned));
    }
    let has_digits = |word: &String| word.contains(char::is_numeric);
    for pair in words.windows(2).filter(|pair| pair.iter().any(has_digits)) {
        let joined = format!("{}{}", pair[0], pair[1]);
        if has_letters_and_digits(&joined) && is_known(&joined) {
            codes.push(joined);
        }
    }
    let mut left = MOST_ITEMS;
    for number in numbers_told(text).iter().rev() {
        let items = &number[number.len().saturating_sub(left)..];
        left -= items.len();
        add_number(items, &is_known, &mut codes);
    }
    codes.retain(|code| !words.contains(code));
    codes
}

/// The longest parts of a number that an article has.
fn add_number(items: &[String], is_known: impl Fn(&str) -> bool, codes: &mut Vec<String>) {
    let mut first = 0;
    while first < items.len() {
        let ends = (first + 1..=items.len().min(first + LONGEST)).rev();
        let longest = ends.map(|end| (end, items[first..end].concat()));
        match longest.filter(|(_, digits)| digits.len() >= FEWEST_DIGITS).find(|(_, digits)| is_known(digits)) {
            Some((end, digits)) => {
                codes.push(digits);
                first = end;
            }
            None => first += 1,
        }
    }
}

fn has_letters_and_digits(word: &str) -> bool {
    word.contains(char::is_alphabetic) && word.contains(char::is_numeric)
}

/// Runs of digits, and of anything else.
fn runs(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest.find(|character: char| character.is_numeric() != first.is_numeric()).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_articles_write_in_another_way_is_found() {
        let known = ["e", "1042", "1047", "h17", "30", "day"];
        for (text, expected) in [
            ("it says e1042 now", vec!["e", "1042"]),
            ("it says e 1042 now", vec![]),
            ("there is h 17 on it", vec!["h17"]),
            ("e ten forty two, I think", vec!["1042"]),
            ("one zero four seven is what it says", vec!["1047"]),
            ("10 42 or 10 47", vec!["1047", "1042"]),
            ("five one zero four two", vec!["1042"]),
            ("within thirty days", vec!["30"]),
            ("e1043 or one day", vec!["e"]),
            ("", vec![]),
        ] {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            let codes = codes_said(text, &words, |word| known.contains(&word));
            assert_eq!(codes, expected, "{text}");
        }
    }

    #[test]
    fn a_list_of_numbers_without_an_end_takes_no_time() {
        let text = "1 2 3 4 5 6 7 8 9 ".repeat(20_000);
        assert!(codes_said(&text, &[], |_| false).is_empty());
    }
}

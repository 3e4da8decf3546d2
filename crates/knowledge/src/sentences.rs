//! The sentences of an article's body, each embedded by itself: a question is about one of them.

/// Short neighbours are embedded as one, up to so many words: each by itself says too little, and costs as much.
const WORDS: usize = 25;
/// More of one article are not told apart: what matters stands early.
const MOST: usize = 8;

/// The sentences of a body that have words, in their order, short ones with their neighbours; at most the first few.
pub fn sentences(body: &str) -> impl Iterator<Item = &str> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let mut end = end_of_sentence(rest)?;
        let mut words = count_words(&rest[..end]);
        while let Some(next) = end_of_sentence(&rest[end..]) {
            words += count_words(&rest[end..end + next]);
            if words > WORDS {
                break;
            }
            end += next;
        }
        let (sentence, after) = rest.split_at(end);
        rest = after;
        Some(sentence.trim())
    })
    .filter(|sentence| sentence.contains(char::is_alphanumeric))
    .take(MOST)
}

fn count_words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// Behind the first line break, or the first full stop or the like that white space follows.
fn end_of_sentence(text: &str) -> Option<usize> {
    let mut characters = text.char_indices().peekable();
    while let Some((start, character)) = characters.next() {
        let ends = match character {
            '\n' | '。' | '！' | '？' => true,
            '.' | '!' | '?' => characters.peek().is_none_or(|(_, next)| next.is_whitespace()),
            _ => false,
        };
        if ends {
            return Some(start + character.len_utf8());
        }
    }
    (!text.is_empty()).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(body: &str) -> Vec<&str> {
        sentences(body).collect()
    }

    #[test]
    fn short_neighbours_are_one_and_a_long_sentence_stays_whole() {
        let long = format!("{}end.", "word ".repeat(30));
        let body = format!("It costs 3.50 euros. Why? Because!\n\n{long} Call us. ");
        assert_eq!(of(&body), ["It costs 3.50 euros. Why? Because!", &long, "Call us."]);
        let ten = "one two three four five six seven eight nine ten.";
        assert_eq!(of(&[ten; 5].join(" ")), [[ten; 2].join(" "), [ten; 2].join(" "), ten.to_owned()]);
    }

    #[test]
    fn sentences_without_words_are_none_and_only_the_first_few_count() {
        assert!(of("").is_empty() && of(" \n. ").is_empty());
        assert_eq!(of(&"word ".repeat(25).repeat(100).replace("word word ", "word. word ")).len(), MOST);
        assert_eq!(end_of_sentence("一つ。二つ。"), Some("一つ。".len()));
    }

    proptest! {
        #[test]
        fn every_text_ends(body: String) {
            prop_assert!(sentences(&body).all(|sentence| body.contains(sentence)));
        }
    }
}

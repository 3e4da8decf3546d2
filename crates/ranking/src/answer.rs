//! Which sentence of a passage answers.

use std::collections::{BTreeSet, HashMap};

use unicode_segmentation::UnicodeSegmentation;

/// The passage from the sentence on that shares most with what was asked: its words count the more the fewer sentences
/// have them. A passage that shares nothing is shown from its start.
pub fn answering<'a>(passage: &'a str, asked: &str) -> &'a str {
    let sentences: Vec<(usize, BTreeSet<String>)> =
        passage.split_sentence_bound_indices().map(|(start, sentence)| (start, words(sentence).collect())).collect();
    let mut containing: HashMap<&str, usize> = HashMap::new();
    for word in sentences.iter().flat_map(|(_, words)| words) {
        *containing.entry(word).or_default() += 1;
    }
    let asked: BTreeSet<String> = words(asked).collect();
    let weight = |word: &String| {
        let rarity = sentences.len() as f64 / containing[word.as_str()] as f64;
        if asked.contains(word) { (1.0 + rarity).ln() } else { 0.0 }
    };
    let share = |words: &BTreeSet<String>| words.iter().map(weight).sum::<f64>() / (words.len() as f64).sqrt();
    let mut best = (0, 0.0);
    for (start, words) in &sentences {
        let share = share(words);
        if share > best.1 {
            best = (*start, share);
        }
    }
    passage[best.0..].trim_start()
}

/// Lower case, without a plural s, and none of the shortest, which stand in every sentence.
fn words(text: &str) -> impl Iterator<Item = String> {
    crate::words(text).filter(|word| word.chars().count() > 2).map(|word| match word.strip_suffix('s') {
        Some(singular) if word.len() > 3 && !singular.ends_with('s') => singular.to_owned(),
        _ => word,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PASSAGE: &str = "We sell routers in all our shops. A refund takes five days. Send the router back in its box. \
                           The post office gives you a receipt.";

    #[test]
    fn the_passage_is_shown_from_the_sentence_that_answers() {
        for (asked, start) in [
            ("how long do refunds take?", "A refund"),
            ("can I send it by post", "Send the router"),
            ("do I need a receipt from the post office", "The post office"),
            ("what time is it", "We sell"),
            ("", "We sell"),
        ] {
            assert!(answering(PASSAGE, asked).starts_with(start), "{asked}: {}", answering(PASSAGE, asked));
        }
        assert_eq!(answering("", "refund"), "");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_an_end_of_the_passage(passage in "(\\PC{0,12}[.!?]? ?){0,8}", asked in "\\PC{0,20}") {
            prop_assert!(passage.ends_with(answering(&passage, &asked)));
        }
    }
}

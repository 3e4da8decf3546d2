//! The runs of words of a question that may be keywords.
//!
//! Only runs that begin with the first word of a keyword, and are no longer than the longest keyword that begins so, are
//! looked at: a few for each word of the question instead of all.

use std::collections::HashMap;

/// Of a longer question the end counts; it holds several times what a customer says in one turn.
const MOST_WORDS: usize = 512;

/// For each word that begins a keyword, how many words the longest such keyword has.
#[derive(Debug, Default)]
pub struct Runs {
    longest: HashMap<String, usize>,
}

impl Runs {
    /// Of the normalised forms of all keywords.
    pub fn of<'a>(forms: impl Iterator<Item = &'a str>) -> Self {
        let mut longest: HashMap<String, usize> = HashMap::new();
        for form in forms {
            let num_words = form.split(' ').count();
            let first = form.split(' ').next().unwrap_or_default();
            match longest.get_mut(first) {
                Some(longest) => *longest = num_words.max(*longest),
                None => {
                    longest.insert(first.to_owned(), num_words);
                }
            }
        }
        Self { longest }
    }

    /// The runs of a normalised question that begin as a keyword does, in the order of their first words.
    pub fn within<'a>(&self, question: &'a str) -> impl Iterator<Item = &'a str> {
        let words: Vec<&str> = question.split(' ').collect();
        let words = &words[words.len().saturating_sub(MOST_WORDS)..];
        let mut runs = Vec::new();
        for (first, word) in words.iter().enumerate() {
            let longest = self.longest.get(*word).copied().unwrap_or_default();
            let start = offset(question, word);
            for last in words[first..].iter().take(longest) {
                runs.push(&question[start..offset(question, last) + last.len()]);
            }
        }
        runs.into_iter()
    }
}

/// Where a part of a text starts in it.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_runs_that_begin_as_a_keyword_does_are_looked_at() {
        let runs = Runs::of(["reset password", "reset the router now", "wifi"].into_iter());
        let found = |question| runs.within(question).collect::<Vec<_>>();
        assert_eq!(found("i can t reset the wifi"), ["reset", "reset the", "reset the wifi", "wifi"],);
        assert_eq!(found("password reset"), ["reset"]);
        assert!(found("").is_empty());
    }

    #[test]
    fn of_a_very_long_question_the_end_counts() {
        let runs = Runs::of(["wifi", "router"].into_iter());
        let question = format!("wifi {} router", vec!["word"; MOST_WORDS].join(" "));
        assert_eq!(runs.within(&question).collect::<Vec<_>>(), ["router"]);
    }
}

//! What an interaction's agent has seen already.

use std::collections::HashMap;

/// Articles shown in one interaction, each with the number of the utterance that brought it.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    last_shown: HashMap<String, u64>,
}

impl Shown {
    /// Whether the article was shown less than `repeat_after` utterances ago.
    pub fn recently(&self, article_id: &str, utterance: u64, repeat_after: u64) -> bool {
        self.last_shown.get(article_id).is_some_and(|last| utterance.saturating_sub(*last) < repeat_after)
    }

    /// Notes that the articles go to the agent's screen.
    pub fn note<'a>(&mut self, article_ids: impl IntoIterator<Item = &'a str>, utterance: u64) {
        for id in article_ids {
            self.last_shown.insert(id.to_owned(), utterance);
        }
    }

    /// Takes back what never reached the screen.
    pub fn forget(&mut self, article_id: &str) {
        self.last_shown.remove(article_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_article_may_come_back_after_the_given_number_of_utterances() {
        let mut shown = Shown::default();
        shown.note(["a", "b"], 3);
        assert!(shown.recently("a", 4, 6));
        assert!(shown.recently("a", 8, 6));
        assert!(!shown.recently("a", 9, 6));
        assert!(!shown.recently("c", 4, 6));
        assert!(!shown.recently("a", 4, 0), "0 switches it off");
        shown.forget("a");
        assert!(!shown.recently("a", 4, 6));
        assert!(shown.recently("b", 4, 6));
    }
}

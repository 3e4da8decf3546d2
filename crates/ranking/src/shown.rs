//! What an interaction's agent has seen already: the cards that stood on top, since that is where agents look.

use std::collections::HashMap;

/// Articles that were an interaction's first card, each with the number of the utterance that brought it.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    last_shown: HashMap<String, u64>,
}

impl Shown {
    /// Whether the article stood on top less than `repeat_after` utterances ago. One that a later utterance brought
    /// was shown in a conversation that has been forgotten and counts from 1 again: it is none of this one's.
    pub fn recently(&self, article_id: &str, utterance: u64, repeat_after: u64) -> bool {
        let ago = self.last_shown.get(article_id).and_then(|last| utterance.checked_sub(*last));
        ago.is_some_and(|ago| ago < repeat_after)
    }

    /// Notes that the article goes to the agent's screen as the first card.
    pub fn note(&mut self, article_id: &str, utterance: u64) {
        self.last_shown.insert(article_id.to_owned(), utterance);
    }

    /// Takes back what this utterance brought and never reached the screen; a later showing stands.
    pub fn forget(&mut self, article_id: &str, utterance: u64) {
        if self.last_shown.get(article_id) == Some(&utterance) {
            self.last_shown.remove(article_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_article_may_come_back_after_the_given_number_of_utterances() {
        let mut shown = Shown::default();
        shown.note("a", 3);
        shown.note("b", 3);
        assert!(shown.recently("a", 4, 6));
        assert!(shown.recently("a", 8, 6));
        assert!(!shown.recently("a", 9, 6));
        assert!(!shown.recently("c", 4, 6));
        assert!(!shown.recently("a", 4, 0), "0 switches it off");
        assert!(!shown.recently("a", 2, 6), "the conversation began anew");
        shown.note("b", 5);
        shown.forget("a", 3);
        shown.forget("b", 3);
        assert!(!shown.recently("a", 4, 6));
        assert!(shown.recently("b", 6, 6), "it was shown again since");
    }
}

//! What an interaction's agent has seen already.

use std::collections::HashMap;

/// Articles shown in one interaction, each with the number of the utterance that brought it.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    last_shown: HashMap<String, u64>,
}

impl Shown {
    /// Whether the article was shown less than `repeat_after` utterances ago. One that a later utterance brought was
    /// shown in a conversation that has been forgotten and counts from 1 again: it is none of this one's.
    pub fn recently(&self, article_id: &str, utterance: u64, repeat_after: u64) -> bool {
        let ago = self.last_shown.get(article_id).and_then(|last| utterance.checked_sub(*last));
        ago.is_some_and(|ago| ago < repeat_after)
    }

    /// Notes that the articles go to the agent's screen.
    pub fn note<'a>(&mut self, article_ids: impl IntoIterator<Item = &'a str>, utterance: u64) {
        for id in article_ids {
            self.last_shown.insert(id.to_owned(), utterance);
        }
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
        shown.note(["a", "b"], 3);
        assert!(shown.recently("a", 4, 6));
        assert!(shown.recently("a", 8, 6));
        assert!(!shown.recently("a", 9, 6));
        assert!(!shown.recently("c", 4, 6));
        assert!(!shown.recently("a", 4, 0), "0 switches it off");
        assert!(!shown.recently("a", 2, 6), "the conversation began anew");
        shown.note(["b"], 5);
        shown.forget("a", 3);
        shown.forget("b", 3);
        assert!(!shown.recently("a", 4, 6));
        assert!(shown.recently("b", 6, 6), "it was shown again since");
    }
}

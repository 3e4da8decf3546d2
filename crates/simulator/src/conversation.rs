//! Conversations as they stand in a file, and the names under which they are played.
//!
//! Input: JSON Lines of `{id, turns: [{speaker, text}], …}`, other fields ignored. Output: [`Conversation`]s, and for
//! each an interaction id that a contract accepts.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;

use crate::json_lines::{self, ReadError};

/// Longest interaction id that the contract allows.
const MAX_ID_LENGTH: usize = 200;

/// One recorded conversation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Conversation {
    /// Its name in the file.
    pub id: String,
    /// What was said, in order.
    pub turns: Vec<Turn>,
}

/// What one side said before the other answered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Turn {
    /// `agent`; anything else counts as customer.
    pub speaker: String,
    /// Never empty when it is played.
    pub text: String,
}

impl Turn {
    /// Whether anybody but the agent speaks.
    pub fn is_customer(&self) -> bool {
        !self.speaker.eq_ignore_ascii_case("agent")
    }

    /// Whether there is a word to play.
    pub fn has_words(&self) -> bool {
        !self.text.trim().is_empty()
    }
}

impl Conversation {
    /// All conversations of a file, `.gz` too.
    pub fn load(path: &Path) -> Result<Vec<Self>, ReadError> {
        json_lines::read(path)
    }
}

/// One interaction id per conversation: its own id with unsafe characters replaced, and numbered when it is taken.
pub(crate) fn interaction_ids(conversations: &[Conversation], taken: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut given = HashSet::new();
    let mut name = |conversation: &Conversation| {
        let base = safe_id(&conversation.id);
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let free =
            std::iter::once(base.clone()).chain(numbered).find(|id| !taken(id) && !given.contains(id)).unwrap_or(base);
        given.insert(free.clone());
        free
    };
    conversations.iter().map(&mut name).collect()
}

fn safe_id(id: &str) -> String {
    let safe = |character: char| {
        let allowed = character.is_ascii_alphanumeric() || "._~:@-".contains(character);
        if allowed { character } else { '-' }
    };
    // Room for the number that tells two apart.
    let name: String = id.chars().map(safe).take(MAX_ID_LENGTH - 12).collect();
    if name.is_empty() { "interaction".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn named(id: &str) -> Conversation {
        Conversation { id: id.into(), turns: Vec::new() }
    }

    #[test]
    fn ids_are_safe_and_never_shared() {
        let conversations = [named("a b/ü"), named("x"), named("x"), named(""), named("old")];
        let ids = interaction_ids(&conversations, &|id| id == "old");
        assert_eq!(ids, ["a-b--", "x", "x-2", "interaction", "old-2"]);
        let long = interaction_ids(&[named(&"y".repeat(400))], &|_| false);
        assert!(long[0].len() <= MAX_ID_LENGTH);
    }

    #[test]
    fn speakers() {
        let turn = |speaker: &str| serde_json::from_value::<Turn>(serde_json::json!({"speaker": speaker, "text": " "}));
        assert!(!turn("agent").unwrap().is_customer());
        assert!(!turn("AGENT").unwrap().is_customer());
        assert!(turn("customer").unwrap().is_customer());
        assert!(turn("action").unwrap().is_customer());
        assert!(!turn("customer").unwrap().has_words());
    }
}

//! The type of what people said in a conversation.
//!
//! A customer's words may hold a name, an address, a card number. [`Spoken`] carries them from the frame to the decision, so
//! that a word can reach a log, a file or a page only through [`Spoken::redacted`]: `Debug`, `Display` and serde's `Serialize`
//! all go there. Searches, the encoder and CXone itself get the words as they are, by [`Spoken::verbatim`].

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::masking;

/// Words as they were said. Compares and hashes by the words.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Spoken(String);

impl Spoken {
    /// Takes words over.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }

    /// The words as they were said: for searches, the encoder, and what is pushed to CXone.
    pub fn verbatim(&self) -> &str {
        &self.0
    }

    /// What may be logged, stored, exported or shown: the length. The one place where that is decided.
    pub fn redacted(&self) -> String {
        format!("{} bytes", self.0.len())
    }

    /// What may be stored, or used for training: the words, with what names a person or an account taken out of them. See
    /// [`crate::masking`] for what that is, and what it is not.
    pub fn masked(&self) -> String {
        masking::mask(&self.0).into_owned()
    }

    /// Length in bytes of UTF-8.
    pub fn num_bytes(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing but white space was said.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// Goes on with more words, after a space where something was said before.
    pub fn extend(&mut self, more: &Self) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(&more.0);
    }

    /// The words without white space around them.
    #[must_use]
    pub fn trimmed(&self) -> Self {
        Self(self.0.trim().to_owned())
    }

    /// Keeps at most so many bytes from the end, cut between two characters.
    pub fn keep_end(&mut self, num_bytes: usize) {
        if self.0.len() > num_bytes {
            let start = self.0.ceil_char_boundary(self.0.len() - num_bytes);
            self.0.drain(..start);
        }
    }

    /// Joins texts with a space.
    pub fn joined<'a>(texts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut joined = Self::default();
        for text in texts {
            joined.extend(text);
        }
        joined
    }
}

impl From<String> for Spoken {
    fn from(words: String) -> Self {
        Self(words)
    }
}

impl From<&str> for Spoken {
    fn from(words: &str) -> Self {
        Self(words.to_owned())
    }
}

impl fmt::Debug for Spoken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.redacted())
    }
}

impl fmt::Display for Spoken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.redacted())
    }
}

impl Serialize for Spoken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.redacted())
    }
}

/// Writes the words as they are: for a message to another process of this service, which answers for them as this one does.
/// Used as `#[serde(serialize_with = "cuecard_text::verbatim")]`.
pub fn verbatim<S: Serializer>(spoken: &Spoken, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&spoken.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn words_leave_by_their_verbatim_form_alone() {
        let said = Spoken::new("my card is 4111");
        assert_eq!(said.verbatim(), "my card is 4111");
        for shown in [format!("{said}"), format!("{said:?}"), serde_json::to_string(&said).unwrap()] {
            assert!(shown.contains("15 bytes") && !shown.contains("4111"), "{shown}");
        }
    }

    #[test]
    fn a_message_between_processes_keeps_the_words() {
        #[derive(Serialize, Deserialize)]
        struct Message {
            #[serde(serialize_with = "verbatim")]
            text: Spoken,
        }
        let written = serde_json::to_string(&Message { text: "wo ist mein Päckchen".into() }).unwrap();
        let read: Message = serde_json::from_str(&written).unwrap();
        assert_eq!(read.text.verbatim(), "wo ist mein Päckchen");
    }

    #[test]
    fn the_end_is_kept_and_no_character_is_cut() {
        // (at most so many bytes, what is left)
        for (num_bytes, left) in [(12, "für Äpfel"), (11, "für Äpfel"), (6, "Äpfel"), (5, "pfel"), (0, "")] {
            let mut said = Spoken::new("für Äpfel");
            said.keep_end(num_bytes);
            assert_eq!(said.verbatim(), left);
        }
    }

    #[test]
    fn texts_are_joined_with_a_space() {
        let texts = ["", "one", "two words"].map(Spoken::from);
        assert_eq!(Spoken::joined(&texts), "one two words".into());
        assert_eq!(Spoken::joined(&[]), Spoken::default());
    }
}

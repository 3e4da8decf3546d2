//! The id of an interaction, safe to stand in a URL's path.
//!
//! Input: text from a frame, a URL or the ledger. Output: an [`InteractionId`], or why the text is none.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Far above any id seen, and short enough for a URL and a log line.
const MAX_CHARACTERS: usize = 200;
/// Of such an id, for documents: what is at the beginning keeps dot segments out.
const PATTERN: &str = r"^(\.{0,2}[A-Za-z0-9_~:@-]|\.{3})[A-Za-z0-9._~:@-]*$";

/// 1 to 200 of `[A-Za-z0-9._~:@-]`, and not a dot segment: as a path segment it can't change the URL around it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct InteractionId(Arc<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InteractionIdError {
    #[error("an interaction id must not be empty")]
    Empty,
    #[error("an interaction id has at most {MAX_CHARACTERS} characters, this one has {0}")]
    TooLong(usize),
    #[error("an interaction id has only letters, digits and ._~:@-, this one has another character at position {0}")]
    Character(usize),
    #[error("an interaction id must not be '.' or '..'")]
    DotSegment,
}

impl InteractionId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Letters, digits and the marks that a path segment carries unescaped.
pub(crate) fn is_segment_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "._~:@-".contains(character)
}

fn check(text: &str) -> Result<(), InteractionIdError> {
    if text.is_empty() {
        return Err(InteractionIdError::Empty);
    }
    if let Some(position) = text.chars().position(|character| !is_segment_character(character)) {
        return Err(InteractionIdError::Character(position));
    }
    if text.len() > MAX_CHARACTERS {
        return Err(InteractionIdError::TooLong(text.len()));
    }
    if text == "." || text == ".." {
        return Err(InteractionIdError::DotSegment);
    }
    Ok(())
}

impl FromStr for InteractionId {
    type Err = InteractionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check(text).map(|()| Self(text.into()))
    }
}

impl TryFrom<String> for InteractionId {
    type Error = InteractionIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        check(&text).map(|()| Self(text.into()))
    }
}

impl PartialSchema for InteractionId {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(PATTERN));
        text.max_length(Some(MAX_CHARACTERS)).description(Some("An id that is safe in a URL's path.")).into()
    }
}

impl ToSchema for InteractionId {}

impl Serialize for InteractionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for InteractionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for InteractionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_what_can_stand_in_a_path_is_an_id() {
        let longest = "x".repeat(200);
        for good in ["7", "call-17", "A.b_c~d:e@f-9", "...", longest.as_str()] {
            assert_eq!(good.parse::<InteractionId>().unwrap().as_str(), good);
        }
        for (bad, error) in [
            ("", InteractionIdError::Empty),
            (".", InteractionIdError::DotSegment),
            ("..", InteractionIdError::DotSegment),
            ("a/b", InteractionIdError::Character(1)),
            ("a%2Fb", InteractionIdError::Character(1)),
            ("a b", InteractionIdError::Character(1)),
            ("a?b", InteractionIdError::Character(1)),
            ("a\u{0}", InteractionIdError::Character(1)),
            ("naïve", InteractionIdError::Character(2)),
            ("x".repeat(201).as_str(), InteractionIdError::TooLong(201)),
        ] {
            assert_eq!(bad.parse::<InteractionId>().unwrap_err(), error, "{bad:?}");
        }
    }

    #[test]
    fn json_carries_it_as_text_and_refuses_the_same() {
        let id: InteractionId = serde_json::from_str("\"call-17\"").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"call-17\"");
        let error = serde_json::from_str::<InteractionId>("\"../admin\"").unwrap_err().to_string();
        assert!(error.contains("position 2"), "{error}");
    }
}

//! A frame's bytes, and its fields. One that is `null` counts as missing.

use cuecard_text::json::{self, Parsed, text_or_digits};
use serde_json::{Map, Value};

use super::FrameError;
use crate::interaction_id::InteractionId;

/// Reads a frame, and repairs it where it has to.
pub fn read_frame(frame: impl AsRef<[u8]>) -> Result<Parsed<Map<String, Value>>, FrameError> {
    let Parsed { value, repairs } = json::parse(frame).map_err(|_| FrameError::NotJson)?;
    match value {
        Value::Object(value) => Ok(Parsed { value, repairs }),
        _ => Err(FrameError::NotObject),
    }
}

fn given<'a>(frame: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    frame.get(field).filter(|value| !value.is_null())
}

pub(super) fn required<'a>(frame: &'a Map<String, Value>, field: &'static str) -> Result<&'a str, FrameError> {
    optional(frame, field)?.ok_or(FrameError::MissingField(field))
}

pub(super) fn optional<'a>(frame: &'a Map<String, Value>, field: &'static str) -> Result<Option<&'a str>, FrameError> {
    given(frame, field).map(|value| value.as_str().ok_or(FrameError::MistypedField(field))).transpose()
}

/// An id, which some senders write as a number.
pub(super) fn id(frame: &Map<String, Value>, field: &'static str) -> Result<Option<String>, FrameError> {
    given(frame, field).map(|value| text_or_digits(value).ok_or(FrameError::MistypedField(field))).transpose()
}

/// An empty id is a bad one: read as missing, it would put one customer's words into another's buffer.
pub(super) fn interaction(
    frame: &Map<String, Value>,
    field: &'static str,
) -> Result<Option<InteractionId>, FrameError> {
    id(frame, field)?.map(|id| id.try_into().map_err(FrameError::BadId)).transpose()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use cuecard_text::json::Repairs;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_is_a_json_object_or_says_why_not() {
        for frame in ["", "{", "TURN_END", "{\"type\":\"TURN_END\"}}", &"[".repeat(200_000)] {
            assert_eq!(read_frame(frame), Err(FrameError::NotJson), "{frame:?}");
        }
        for frame in ["[]", "\"TURN_END\"", "7", "null", "NaN"] {
            assert_eq!(read_frame(frame).is_err(), frame != "NaN", "{frame:?}");
        }
    }

    /// Half of an emoji whose other half is in the next frame, a byte of latin-1, a byte order mark, and no number.
    #[test]
    fn a_frame_that_has_to_be_repaired_keeps_its_words() {
        for (frame, text) in [
            (&b"{\"text\":\"so nice \\ud83d\"}"[..], "so nice \u{fffd}"),
            (b"{\"text\":\"\\ude00 really\"}", "\u{fffd} really"),
            (b"{\"text\":\"my caf\xe9 bill\"}", "my caf\u{fffd} bill"),
            (b"\xef\xbb\xbf{\"text\":\"my bill\"}", "my bill"),
            (b"{\"text\":\"my bill\",\"confidence\":NaN,\"at\":-Infinity}", "my bill"),
        ] {
            let Parsed { value, repairs } = read_frame(frame).unwrap();
            assert_eq!(required(&value, "text"), Ok(text));
            assert_ne!(repairs, Repairs::default(), "{text}");
        }
        let frame = read_frame(r#"{"text":NaN,"interactionId":Infinity}"#).unwrap().value;
        assert_eq!(required(&frame, "text"), Err(FrameError::MistypedField("text")));
        assert_eq!(interaction(&frame, "interactionId"), Err(FrameError::MistypedField("interactionId")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_a_named_reason(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read_frame(&bytes);
        }
    }
}

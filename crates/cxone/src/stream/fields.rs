//! Fields of a frame. One that is `null` counts as missing.

use serde_json::{Map, Value};

use super::FrameError;

pub(super) fn object(text: &str) -> Result<Map<String, Value>, FrameError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(frame)) => Ok(frame),
        Ok(_) => Err(FrameError::NotObject),
        Err(_) => Err(FrameError::NotJson),
    }
}

pub(super) fn required<'a>(frame: &'a Map<String, Value>, field: &'static str) -> Result<&'a str, FrameError> {
    optional(frame, field)?.ok_or(FrameError::MissingField(field))
}

pub(super) fn optional<'a>(frame: &'a Map<String, Value>, field: &'static str) -> Result<Option<&'a str>, FrameError> {
    match frame.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(FrameError::MistypedField(field)),
    }
}

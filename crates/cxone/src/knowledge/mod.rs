//! What CXone's own knowledge endpoints answer.
//!
//! | module | call | output |
//! |---|---|---|
//! | [`articles`] | the listing of all articles, polled | articles, and where the listing goes on |
//! | [`search`] | the search for a text | hits in CXone's order |

pub mod articles;
pub mod search;

use serde_json::Value;

/// What stands under `field`; `null` where nothing does, or where `entity` is no object.
fn take(entity: &mut Value, field: &str) -> Value {
    entity.get_mut(field).map(Value::take).unwrap_or_default()
}

/// The id of an article: text with a letter in it, or a number.
fn take_id(entity: &mut Value) -> Option<String> {
    match take(entity, "id") {
        Value::String(id) if !id.trim().is_empty() => Some(id),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// Empty where there is no text.
fn take_text(entity: &mut Value, field: &str) -> String {
    match take(entity, field) {
        Value::String(text) => text,
        _ => String::new(),
    }
}

//! What CXone's own knowledge endpoints answer.
//!
//! | module | call | output |
//! |---|---|---|
//! | [`articles`] | the listing of all articles, polled | articles, and where the listing goes on |
//! | [`search`] | the search for a text | hits in CXone's order |

pub mod articles;
pub mod search;

use cuecard_text::MAX_ID_BYTES;
use cuecard_text::json::text_or_digits;
use serde_json::Value;

/// Why an entity can't be used. Messages never repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEntity {
    #[error("no id")]
    NoId,
    #[error("an id of more than {MAX_ID_BYTES} bytes")]
    LongId,
    #[error("no content")]
    NoContent,
}

/// What CXone says of who may see an article; nothing where it is silent, or says it in another way than as a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    pub status: Option<String>,
    pub audience: Option<String>,
    pub language: Option<String>,
}

impl Labels {
    fn take(entity: &mut Value) -> Self {
        let [status, audience, language] = ["status", "audience", "language"]
            .map(|field| Some(take_text(entity, field)).filter(|text| !text.is_empty()));
        Self { status, audience, language }
    }
}

/// What stands under `field`; `null` where nothing does, or where `entity` is no object.
fn take(entity: &mut Value, field: &str) -> Value {
    entity.get_mut(field).map(Value::take).unwrap_or_default()
}

/// The id of an article: text with a letter in it, or a number.
fn take_id(entity: &mut Value) -> Result<String, BadEntity> {
    let id = text_or_digits(&take(entity, "id")).filter(|id| !id.trim().is_empty()).ok_or(BadEntity::NoId)?;
    if id.len() > MAX_ID_BYTES { Err(BadEntity::LongId) } else { Ok(id) }
}

/// Empty where there is no text.
fn take_text(entity: &mut Value, field: &str) -> String {
    match take(entity, field) {
        Value::String(text) => text,
        _ => String::new(),
    }
}

//! The name of a way to end, as callers ask for it.

use cuecard_actors::messages::Outcome;
use serde::Deserialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// One of [`Outcome::LABELS`].
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct OutcomeName(String);

impl TryFrom<String> for OutcomeName {
    type Error = String;

    fn try_from(asked: String) -> Result<Self, String> {
        if Outcome::LABELS.contains(&asked.as_str()) {
            return Ok(Self(asked));
        }
        Err(format!("no outcome is called `{asked}`; there are {}", Outcome::LABELS.join(", ")))
    }
}

impl From<OutcomeName> for String {
    fn from(name: OutcomeName) -> Self {
        name.0
    }
}

impl PartialSchema for OutcomeName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Outcome::LABELS.iter().copied())).into()
    }
}

impl ToSchema for OutcomeName {}

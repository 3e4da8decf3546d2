//! What is handed on as the text that it is kept as, or as it is told elsewhere: its shape, for the document of the port alone.
//! The answers are checked against it.

use std::collections::BTreeMap;

use cuecard_actors::messages::{Decision, Outcome};
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The name of a way to end.
pub(super) struct OutcomeName;

impl PartialSchema for OutcomeName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Outcome::LABELS.iter().copied())).into()
    }
}

impl ToSchema for OutcomeName {}

/// Decisions, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Deliveries {
    deliveries: Vec<Decision>,
}

/// A decision with its reasons.
#[derive(Serialize, ToSchema)]
pub(super) struct Explained {
    #[serde(flatten)]
    decision: Decision,
    /// Why its cards were shown or not, in sentences; left out where it came to no ranking.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Vec<String>>,
    /// The same of a second ranker, where one is watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow_why: Option<Vec<String>>,
}

/// Every setting by its key.
#[derive(Serialize, ToSchema)]
pub(super) struct ShownSettings {
    settings: BTreeMap<String, ShownSetting>,
}

/// A setting in force.
#[derive(Serialize, ToSchema)]
struct ShownSetting {
    /// A secret is `***`.
    value: Value,
    /// `default`, `file` or `environment`.
    from: String,
    /// The file, or the variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

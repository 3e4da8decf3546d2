//! What a caller of either port is told when something is wrong.

use serde::Serialize;
use utoipa::ToSchema;

/// Every refusal, and every failure.
#[derive(Debug, Serialize, ToSchema)]
pub struct Detail {
    /// What was wrong, where, and what to do.
    pub detail: String,
}

impl Detail {
    pub fn new(detail: impl Into<String>) -> Self {
        Self { detail: detail.into() }
    }
}

//! What an agent thought of a card, for CXone's training endpoint.
//!
//! Input: one accepted or rejected insight. Output: the body of the call. How its answers are read stands with all the
//! others in [`crate::answers`], under [`crate::answers::CallKind::Feedback`].

use cuecard_text::Spoken;
use jiff::Timestamp;
use serde::Serialize;

use crate::interaction_id::InteractionId;

/// Below the base URL.
pub const PATH: &str = "/api/v2/ai/training/feedback";
/// Named when the endpoint answers 403.
pub const REQUIRED_SCOPE: &str = "ai:training:write";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedbackCall {
    pub interaction: InteractionId,
    pub insight: String,
    /// The sender's own word, masked when it was heard, or `ACCEPTED` or `REJECTED` where it had none.
    pub action: Spoken,
    /// When the event arrived.
    pub arrived_at: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    interaction_id: &'a InteractionId,
    insight_id: &'a str,
    action: &'a str,
    timestamp: String,
}

impl FeedbackCall {
    /// The time is RFC 3339 in UTC, to the millisecond.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&Body {
            interaction_id: &self.interaction,
            insight_id: &self.insight,
            action: self.action.verbatim(),
            timestamp: format!("{:.3}", self.arrived_at),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_body_has_the_documents_fields_and_a_time_with_its_zone() {
        let call = FeedbackCall {
            interaction: "c-1".parse().unwrap(),
            insight: "kb/refund#2".into(),
            action: "clicked \"yes\"".into(),
            arrived_at: "2026-03-01T10:20:30.123456789+02:00".parse().unwrap(),
        };
        assert_eq!(
            call.to_json().unwrap(),
            concat!(
                r#"{"interactionId":"c-1","insightId":"kb/refund#2","action":"clicked \"yes\"","#,
                r#""timestamp":"2026-03-01T08:20:30.123Z"}"#,
            )
        );
    }
}

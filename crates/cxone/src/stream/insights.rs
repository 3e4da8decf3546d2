//! Contract 003's frames.
//!
//! `TRANSCRIPT_FRAGMENT`, `DIALOG_STATE`, `INSIGHT_ACCEPTED` and `INSIGHT_REJECTED` are read; other types and states
//! are ignored. A field that is `null` counts as missing.

use serde_json::{Map, Value};

use super::fields::{object, optional, required};
use super::{Decoded, DialogState, FrameError, IgnoredFrame, Participant, StreamCodec, StreamEvent};
use crate::interaction_id::InteractionId;

/// An insight's id is an article's id, which may be a path or a title; beyond this it is nothing that was pushed.
const MAX_INSIGHT_ID_BYTES: usize = 1024;
/// An action is a word; the bound keeps a broken sender from filling the ledger.
const MAX_ACTION_BYTES: usize = 200;

/// Remembers nothing: each frame says all by itself.
#[derive(Clone, Copy, Debug)]
pub struct InsightsCodec;

impl StreamCodec for InsightsCodec {
    fn decode(&mut self, text: &str) -> Result<Decoded, FrameError> {
        let frame = object(text)?;
        match required(&frame, "type")? {
            "TRANSCRIPT_FRAGMENT" => fragment(&frame).map(Decoded::Event),
            "DIALOG_STATE" => dialog_state(&frame),
            "INSIGHT_ACCEPTED" => feedback(&frame, true).map(Decoded::Event),
            "INSIGHT_REJECTED" => feedback(&frame, false).map(Decoded::Event),
            _ => Ok(Decoded::Ignored(IgnoredFrame::UnknownType)),
        }
    }
}

fn fragment(frame: &Map<String, Value>) -> Result<StreamEvent, FrameError> {
    let text = required(frame, "text")?;
    if text.trim().is_empty() {
        return Err(FrameError::EmptyText);
    }
    Ok(StreamEvent::Fragment {
        interaction: interaction(frame)?,
        participant: participant(frame),
        text: text.to_owned(),
    })
}

fn participant(frame: &Map<String, Value>) -> Participant {
    match frame.get("participant").and_then(Value::as_str) {
        Some(name) if name.eq_ignore_ascii_case("AGENT") => Participant::Agent,
        _ => Participant::Customer,
    }
}

fn dialog_state(frame: &Map<String, Value>) -> Result<Decoded, FrameError> {
    let state = match required(frame, "state")? {
        "AGENT_SILENT" => DialogState::AgentSilent,
        "CUSTOMER_SILENT" => DialogState::CustomerSilent,
        "TURN_END" => DialogState::TurnEnd,
        _ => return Ok(Decoded::Ignored(IgnoredFrame::UnknownState)),
    };
    Ok(Decoded::Event(StreamEvent::DialogState { interaction: interaction(frame)?, state }))
}

/// Both ids are needed: without one the event matches no delivery, and the training endpoint asks for both.
fn feedback(frame: &Map<String, Value>, accepted: bool) -> Result<StreamEvent, FrameError> {
    let interaction = interaction(frame)?.ok_or(FrameError::MissingField("interactionId"))?;
    let insight = required(frame, "insightId")?;
    if insight.is_empty() {
        return Err(FrameError::MissingField("insightId"));
    }
    if insight.len() > MAX_INSIGHT_ID_BYTES {
        return Err(FrameError::OverlongField("insightId"));
    }
    let default_action = if accepted { "ACCEPTED" } else { "REJECTED" };
    let action = optional(frame, "action")?.filter(|action| !action.is_empty()).unwrap_or(default_action);
    if action.len() > MAX_ACTION_BYTES {
        return Err(FrameError::OverlongField("action"));
    }
    Ok(StreamEvent::Feedback { interaction, insight: insight.to_owned(), action: action.to_owned(), accepted })
}

/// An empty id is a bad one: read as missing, it would put one customer's words into another's buffer.
fn interaction(frame: &Map<String, Value>) -> Result<Option<InteractionId>, FrameError> {
    optional(frame, "interactionId")?.map(|id| id.parse().map_err(FrameError::BadId)).transpose()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::interaction_id::InteractionIdError;

    fn decode(frame: &Value) -> Result<Decoded, FrameError> {
        InsightsCodec.decode(&frame.to_string())
    }

    fn fragment_of(interaction: Option<&str>, participant: Participant, text: &str) -> Decoded {
        Decoded::Event(StreamEvent::Fragment {
            interaction: interaction.map(|id| id.parse().unwrap()),
            participant,
            text: text.into(),
        })
    }

    fn feedback_of(action: &str, accepted: bool) -> Decoded {
        Decoded::Event(StreamEvent::Feedback {
            interaction: "c-1".parse().unwrap(),
            insight: "taxi__*__1".into(),
            action: action.into(),
            accepted,
        })
    }

    fn state_of(interaction: Option<&str>, state: DialogState) -> Decoded {
        let interaction = interaction.map(|id| id.parse().unwrap());
        Decoded::Event(StreamEvent::DialogState { interaction, state })
    }

    #[test]
    fn fragments() {
        use Participant::{Agent, Customer};
        let cases = [
            (json!({"text": "my bill"}), fragment_of(None, Customer, "my bill")),
            (json!({"text": " my bill "}), fragment_of(None, Customer, " my bill ")),
            (json!({"text": "a", "interactionId": null}), fragment_of(None, Customer, "a")),
            (json!({"text": "a", "interactionId": "c-1"}), fragment_of(Some("c-1"), Customer, "a")),
            (json!({"text": "a", "participant": "CUSTOMER"}), fragment_of(None, Customer, "a")),
            (json!({"text": "a", "participant": "AGENT"}), fragment_of(None, Agent, "a")),
            (json!({"text": "a", "participant": "agent"}), fragment_of(None, Agent, "a")),
            (json!({"text": "a", "participant": "SUPERVISOR"}), fragment_of(None, Customer, "a")),
            (json!({"text": "a", "participant": 7}), fragment_of(None, Customer, "a")),
            (json!({"text": "a", "timestamp": 7, "confidence": 0.5}), fragment_of(None, Customer, "a")),
        ];
        for (mut frame, expected) in cases {
            frame["type"] = "TRANSCRIPT_FRAGMENT".into();
            assert_eq!(decode(&frame), Ok(expected), "{frame}");
        }
    }

    #[test]
    fn states() {
        let ignored = Decoded::Ignored(IgnoredFrame::UnknownState);
        let cases = [
            (json!({"state": "AGENT_SILENT", "interactionId": "c-1"}), state_of(Some("c-1"), DialogState::AgentSilent)),
            (json!({"state": "CUSTOMER_SILENT"}), state_of(None, DialogState::CustomerSilent)),
            (json!({"state": "TURN_END", "interactionId": null}), state_of(None, DialogState::TurnEnd)),
            (json!({"state": "TURN_START", "interactionId": "c-1"}), ignored.clone()),
            (json!({"state": "turn_end", "interactionId": "c-1"}), ignored),
        ];
        for (mut frame, expected) in cases {
            frame["type"] = "DIALOG_STATE".into();
            assert_eq!(decode(&frame), Ok(expected), "{frame}");
        }
    }

    #[test]
    fn feedback_passes_the_action_on_or_names_the_type() {
        let cases = [
            ("INSIGHT_ACCEPTED", json!(null), feedback_of("ACCEPTED", true)),
            ("INSIGHT_ACCEPTED", json!(""), feedback_of("ACCEPTED", true)),
            ("INSIGHT_ACCEPTED", json!("clicked"), feedback_of("clicked", true)),
            ("INSIGHT_REJECTED", json!(null), feedback_of("REJECTED", false)),
            ("INSIGHT_REJECTED", json!("DISMISSED"), feedback_of("DISMISSED", false)),
        ];
        for (kind, action, expected) in cases {
            let frame = json!({"type": kind, "interactionId": "c-1", "insightId": "taxi__*__1", "action": action});
            assert_eq!(decode(&frame), Ok(expected), "{frame}");
        }
    }

    #[test]
    fn what_is_not_used_is_ignored_and_what_cannot_be_read_says_why() {
        let dropped = [
            (json!([]), FrameError::NotObject),
            (json!("TURN_END"), FrameError::NotObject),
            (json!({}), FrameError::MissingField("type")),
            (json!({"type": null}), FrameError::MissingField("type")),
            (json!({"type": 7}), FrameError::MistypedField("type")),
            (json!({"type": "TRANSCRIPT_FRAGMENT"}), FrameError::MissingField("text")),
            (json!({"type": "TRANSCRIPT_FRAGMENT", "text": ["a"]}), FrameError::MistypedField("text")),
            (json!({"type": "TRANSCRIPT_FRAGMENT", "text": " \n"}), FrameError::EmptyText),
            (
                json!({"type": "TRANSCRIPT_FRAGMENT", "text": "a", "interactionId": "../x"}),
                FrameError::BadId(InteractionIdError::Character(2)),
            ),
            (
                json!({"type": "TRANSCRIPT_FRAGMENT", "text": "a", "interactionId": ""}),
                FrameError::BadId(InteractionIdError::Empty),
            ),
            (
                json!({"type": "TRANSCRIPT_FRAGMENT", "text": "a", "interactionId": 7}),
                FrameError::MistypedField("interactionId"),
            ),
            (json!({"type": "DIALOG_STATE"}), FrameError::MissingField("state")),
            (
                json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": "x".repeat(201)}),
                FrameError::BadId(InteractionIdError::TooLong(201)),
            ),
            (json!({"type": "INSIGHT_ACCEPTED"}), FrameError::MissingField("interactionId")),
            (json!({"type": "INSIGHT_ACCEPTED", "insightId": "a"}), FrameError::MissingField("interactionId")),
            (json!({"type": "INSIGHT_REJECTED", "interactionId": "a"}), FrameError::MissingField("insightId")),
            (
                json!({"type": "INSIGHT_REJECTED", "interactionId": "a", "insightId": ""}),
                FrameError::MissingField("insightId"),
            ),
            (
                json!({"type": "INSIGHT_REJECTED", "interactionId": "a", "insightId": "x".repeat(1025)}),
                FrameError::OverlongField("insightId"),
            ),
            (
                json!({"type": "INSIGHT_REJECTED", "interactionId": "a", "insightId": "b", "action": "x".repeat(201)}),
                FrameError::OverlongField("action"),
            ),
        ];
        for (frame, error) in dropped {
            assert_eq!(decode(&frame), Err(error), "{frame}");
            assert!(FrameError::LABELS.contains(&error.label()));
        }
        for text in ["", "{", "TURN_END", "{\"type\":\"TURN_END\"}}", "\u{feff}{}"] {
            assert_eq!(InsightsCodec.decode(text), Err(FrameError::NotJson), "{text:?}");
        }
        for kind in ["HEARTBEAT", "transcript_fragment", ""] {
            let frame = json!({"type": kind, "text": "a"});
            assert_eq!(decode(&frame), Ok(Decoded::Ignored(IgnoredFrame::UnknownType)), "{frame}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_overflow() {
        assert_eq!(InsightsCodec.decode(&"[".repeat(200_000)), Err(FrameError::NotJson));
    }

    #[test]
    fn debug_and_errors_never_show_what_a_customer_said() {
        let secret = "my card number is 4111";
        let fragment = json!({"type": "TRANSCRIPT_FRAGMENT", "text": secret, "interactionId": "c-1"});
        let shown = format!("{:?}", decode(&fragment));
        assert!(shown.contains("c-1") && shown.contains("22") && !shown.contains("4111"), "{shown}");
        for frame in [
            json!({"type": "TRANSCRIPT_FRAGMENT", "text": "a", "interactionId": secret}),
            json!({"type": "TRANSCRIPT_FRAGMENT", "text": [secret]}),
            json!([secret]),
        ] {
            let error = decode(&frame).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("4111"), "{frame}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_event_or_a_named_reason(text in any::<String>()) {
            let _ = InsightsCodec.decode(&text);
        }

        #[test]
        fn any_bytes_in_a_frames_shape_are_an_event_or_a_named_reason(
            kind in "TRANSCRIPT_FRAGMENT|DIALOG_STATE|INSIGHT_ACCEPTED|INSIGHT_REJECTED|\\PC*",
            field in "text|state|interactionId|insightId|action|participant|\\PC*",
            value in "\\PC*|null|\\[\\]|7|\"TURN_END\"",
        ) {
            let _ = InsightsCodec.decode(&format!("{{\"type\":\"{kind}\",\"text\":\"a\",\"{field}\":{value}}}"));
        }

        #[test]
        fn what_was_said_arrives_unchanged(text in "\\PC*\\S\\PC*", id in "[A-Za-z0-9_~:@-]{1,200}") {
            let frame = json!({"type": "TRANSCRIPT_FRAGMENT", "text": text, "interactionId": id});
            prop_assert_eq!(decode(&frame), Ok(fragment_of(Some(&id), Participant::Customer, &text)));
        }
    }
}

//! Contract 003's frames.
//!
//! `TRANSCRIPT_FRAGMENT`, `DIALOG_STATE`, `INSIGHT_ACCEPTED` and `INSIGHT_REJECTED` are read; other types and states
//! are ignored. A field that is `null` counts as missing. An agent's own words about a card are masked here.

use cuecard_text::Spoken;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::fields::{id, interaction, required};
use super::{DialogState, FrameError, IgnoredFrame, Participant, Roles, Step, StreamEvent, StreamProtocol};

/// An insight's id is an article's id, which may be a path or a title; beyond this it is nothing that was pushed.
const MAX_INSIGHT_ID_BYTES: usize = 1024;
/// An action is a word; one that is none must not cost the verdict, which the type of the frame tells.
const MAX_ACTION_BYTES: usize = 200;

/// Says nothing and remembers nothing: each frame tells all by itself.
#[derive(Clone, Debug, Default)]
pub struct InsightsProtocol {
    roles: Roles,
}

impl InsightsProtocol {
    pub fn new(roles: Roles) -> Self {
        Self { roles }
    }

    fn fragment(&self, frame: &Map<String, Value>) -> Result<StreamEvent, FrameError> {
        let text = required(frame, "text")?;
        if text.trim().is_empty() {
            return Err(FrameError::EmptyText);
        }
        let role = frame.get("participant").and_then(Value::as_str);
        Ok(StreamEvent::Fragment {
            interaction: interaction(frame, "interactionId")?,
            participant: role.map_or(Participant::Customer, |role| self.roles.participant(role)),
            text: text.into(),
        })
    }
}

impl StreamProtocol for InsightsProtocol {
    fn on_frame(&mut self, frame: &Map<String, Value>, _now: Instant) -> Result<Step, FrameError> {
        match required(frame, "type")? {
            "TRANSCRIPT_FRAGMENT" => self.fragment(frame).map(Step::from),
            "DIALOG_STATE" => dialog_state(frame),
            "INSIGHT_ACCEPTED" => feedback(frame, true).map(Step::from),
            "INSIGHT_REJECTED" => feedback(frame, false).map(Step::from),
            _ => Ok(IgnoredFrame::UnknownType.into()),
        }
    }
}

fn dialog_state(frame: &Map<String, Value>) -> Result<Step, FrameError> {
    let state = match required(frame, "state")? {
        "AGENT_SILENT" => DialogState::AgentSilent,
        "CUSTOMER_SILENT" => DialogState::CustomerSilent,
        "TURN_END" => DialogState::TurnEnd,
        _ => return Ok(IgnoredFrame::UnknownState.into()),
    };
    Ok(StreamEvent::DialogState { interaction: interaction(frame, "interactionId")?, state }.into())
}

/// Both ids are needed: without one the event matches no delivery, and the training endpoint asks for both.
fn feedback(frame: &Map<String, Value>, accepted: bool) -> Result<StreamEvent, FrameError> {
    let interaction = interaction(frame, "interactionId")?.ok_or(FrameError::MissingField("interactionId"))?;
    let insight = id(frame, "insightId")?.filter(|id| !id.is_empty()).ok_or(FrameError::MissingField("insightId"))?;
    if insight.len() > MAX_INSIGHT_ID_BYTES {
        return Err(FrameError::OverlongField("insightId"));
    }
    let default_action = if accepted { "ACCEPTED" } else { "REJECTED" };
    let is_word = |action: &&str| !action.is_empty() && action.len() <= MAX_ACTION_BYTES;
    let action = frame.get("action").and_then(Value::as_str).filter(is_word).unwrap_or(default_action);
    // An agent may have typed it. Masked before anything holds it: it is stored, waits, is listed and sent for training.
    let action = Spoken::from(action).masked().into();
    Ok(StreamEvent::Feedback { interaction, insight, action, accepted })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::super::read_frame;
    use super::*;
    use crate::interaction_id::InteractionIdError;

    fn read(frame: impl AsRef<[u8]>) -> Result<Step, FrameError> {
        InsightsProtocol::default().on_frame(&read_frame(frame)?.value, Instant::now())
    }

    fn decode(frame: &Value) -> Result<Step, FrameError> {
        read(frame.to_string())
    }

    fn fragment_of(interaction: Option<&str>, participant: Participant, text: &str) -> Step {
        let interaction = interaction.map(|id| id.parse().unwrap());
        StreamEvent::Fragment { interaction, participant, text: text.into() }.into()
    }

    fn feedback_of(action: &str, accepted: bool) -> Step {
        let (interaction, insight, action) = ("c-1".parse().unwrap(), "taxi__*__1".to_owned(), action.into());
        StreamEvent::Feedback { interaction, insight, action, accepted }.into()
    }

    fn state_of(interaction: Option<&str>, state: DialogState) -> Step {
        StreamEvent::DialogState { interaction: interaction.map(|id| id.parse().unwrap()), state }.into()
    }

    #[test]
    fn fragments() {
        use Participant::{Agent, Context, Customer};
        let cases = [
            (json!({"text": "my bill"}), fragment_of(None, Customer, "my bill")),
            (json!({"text": " my bill "}), fragment_of(None, Customer, " my bill ")),
            (json!({"text": "a", "interactionId": null}), fragment_of(None, Customer, "a")),
            (json!({"text": "a", "interactionId": "c-1"}), fragment_of(Some("c-1"), Customer, "a")),
            (json!({"text": "a", "participant": "CUSTOMER"}), fragment_of(None, Customer, "a")),
            (json!({"text": "a", "participant": "AGENT"}), fragment_of(None, Agent, "a")),
            (json!({"text": "a", "participant": "agent"}), fragment_of(None, Agent, "a")),
            (json!({"text": "a", "participant": "SUPERVISOR"}), fragment_of(None, Context, "a")),
            (json!({"text": "a", "participant": "bot"}), fragment_of(None, Context, "a")),
            (json!({"text": "a", "participant": "PARTNER"}), fragment_of(None, Customer, "a")),
            (json!({"text": "a", "participant": 7}), fragment_of(None, Customer, "a")),
            (json!({"text": "a", "timestamp": 7, "confidence": 0.5}), fragment_of(None, Customer, "a")),
            (
                json!({"text": "a", "interactionId": 104_857_600_123_u64}),
                fragment_of(Some("104857600123"), Customer, "a"),
            ),
        ];
        for (mut frame, expected) in cases {
            frame["type"] = "TRANSCRIPT_FRAGMENT".into();
            assert_eq!(decode(&frame), Ok(expected), "{frame}");
        }
    }

    #[test]
    fn states() {
        let ignored = Step::from(IgnoredFrame::UnknownState);
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
            ("INSIGHT_ACCEPTED", json!(7), feedback_of("ACCEPTED", true)),
            ("INSIGHT_REJECTED", json!("x".repeat(201)), feedback_of("REJECTED", false)),
            ("INSIGHT_REJECTED", json!(null), feedback_of("REJECTED", false)),
            ("INSIGHT_REJECTED", json!("DISMISSED"), feedback_of("DISMISSED", false)),
        ];
        for (kind, action, expected) in cases {
            let frame = json!({"type": kind, "interactionId": "c-1", "insightId": "taxi__*__1", "action": action});
            assert_eq!(decode(&frame), Ok(expected), "{frame}");
        }
        let numbers = json!({"type": "INSIGHT_ACCEPTED", "interactionId": 7, "insightId": 42});
        let (interaction, insight, action) = ("7".parse().unwrap(), "42".to_owned(), "ACCEPTED".into());
        let expected = StreamEvent::Feedback { interaction, insight, action, accepted: true };
        assert_eq!(decode(&numbers), Ok(expected.into()));
    }

    #[test]
    fn an_action_is_without_what_names_anybody_and_ordinary_ones_are_as_they_came() {
        let rejected = |action: &str| {
            let frame = json!({"type": "INSIGHT_REJECTED", "interactionId": "c-1", "insightId": "a", "action": action});
            let Ok(Step { heard, .. }) = decode(&frame) else { panic!("{frame}") };
            let [StreamEvent::Feedback { action, .. }] = &heard[..] else { panic!("{heard:?}") };
            action.verbatim().to_owned()
        };
        for ordinary in ["accept", "REJECTED", "reject: wrong topic", "DISMISSED_4", "clicked \"yes\"", "siehe #4711"] {
            assert_eq!(rejected(ordinary), ordinary);
        }
        let typed = rejected("she is jane.doe@example.com, card 4526 0181 5908 3012");
        assert_eq!(typed, "she is [email], card [card]");
    }

    #[test]
    fn what_is_not_used_is_ignored_and_what_cannot_be_read_says_why() {
        let dropped = [
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
                json!({"type": "TRANSCRIPT_FRAGMENT", "text": "a", "interactionId": [7]}),
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
        ];
        for (frame, error) in dropped {
            assert_eq!(decode(&frame), Err(error), "{frame}");
        }
        for kind in ["HEARTBEAT", "transcript_fragment", ""] {
            let frame = json!({"type": kind, "text": "a"});
            assert_eq!(decode(&frame), Ok(IgnoredFrame::UnknownType.into()), "{frame}");
        }
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
        fn any_bytes_in_a_frames_shape_are_an_event_or_a_named_reason(
            kind in "TRANSCRIPT_FRAGMENT|DIALOG_STATE|INSIGHT_ACCEPTED|INSIGHT_REJECTED|\\PC*",
            field in "text|state|interactionId|insightId|action|participant|\\PC*",
            value in "\\PC*|null|\\[\\]|7|\"TURN_END\"",
        ) {
            let _ = read(format!("{{\"type\":\"{kind}\",\"text\":\"a\",\"{field}\":{value}}}"));
        }

        #[test]
        fn what_was_said_arrives_unchanged(text in "\\PC*\\S\\PC*", id in "[A-Za-z0-9_~:@-]{1,200}") {
            let frame = json!({"type": "TRANSCRIPT_FRAGMENT", "text": text, "interactionId": id});
            prop_assert_eq!(decode(&frame), Ok(fragment_of(Some(&id), Participant::Customer, &text)));
        }
    }
}

//! Contract 001's frames.
//!
//! Events of the type `interaction` are read. An active one is what a customer has finished saying, any other state ends
//! the interaction. A transcript may repeat what was said before: that is remembered, and only the rest is heard.

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::fields::{interaction, required};
use super::transcript::Transcripts;
use super::{FrameError, IgnoredFrame, Step, StreamEvent, StreamProtocol};

/// Says nothing, and knows again what it has read before.
#[derive(Default)]
pub struct SnippetsProtocol {
    transcripts: Transcripts,
}

impl StreamProtocol for SnippetsProtocol {
    fn on_frame(&mut self, frame: &Map<String, Value>, _now: Instant) -> Result<Step, FrameError> {
        if required(frame, "type")? != "interaction" {
            return Ok(IgnoredFrame::UnknownType.into());
        }
        let data = match frame.get("data") {
            Some(Value::Object(data)) => data,
            None | Some(Value::Null) => return Err(FrameError::MissingField("data")),
            Some(_) => return Err(FrameError::MistypedField("data")),
        };
        let interaction = interaction(data, "id")?.ok_or(FrameError::MissingField("id"))?;
        if required(data, "state")? != "active" {
            self.transcripts.forget(&interaction);
            return Ok(StreamEvent::InteractionEnded { interaction }.into());
        }
        Ok(match self.transcripts.hear(&interaction, &channels(data)?) {
            Some(text) => StreamEvent::Utterance { interaction, text: text.into() }.into(),
            None => IgnoredFrame::NothingNew.into(),
        })
    }
}

/// The transcript of each channel, empty where it has none.
fn channels(data: &Map<String, Value>) -> Result<Vec<&str>, FrameError> {
    match data.get("channels") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(channels)) => Ok(channels.iter().map(transcript).collect()),
        Some(_) => Err(FrameError::MistypedField("channels")),
    }
}

/// A channel that can't be read says nothing, and keeps its place: the words of the others count. A character that is cut in
/// two at the end comes whole with the next frame, which must begin with what this one says.
fn transcript(channel: &Value) -> &str {
    let text = channel.get("transcript").and_then(Value::as_str).unwrap_or_default();
    text.trim_end_matches(char::REPLACEMENT_CHARACTER).trim()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::super::read_frame;
    use super::*;
    use crate::interaction_id::InteractionIdError;

    fn decode(protocol: &mut SnippetsProtocol, frame: &Value) -> Result<Step, FrameError> {
        protocol.on_frame(&read_frame(frame.to_string())?.value, Instant::now())
    }

    fn decode_alone(frame: &Value) -> Result<Step, FrameError> {
        decode(&mut SnippetsProtocol::default(), frame)
    }

    fn frame(data: impl Into<Value>) -> Value {
        json!({"type": "interaction", "data": data.into()})
    }

    fn said(transcripts: &[&str]) -> Value {
        let channels: Vec<Value> = transcripts.iter().map(|text| json!({"transcript": text})).collect();
        frame(json!({"id": "c-1", "state": "active", "channels": channels}))
    }

    fn utterance(text: &str) -> Step {
        StreamEvent::Utterance { interaction: "c-1".parse().unwrap(), text: text.into() }.into()
    }

    fn ended_of(interaction: &str) -> Step {
        StreamEvent::InteractionEnded { interaction: interaction.parse().unwrap() }.into()
    }

    fn ended() -> Step {
        ended_of("c-1")
    }

    fn nothing_new() -> Step {
        IgnoredFrame::NothingNew.into()
    }

    #[test]
    fn an_active_interaction_is_a_finished_utterance() {
        let active = |channels: Value| frame(json!({"id": "c-1", "state": "active", "channels": channels}));
        for (frame, expected) in [
            (said(&["my bill"]), utterance("my bill")),
            (said(&[" my bill ", "", "is wrong\n"]), utterance("my bill is wrong")),
            (active(json!([{"kind": "voice"}, {"transcript": "a", "kind": "chat"}])), utterance("a")),
            (active(json!([{"transcript": null}, {"transcript": "a"}])), utterance("a")),
            (active(json!([{"transcript": ["a"]}, {"transcript": "b"}, 7, "c", {"transcript": {}}])), utterance("b")),
            (active(json!([])), nothing_new()),
            (active(json!(null)), nothing_new()),
            (frame(json!({"id": "c-1", "state": "active"})), nothing_new()),
            (said(&[" "]), nothing_new()),
            (said(&["my bill \u{fffd}"]), utterance("my bill")),
            (frame(json!({"id": 104_857_600_123_u64, "state": "completed"})), ended_of("104857600123")),
        ] {
            assert_eq!(decode_alone(&frame), Ok(expected), "{frame}");
        }
    }

    #[test]
    fn a_transcript_that_repeats_itself_adds_only_its_rest() {
        let mut protocol = SnippetsProtocol::default();
        for (frame, expected) in [
            (said(&["my bill"]), utterance("my bill")),
            (said(&["my bill"]), nothing_new()),
            (said(&["my bill is wrong"]), utterance("is wrong")),
            (said(&["please help"]), utterance("please help")),
            (frame(json!({"id": "c-1", "state": "completed"})), ended()),
            (said(&["please help"]), utterance("please help")),
            (said(&["please help \u{fffd}"]), nothing_new()),
            (said(&["please help 🙏 now"]), utterance("🙏 now")),
        ] {
            assert_eq!(decode(&mut protocol, &frame), Ok(expected), "{frame}");
        }
    }

    #[test]
    fn any_other_state_ends_the_interaction_and_says_nothing() {
        for state in ["completed", "closed", "ACTIVE", ""] {
            let channels = json!([{"transcript": "goodbye"}]);
            let frame = frame(json!({"id": "c-1", "state": state, "channels": channels}));
            assert_eq!(decode_alone(&frame), Ok(ended()), "{state}");
        }
    }

    #[test]
    fn what_is_not_used_is_ignored_and_what_cannot_be_read_says_why() {
        let active = |id: Value| frame(json!({"id": id, "state": "active"}));
        let with_channels = |channels: Value| frame(json!({"id": "c-1", "state": "active", "channels": channels}));
        for (frame, error) in [
            (json!({}), FrameError::MissingField("type")),
            (json!({"type": 7}), FrameError::MistypedField("type")),
            (json!({"type": "interaction"}), FrameError::MissingField("data")),
            (json!({"type": "interaction", "data": null}), FrameError::MissingField("data")),
            (json!({"type": "interaction", "data": []}), FrameError::MistypedField("data")),
            (frame(json!({"state": "active"})), FrameError::MissingField("id")),
            (frame(json!({"id": "c-1"})), FrameError::MissingField("state")),
            (frame(json!({"id": "c-1", "state": 1})), FrameError::MistypedField("state")),
            (active(json!([7])), FrameError::MistypedField("id")),
            (active(json!("")), FrameError::BadId(InteractionIdError::Empty)),
            (active(json!("../x")), FrameError::BadId(InteractionIdError::Character(2))),
            (active(json!("x".repeat(201))), FrameError::BadId(InteractionIdError::TooLong(201))),
            (frame(json!({"id": "a b", "state": "completed"})), FrameError::BadId(InteractionIdError::Character(1))),
            (with_channels(json!({})), FrameError::MistypedField("channels")),
        ] {
            assert_eq!(decode_alone(&frame), Err(error), "{frame}");
        }
        for kind in ["agent", "INTERACTION", ""] {
            let frame = json!({"type": kind, "data": 7});
            assert_eq!(decode_alone(&frame), Ok(IgnoredFrame::UnknownType.into()), "{frame}");
        }
    }

    #[test]
    fn a_frame_that_cannot_be_read_changes_nothing_that_was_heard() {
        let mut protocol = SnippetsProtocol::default();
        decode(&mut protocol, &said(&["my bill"])).unwrap();
        let broken = frame(json!({"id": "c-1", "state": "active", "channels": "x"}));
        assert!(decode(&mut protocol, &broken).is_err());
        assert_eq!(decode(&mut protocol, &said(&["my bill is wrong"])), Ok(utterance("is wrong")));
    }

    #[test]
    fn debug_and_errors_never_show_what_a_customer_said() {
        let secret = "my card number is 4111";
        let shown = format!("{:?}", decode_alone(&said(&[secret])));
        assert!(shown.contains("c-1") && shown.contains("22") && !shown.contains("4111"), "{shown}");
        for frame in [frame(json!({"id": secret, "state": "active"})), frame(json!({"id": "a", "state": [secret]}))] {
            let error = decode_alone(&frame).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("4111"), "{frame}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_a_frames_shape_are_an_event_or_a_named_reason(
            field in "id|state|channels|transcript|\\PC*",
            value in "\\PC*|null|\\[\\]|7|\"active\"|\\[\\{\"transcript\":\\PC*\\}\\]",
        ) {
            let mut protocol = SnippetsProtocol::default();
            for text in [
                format!("{{\"type\":\"interaction\",\"data\":{{\"id\":\"a\",\"state\":\"active\",\"{field}\":{value}}}}}"),
                format!("{{\"type\":\"interaction\",\"{field}\":{value}}}"),
                value,
            ] {
                if let Ok(frame) = read_frame(&text) {
                    let _ = protocol.on_frame(&frame.value, Instant::now());
                }
            }
        }
    }
}

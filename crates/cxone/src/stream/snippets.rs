//! Contract 001's frames.
//!
//! Events of the type `interaction` are read. An active one is what a customer has finished saying, any other state ends
//! the interaction. A transcript may repeat what was said before: the codec remembers that, and gives the rest.

use serde_json::{Map, Value};

use super::fields::{object, optional, required};
use super::transcript::Transcripts;
use super::{Decoded, FrameError, IgnoredFrame, StreamCodec, StreamEvent};
use crate::interaction_id::InteractionId;

/// Knows again what it has read before, as long as it lives.
#[derive(Default)]
pub struct SnippetsCodec {
    transcripts: Transcripts,
}

impl StreamCodec for SnippetsCodec {
    fn decode(&mut self, text: &str) -> Result<Decoded, FrameError> {
        let frame = object(text)?;
        if required(&frame, "type")? != "interaction" {
            return Ok(Decoded::Ignored(IgnoredFrame::UnknownType));
        }
        let data = match frame.get("data") {
            Some(Value::Object(data)) => data,
            None | Some(Value::Null) => return Err(FrameError::MissingField("data")),
            Some(_) => return Err(FrameError::MistypedField("data")),
        };
        let interaction: InteractionId = required(data, "id")?.parse().map_err(FrameError::BadId)?;
        if required(data, "state")? != "active" {
            self.transcripts.forget(&interaction);
            return Ok(Decoded::Event(StreamEvent::InteractionEnded { interaction }));
        }
        Ok(match self.transcripts.hear(&interaction, &channels(data)?) {
            Some(text) => Decoded::Event(StreamEvent::Utterance { interaction, text }),
            None => Decoded::Ignored(IgnoredFrame::NothingNew),
        })
    }
}

/// The transcript of each channel, empty where it has none.
fn channels(data: &Map<String, Value>) -> Result<Vec<&str>, FrameError> {
    match data.get("channels") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(channels)) => channels.iter().map(transcript).collect(),
        Some(_) => Err(FrameError::MistypedField("channels")),
    }
}

fn transcript(channel: &Value) -> Result<&str, FrameError> {
    let channel = channel.as_object().ok_or(FrameError::MistypedField("channels"))?;
    Ok(optional(channel, "transcript")?.unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::interaction_id::InteractionIdError;

    fn decode(codec: &mut SnippetsCodec, frame: &Value) -> Result<Decoded, FrameError> {
        codec.decode(&frame.to_string())
    }

    fn decode_alone(frame: &Value) -> Result<Decoded, FrameError> {
        decode(&mut SnippetsCodec::default(), frame)
    }

    fn frame(data: impl Into<Value>) -> Value {
        json!({"type": "interaction", "data": data.into()})
    }

    fn said(transcripts: &[&str]) -> Value {
        let channels: Vec<Value> = transcripts.iter().map(|text| json!({"transcript": text})).collect();
        frame(json!({"id": "c-1", "state": "active", "channels": channels}))
    }

    fn utterance(text: &str) -> Decoded {
        Decoded::Event(StreamEvent::Utterance { interaction: "c-1".parse().unwrap(), text: text.into() })
    }

    fn ended() -> Decoded {
        Decoded::Event(StreamEvent::InteractionEnded { interaction: "c-1".parse().unwrap() })
    }

    const NOTHING_NEW: Decoded = Decoded::Ignored(IgnoredFrame::NothingNew);

    #[test]
    fn an_active_interaction_is_a_finished_utterance() {
        let active = |channels: Value| frame(json!({"id": "c-1", "state": "active", "channels": channels}));
        for (frame, expected) in [
            (said(&["my bill"]), utterance("my bill")),
            (said(&[" my bill ", "", "is wrong\n"]), utterance("my bill is wrong")),
            (active(json!([{"kind": "voice"}, {"transcript": "a", "kind": "chat"}])), utterance("a")),
            (active(json!([{"transcript": null}, {"transcript": "a"}])), utterance("a")),
            (active(json!([])), NOTHING_NEW),
            (active(json!(null)), NOTHING_NEW),
            (frame(json!({"id": "c-1", "state": "active"})), NOTHING_NEW),
            (said(&[" "]), NOTHING_NEW),
        ] {
            assert_eq!(decode_alone(&frame), Ok(expected), "{frame}");
        }
    }

    #[test]
    fn a_transcript_that_repeats_itself_adds_only_its_rest() {
        let mut codec = SnippetsCodec::default();
        for (frame, expected) in [
            (said(&["my bill"]), utterance("my bill")),
            (said(&["my bill"]), NOTHING_NEW),
            (said(&["my bill is wrong"]), utterance("is wrong")),
            (said(&["please help"]), utterance("please help")),
            (frame(json!({"id": "c-1", "state": "completed"})), ended()),
            (said(&["please help"]), utterance("please help")),
        ] {
            assert_eq!(decode(&mut codec, &frame), Ok(expected), "{frame}");
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
            (json!([]), FrameError::NotObject),
            (json!({}), FrameError::MissingField("type")),
            (json!({"type": 7}), FrameError::MistypedField("type")),
            (json!({"type": "interaction"}), FrameError::MissingField("data")),
            (json!({"type": "interaction", "data": null}), FrameError::MissingField("data")),
            (json!({"type": "interaction", "data": []}), FrameError::MistypedField("data")),
            (frame(json!({"state": "active"})), FrameError::MissingField("id")),
            (frame(json!({"id": "c-1"})), FrameError::MissingField("state")),
            (frame(json!({"id": "c-1", "state": 1})), FrameError::MistypedField("state")),
            (active(json!(7)), FrameError::MistypedField("id")),
            (active(json!("")), FrameError::BadId(InteractionIdError::Empty)),
            (active(json!("../x")), FrameError::BadId(InteractionIdError::Character(2))),
            (active(json!("x".repeat(201))), FrameError::BadId(InteractionIdError::TooLong(201))),
            (frame(json!({"id": "a b", "state": "completed"})), FrameError::BadId(InteractionIdError::Character(1))),
            (with_channels(json!({})), FrameError::MistypedField("channels")),
            (with_channels(json!(["text"])), FrameError::MistypedField("channels")),
            (with_channels(json!([{"transcript": ["a"]}])), FrameError::MistypedField("transcript")),
        ] {
            assert_eq!(decode_alone(&frame), Err(error), "{frame}");
            assert!(FrameError::LABELS.contains(&error.label()));
        }
        for text in ["", "{", "interaction", "\u{feff}{}", &"[".repeat(200_000)] {
            assert_eq!(SnippetsCodec::default().decode(text), Err(FrameError::NotJson));
        }
        for kind in ["agent", "INTERACTION", ""] {
            let frame = json!({"type": kind, "data": 7});
            assert_eq!(decode_alone(&frame), Ok(Decoded::Ignored(IgnoredFrame::UnknownType)), "{frame}");
        }
    }

    #[test]
    fn a_frame_that_cannot_be_read_changes_nothing_that_was_heard() {
        let mut codec = SnippetsCodec::default();
        decode(&mut codec, &said(&["my bill"])).unwrap();
        let broken = frame(json!({"id": "c-1", "state": "active", "channels": [{"transcript": "x"}, 7]}));
        assert!(decode(&mut codec, &broken).is_err());
        assert_eq!(decode(&mut codec, &said(&["my bill is wrong"])), Ok(utterance("is wrong")));
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
            let mut codec = SnippetsCodec::default();
            for text in [
                format!("{{\"type\":\"interaction\",\"data\":{{\"id\":\"a\",\"state\":\"active\",\"{field}\":{value}}}}}"),
                format!("{{\"type\":\"interaction\",\"{field}\":{value}}}"),
                value,
            ] {
                let _ = codec.decode(&text);
            }
        }
    }
}

//! What the frames of both streams say.
//!
//! Input: a message at the moment it goes to the socket. Output: the interaction that it names and what is said in it. A
//! frame may be damaged on purpose: half an emoji is U+FFFD, a number that stands for an id is its digits, a message in
//! binary is read as text. Pure.

use std::borrow::Cow;

use serde_json::Value;

/// The states that end a turn; others are ignored.
const ENDING_STATES: [&str; 3] = ["TURN_END", "AGENT_SILENT", "CUSTOMER_SILENT"];
/// Who is not the customer, however it is written: machines, and people who listen in, ask for no card. A role that
/// is missing here makes a turn that no service answers, and a lost one of it.
const OTHERS: [&str; 13] = [
    "agent",
    "system",
    "bot",
    "chatbot",
    "voicebot",
    "virtualagent",
    "virtualassistant",
    "ivr",
    "workflow",
    "announcement",
    "supervisor",
    "coach",
    "monitor",
];

/// A frame, read.
#[derive(Debug, PartialEq)]
pub(crate) struct Told<'a> {
    pub(crate) id: Option<Cow<'a, str>>,
    pub(crate) saying: Saying<'a>,
}

/// What a frame says of its interaction.
#[derive(Debug, PartialEq)]
pub(crate) enum Saying<'a> {
    /// A fragment of contract 003.
    Words { customer: bool, text: &'a str },
    /// A state of contract 003 that ends a turn.
    TurnEnd,
    /// A finished utterance of contract 001, or the whole conversation so far.
    Transcript(String),
    /// The end of an interaction of contract 001.
    Completed,
    /// Nothing beyond its name.
    Nothing,
}

impl<'a> Told<'a> {
    pub(crate) fn read(frame: &'a Value) -> Self {
        let data = &frame["data"];
        let ends_turn = || frame["state"].as_str().is_some_and(|state| ENDING_STATES.contains(&state));
        let (id, saying) = match frame["type"].as_str() {
            Some("interaction") if data["state"] == "active" => (&data["id"], Saying::Transcript(transcript(data))),
            Some("interaction") => (&data["id"], Saying::Completed),
            Some("TRANSCRIPT_FRAGMENT") => {
                let customer = frame["participant"].as_str().is_none_or(is_customer);
                let text = frame["text"].as_str().unwrap_or_default();
                (&frame["interactionId"], Saying::Words { customer, text })
            }
            Some("DIALOG_STATE") if ends_turn() => (&frame["interactionId"], Saying::TurnEnd),
            _ => (&frame["interactionId"], Saying::Nothing),
        };
        Self { id: written_id(id), saying }
    }
}

fn is_customer(participant: &str) -> bool {
    let letters = participant.chars().filter(|letter| letter.is_alphanumeric());
    let plain: String = letters.flat_map(char::to_lowercase).collect();
    !OTHERS.contains(&plain.as_str())
}

fn written_id(id: &Value) -> Option<Cow<'_, str>> {
    match id {
        Value::String(id) => Some(id.into()),
        Value::Number(id) => Some(id.to_string().into()),
        _ => None,
    }
}

/// What the channels of an event carry, joined with a space.
fn transcript(data: &Value) -> String {
    let channels = data["channels"].as_array().map_or(&[][..], Vec::as_slice);
    let texts: Vec<&str> = channels.iter().filter_map(|channel| channel["transcript"].as_str()).collect();
    texts.join(" ").trim().to_owned()
}

/// A message as JSON, damaged or not; nothing when it is none.
pub(crate) fn json(message: &[u8]) -> Option<Value> {
    serde_json::from_slice(message).ok().or_else(|| serde_json::from_str(&mended(message)).ok())
}

/// The same text with whole characters: bytes that are no UTF-8 and escapes of half a character are U+FFFD.
fn mended(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let mut rest = text.trim_start_matches('\u{feff}');
    let mut whole = String::with_capacity(rest.len());
    while let Some(place) = rest.find('\\') {
        whole.push_str(&rest[..place]);
        rest = &rest[place..];
        let (kept, taken) = match (escaped(rest), rest.get(6..).and_then(escaped)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (&rest[..12], 12),
            (Some(0xd800..=0xdfff), _) => ("\u{fffd}", 6),
            _ => {
                // The escaped character may itself be a backslash.
                let end = rest.ceil_char_boundary(2);
                (&rest[..end], end)
            }
        };
        whole.push_str(kept);
        rest = &rest[taken..];
    }
    whole + rest
}

/// The code of an escape such as `\ud83d`, where one stands at the beginning.
fn escaped(text: &str) -> Option<u32> {
    text.strip_prefix("\\u").and_then(|code| u32::from_str_radix(code.get(..4)?, 16).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn frames_say_what_they_say() {
        let words = |customer| Saying::Words { customer, text: "x" };
        let event = |state: &str| json!({"type": "interaction", "data": {"id": "i", "state": state, "channels": [{"transcript": " a"}, {}, {"transcript": "b"}]}});
        let fragment = |role: Value| json!({"type": "TRANSCRIPT_FRAGMENT", "text": "x", "interactionId": "i", "participant": role});
        let state = |state: &str| json!({"type": "DIALOG_STATE", "state": state, "interactionId": "i"});
        let table = [
            (fragment(json!("CUSTOMER")), words(true)),
            (fragment(json!("VISITOR")), words(true)),
            (fragment(Value::Null), words(true)),
            (fragment(json!("AGENT")), words(false)),
            (fragment(json!("ivr")), words(false)),
            (fragment(json!("system")), words(false)),
            (fragment(json!("VIRTUAL_AGENT")), words(false)),
            (fragment(json!("virtualAssistant")), words(false)),
            (fragment(json!("Coach")), words(false)),
            (fragment(json!("")), words(true)),
            (state("TURN_END"), Saying::TurnEnd),
            (state("AGENT_SILENT"), Saying::TurnEnd),
            (state("ON_HOLD"), Saying::Nothing),
            (event("active"), Saying::Transcript("a b".into())),
            (event("completed"), Saying::Completed),
            (json!({"type": "SENTIMENT", "interactionId": "i"}), Saying::Nothing),
        ];
        for (frame, saying) in table {
            assert_eq!(Told::read(&frame), Told { id: Some("i".into()), saying }, "{frame}");
        }
        assert_eq!(Told::read(&json!({"type": "DIALOG_STATE", "state": "TURN_END"})).id, None);
        let number = json!({"type": "SENTIMENT", "interactionId": 104_857_600_123_u64});
        assert_eq!(Told::read(&number).id.as_deref(), Some("104857600123"));
    }

    #[test]
    fn damaged_messages_are_read() {
        let text = |message: &[u8]| json(message).map(|read| read["text"].as_str().unwrap().to_owned());
        for (message, expected) in [
            (&br#"{"text": "a\ud83d"}"#[..], "a\u{fffd}"),
            (br#"{"text": "\ude00b"}"#, "\u{fffd}b"),
            (br#"{"text": "\ud83d\ude00\ud83d"}"#, "\u{1f600}\u{fffd}"),
            (br#"{"text": "\\ud83d \ud83d\\"}"#, "\\ud83d \u{fffd}\\"),
            (b"{\"text\": \"a\xff\"}", "a\u{fffd}"),
            (b"\xef\xbb\xbf{\"text\": \"a\"}", "a"),
            ("{\"text\": \"\\ud83dé\"}".as_bytes(), "\u{fffd}é"),
        ] {
            assert_eq!(text(message).as_deref(), Some(expected), "{}", String::from_utf8_lossy(message));
        }
        assert!(json(b"\\").is_none() && json("\\é".as_bytes()).is_none() && json(b"no json").is_none());
    }
}

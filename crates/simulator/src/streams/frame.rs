//! What is put on a stream, and whom it is for.
//!
//! Input: a frame. Output: the WebSocket messages that carry it, and the kind of stream that it belongs to. Pure.

use actix_ws::{Item, Message};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::routes::Route;

/// The two kinds of stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// Contract 001: finished utterances as events.
    Snippets,
    /// Contract 003: fragments and states.
    Insights,
}

impl StreamKind {
    /// Where it is opened.
    pub(crate) fn route(self) -> Route {
        match self {
            Self::Snippets => Route::Events,
            Self::Insights => Route::Stream,
        }
    }
}

/// Who a frame goes to. The default is every connection of the kind of stream that the frame belongs to; a frame that
/// belongs to neither (no JSON, binary) goes to all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Only connections of this kind.
    pub kind: Option<StreamKind>,
    /// Only connections of this client.
    pub client_id: Option<String>,
}

impl Audience {
    /// The connections of one client.
    pub fn client(id: &str) -> Self {
        Self { kind: None, client_id: Some(id.to_owned()) }
    }

    /// The connections of one kind.
    pub fn kind(kind: StreamKind) -> Self {
        Self { kind: Some(kind), client_id: None }
    }

    pub(super) fn includes(&self, kind: StreamKind, client: &str) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind) && self.client_id.as_deref().is_none_or(|wanted| wanted == client)
    }

    /// The same, narrowed to the kind that `frame` belongs to unless one is given.
    pub(crate) fn for_frame(&self, frame: Option<&Value>) -> Self {
        let kind = frame.and_then(|frame| frame["type"].as_str()).map(|name| match name {
            "interaction" => StreamKind::Snippets,
            _ => StreamKind::Insights,
        });
        Self { kind: self.kind.or(kind), client_id: self.client_id.clone() }
    }
}

/// What is put on the socket.
#[derive(Clone, Debug)]
pub enum Frame {
    /// A text message in one frame, whatever it says and however long.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// One text message in as many continuation frames as there are parts; one part is an ordinary frame.
    Fragmented(Vec<String>),
}

impl Frame {
    /// What it says, when that is JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        match self {
            Self::Text(text) => serde_json::from_str(text).ok(),
            Self::Fragmented(parts) => serde_json::from_str(&parts.concat()).ok(),
            Self::Binary(_) => None,
        }
    }

    pub(crate) fn into_messages(self) -> Vec<Message> {
        match self {
            Self::Text(text) => vec![Message::Text(text.into())],
            Self::Binary(bytes) => vec![Message::Binary(bytes.into())],
            Self::Fragmented(mut parts) if parts.len() < 2 => {
                vec![Message::Text(parts.pop().unwrap_or_default().into())]
            }
            Self::Fragmented(parts) => {
                let last = parts.len() - 1;
                let item = |(index, part): (usize, String)| match index {
                    0 => Item::FirstText(part.into()),
                    _ if index == last => Item::Last(part.into()),
                    _ => Item::Continue(part.into()),
                };
                parts.into_iter().enumerate().map(item).map(Message::Continuation).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fragmented_messages_have_a_first_and_a_last_frame() {
        let kinds = |parts: &[&str]| -> Vec<&str> {
            let frame = Frame::Fragmented(parts.iter().map(ToString::to_string).collect());
            let kind = |message: Message| match message {
                Message::Continuation(Item::FirstText(_)) => "first",
                Message::Continuation(Item::Continue(_)) => "continue",
                Message::Continuation(Item::Last(_)) => "last",
                Message::Text(_) => "text",
                _ => "other",
            };
            frame.into_messages().into_iter().map(kind).collect()
        };
        assert_eq!(kinds(&["a", "b", "c"]), ["first", "continue", "last"]);
        assert_eq!(kinds(&["a", "b"]), ["first", "last"]);
        assert_eq!(kinds(&["a"]), ["text"]);
        assert_eq!(kinds(&[]), ["text"]);
    }

    #[test]
    fn a_frame_finds_its_audience() {
        let everybody = Audience::default();
        let kind = |frame: Option<Value>| everybody.for_frame(frame.as_ref()).kind;
        assert_eq!(kind(Some(json!({"type": "interaction"}))), Some(StreamKind::Snippets));
        assert_eq!(kind(Some(json!({"type": "DIALOG_STATE"}))), Some(StreamKind::Insights));
        assert_eq!(kind(Some(json!({"text": "no type"}))), None);
        assert_eq!(kind(None), None);
        let own = Audience::kind(StreamKind::Insights).for_frame(Some(&json!({"type": "interaction"})));
        assert_eq!(own.kind, Some(StreamKind::Insights), "what the caller says counts");
        let of_a = Audience::client("a");
        assert!(of_a.includes(StreamKind::Snippets, "a") && !of_a.includes(StreamKind::Snippets, "b"));
    }
}

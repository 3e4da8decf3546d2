//! What a stream says, for every contract that has one.
//!
//! A [`StreamProtocol`] is a state machine: it is told that a socket is open, what came over it, and that time has passed,
//! and answers with a [`Step`]: texts to send and what was heard. It opens no socket, keeps no clock and counts nothing.
//! A frame that can't be read is a [`FrameError`], which is never fatal: the caller counts it and reads on.
//!
//! | file | what it reads |
//! |---|---|
//! | `snippets`, `transcript` | contract 001: interactions with all that was said, of which only the rest is new |
//! | `insights`, `roles` | contract 003: fragments of who speaks, pauses, accepts and rejects |
//! | `fields` | the fields of any of their frames |

mod fields;
mod insights;
mod roles;
mod snippets;
mod transcript;

use cuecard_text::Spoken;
use serde_json::{Map, Value};
use strum::{Display, EnumString, VariantArray};
use tokio::time::Instant;

pub use fields::read_frame;
pub use insights::InsightsProtocol;
pub use roles::Roles;
pub use snippets::SnippetsProtocol;

use crate::interaction_id::{InteractionId, InteractionIdError};
use crate::names::UnknownName;
use crate::websocket::TokenPlacement;

/// How one contract's stream is spoken.
///
/// What a protocol remembers lives as long as it does: kept over reconnects, it knows again what it has read before.
pub trait StreamProtocol: Send {
    /// A socket is open, the first one or another after one was lost.
    fn on_open(&mut self, _now: Instant) -> Step {
        Step::default()
    }

    /// A frame came; [`read_frame`] reads its bytes.
    fn on_frame(&mut self, frame: &Map<String, Value>, now: Instant) -> Result<Step, FrameError>;

    /// The time that [`Self::next_timer`] told has come.
    fn on_timer(&mut self, _now: Instant) -> Step {
        Step::default()
    }

    /// When it wants to be woken, as long as the socket is open. Asked for after each step.
    fn next_timer(&self) -> Option<Instant> {
        None
    }
}

/// What comes of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Sent in this order, each as one text frame.
    pub send: Vec<String>,
    /// In the order in which it was said.
    pub heard: Vec<StreamEvent>,
    /// Why a frame that can be read is of no use.
    pub ignored: Option<IgnoredFrame>,
}

impl From<StreamEvent> for Step {
    fn from(event: StreamEvent) -> Self {
        Self { heard: vec![event], ..Self::default() }
    }
}

impl From<IgnoredFrame> for Step {
    fn from(reason: IgnoredFrame) -> Self {
        Self { ignored: Some(reason), ..Self::default() }
    }
}

/// What a stream can tell, whichever contract wrote it. Without an interaction, a fragment or a state belongs to the
/// connection that it came over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEvent {
    Fragment {
        interaction: Option<InteractionId>,
        participant: Participant,
        text: Spoken,
    },
    DialogState {
        interaction: Option<InteractionId>,
        state: DialogState,
    },
    Feedback {
        interaction: InteractionId,
        insight: String,
        /// The sender's own word for it, which may be anything.
        action: Spoken,
        accepted: bool,
    },
    /// What a customer has finished saying; it goes on at once.
    Utterance {
        interaction: InteractionId,
        /// Only what was not heard before, with at least one word.
        text: Spoken,
    },
    InteractionEnded {
        interaction: InteractionId,
    },
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Participant {
    Customer,
    Agent,
    /// Neither of the two: a machine, or somebody who listens in. What it says may explain an answer and asks nothing.
    Context,
}

/// A pause that the stream itself reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialogState {
    AgentSilent,
    CustomerSilent,
    TurnEnd,
}

/// Why a readable frame is of no use to its contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum IgnoredFrame {
    UnknownType,
    UnknownState,
    /// All that it says was heard before.
    NothingNew,
}

/// Why a frame was dropped. Messages name fields and never repeat their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("the frame is no json")]
    NotJson,
    #[error("the frame is no json object")]
    NotObject,
    #[error("the frame lacks the field '{0}'")]
    MissingField(&'static str),
    #[error("the frame's field '{0}' is of the wrong type")]
    MistypedField(&'static str),
    #[error("the frame's field '{0}' is too long")]
    OverlongField(&'static str),
    #[error("the fragment holds no words")]
    EmptyText,
    #[error("the frame's interaction id can't be used: {0}")]
    BadId(InteractionIdError),
}

/// The streams that can be listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Display, EnumString, VariantArray)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownName, parse_err_fn = unknown)]
pub enum StreamKind {
    /// 001: events of interactions, each with what was said.
    Snippets,
    /// 003: fragments of transcripts, and what agents think of cards.
    Insights,
}

impl StreamKind {
    /// Below the base URL.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Snippets => "/api/v2/interactions/events",
            Self::Insights => "/cxoneapi/v2/agentassist/stream",
        }
    }

    pub const fn token_placement(self) -> TokenPlacement {
        match self {
            Self::Snippets => TokenPlacement::Header,
            Self::Insights => TokenPlacement::Query,
        }
    }

    /// Named when a handshake is refused.
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Snippets => "interactions:read",
            Self::Insights => "agentassist:read",
        }
    }

    /// What listening takes, and passing on what agents think of cards where the stream tells it.
    pub const fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Snippets => &["interactions:read"],
            Self::Insights => &["agentassist:read", crate::feedback::REQUIRED_SCOPE],
        }
    }

    /// A protocol that has read nothing yet.
    pub fn protocol(self, roles: Roles) -> Box<dyn StreamProtocol> {
        match self {
            // Its frames name nobody who speaks.
            Self::Snippets => Box::new(SnippetsProtocol::default()),
            Self::Insights => Box::new(InsightsProtocol::new(roles)),
        }
    }
}

fn unknown(name: &str) -> UnknownName {
    UnknownName::of::<StreamKind>("stream", name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_stream_has_its_place_its_token_and_its_scope() {
        let table = [
            (StreamKind::Snippets, "/api/v2/interactions/events", TokenPlacement::Header, "interactions:read"),
            (StreamKind::Insights, "/cxoneapi/v2/agentassist/stream", TokenPlacement::Query, "agentassist:read"),
        ];
        for (stream, path, placement, scope) in table {
            assert_eq!((stream.path(), stream.token_placement(), stream.scope()), (path, placement, scope));
            assert!(stream.scopes().contains(&scope));
        }
    }

    #[test]
    fn each_stream_is_read_by_its_own_protocol_which_only_listens() {
        let fragment = r#"{"type":"TRANSCRIPT_FRAGMENT","text":"a"}"#;
        let interaction =
            r#"{"type":"interaction","data":{"id":"c-1","state":"active","channels":[{"transcript":"a"}]}}"#;
        let now = Instant::now();
        for (stream, own, other) in
            [(StreamKind::Insights, fragment, interaction), (StreamKind::Snippets, interaction, fragment)]
        {
            let mut protocol = stream.protocol(Roles::default());
            assert_eq!(protocol.on_open(now), Step::default(), "{stream}");
            let mut read = |frame: &str| protocol.on_frame(&read_frame(frame).unwrap().value, now).unwrap();
            let (own, other) = (read(own), read(other));
            assert_eq!((own.heard.len(), own.ignored, own.send.len()), (1, None, 0), "{stream}");
            assert_eq!(other, Step::from(IgnoredFrame::UnknownType), "{stream}");
            assert_eq!(protocol.next_timer(), None, "{stream}");
        }
    }
}

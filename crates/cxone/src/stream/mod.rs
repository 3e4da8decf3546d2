//! From frames to events, for every contract that has a stream.
//!
//! Input: the text of one WebSocket message. Output: [`Decoded::Event`], [`Decoded::Ignored`] for what a contract does
//! not use, or a [`FrameError`] for what can't be read. Nothing here is fatal: the caller counts by `label` and reads
//! on. `Debug` of an event shows ids and sizes, never what was said.

mod insights;

use std::fmt;

pub use insights::InsightsCodec;

use crate::interaction_id::{InteractionId, InteractionIdError};

/// A contract's way to read a frame; one frame gives one event at most.
pub trait StreamCodec: Send + Sync {
    fn decode(&self, text: &str) -> Result<Decoded, FrameError>;
}

impl<C: StreamCodec + ?Sized> StreamCodec for &C {
    fn decode(&self, text: &str) -> Result<Decoded, FrameError> {
        (**self).decode(text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    Event(StreamEvent),
    Ignored(IgnoredFrame),
}

/// Who speaks. Whoever is not known to be the agent counts as the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Participant {
    Customer,
    Agent,
}

/// A pause that the stream itself reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialogState {
    AgentSilent,
    CustomerSilent,
    TurnEnd,
}

/// Without an interaction, a fragment or a state belongs to the connection that it came over.
#[derive(Clone, PartialEq, Eq)]
pub enum StreamEvent {
    Fragment {
        interaction: Option<InteractionId>,
        participant: Participant,
        text: String,
        /// As the sender wrote it; what counts is when the frame arrived.
        spoken_at: Option<String>,
    },
    DialogState {
        interaction: Option<InteractionId>,
        state: DialogState,
    },
    Feedback {
        interaction: InteractionId,
        insight: String,
        /// The sender's own word for it.
        action: String,
        accepted: bool,
    },
}

/// A readable frame that the contract has no use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IgnoredFrame {
    UnknownType,
    UnknownState,
}

impl IgnoredFrame {
    pub const LABELS: [&'static str; 2] = [Self::UnknownType.label(), Self::UnknownState.label()];

    pub const fn label(self) -> &'static str {
        match self {
            Self::UnknownType => "unknown_type",
            Self::UnknownState => "unknown_state",
        }
    }
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
    #[error("the frame's field '{0}' is no text")]
    MistypedField(&'static str),
    #[error("the frame's field '{0}' is too long")]
    OverlongField(&'static str),
    #[error("the fragment holds no words")]
    EmptyText,
    #[error("the frame's interactionId can't be used: {0}")]
    BadId(InteractionIdError),
}

impl FrameError {
    pub const LABELS: [&'static str; 7] =
        ["not_json", "not_object", "missing_field", "mistyped_field", "overlong_field", "empty_text", "bad_id"];

    pub const fn label(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotObject => "not_object",
            Self::MissingField(_) => "missing_field",
            Self::MistypedField(_) => "mistyped_field",
            Self::OverlongField(_) => "overlong_field",
            Self::EmptyText => "empty_text",
            Self::BadId(_) => "bad_id",
        }
    }
}

impl fmt::Debug for StreamEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fragment { interaction, participant, text, spoken_at: _ } => formatter
                .debug_struct("Fragment")
                .field("interaction", interaction)
                .field("participant", participant)
                .field("text_bytes", &text.len())
                .finish_non_exhaustive(),
            Self::DialogState { interaction, state } => {
                formatter.debug_struct("DialogState").field("interaction", interaction).field("state", state).finish()
            }
            Self::Feedback { interaction, insight, action: _, accepted } => formatter
                .debug_struct("Feedback")
                .field("interaction", interaction)
                .field("insight", insight)
                .field("accepted", accepted)
                .finish_non_exhaustive(),
        }
    }
}

//! From frames to events, for every contract that has a stream.
//!
//! Input: the text of one WebSocket message. Output: [`Decoded::Event`], [`Decoded::Ignored`] for what a contract does
//! not use, or a [`FrameError`] for what can't be read. Nothing here is fatal: the caller counts by `label` and reads
//! on. `Debug` of an event shows ids and sizes, never what was said.

mod event;
mod fields;
mod insights;
mod kind;
mod snippets;
mod transcript;

pub use event::{DialogState, Participant, StreamEvent};
pub use insights::InsightsCodec;
pub use kind::StreamKind;
pub use snippets::SnippetsCodec;

use crate::interaction_id::InteractionIdError;

/// A contract's way to read a frame; one frame gives one event at most.
///
/// What a codec remembers lives as long as the codec: kept over reconnects, it knows again what it has read before.
pub trait StreamCodec: Send {
    fn decode(&mut self, text: &str) -> Result<Decoded, FrameError>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    Event(StreamEvent),
    Ignored(IgnoredFrame),
}

/// A readable frame that the contract has no use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IgnoredFrame {
    UnknownType,
    UnknownState,
    /// All that it says was heard before.
    NothingNew,
}

impl IgnoredFrame {
    pub const LABELS: [&'static str; 3] =
        [Self::UnknownType.label(), Self::UnknownState.label(), Self::NothingNew.label()];

    pub const fn label(self) -> &'static str {
        match self {
            Self::UnknownType => "unknown_type",
            Self::UnknownState => "unknown_state",
            Self::NothingNew => "nothing_new",
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
    #[error("the frame's field '{0}' is of the wrong type")]
    MistypedField(&'static str),
    #[error("the frame's field '{0}' is too long")]
    OverlongField(&'static str),
    #[error("the fragment holds no words")]
    EmptyText,
    #[error("the frame's interaction id can't be used: {0}")]
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

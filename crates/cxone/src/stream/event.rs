//! What a stream can tell, whichever contract wrote it.

use std::fmt;

use crate::interaction_id::InteractionId;

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
    /// What a customer has finished saying; it goes on at once.
    Utterance {
        interaction: InteractionId,
        /// Only what was not heard before, with at least one word.
        text: String,
    },
    InteractionEnded {
        interaction: InteractionId,
    },
}

impl fmt::Debug for StreamEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fragment { interaction, participant, text } => formatter
                .debug_struct("Fragment")
                .field("interaction", interaction)
                .field("participant", participant)
                .field("text_bytes", &text.len())
                .finish(),
            Self::DialogState { interaction, state } => {
                formatter.debug_struct("DialogState").field("interaction", interaction).field("state", state).finish()
            }
            Self::Feedback { interaction, insight, action: _, accepted } => formatter
                .debug_struct("Feedback")
                .field("interaction", interaction)
                .field("insight", insight)
                .field("accepted", accepted)
                .finish_non_exhaustive(),
            Self::Utterance { interaction, text } => formatter
                .debug_struct("Utterance")
                .field("interaction", interaction)
                .field("text_bytes", &text.len())
                .finish(),
            Self::InteractionEnded { interaction } => {
                formatter.debug_struct("InteractionEnded").field("interaction", interaction).finish()
            }
        }
    }
}

//! What a stream says, as the `StreamListener` hands it on.

use std::fmt;

use cuecard_cxone::InteractionId;
use cuecard_engine::conversation::Speaker;
use cuecard_text::Spoken;
use jiff::Timestamp;
use tokio::time::Instant;

use super::ProfileName;

/// `StreamListener` to Buffer.
#[derive(Debug)]
pub struct Heard {
    /// The stream's profile.
    pub profile: ProfileName,
    /// When the frame was received.
    pub received: Instant,
    /// What was heard.
    pub word: StreamWord,
}

/// The few things that any stream contract comes down to.
#[derive(Debug)]
pub enum StreamWord {
    /// A connection was opened, the first one or another after one was lost: what comes from now on belongs to it.
    Connected,
    /// A piece of speech; without an interaction it belongs to whichever the connection names next.
    Fragment {
        /// The interaction, where the frame named one.
        interaction: Option<InteractionId>,
        /// Who spoke.
        speaker: Speaker,
        /// The words.
        text: Spoken,
    },
    /// A whole utterance of the customer; it asks at once.
    Utterance {
        /// The interaction.
        interaction: InteractionId,
        /// The words.
        text: Spoken,
    },
    /// A turn ended or somebody fell silent.
    TurnEnded {
        /// The interaction, where the frame named one.
        interaction: Option<InteractionId>,
    },
    /// The interaction is over.
    InteractionEnded {
        /// The interaction.
        interaction: InteractionId,
    },
}

/// `StreamListener` to `FeedbackLogger`: an agent accepted or rejected a card.
#[derive(Clone)]
pub struct HeardFeedback {
    /// The stream's profile.
    pub profile: ProfileName,
    /// The interaction.
    pub interaction: InteractionId,
    /// The card, by its article's id.
    pub insight: String,
    /// The action's name as it came, masked.
    pub action: Spoken,
    /// Whether it was an acceptance.
    pub accepted: bool,
    /// When the event arrived.
    pub heard_at: Timestamp,
}

impl fmt::Debug for HeardFeedback {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HeardFeedback")
            .field("profile", &self.profile)
            .field("interaction", &self.interaction)
            .field("insight", &self.insight)
            .field("accepted", &self.accepted)
            .finish_non_exhaustive()
    }
}

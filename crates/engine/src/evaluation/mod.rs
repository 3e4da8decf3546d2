//! Measures an engine on labelled conversations: the ranking before silence, and silence itself.

mod conversations;
mod measures;
mod run;

pub use conversations::{Conversation, ConversationError, read_conversations};
pub use measures::{Judged, Report, percentile};
pub use run::Evaluation;

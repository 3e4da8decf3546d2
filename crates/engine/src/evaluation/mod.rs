//! Measures an engine on labelled conversations: the ranking before silence, silence itself, and what an agent would see
//! of whole conversations.

mod compare;
mod conversations;
mod measures;
mod run;
mod turns;

pub use compare::{Comparison, Gain, NothingInCommon, compare};
pub use conversations::{Asked, Conversation, ConversationError, Gold, beginnings, read_conversations};
pub use measures::{AtShown, Judged, Report, percentile};
pub use run::Evaluation;
pub use turns::{Played, PlayedTurn, TurnOutcome, TurnReport, TurnTally};

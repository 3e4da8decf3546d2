//! What operators see. Each event is one struct that writes its log line and counts its metric, so the
//! two can't drift apart; the names of all metrics stand in one place.

mod events;
mod metrics;
mod outcomes;

pub use events::{
    ActorDropped, ApiRoute, BackendFailed, CallbackEnded, CxoneAnswered, DropReason, Endpoint, FeedbackReached,
    FeedbackStage, FrameCounted, FrameFate, KnowledgePolled, PollResult, ProfileChanged, ProfileState,
};
pub use metrics::Metrics;
pub use outcomes::Telemetry;

#[cfg(test)]
mod tests;

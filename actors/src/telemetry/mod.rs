//! What operators see. Each event is one struct that writes its log line and counts its metric, so the
//! two can't drift apart; the names of all metrics stand in one place.

mod conversations;
mod events;
mod flow;
mod labels;
mod metrics;
mod registrar;
mod reports;
mod series;
mod throttle;

use std::time::Duration;

pub use events::{
    ActorDropped, BackendFailed, CallbackEnded, CallerRefused, CxoneAnswered, EndpointHeld, FeedbackReached,
    FrameCounted, JsonRepaired, KnowledgePolled, ProfileChanged, QueryWithoutVectors, StopUnfinished, WaitCut,
};
pub use flow::{Count, FlowCounts, StageCount};
pub use labels::{
    ApiRoute, CallbackResult, CardRank, DropReason, Endpoint, FeedbackStage, FrameFate, JsonSource, PollResult, Port,
    ProfileState, ShadowResult, TurnedAway,
};
pub use metrics::{LEDGER, Metrics};
pub(crate) use throttle::{LogThrottle, LogThrottles};

/// For the log: to hundredths, where more would be noise.
pub(crate) fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests;

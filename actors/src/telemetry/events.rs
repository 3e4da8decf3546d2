//! The events themselves: closed sets of what can happen, each with its log line and its metric.

use std::time::Duration;

use cuecard_cxone::answers::CallOutcome;
use cuecard_engine::BackendError;

use super::Metrics;
use crate::messages::ProfileName;

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameFate {
    /// Understood and handed on.
    Used,
    /// Of a type or state that the contract does not use.
    Ignored,
    /// Not text.
    Binary,
    /// Text that can't be read.
    Malformed,
    /// An id that is missing or not safe.
    BadId,
    /// Larger than the limit.
    TooLarge,
}

impl FrameFate {
    /// Every fate; metrics start each at 0.
    pub const ALL: [Self; 6] = [Self::Used, Self::Ignored, Self::Binary, Self::Malformed, Self::BadId, Self::TooLarge];

    /// The fate's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Ignored => "ignored",
            Self::Binary => "binary",
            Self::Malformed => "malformed",
            Self::BadId => "bad_id",
            Self::TooLarge => "too_large",
        }
    }
}

/// A frame was received.
pub struct FrameCounted<'a> {
    /// The stream's profile.
    pub profile: &'a ProfileName,
    /// What became of it.
    pub fate: FrameFate,
    /// Why, where it was not used.
    pub detail: &'a str,
}

impl FrameCounted<'_> {
    /// Logs and counts.
    pub fn emit(&self, metrics: &Metrics) {
        let (profile, fate) = (self.profile.as_str(), self.fate.name());
        metrics.frames.with_label_values(&[profile, fate]).inc();
        match self.fate {
            FrameFate::Used | FrameFate::Ignored => tracing::trace!(profile, fate, detail = self.detail, "frame"),
            _ => tracing::warn!(profile, fate, detail = self.detail, "a frame was dropped"),
        }
    }
}

/// Why an actor let something go that no outcome accounts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Buffer: fragments of a connection that named no interaction in time.
    NoInteraction,
    /// Buffer: a conversation's window was in hand when a handler panicked.
    WindowLost,
    /// Buffer: more conversations than there is room for; the one idle longest went.
    WindowEvicted,
    /// Buffer: words that waited for a pause when their conversation or the service ended.
    Unfinished,
    /// `FeedbackLogger`: CXone will never take this event.
    FeedbackSetAside,
    /// Injector: the record of a delivery that the ledger would not take.
    DeliveryUnrecorded,
}

impl DropReason {
    /// Every reason; metrics start each at 0.
    pub const ALL: [Self; 6] = [
        Self::NoInteraction,
        Self::WindowLost,
        Self::WindowEvicted,
        Self::Unfinished,
        Self::FeedbackSetAside,
        Self::DeliveryUnrecorded,
    ];

    /// The reason's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoInteraction => "no_interaction",
            Self::WindowLost => "window_lost",
            Self::WindowEvicted => "window_evicted",
            Self::Unfinished => "unfinished",
            Self::FeedbackSetAside => "set_aside",
            Self::DeliveryUnrecorded => "unrecorded",
        }
    }

    /// The actor that lets go for this reason.
    pub fn actor(self) -> &'static str {
        match self {
            Self::NoInteraction | Self::WindowLost | Self::WindowEvicted | Self::Unfinished => "buffer",
            Self::FeedbackSetAside => "feedback_logger",
            Self::DeliveryUnrecorded => "injector",
        }
    }
}

/// An actor let something go.
pub struct ActorDropped<'a> {
    /// Why.
    pub reason: DropReason,
    /// How many.
    pub count: u64,
    /// More, for the log.
    pub detail: &'a str,
}

impl ActorDropped<'_> {
    /// Logs and counts.
    pub fn emit(&self, metrics: &Metrics) {
        let (actor, reason) = (self.reason.actor(), self.reason.name());
        metrics.dropped.with_label_values(&[actor, reason]).inc_by(self.count);
        tracing::warn!(actor, reason, count = self.count, detail = self.detail, "dropped");
    }
}

/// An endpoint of CXone, by its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Gives tokens.
    Token,
    /// The transcript stream's handshake.
    Stream,
    /// Takes cards.
    Push,
    /// Takes accepts and rejects.
    Feedback,
    /// Searches the tenant's knowledge.
    Search,
    /// Lists the tenant's articles.
    Articles,
    /// Tells whether a session is locked.
    Session,
}

impl Endpoint {
    /// Every endpoint; metrics start each at 0.
    pub const ALL: [Self; 7] =
        [Self::Token, Self::Stream, Self::Push, Self::Feedback, Self::Search, Self::Articles, Self::Session];

    /// The endpoint's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Stream => "stream",
            Self::Push => "push",
            Self::Feedback => "feedback",
            Self::Search => "search",
            Self::Articles => "articles",
            Self::Session => "session",
        }
    }
}

/// A backend of a question did not answer; the others go on without it.
pub struct BackendFailed<'a> {
    /// The profile.
    pub profile: &'a ProfileName,
    /// Which, and why.
    pub error: &'a BackendError,
}

impl BackendFailed<'_> {
    /// Logs and counts.
    pub fn emit(&self, metrics: &Metrics) {
        let (profile, backend) = (self.profile.as_str(), self.error.backend.name());
        metrics.backend_failures.with_label_values(&[profile, backend]).inc();
        tracing::warn!(profile, backend, reason = self.error.reason, "a backend did not answer");
    }
}

/// CXone answered a call, or did not.
pub struct CxoneAnswered<'a> {
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// How it ended.
    pub outcome: CallOutcome,
    /// More, for the log.
    pub detail: &'a str,
    /// How long it took.
    pub took: Duration,
}

impl CxoneAnswered<'_> {
    /// Logs and counts.
    pub fn emit(&self, metrics: &Metrics) {
        let (endpoint, status) = (self.endpoint.name(), self.outcome.label());
        metrics.requests.with_label_values(&[endpoint, status]).inc();
        let took_ms = self.took.as_secs_f64() * 1000.0;
        if let CallOutcome::Answered(200..=299 | 304) = self.outcome {
            tracing::debug!(endpoint, status, took_ms, "cxone answered");
        } else {
            tracing::warn!(endpoint, status, took_ms, detail = self.detail, "a call to cxone failed");
        }
    }
}

/// How far an accept or reject got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FeedbackStage {
    /// Heard on the stream.
    Heard,
    /// Taken by CXone.
    Forwarded,
    /// Not taken yet; asked again later.
    Postponed,
    /// Refused by CXone for good, and kept.
    SetAside,
}

impl FeedbackStage {
    /// The ends and detours of forwarding; metrics start each at 0.
    pub const FORWARDING: [Self; 3] = [Self::Forwarded, Self::Postponed, Self::SetAside];

    /// The stage's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Forwarded => "forwarded",
            Self::Postponed => "postponed",
            Self::SetAside => "set_aside",
        }
    }
}

/// An accept or reject got further.
pub struct FeedbackReached<'a> {
    /// The profile.
    pub profile: &'a str,
    /// Whether it is an acceptance.
    pub accepted: bool,
    /// How far it got.
    pub stage: FeedbackStage,
    /// More, for the log.
    pub detail: &'a str,
}

impl FeedbackReached<'_> {
    /// Logs and counts.
    pub fn emit(&self, metrics: &Metrics) {
        let action = if self.accepted { "accepted" } else { "rejected" };
        let stage = self.stage.name();
        match self.stage {
            FeedbackStage::Heard => metrics.feedback.with_label_values(&[self.profile, action]).inc(),
            _ => metrics.feedback_forwarding.with_label_values(&[self.profile, stage]).inc(),
        }
        tracing::info!(profile = self.profile, action, stage, detail = self.detail, "feedback");
    }
}

/// A route of the HTTP API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApiRoute {
    /// Contract 000.
    Push,
    /// Contract 002.
    Query,
    /// Contract 004.
    Ranking,
    /// A click of contract 004.
    Click,
    /// The figures of contract 004.
    Metrics,
    /// None of these.
    Unknown,
}

impl ApiRoute {
    /// Every route; metrics start each at 0.
    pub const ALL: [Self; 6] = [Self::Push, Self::Query, Self::Ranking, Self::Click, Self::Metrics, Self::Unknown];
    /// The classes of statuses that are told apart.
    pub const STATUSES: [&'static str; 4] = ["2xx", "4xx", "5xx", "other"];

    /// The route's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Query => "query",
            Self::Ranking => "ranking",
            Self::Click => "click",
            Self::Metrics => "metrics",
            Self::Unknown => "unknown",
        }
    }
}

/// The result of a ranking was sent to whoever wanted it, or could not be.
pub struct CallbackEnded<'a> {
    /// The profile.
    pub profile: &'a ProfileName,
    /// Why it was not taken.
    pub error: Option<&'a str>,
}

impl CallbackEnded<'_> {
    /// The results that are told apart.
    pub const RESULTS: [&'static str; 2] = ["sent", "failed"];

    /// Logs and counts.
    pub fn emit(&self, metrics: &Metrics) {
        let [sent, failed] = Self::RESULTS;
        let (profile, result) = (self.profile.as_str(), if self.error.is_some() { failed } else { sent });
        metrics.callbacks.with_label_values(&[profile, result]).inc();
        if let Some(error) = self.error {
            tracing::warn!(profile, error, "a callback failed");
        } else {
            tracing::debug!(profile, "a callback was taken");
        }
    }
}

/// How a poll of the tenant's articles ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PollResult {
    /// Nothing changed.
    Unchanged,
    /// A new generation is in service.
    Updated,
    /// It would have wiped out what is known.
    Refused,
    /// No answer, or none that can be used.
    Failed,
}

impl PollResult {
    /// Every result; metrics start each at 0.
    pub const ALL: [Self; 4] = [Self::Unchanged, Self::Updated, Self::Refused, Self::Failed];

    /// The result's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Updated => "updated",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// The tenant's articles were polled.
pub struct KnowledgePolled<'a> {
    /// The profile.
    pub profile: &'a ProfileName,
    /// How it ended.
    pub result: PollResult,
    /// Why, where it came to nothing.
    pub detail: &'a str,
}

impl KnowledgePolled<'_> {
    /// Logs and counts.
    pub fn emit(&self, metrics: &Metrics) {
        let (profile, result) = (self.profile.as_str(), self.result.name());
        metrics.knowledge_polls.with_label_values(&[profile, result]).inc();
        match self.result {
            PollResult::Unchanged | PollResult::Updated => tracing::info!(profile, result, "articles polled"),
            PollResult::Refused => tracing::error!(profile, result, detail = self.detail, "articles polled"),
            PollResult::Failed => tracing::warn!(profile, result, detail = self.detail, "articles polled"),
        }
    }
}

/// What a profile can do at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProfileState {
    /// All of it.
    Ready,
    /// Some of it: a circuit is open, the stream reconnects.
    Degraded,
    /// Nothing yet.
    Waiting,
}

impl ProfileState {
    /// Every state; metrics show one series each.
    pub const ALL: [Self; 3] = [Self::Ready, Self::Degraded, Self::Waiting];

    /// The state's name in metrics and `/readyz`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Waiting => "waiting",
        }
    }
}

/// A profile's state changed.
pub struct ProfileChanged<'a> {
    /// The profile.
    pub profile: &'a ProfileName,
    /// Its new state.
    pub state: ProfileState,
    /// Why.
    pub reason: &'a str,
}

impl ProfileChanged<'_> {
    /// Logs and sets.
    pub fn emit(&self, metrics: &Metrics) {
        for state in ProfileState::ALL {
            let on = i64::from(state == self.state);
            metrics.profile_state.with_label_values(&[self.profile.as_str(), state.name()]).set(on);
        }
        tracing::info!(profile = %self.profile, state = self.state.name(), reason = self.reason, "profile");
    }
}

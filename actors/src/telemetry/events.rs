//! The events themselves, each with its log line and its metric.

use std::net::IpAddr;
use std::time::Duration;

use cuecard_cxone::answers::CallOutcome;
use cuecard_cxone::retry_after::RetryAfter;
use cuecard_engine::{BackendError, WithoutVectors};
use cuecard_text::json::Repairs;
use strum::VariantArray;
use tokio::time::Instant;

use super::labels::{
    CallbackResult, DropReason, Endpoint, FeedbackAction, FeedbackStage, FrameFate, JsonSource, PollResult, Port,
    ProfileState, TurnedAway,
};
use super::metrics::Metrics;
use super::milliseconds;
use super::throttle::LogThrottles;
use crate::messages::ProfileName;

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

/// JSON was read, and may have been repaired before.
pub struct JsonRepaired {
    /// Who sent it.
    pub source: JsonSource,
    /// What had to be repaired.
    pub repairs: Repairs,
}

impl JsonRepaired {
    /// Logs and counts, where anything was repaired. Below info: a sender that writes so does it in everything it sends.
    pub fn emit(&self, metrics: &Metrics) {
        if self.repairs.is_none() {
            return;
        }
        let source = self.source.into();
        for (repair, count) in self.repairs.by_name() {
            metrics.json_repairs.with_label_values(&[source, repair]).inc_by(count as u64);
        }
        tracing::debug!(source, repairs = ?self.repairs, "json was repaired");
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
        if matches!(self.reason, DropReason::Unfinished | DropReason::FeedbackNotOurs) {
            // Whoever ends a call, or the service, leaves words that nobody waits for; what others show is theirs.
            tracing::info!(actor, reason, count = self.count, detail = self.detail, "dropped");
        } else {
            tracing::warn!(actor, reason, count = self.count, detail = self.detail, "dropped");
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

/// A query goes on without vectors that it was to have.
pub struct QueryWithoutVectors<'a> {
    /// The profile.
    pub profile: &'a ProfileName,
    /// Why.
    pub reason: WithoutVectors,
}

impl QueryWithoutVectors<'_> {
    /// Counts, and logs what the throttles let through: under load there is one for each question.
    pub(crate) fn emit(&self, metrics: &Metrics, throttles: &LogThrottles<(ProfileName, WithoutVectors)>) {
        let (profile, reason) = (self.profile.as_str(), self.reason.name());
        metrics.without_vectors.with_label_values(&[profile, reason]).inc();
        if let Some(held_back) = throttles.passes((self.profile.clone(), self.reason), Instant::now()) {
            tracing::warn!(profile, reason, held_back, "queries go on without vectors: {}", self.reason);
        }
    }
}

/// CXone answered a call, or did not.
pub struct CxoneAnswered<'a> {
    /// The profile.
    pub profile: &'a ProfileName,
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
        let (profile, endpoint, status) = (self.profile.as_str(), self.endpoint.name(), self.outcome.label());
        metrics.requests.with_label_values(&[endpoint, status]).inc();
        let took_ms = milliseconds(self.took);
        if let CallOutcome::Answered(200..=299 | 304) = self.outcome {
            tracing::debug!(profile, endpoint, status, took_ms, "cxone answered");
        } else {
            metrics.failed_requests.with_label_values(&[profile, endpoint]).inc();
            tracing::warn!(profile, endpoint, status, took_ms, detail = self.detail, "a call to cxone failed");
        }
    }
}

/// CXone asked to leave an endpoint alone.
pub struct EndpointHeld<'a> {
    /// The profile.
    pub profile: &'a ProfileName,
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// Until when.
    pub until: Instant,
}

impl EndpointHeld<'_> {
    /// Logs and sets.
    pub fn emit(&self, metrics: &Metrics) {
        metrics.set_hold(self.profile, self.endpoint, self.until);
        let wait = self.until.saturating_duration_since(Instant::now());
        tracing::info!(profile = %self.profile, endpoint = self.endpoint.name(), ?wait, "cxone asks to wait");
    }
}

/// CXone asked to wait for longer than is believed. Only logged: the hold itself is measured.
pub struct WaitCut<'a> {
    /// The profile.
    pub profile: &'a ProfileName,
    /// Which endpoint asked.
    pub endpoint: Endpoint,
    /// What it asked for.
    pub retry_after: &'a RetryAfter,
}

impl WaitCut<'_> {
    /// Logs.
    pub fn emit(&self) {
        let (endpoint, header, wait) = (self.endpoint.name(), self.retry_after.to_string(), self.retry_after.wait());
        tracing::warn!(
            profile = %self.profile, endpoint, header, ?wait,
            "cxone asks to wait for longer than cxone.longest_hold; the wait is cut to that"
        );
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
        let action = FeedbackAction::from(self.accepted).name();
        let stage = self.stage.name();
        match self.stage {
            FeedbackStage::Heard => metrics.feedback.with_label_values(&[self.profile, action]).inc(),
            _ => metrics.feedback_forwarding.with_label_values(&[self.profile, stage]).inc(),
        }
        tracing::info!(profile = self.profile, action, stage, detail = self.detail, "feedback");
    }
}

/// The result of a ranking was sent to whoever wanted it, or could not be.
pub struct CallbackEnded<'a> {
    /// The profile.
    pub profile: &'a ProfileName,
    /// What became of it.
    pub result: CallbackResult<'a>,
}

impl CallbackEnded<'_> {
    /// Logs and counts.
    pub fn emit(&self, metrics: &Metrics) {
        let (profile, result) = (self.profile.as_str(), self.result.name());
        metrics.callbacks.with_label_values(&[profile, result]).inc();
        match self.result {
            CallbackResult::Sent => tracing::debug!(profile, "a callback was taken"),
            CallbackResult::Failed(error) => tracing::warn!(profile, error, "a callback failed"),
            // There are many where a host hangs.
            CallbackResult::Dropped => tracing::debug!(profile, "a callback was dropped: too many wait"),
        }
    }
}

/// A caller of a port was turned away.
pub struct CallerRefused<'a> {
    /// The port.
    pub port: Port,
    /// Why.
    pub reason: TurnedAway,
    /// The name of the key that was sent, where it is one.
    pub key: Option<&'a str>,
    /// The route as it is written in the list of routes: what stands in its place in a path may be a customer's.
    pub route: &'a str,
    /// Where the caller is.
    pub peer: Option<IpAddr>,
}

impl CallerRefused<'_> {
    /// Counts, and logs unless the same was said of this port, reason and key within the last minute.
    pub fn emit(&self, metrics: &Metrics) {
        let Self { port, reason, key, route, peer } = *self;
        metrics.refused_callers.with_label_values(&[port.name(), reason.name()]).inc();
        let said = (port, reason, key.map(str::to_owned));
        if let Some(held_back) = metrics.refused_lines.passes(said, Instant::now()) {
            let peer = peer.map(|peer| peer.to_string());
            let (port, reason) = (port.name(), reason.name());
            tracing::warn!(port, reason, key, route, peer, held_back, "a caller was turned away");
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
        for state in ProfileState::VARIANTS {
            let on = i64::from(*state == self.state);
            metrics.profile_state.with_label_values(&[self.profile.as_str(), state.name()]).set(on);
        }
        tracing::info!(profile = %self.profile, state = self.state.name(), reason = self.reason, "profile");
    }
}

/// An actor had something left when the time for a stop was over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopUnfinished {
    /// Which.
    pub actor: String,
    /// Items that waited for it.
    pub waiting: usize,
    /// Pieces of work that it had under way.
    pub in_flight: usize,
}

impl StopUnfinished {
    /// Logs; a count would come when nobody can read it any more.
    pub fn emit(&self) {
        let (actor, waiting, in_flight) = (self.actor.as_str(), self.waiting, self.in_flight);
        tracing::warn!(actor, waiting, in_flight, "stopped before this was finished");
    }
}

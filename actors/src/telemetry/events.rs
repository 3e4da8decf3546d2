//! The events themselves, each with its log line and its metric.

use std::time::Duration;

use cuecard_cxone::answers::CallOutcome;
use cuecard_engine::BackendError;

use super::labels::{CALLBACK_RESULTS, DropReason, Endpoint, FeedbackStage, FrameFate, PollResult, ProfileState};
use super::metrics::Metrics;
use super::milliseconds;
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
        if self.reason == DropReason::Unfinished {
            // Whoever ends a call, or the service, leaves words that nobody waits for.
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
        let took_ms = milliseconds(self.took);
        if let CallOutcome::Answered(200..=299 | 304) = self.outcome {
            tracing::debug!(endpoint, status, took_ms, "cxone answered");
        } else {
            tracing::warn!(endpoint, status, took_ms, detail = self.detail, "a call to cxone failed");
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

/// The result of a ranking was sent to whoever wanted it, or could not be.
pub struct CallbackEnded<'a> {
    /// The profile.
    pub profile: &'a ProfileName,
    /// Why it was not taken.
    pub error: Option<&'a str>,
}

impl CallbackEnded<'_> {
    /// Logs and counts.
    pub fn emit(&self, metrics: &Metrics) {
        let [sent, failed] = CALLBACK_RESULTS;
        let (profile, result) = (self.profile.as_str(), if self.error.is_some() { failed } else { sent });
        metrics.callbacks.with_label_values(&[profile, result]).inc();
        if let Some(error) = self.error {
            tracing::warn!(profile, error, "a callback failed");
        } else {
            tracing::debug!(profile, "a callback was taken");
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
        for state in ProfileState::ALL {
            let on = i64::from(state == self.state);
            metrics.profile_state.with_label_values(&[self.profile.as_str(), state.name()]).set(on);
        }
        tracing::info!(profile = %self.profile, state = self.state.name(), reason = self.reason, "profile");
    }
}

//! The end of every question: one log line, its counters and its latencies.

use crate::messages::{Outcome, OutcomeSink, ProfileName, TicketReport};

use super::metrics::Metrics;
use super::milliseconds;

/// Records how questions end. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    metrics: Metrics,
}

impl Telemetry {
    /// Records into these metrics.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }
}

impl OutcomeSink for Telemetry {
    fn opened(&self, profile: &ProfileName) {
        self.metrics.utterances.with_label_values(&[profile.as_str()]).inc();
    }

    fn record(&self, report: &TicketReport, outcome: &Outcome) {
        let profile = report.profile.as_str();
        self.metrics.cards.with_label_values(&[profile, outcome.label()]).inc();
        for (stage, took) in &report.stages {
            self.metrics.stage.with_label_values(&[stage.name()]).observe(took.as_secs_f64());
        }
        if let Outcome::Silent(reason) = outcome {
            self.metrics.silences.with_label_values(&[profile, reason.name()]).inc();
        }
        if let Outcome::Delivered(_) = outcome {
            self.metrics.card_latency.with_label_values(&[profile]).observe(report.latency.as_secs_f64());
        }
        log(report, outcome);
    }
}

fn log(report: &TicketReport, outcome: &Outcome) {
    let latency_ms = milliseconds(report.latency);
    match outcome {
        Outcome::Failed(failure) => tracing::error!(latency_ms, reason = %failure, "question failed"),
        Outcome::Refused(refusal) => tracing::warn!(latency_ms, reason = refusal.reason, "push refused"),
        Outcome::Silent(reason) => tracing::info!(latency_ms, reason = reason.name(), "silent"),
        Outcome::Expired(stage) => tracing::info!(latency_ms, stage = stage.name(), "expired"),
        Outcome::HeldOff(refusal) => tracing::info!(latency_ms, reason = refusal.reason, "expired"),
        Outcome::Delivered(_) | Outcome::Replaced | Outcome::Shed => {
            tracing::info!(latency_ms, outcome = outcome.label(), "question ended");
        }
    }
}

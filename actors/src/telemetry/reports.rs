//! What the parts of the service report to the metrics: each thing that happens, counted, and each gauge, by whoever looks at it.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use cuecard_cxone::Dialect;
use cuecard_engine::encoder::EncoderHealth;
use cuecard_ledger::{BehindKind, Judged, LedgerHealth};
use jiff::Timestamp;
use prometheus::IntCounter;
use tokio::time::Instant;

use super::conversations::{Closed, OpenConversations};
use super::labels::{ApiRoute, ApiStatus, CardRank, DropReason, Endpoint, FeedbackAction, Port, ShadowResult};
use super::metrics::{ENCODER_REPLACED, LEDGER_RESULTS, Metrics};
use crate::messages::{Decision, InteractionKey, Outcome, ProfileName, StageTime};

impl Metrics {
    /// Says what is running; model and ranker are names.
    pub fn set_build(&self, version: &str, model: &str, ranker: &str) {
        // The rankers may be others than before.
        self.build_info.reset();
        self.build_info.with_label_values(&[version, model, ranker]).set(1);
    }

    /// Says which index generation is in service.
    pub fn set_index(&self, profile: &ProfileName, articles: usize, age_seconds: f64) {
        let articles = i64::try_from(articles).unwrap_or(i64::MAX);
        self.index_articles.with_label_values(&[profile.as_str()]).set(articles);
        self.index_age.with_label_values(&[profile.as_str()]).set(age_seconds);
    }

    /// Says how often the constraint of a profile's graph could not be made.
    pub fn set_constraint_failures(&self, profile: &ProfileName, failures: u64) {
        let failures = i64::try_from(failures).unwrap_or(i64::MAX);
        self.constraint_failures.with_label_values(&[profile.as_str()]).set(failures);
    }

    /// Counts an answer of the HTTP API.
    pub fn count_api(&self, route: ApiRoute, status: u16) {
        self.api_requests.with_label_values(&[route.name(), ApiStatus::from(status).name()]).inc();
    }

    /// Says how much waits and how much is on its way.
    pub fn set_admission(&self, queued: usize, in_flight: usize) {
        self.admission_queued.set(i64::try_from(queued).unwrap_or(i64::MAX));
        self.admission_in_flight.set(i64::try_from(in_flight).unwrap_or(i64::MAX));
    }

    /// Says until when an endpoint is left alone.
    pub fn set_hold(&self, profile: &ProfileName, endpoint: Endpoint, until: Instant) {
        let mut ends = self.hold_ends.lock().unwrap_or_else(PoisonError::into_inner);
        let end = ends.entry((profile.clone(), endpoint)).or_insert(until);
        *end = until.max(*end);
    }

    /// Counts a question that was heard or asked.
    pub fn count_utterance(&self, profile: &ProfileName) {
        self.utterances.with_label_values(&[profile.as_str()]).inc();
    }

    /// Says that a question was heard in a conversation, which opens with its first one.
    pub fn conversation_heard(&self, key: &InteractionKey) {
        let early = self.conversations().heard(key, Instant::now());
        self.measure_conversations(early);
    }

    /// Says that a conversation is over.
    pub fn conversation_ended(&self, key: &InteractionKey) {
        self.conversations().ended(key, Instant::now());
    }

    /// Measures the conversations that are over, or of which nothing was heard for so long.
    pub fn close_conversations(&self, idle: Duration) {
        let closed = self.conversations().close(Instant::now(), idle);
        self.measure_conversations(closed);
    }

    fn measure_conversations(&self, closed: impl IntoIterator<Item = Closed>) {
        for (profile, pushes) in closed {
            self.conversation_pushes.with_label_values(&[profile.as_str()]).observe(pushes.into());
        }
    }

    fn conversations(&self) -> MutexGuard<'_, OpenConversations> {
        self.conversations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts how a question ended, and how long it took.
    pub fn count_decision(&self, decision: &Decision) {
        let (profile, outcome) = (decision.profile.as_str(), &decision.outcome);
        self.cards.with_label_values(&[profile, outcome.label()]).inc();
        for StageTime { stage, took } in &decision.stages {
            self.stage.with_label_values(&[stage.name()]).observe(took.as_secs_f64());
        }
        match outcome {
            Outcome::Silent(reason) => self.silences.with_label_values(&[profile, reason.name()]).inc(),
            Outcome::Delivered(_) => {
                self.card_latency.with_label_values(&[profile]).observe(decision.latency.as_secs_f64());
                self.conversations().pushed(&decision.key());
            }
            _ => {}
        }
    }

    /// Counts what a profile's second ranker would have changed.
    pub fn count_shadow(&self, profile: &ProfileName, result: ShadowResult) {
        self.shadows.with_label_values(&[profile.as_str(), result.name()]).inc();
    }

    /// How many questions of a profile ended, and how many of these were shed.
    pub fn ends(&self, profile: &ProfileName) -> (u64, u64) {
        let ends = |label: &str| self.cards.with_label_values(&[profile.as_str(), label]).get();
        (Outcome::LABELS.iter().map(|label| ends(label)).sum(), ends(Outcome::Shed.label()))
    }

    /// Counts a decision that came faster than decisions are read, or than the ledger takes them. Nothing is logged: there are
    /// many.
    pub fn count_decision_dropped(&self, reason: DropReason) {
        self.dropped.with_label_values(&[reason.actor(), reason.name()]).inc();
    }

    /// Counts what was let go, where the log has a line for many of them.
    pub fn count_dropped(&self, reason: DropReason, count: u64) {
        self.dropped.with_label_values(&[reason.actor(), reason.name()]).inc_by(count);
    }

    /// Counts a push that is repeated although the first may have arrived.
    pub fn count_redelivered(&self, profile: &ProfileName) {
        self.redelivered.with_label_values(&[profile.as_str()]).inc();
    }

    /// Says how much feedback waits for CXone.
    pub fn set_feedback_pending(&self, profile: &ProfileName, events: u64) {
        self.feedback_pending.with_label_values(&[profile.as_str()]).set(i64::try_from(events).unwrap_or(i64::MAX));
    }

    /// Says how much feedback waits for profiles that do not exist any more. Their names are no label: nothing bounds them.
    pub fn set_feedback_unclaimed(&self, events: u64) {
        self.feedback_unclaimed.set(i64::try_from(events).unwrap_or(i64::MAX));
    }

    /// Says how far a profile is behind.
    pub fn set_shedding_level(&self, profile: &ProfileName, level: u8) {
        self.shedding_level.with_label_values(&[profile.as_str()]).set(level.into());
    }

    /// Says which share of a profile's questions is let go; `None` where there were none.
    pub fn set_shedding_ratio(&self, profile: &ProfileName, ratio: Option<f64>) {
        match ratio {
            Some(ratio) => self.shedding_ratio.with_label_values(&[profile.as_str()]).set(ratio),
            // It may not have been there.
            None => drop(self.shedding_ratio.remove_label_values(&[profile.as_str()])),
        }
    }

    /// Says how long a profile's oldest text waits for the encoder.
    pub fn set_encoder_wait(&self, profile: &ProfileName, wait: Duration) {
        self.encoder_wait.with_label_values(&[profile.as_str()]).set(wait.as_secs_f64());
    }

    /// Says when the certificate that a port uses is no longer valid.
    pub fn set_certificate(&self, port: Port, expires: Timestamp) {
        self.certificates.with_label_values(&[port.name()]).set(expires.as_second() as f64);
    }

    /// Says whether the stream of a profile is connected.
    pub fn set_stream_up(&self, profile: &ProfileName, is_up: bool) {
        self.stream_up.with_label_values(&[profile.as_str()]).set(is_up.into());
    }

    /// Says whether an endpoint is left alone because it failed.
    pub fn set_circuit(&self, profile: &ProfileName, endpoint: Endpoint, is_open: bool) {
        self.circuits.with_label_values(&[profile.as_str(), endpoint.name()]).set(is_open.into());
    }

    /// Says how many results of rankings wait for their callers.
    pub fn set_callbacks_pending(&self, profile: &ProfileName, results: u64) {
        self.callbacks_pending.with_label_values(&[profile.as_str()]).set(i64::try_from(results).unwrap_or(i64::MAX));
    }

    /// Says what the ledger takes on disk.
    pub fn set_ledger_size(&self, num_bytes: u64) {
        let num_bytes = i64::try_from(num_bytes).unwrap_or(i64::MAX);
        self.ledger_size.with_label_values(&[] as &[&str]).set(num_bytes);
    }

    /// Says how the cards of a profile were received, by their rank; every rank is told of, also one that nobody judged.
    pub fn set_judged(&self, profile: &ProfileName, dialect: Dialect, judged: &[Judged]) {
        let dialect = dialect.to_string();
        for (rank, action) in CardRank::with_actions() {
            let of_rank = judged.iter().filter(|judged| CardRank::from(judged.rank) == rank);
            let verdicts = of_rank.filter(|judged| FeedbackAction::from(judged.accepted) == action);
            let labels = [profile.as_str(), dialect.as_str(), rank.name(), action.name()];
            raise(&self.judged_cards.with_label_values(&labels), verdicts.map(|judged| judged.verdicts).sum());
        }
    }

    /// Says how the ledger is, and what waits for it.
    pub fn set_ledger(&self, health: &LedgerHealth, waiting: impl Iterator<Item = (BehindKind, usize)>) {
        let is_well = health.failing.is_none() && health.damage.is_none();
        self.ledger_up.set(is_well.into());
        raise(&self.ledger_refused.with_label_values(&[] as &[&str]), health.refused);
        for (result, commits) in LEDGER_RESULTS.into_iter().zip([health.commits, health.errors]) {
            raise(&self.ledger_commits.with_label_values(&[result]), commits);
        }
        for (kind, records) in waiting {
            self.ledger_waiting.with_label_values(&[kind.name()]).set(i64::try_from(records).unwrap_or(i64::MAX));
        }
    }

    /// Says how the encoders' threads are, all together.
    pub fn set_encoder(&self, health: &EncoderHealth) {
        self.encoder_threads.set(i64::try_from(health.threads).unwrap_or(i64::MAX));
        for (reason, threads) in ENCODER_REPLACED.into_iter().zip([health.panicked, health.hung]) {
            raise(&self.encoder_replaced.with_label_values(&[reason]), threads);
        }
    }

    /// Says which share of the judged cards was accepted; `None` before the first.
    pub fn set_acceptance(&self, ratio: Option<f64>) {
        if let Some(ratio) = ratio {
            self.acceptance.with_label_values(&[] as &[&str]).set(ratio);
        }
    }
}

/// Brings a counter up to a total that is counted elsewhere.
pub(super) fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

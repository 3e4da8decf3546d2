//! Every metric of the service: one name, one type, one closed set of labels each.
//!
//! Each series of a closed set exists with 0 from the start, so that a rate over it never has a hole; a ratio
//! or an age that does not exist yet is left out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cuecard_ledger::{BehindKind, LedgerHealth};
use prometheus::{
    Encoder as _, Gauge, GaugeVec, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    TextEncoder,
};
use tokio::time::Instant;

use super::labels::{ApiRoute, ApiStatus, DropReason, Endpoint, Port, ShadowResult, TurnedAway};
use super::registrar::Registrar;
use super::throttle::LogThrottles;
use crate::messages::{Decision, Outcome, ProfileName, StageTime};
use crate::supervision::{ActorCell, ActorState};

/// How a commit of the ledger ends.
pub(super) const LEDGER_RESULTS: [&str; 2] = ["kept", "failed"];

/// The service's metrics. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    cells: Arc<Vec<Arc<ActorCell>>>,
    /// Two readers at once would raise a counter twice.
    reading_cells: Arc<Mutex<()>>,
    pub(super) utterances: IntCounterVec,
    pub(super) cards: IntCounterVec,
    pub(super) silences: IntCounterVec,
    pub(super) shadows: IntCounterVec,
    pub(super) card_latency: HistogramVec,
    pub(super) stage: HistogramVec,
    pub(super) frames: IntCounterVec,
    pub(super) json_repairs: IntCounterVec,
    pub(super) feedback: IntCounterVec,
    pub(super) feedback_forwarding: IntCounterVec,
    pub(super) feedback_pending: IntGaugeVec,
    feedback_unclaimed: IntGauge,
    pub(super) shedding_level: IntGaugeVec,
    ledger_up: IntGauge,
    pub(super) ledger_commits: IntCounterVec,
    ledger_refused: IntCounterVec,
    pub(super) ledger_waiting: IntGaugeVec,
    pub(super) acceptance: GaugeVec,
    pub(super) dropped: IntCounterVec,
    pub(super) requests: IntCounterVec,
    pub(super) holds: GaugeVec,
    /// When each hold ends, from which its gauge is set when the metrics are read.
    hold_ends: Arc<Mutex<HashMap<(ProfileName, Endpoint), Instant>>>,
    pub(super) backend_failures: IntCounterVec,
    pub(super) without_vectors: IntCounterVec,
    pub(super) redelivered: IntCounterVec,
    pub(super) knowledge_polls: IntCounterVec,
    pub(super) callbacks: IntCounterVec,
    pub(super) api_requests: IntCounterVec,
    pub(super) refused_callers: IntCounterVec,
    /// What was said of callers that were turned away; the names of the keys are those of the settings.
    pub(super) refused_lines: Arc<LogThrottles<(Port, TurnedAway, Option<String>)>>,
    pub(super) profile_state: IntGaugeVec,
    index_articles: IntGaugeVec,
    index_age: GaugeVec,
    constraint_failures: IntGaugeVec,
    build_info: IntGaugeVec,
    actor_up: IntGaugeVec,
    actor_restarts: IntCounterVec,
    actor_panics: IntCounterVec,
    actor_busy: GaugeVec,
    queue_depth: IntGaugeVec,
    pub(super) admission_queued: IntGauge,
    pub(super) admission_in_flight: IntGauge,
    uptime: Gauge,
}

impl Metrics {
    /// Registers all metrics and starts every series of the closed sets at 0.
    #[allow(clippy::too_many_lines, reason = "a list, one entry for each metric")]
    pub fn new(profiles: &[ProfileName], cells: Vec<Arc<ActorCell>>) -> Result<Self, prometheus::Error> {
        let register = Registrar::default();
        let metrics = Self {
            utterances: register.counters("utterances_total", "Questions heard or asked", &["profile"])?,
            cards: register.counters(
                "cards_total",
                "Ends of questions; delivered counts pushes that CXone took",
                &["profile", "outcome"],
            )?,
            silences: register.counters(
                "silences_total",
                "Questions for which nothing was shown, by reason",
                &["profile", "reason"],
            )?,
            shadows: register.counters(
                "shadow_total",
                "What a second ranker would have changed for the agent",
                &["profile", "result"],
            )?,
            card_latency: register.histograms(
                "card_latency_seconds",
                "From the frame with the last word to CXone taking the card",
                &["profile"],
            )?,
            stage: register.histograms("stage_seconds", "Time that questions spend in a stage", &["stage"])?,
            frames: register.counters(
                "stream_frames_total",
                "Frames received, by what became of them",
                &["profile", "fate"],
            )?,
            json_repairs: register.counters(
                "json_repairs_total",
                "Places in JSON that had to be repaired before it could be read",
                &["source", "repair"],
            )?,
            feedback: register.counters("feedback_total", "Accepts and rejects heard", &["profile", "action"])?,
            feedback_forwarding: register.counters(
                "feedback_forwarding_total",
                "Attempts to hand feedback on to CXone, by result",
                &["profile", "result"],
            )?,
            feedback_pending: register.gauges(
                "feedback_pending",
                "Feedback that CXone has not taken yet",
                &["profile"],
            )?,
            feedback_unclaimed: register
                .gauge("feedback_unclaimed", "Feedback that waits for profiles which the settings do not name")?,
            shedding_level: register.gauges(
                "shedding_level",
                "How far a profile is behind: 1, only newest turns are embedded; 2, nothing is; 3, old questions are let go",
                &["profile"],
            )?,
            ledger_up: register.gauge("ledger_up", "1 while the ledger can be written and no damage was found")?,
            ledger_commits: register.counters("ledger_commits_total", "Commits of the ledger", &["result"])?,
            ledger_refused: register.counters(
                "ledger_refused_total",
                "Records that break a rule of the ledger's schema and were given up",
                &[],
            )?,
            ledger_waiting: register.gauges(
                "ledger_waiting",
                "Records that wait in memory for the ledger, by kind",
                &["kind"],
            )?,
            acceptance: register.float_gauges(
                "acceptance_ratio",
                "Accepted cards among those that an agent judged",
                &[],
            )?,
            dropped: register.counters("dropped_total", "What an actor let go, by reason", &["actor", "reason"])?,
            requests: register.counters(
                "cxone_requests_total",
                "Calls to CXone; status is the answer's class or why there is none",
                &["endpoint", "status"],
            )?,
            holds: register.float_gauges(
                "cxone_hold_seconds",
                "How much longer an endpoint is left alone because CXone asked for it",
                &["profile", "endpoint"],
            )?,
            hold_ends: Arc::default(),
            backend_failures: register.counters(
                "backend_failures_total",
                "Questions that a backend did not answer",
                &["profile", "backend"],
            )?,
            without_vectors: register.counters(
                "queries_without_vectors_total",
                "Queries that went on without the vectors that they were to have, by reason",
                &["profile", "reason"],
            )?,
            redelivered: register.counters(
                "redelivered_total",
                "Pushes repeated although the first may have arrived",
                &["profile"],
            )?,
            knowledge_polls: register.counters(
                "knowledge_polls_total",
                "Polls of the tenant's articles, by result",
                &["profile", "result"],
            )?,
            callbacks: register.counters(
                "callbacks_total",
                "Results of rankings sent to those who wanted them",
                &["profile", "result"],
            )?,
            api_requests: register.counters(
                "api_requests_total",
                "Requests that the HTTP API answered, by the class of the status",
                &["route", "status"],
            )?,
            refused_callers: register.counters(
                "refused_callers_total",
                "Callers of a port that were turned away, by reason",
                &["port", "reason"],
            )?,
            refused_lines: Arc::default(),
            profile_state: register.gauges(
                "profile_state",
                "1 for the state that a profile is in",
                &["profile", "state"],
            )?,
            index_articles: register.gauges(
                "index_articles",
                "Articles in the index generation in service",
                &["profile"],
            )?,
            index_age: register.float_gauges(
                "index_age_seconds",
                "Age of the index generation in service",
                &["profile"],
            )?,
            constraint_failures: register.gauges(
                "graph_constraint_failures",
                "Times that the graph could not ensure that its keywords are unique",
                &["profile"],
            )?,
            build_info: register.gauges("build_info", "What is running", &["version", "model", "ranker"])?,
            actor_up: register.gauges("actor_up", "1 while an actor is at work", &["actor"])?,
            actor_restarts: register.counters("actor_restarts_total", "Restarts after panics", &["actor"])?,
            actor_panics: register.counters("actor_panics_total", "Panics caught", &["actor"])?,
            actor_busy: register.float_gauges(
                "actor_busy_seconds",
                "Time spent in an actor's handlers since it started",
                &["actor"],
            )?,
            queue_depth: register.gauges("queue_depth", "Items waiting in an actor's inbox", &["actor"])?,
            admission_queued: register.gauge("admission_queued", "Questions waiting for a permit")?,
            admission_in_flight: register.gauge("admission_in_flight", "Questions on their way through the stages")?,
            uptime: register.float_gauge("uptime_seconds", "Time since the service started")?,
            registry: register.registry,
            cells: Arc::new(cells),
            reading_cells: Arc::default(),
        };
        metrics.start_at_zero(profiles);
        Ok(metrics)
    }

    /// Says what is running; model and ranker are names.
    pub fn set_build(&self, version: &str, model: &str, ranker: &str) {
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

    /// Counts a question that was heard.
    pub fn count_utterance(&self, profile: &ProfileName) {
        self.utterances.with_label_values(&[profile.as_str()]).inc();
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
            }
            _ => {}
        }
    }

    /// Counts what a profile's second ranker would have changed.
    pub fn count_shadow(&self, profile: &ProfileName, result: ShadowResult) {
        self.shadows.with_label_values(&[profile.as_str(), result.name()]).inc();
    }

    /// Counts a decision that came faster than the newest are written down. Nothing is logged: there are many.
    pub fn count_decision_not_kept(&self) {
        let reason = DropReason::DecisionNotKept;
        self.dropped.with_label_values(&[reason.actor(), reason.name()]).inc();
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

    /// Says how the ledger is, and what waits for it.
    pub fn set_ledger(&self, health: &LedgerHealth, waiting: impl Iterator<Item = (BehindKind, usize)>) {
        let is_well = health.failing.is_none() && health.damage.is_none();
        self.ledger_up.set(is_well.into());
        let catch_up = |counter: IntCounter, count: u64| counter.inc_by(count.saturating_sub(counter.get()));
        catch_up(self.ledger_refused.with_label_values(&[] as &[&str]), health.refused);
        for (result, commits) in LEDGER_RESULTS.into_iter().zip([health.commits, health.errors]) {
            catch_up(self.ledger_commits.with_label_values(&[result]), commits);
        }
        for (kind, records) in waiting {
            self.ledger_waiting.with_label_values(&[kind.name()]).set(i64::try_from(records).unwrap_or(i64::MAX));
        }
    }

    /// Says which share of the judged cards was accepted; `None` before the first.
    pub fn set_acceptance(&self, ratio: Option<f64>) {
        if let Some(ratio) = ratio {
            self.acceptance.with_label_values(&[] as &[&str]).set(ratio);
        }
    }

    /// All metrics in Prometheus' text format, the actors' cells and the holds read at this moment.
    pub fn render(&self, uptime_seconds: f64) -> Result<String, prometheus::Error> {
        self.uptime.set(uptime_seconds);
        self.read_cells();
        self.read_holds();
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }

    /// The actors' cells, for health and the admin pages.
    pub fn cells(&self) -> &[Arc<ActorCell>] {
        &self.cells
    }

    pub(super) fn read_cells(&self) {
        let reading = self.reading_cells.lock().unwrap_or_else(PoisonError::into_inner);
        for cell in self.cells.iter() {
            self.read_cell(cell);
        }
        drop(reading);
    }

    fn read_holds(&self) {
        for ((profile, endpoint), until) in self.hold_ends.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let left = until.saturating_duration_since(Instant::now());
            self.holds.with_label_values(&[profile.as_str(), endpoint.name()]).set(left.as_secs_f64());
        }
    }

    fn read_cell(&self, cell: &ActorCell) {
        let report = cell.report();
        let actor = [report.name.as_str()];
        self.actor_up.with_label_values(&actor).set(i64::from(report.state == ActorState::Running));
        self.queue_depth.with_label_values(&actor).set(i64::try_from(report.queue_depth).unwrap_or(i64::MAX));
        self.actor_busy.with_label_values(&actor).set(report.busy_seconds);
        raise(&self.actor_restarts.with_label_values(&actor), report.restarts);
        raise(&self.actor_panics.with_label_values(&actor), report.panics);
    }
}

/// Brings a counter up to a total that is counted elsewhere.
fn raise(counter: &prometheus::IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

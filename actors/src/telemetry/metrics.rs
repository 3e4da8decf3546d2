//! Every metric of the service: one name, one type, one closed set of labels each.
//!
//! Each series of a closed set exists with 0 from the start, so that a rate over it never has a hole; a ratio
//! or an age that does not exist yet is left out.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{
    Encoder as _, Gauge, GaugeVec, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
};
use tokio::time::Instant;

use super::conversations::OpenConversations;
use super::labels::{Endpoint, Port, TurnedAway};
use super::registrar::{CARD_BUCKETS, Registrar};
use super::reports::raise;
use super::throttle::LogThrottles;
use crate::messages::ProfileName;
use crate::supervision::{Activity, ActorCell, ActorState};

/// How a commit of the ledger ends.
pub(super) const LEDGER_RESULTS: [&str; 2] = ["kept", "failed"];

/// How a thread of the encoder came to be replaced.
pub(super) const ENCODER_REPLACED: [&str; 2] = ["panicked", "hung"];

/// What is no actor and may have something left at a stop as well.
pub const LEDGER: &str = "ledger";

/// The service's metrics. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Metrics(Arc<Families>);

/// Each metric with all its series.
pub struct Families {
    registry: Registry,
    cells: Vec<Arc<ActorCell>>,
    /// Two readers at once would raise a counter twice.
    reading_cells: Mutex<()>,
    pub(super) utterances: IntCounterVec,
    pub(super) cards: IntCounterVec,
    pub(super) silences: IntCounterVec,
    pub(super) shadows: IntCounterVec,
    pub(super) card_latency: HistogramVec,
    pub(super) stage: HistogramVec,
    pub(super) conversation_pushes: HistogramVec,
    pub(super) conversations: Mutex<OpenConversations>,
    pub(super) stream_up: IntGaugeVec,
    pub(super) frames: IntCounterVec,
    pub(super) json_repairs: IntCounterVec,
    pub(super) feedback: IntCounterVec,
    pub(super) feedback_forwarding: IntCounterVec,
    pub(super) judged_cards: IntCounterVec,
    pub(super) feedback_pending: IntGaugeVec,
    pub(super) callbacks_pending: IntGaugeVec,
    pub(super) feedback_unclaimed: IntGauge,
    pub(super) shedding_level: IntGaugeVec,
    pub(super) shedding_ratio: GaugeVec,
    pub(super) encoder_wait: GaugeVec,
    pub(super) ledger_up: IntGauge,
    pub(super) ledger_commits: IntCounterVec,
    pub(super) ledger_refused: IntCounterVec,
    pub(super) ledger_waiting: IntGaugeVec,
    pub(super) ledger_size: IntGaugeVec,
    pub(super) acceptance: GaugeVec,
    pub(super) dropped: IntCounterVec,
    pub(super) requests: IntCounterVec,
    /// Apart from those: by profile, endpoint and status there would be more series than a scrape should hold.
    pub(super) failed_requests: IntCounterVec,
    pub(super) holds: GaugeVec,
    pub(super) circuits: IntGaugeVec,
    /// When each hold ends, from which its gauge is set when the metrics are read.
    pub(super) hold_ends: Mutex<HashMap<(ProfileName, Endpoint), Instant>>,
    pub(super) backend_failures: IntCounterVec,
    pub(super) without_vectors: IntCounterVec,
    pub(super) redelivered: IntCounterVec,
    pub(super) knowledge_polls: IntCounterVec,
    pub(super) callbacks: IntCounterVec,
    pub(super) api_requests: IntCounterVec,
    pub(super) refused_callers: IntCounterVec,
    pub(super) certificates: GaugeVec,
    /// What was said of callers that were turned away; the names of the keys are those of the settings.
    pub(super) refused_lines: LogThrottles<(Port, TurnedAway, Option<String>)>,
    pub(super) profile_state: IntGaugeVec,
    pub(super) index_articles: IntGaugeVec,
    pub(super) index_age: GaugeVec,
    pub(super) constraint_failures: IntGaugeVec,
    pub(super) build_info: IntGaugeVec,
    pub(super) encoder_threads: IntGauge,
    pub(super) encoder_replaced: IntCounterVec,
    actor_up: IntGaugeVec,
    actor_restarts: IntCounterVec,
    actor_panics: IntCounterVec,
    actor_busy: GaugeVec,
    actor_hanging: IntGaugeVec,
    actor_handled: IntCounterVec,
    actor_in_flight: IntGaugeVec,
    queue_depth: IntGaugeVec,
    queue_bound: IntGaugeVec,
    pub(super) admission_queued: IntGauge,
    pub(super) admission_in_flight: IntGauge,
    uptime: Gauge,
}

impl Deref for Metrics {
    type Target = Families;

    fn deref(&self) -> &Families {
        &self.0
    }
}

impl Metrics {
    /// Registers all metrics and starts every series of the closed sets at 0.
    #[allow(clippy::too_many_lines, reason = "a list, one entry for each metric")]
    pub fn new(profiles: &[ProfileName], cells: Vec<Arc<ActorCell>>) -> Result<Self, prometheus::Error> {
        let register = Registrar::default();
        register.process()?;
        let metrics = Self(Arc::new(Families {
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
            conversation_pushes: register.histograms_of(
                "conversation_pushes",
                "Pushes that CXone took for one conversation, by when it is over",
                &["profile"],
                &CARD_BUCKETS,
            )?,
            conversations: Mutex::new(OpenConversations::new()),
            stream_up: register.gauges("stream_up", "1 while the stream of a profile is connected", &["profile"])?,
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
            judged_cards: register.counters(
                "judged_cards_total",
                "Verdicts of agents on cards that were delivered, by the card's place in its push; one who thinks better of it counts again",
                &["profile", "dialect", "rank", "action"],
            )?,
            feedback_pending: register.gauges(
                "feedback_pending",
                "Feedback that CXone has not taken yet",
                &["profile"],
            )?,
            callbacks_pending: register.gauges(
                "callbacks_pending",
                "Results of rankings that their callers have not taken yet",
                &["profile"],
            )?,
            feedback_unclaimed: register
                .gauge("feedback_unclaimed", "Feedback that waits for profiles which the settings do not name")?,
            shedding_level: register.gauges(
                "shedding_level",
                "How far a profile is behind: 1, only newest turns are embedded; 2, nothing is; 3, old questions are let go",
                &["profile"],
            )?,
            shedding_ratio: register.float_gauges(
                "shedding_ratio",
                "Share of the questions of the last minute that were let go unanswered",
                &["profile"],
            )?,
            encoder_wait: register.float_gauges(
                "encoder_wait_seconds",
                "How long the oldest text of a profile waits for the encoder",
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
            ledger_size: register.gauges("ledger_size_bytes", "What the ledger's database takes on disk", &[])?,
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
            failed_requests: register.counters(
                "cxone_failed_requests_total",
                "Calls to CXone that failed or were refused",
                &["profile", "endpoint"],
            )?,
            holds: register.float_gauges(
                "cxone_hold_seconds",
                "How much longer an endpoint is left alone because CXone asked for it",
                &["profile", "endpoint"],
            )?,
            hold_ends: Mutex::default(),
            circuits: register.gauges(
                "circuit_open",
                "1 while an endpoint is left alone because its last calls failed",
                &["profile", "endpoint"],
            )?,
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
            refused_lines: LogThrottles::default(),
            certificates: register.float_gauges(
                "certificate_expires_timestamp_seconds",
                "When the certificate that a port uses is no longer valid, in seconds since 1970; nothing for a port without one",
                &["port"],
            )?,
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
            encoder_threads: register.gauge("encoder_threads", "Threads that embed")?,
            encoder_replaced: register.counters(
                "encoder_threads_replaced_total",
                "Threads that embed and that were replaced, by reason",
                &["reason"],
            )?,
            actor_up: register.gauges("actor_up", "1 while an actor is at work", &["actor"])?,
            actor_restarts: register.counters(
                "actor_restarts_total",
                "Restarts, after panics and by hand",
                &["actor"],
            )?,
            actor_panics: register.counters("actor_panics_total", "Panics caught", &["actor"])?,
            actor_busy: register.float_gauges(
                "actor_busy_seconds",
                "Time spent in an actor's handlers since it started",
                &["actor"],
            )?,
            actor_hanging: register.gauges(
                "actor_hanging",
                "1 while an actor makes no progress although nobody keeps it waiting",
                &["actor"],
            )?,
            actor_handled: register.counters("actor_handled_total", "What an actor took in hand", &["actor"])?,
            actor_in_flight: register.gauges(
                "actor_in_flight",
                "Pieces of work that an actor has under way outside itself",
                &["actor"],
            )?,
            queue_depth: register.gauges("queue_depth", "Items waiting in an actor's inbox", &["actor"])?,
            queue_bound: register.gauges("queue_bound", "Items that may wait in an actor's inbox", &["actor"])?,
            admission_queued: register.gauge("admission_queued", "Questions waiting for a permit")?,
            admission_in_flight: register.gauge("admission_in_flight", "Questions on their way through the stages")?,
            uptime: register.float_gauge("uptime_seconds", "Time since the service started")?,
            registry: register.registry,
            cells,
            reading_cells: Mutex::default(),
        }));
        metrics.start_at_zero(profiles);
        Ok(metrics)
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
        for cell in &self.cells {
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
        let set = |gauge: &IntGaugeVec, number: usize| {
            gauge.with_label_values(&actor).set(i64::try_from(number).unwrap_or(i64::MAX));
        };
        set(&self.actor_up, usize::from(report.state == ActorState::Running));
        set(&self.actor_hanging, usize::from(report.activity == Activity::Hanging));
        set(&self.actor_in_flight, report.in_flight);
        set(&self.queue_depth, report.queue_depth);
        set(&self.queue_bound, report.queue_bound);
        raise(&self.actor_handled.with_label_values(&actor), report.handled);
        self.actor_busy.with_label_values(&actor).set(report.busy_seconds);
        raise(&self.actor_restarts.with_label_values(&actor), report.restarts);
        raise(&self.actor_panics.with_label_values(&actor), report.panics);
    }
}

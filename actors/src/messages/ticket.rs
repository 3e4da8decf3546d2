//! What stays in the process while a question is on its way: permit, times, and the duty to say how it ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Failure, Outcome, ProfileName, WorkItem};

/// A stage of the flow, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Waiting for a permit.
    Admission,
    /// Embedding and key phrases.
    Extract,
    /// Candidates.
    Retrieve,
    /// Order, silence.
    Rank,
    /// The push to CXone.
    Inject,
}

impl Stage {
    /// All, in the order of the flow.
    pub const ALL: [Self; 5] = [Self::Admission, Self::Extract, Self::Retrieve, Self::Rank, Self::Inject];

    /// The stage's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admission => "admission",
            Self::Extract => "extract",
            Self::Retrieve => "retrieve",
            Self::Rank => "rank",
            Self::Inject => "inject",
        }
    }
}

/// Takes note of how questions end.
pub trait OutcomeSink: Send + Sync {
    /// Called once when a question is heard.
    fn opened(&self, profile: &ProfileName);

    /// Called exactly once for each ticket.
    fn record(&self, report: &TicketReport, outcome: &Outcome);
}

/// What is known of a ticket when it ends.
#[derive(Debug, Clone)]
pub struct TicketReport {
    /// The decision's id.
    pub decision: Uuid,
    /// The profile.
    pub profile: ProfileName,
    /// From the frame with the last word to the end.
    pub latency: Duration,
    /// Time spent in each stage that was left.
    pub stages: Vec<(Stage, Duration)>,
}

/// Travels with a [`WorkItem`] through the stages. It must be finished; one that is dropped unfinished
/// counts as failed, and whoever waits for the answer is told so.
pub struct Ticket {
    decision: Uuid,
    profile: ProfileName,
    heard: Instant,
    entered: Instant,
    stages: Vec<(Stage, Duration)>,
    sink: Arc<dyn OutcomeSink>,
    permit: Option<OwnedSemaphorePermit>,
    reply: Option<oneshot::Sender<Outcome>>,
    span: tracing::Span,
    finished: bool,
}

impl Ticket {
    /// A ticket for an item that asks to be admitted; `reply` is for somebody who waits for the outcome.
    pub fn new(item: &WorkItem, sink: Arc<dyn OutcomeSink>, reply: Option<oneshot::Sender<Outcome>>) -> Self {
        let span = tracing::info_span!(
            "question",
            decision = %item.decision,
            profile = %item.key.profile,
            interaction = %item.key.interaction,
            utterance = item.utterance_number,
        );
        sink.opened(&item.key.profile);
        Self {
            decision: item.decision,
            profile: item.key.profile.clone(),
            heard: item.heard,
            entered: Instant::now(),
            stages: Vec::with_capacity(Stage::ALL.len()),
            sink,
            permit: None,
            reply,
            span,
            finished: false,
        }
    }

    /// Hands over the admission permit, which is given back when the ticket ends, or before.
    pub fn admit(&mut self, permit: OwnedSemaphorePermit) {
        self.permit = Some(permit);
        self.leave(Stage::Admission);
    }

    /// Gives the permit back: the service has nothing more to do, and what now waits for one tenant's CXone must take
    /// no place from the questions of others.
    pub fn give_permit_back(&mut self) {
        self.permit = None;
    }

    /// Notes that a stage is done; the time since the one before counts for it.
    pub fn leave(&mut self, stage: Stage) {
        let now = Instant::now();
        self.stages.push((stage, now.duration_since(self.entered)));
        self.entered = now;
    }

    /// Whether somebody waits for the outcome.
    pub fn has_caller(&self) -> bool {
        self.reply.is_some()
    }

    /// The span under which this question's log lines stand.
    pub fn span(&self) -> &tracing::Span {
        &self.span
    }

    /// Ends the item.
    pub fn finish(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        self.finished = true;
        let report = TicketReport {
            decision: self.decision,
            profile: self.profile.clone(),
            latency: self.heard.elapsed(),
            stages: std::mem::take(&mut self.stages),
        };
        self.span.in_scope(|| self.sink.record(&report, &outcome));
        if let Some(reply) = self.reply.take() {
            // Whoever waited may have gone; the outcome is recorded all the same.
            let _ = reply.send(outcome);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.finished {
            // What nobody panicked over was on its way when the runtime ended.
            let failure = if std::thread::panicking() { Failure::Panicked } else { Failure::Stopping };
            self.end(Outcome::Failed(failure));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Mutex;

    use tokio::sync::Semaphore;
    use tokio::time::advance;

    use super::*;
    use crate::testing::{Recorder, item};

    /// Keeps the whole reports.
    #[derive(Default)]
    struct Reports {
        opened: Mutex<Vec<ProfileName>>,
        ended: Mutex<Vec<(TicketReport, Outcome)>>,
    }

    impl OutcomeSink for Reports {
        fn opened(&self, profile: &ProfileName) {
            self.opened.lock().unwrap().push(profile.clone());
        }

        fn record(&self, report: &TicketReport, outcome: &Outcome) {
            self.ended.lock().unwrap().push((report.clone(), outcome.clone()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_tells_the_time_since_the_last_word_and_in_each_stage() {
        let reports = Arc::new(Reports::default());
        let item = item("acme", "a", 1);
        advance(Duration::from_secs(3)).await;
        let mut ticket = Ticket::new(&item, Arc::clone(&reports) as Arc<dyn OutcomeSink>, None);
        assert_eq!(*reports.opened.lock().unwrap(), [ProfileName::new("acme")]);
        let permits = Arc::new(Semaphore::new(1));
        advance(Duration::from_millis(10)).await;
        ticket.admit(Arc::clone(&permits).try_acquire_owned().unwrap());
        advance(Duration::from_millis(20)).await;
        ticket.leave(Stage::Extract);
        assert_eq!(permits.available_permits(), 0);
        ticket.finish(Outcome::Replaced);
        assert_eq!(permits.available_permits(), 1);
        let ended = reports.ended.lock().unwrap();
        let (report, outcome) = &ended[0];
        assert_eq!((ended.len(), outcome, report.decision), (1, &Outcome::Replaced, item.decision));
        assert_eq!(report.latency, Duration::from_millis(3030));
        let stages = [(Stage::Admission, Duration::from_millis(10)), (Stage::Extract, Duration::from_millis(20))];
        assert_eq!(report.stages, stages);
    }

    #[tokio::test]
    async fn a_finished_ticket_answers_its_caller_once() {
        let recorder = Recorder::new();
        let (reply, answer) = oneshot::channel();
        let sink = Arc::clone(&recorder) as Arc<dyn OutcomeSink>;
        let ticket = Ticket::new(&item("acme", "a", 1), sink, Some(reply));
        assert!(ticket.has_caller());
        ticket.finish(Outcome::Shed);
        assert_eq!((answer.await.unwrap(), recorder.labels()), (Outcome::Shed, vec!["shed"]));
    }

    #[tokio::test]
    async fn a_ticket_that_is_dropped_unfinished_says_why_and_answers_too() {
        for (panics, failure) in [(true, Failure::Panicked), (false, Failure::Stopping)] {
            let recorder = Recorder::new();
            let (reply, answer) = oneshot::channel();
            let sink = Arc::clone(&recorder) as Arc<dyn OutcomeSink>;
            let ticket = Ticket::new(&item("acme", "a", 1), sink, Some(reply));
            let dropping = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _in_hand = ticket;
                assert!(!panics, "injected");
            }));
            assert_eq!(dropping.is_err(), panics);
            let failed = Outcome::Failed(failure);
            assert_eq!((answer.await.unwrap(), recorder.outcomes()), (failed.clone(), vec![failed]));
        }
    }

    #[test]
    fn a_caller_that_went_away_costs_no_record() {
        let recorder = Recorder::new();
        let (reply, answer) = oneshot::channel();
        drop(answer);
        let sink = Arc::clone(&recorder) as Arc<dyn OutcomeSink>;
        Ticket::new(&item("acme", "a", 1), sink, Some(reply)).finish(Outcome::Shed);
        assert_eq!(recorder.labels(), ["shed"]);
    }
}

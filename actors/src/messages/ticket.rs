//! What stays in the process while a question is on its way: its tenant, permit and times, and the duty to say how it ended.

use std::sync::Arc;

use cuecard_engine::Query;
use serde::{Deserialize, Serialize};
use strum::{EnumCount, IntoStaticStr, VariantArray};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Decision, Failure, Outcome, StageTime, WorkItem};
use crate::admission::Permit;
use crate::decisions::Decisions;
use crate::tenant::Tenant;

/// A stage of the flow, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, EnumCount, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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
    /// The stage's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Travels with a [`WorkItem`] through the stages. It must be finished; one that is dropped unfinished
/// counts as failed, and whoever waits for the answer is told so.
pub struct Ticket {
    tenant: Arc<Tenant>,
    /// What is known so far; gone once the ticket has ended.
    decision: Option<Box<Decision>>,
    decisions: Decisions,
    heard: Instant,
    entered: Instant,
    permit: Option<Permit>,
    reply: Option<oneshot::Sender<Outcome>>,
    span: tracing::Span,
}

impl Ticket {
    /// A ticket for an item that asks to be admitted; `reply` is for somebody who waits for the outcome.
    pub fn new(
        item: &WorkItem,
        tenant: Arc<Tenant>,
        decisions: Decisions,
        reply: Option<oneshot::Sender<Outcome>>,
    ) -> Self {
        let span = tracing::info_span!(
            "question",
            decision = %item.decision,
            profile = %item.key.profile,
            interaction = %item.key.interaction,
            utterance = item.utterance_number,
        );
        decisions.opened(&item.key, reply.is_some());
        let decision = Decision::opened(item, Arc::clone(&tenant.versions));
        Self {
            tenant,
            decision: Some(Box::new(decision)),
            decisions,
            heard: item.heard,
            entered: Instant::now(),
            permit: None,
            reply,
            span,
        }
    }

    /// Whose question it is.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// Notes something of what becomes of the question.
    pub fn note(&mut self, note: impl FnOnce(&mut Decision)) {
        if let Some(decision) = &mut self.decision {
            note(decision);
        }
    }

    /// What was looked for, as far as the question has come.
    pub fn query(&self) -> Option<&Arc<Query>> {
        self.decision.as_ref()?.query.as_ref()
    }

    /// Hands over the admission permit, which is given back when the ticket ends, or before.
    pub fn admit(&mut self, permit: Permit) {
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
        let took = now.duration_since(self.entered);
        self.note(|decision| decision.stages.push(StageTime { stage, took }));
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

    /// Ends the item in a stage, whose time counts too: what ends there took it.
    pub fn finish_in(mut self, stage: Stage, outcome: Outcome) {
        self.leave(stage);
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        let Some(mut decision) = self.decision.take() else { return };
        decision.latency = self.heard.elapsed();
        if let Some(reply) = self.reply.take() {
            // Whoever waited may have gone; the outcome is recorded all the same.
            let _ = reply.send(outcome.clone());
        }
        decision.outcome = outcome;
        self.decisions.ended(decision);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let failure = if std::thread::panicking() { Failure::Panicked } else { Failure::Stopping };
        self.end(Outcome::Failed(failure));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use tokio::time::advance;

    use super::*;
    use crate::admission::Permits;
    use crate::testing::{Recorder, item};

    #[tokio::test(start_paused = true)]
    async fn a_decision_tells_the_time_since_the_last_word_and_in_each_stage() {
        let recorder = Recorder::new();
        let item = item("acme", "a", 1);
        advance(Duration::from_secs(3)).await;
        let mut ticket = recorder.ticket(&item);
        let permits = Permits::new(1, 1, Arc::default());
        advance(Duration::from_millis(10)).await;
        let free = permits.one_free().await.unwrap();
        ticket.admit(permits.take(free, false));
        advance(Duration::from_millis(20)).await;
        ticket.leave(Stage::Extract);
        assert_eq!(permits.num_free(), 0);
        ticket.finish(Outcome::Replaced);
        assert_eq!(permits.num_free(), 1);
        let decisions = recorder.decisions();
        let [decision] = decisions.as_slice() else { panic!("{decisions:?}") };
        assert_eq!((decision.id, &decision.outcome), (item.decision, &Outcome::Replaced));
        assert_eq!(decision.latency, Duration::from_millis(3030));
        let took = |stage, milliseconds| StageTime { stage, took: Duration::from_millis(milliseconds) };
        assert_eq!(decision.stages, [took(Stage::Admission, 10), took(Stage::Extract, 20)]);
    }

    #[tokio::test]
    async fn a_finished_ticket_answers_its_caller_once() {
        let recorder = Recorder::new();
        let (reply, answer) = oneshot::channel();
        let ticket = recorder.ticket_for(&item("acme", "a", 1), Some(reply));
        assert!(ticket.has_caller());
        ticket.finish(Outcome::Shed);
        assert_eq!((answer.await.unwrap(), recorder.labels()), (Outcome::Shed, vec!["shed"]));
    }

    #[tokio::test]
    async fn a_ticket_that_is_dropped_unfinished_says_why_and_answers_too() {
        for (panics, failure) in [(true, Failure::Panicked), (false, Failure::Stopping)] {
            let recorder = Recorder::new();
            let (reply, answer) = oneshot::channel();
            let ticket = recorder.ticket_for(&item("acme", "a", 1), Some(reply));
            let dropping = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _in_hand = ticket;
                assert!(!panics, "injected");
            }));
            assert_eq!(dropping.is_err(), panics);
            let failed = Outcome::Failed(failure);
            assert_eq!((answer.await.unwrap(), recorder.outcomes()), (failed.clone(), vec![failed]));
        }
    }

    #[tokio::test]
    async fn a_caller_that_went_away_costs_no_record() {
        let recorder = Recorder::new();
        let (reply, answer) = oneshot::channel();
        drop(answer);
        recorder.ticket_for(&item("acme", "a", 1), Some(reply)).finish(Outcome::Shed);
        assert_eq!(recorder.labels(), ["shed"]);
    }
}

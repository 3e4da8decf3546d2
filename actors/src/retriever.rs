//! Retriever: from a query to candidates in order.
//!
//! Takes [`Extracted`], gives [`Rankable`] to the Ranker. The plan's backends are asked side by side and what they found is
//! merged; then the search pool puts it in order, so that the Ranker has only to judge. A dead backend is left out and
//! counted; only when none answers does the question fail.

use std::sync::Arc;

use actix::{Actor, Context, StreamHandler, Supervised};
use cuecard_engine::Candidates;
use cuecard_failure_points::failure_point;
use tracing::Instrument;

use crate::inbox::{Inbox, NextStage};
use crate::messages::{Extracted, Failure, Outcome, Rankable, Stage, Ticket};
use crate::supervision::ActorCell;
use crate::telemetry::{BackendFailed, Metrics};

/// What a Retriever works with.
pub struct RetrieverDeps {
    /// Where queries come from.
    pub inbox: Inbox<Extracted>,
    /// Where candidates go.
    pub ranker: NextStage<Rankable>,
    /// Where dead backends are counted.
    pub metrics: Metrics,
    /// The actor's public state.
    pub cell: Arc<ActorCell>,
}

/// See the module.
pub struct Retriever {
    deps: Arc<RetrieverDeps>,
}

impl Retriever {
    /// A Retriever; it remembers nothing.
    pub fn new(deps: RetrieverDeps) -> Self {
        Self { deps: Arc::new(deps) }
    }
}

impl Actor for Retriever {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        Self::add_stream(self.deps.inbox.stream(), context);
    }
}

impl Supervised for Retriever {}

impl StreamHandler<Extracted> for Retriever {
    fn handle(&mut self, extracted: Extracted, _context: &mut Self::Context) {
        failure_point!(Retriever, extracted.item.key.interaction.as_str());
        let (deps, in_flight) = (Arc::clone(&self.deps), self.deps.cell.in_flight());
        let span = extracted.ticket.span().clone();
        let work = async move {
            deps.retrieve(extracted).await;
            drop(in_flight);
        };
        tokio::spawn(work.instrument(span));
    }
}

impl RetrieverDeps {
    async fn retrieve(&self, extracted: Extracted) {
        let Extracted { item, mut ticket, query } = extracted;
        let tenant = Arc::clone(ticket.tenant());
        let found = tenant.engine.retrieve(query, &tenant.profile.plan, item.deadline).await;
        self.note_found(&mut ticket, &found);
        if found.num_answers == 0 && !found.failures.is_empty() {
            return ticket.finish_in(Stage::Retrieve, Outcome::Failed(no_backend(&found)));
        }
        ticket.leave(Stage::Retrieve);
        match tenant.engine.order(found, &tenant.profile.plan).await {
            Ok(order) => {
                self.ranker.hand_on(Rankable { item, ticket, order: Some(order) }, Stage::Retrieve);
            }
            // The order belongs to the Ranker, whose work the search pool does.
            Err(_) => ticket.finish_in(Stage::Rank, Outcome::Failed(Failure::Panicked)),
        }
    }

    fn note_found(&self, ticket: &mut Ticket, found: &Candidates) {
        for error in &found.failures {
            BackendFailed { profile: ticket.tenant().name(), error }.emit(&self.metrics);
        }
        ticket.note(|decision| {
            decision.note_failures(&found.failures);
            decision.query = Some(Arc::clone(&found.query));
        });
    }
}

/// Why none answered: where one had merely too much to do, the same question may well be answered in a moment.
fn no_backend(found: &Candidates) -> Failure {
    let reasons: Vec<_> = found.failures.iter().map(ToString::to_string).collect();
    let is_overload = found.failures.iter().any(|error| error.is_overload);
    Failure::NoBackend { reason: reasons.join("; "), is_overload }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use async_trait::async_trait;
    use cuecard_engine::{Backend, BackendError, BackendName, Found, Plan, Query};
    use cuecard_failure_points::FailurePoint;
    use tokio::time::Instant;

    use super::*;
    use crate::inbox::{NextStage, stage};
    use crate::messages::WorkItem;
    use crate::testing::{
        Bench, Gates, Recorder, TenantParts, candidate, extracted, inject_panics, item, patient_item, plan, take, until,
    };

    /// Answers by the words of the question: `dead` can't be reached, `busy` has too much to do, `deaf` never answers,
    /// `slow` waits for the gate, `worse` panics.
    struct Scripted {
        name: BackendName,
        gates: Arc<Gates>,
    }

    #[async_trait]
    impl Backend for Scripted {
        fn name(&self) -> BackendName {
            self.name
        }

        async fn find(&self, query: &Arc<Query>, _: &Arc<Plan>, _: Instant) -> Result<Found, BackendError> {
            let words = query.text.verbatim();
            assert_ne!(words, "worse", "injected");
            if words == "slow" {
                self.gates.pass("slow").await;
            }
            let failed = |reason| Err(BackendError::failed(self.name, reason));
            let is_meant = |what: &str| words.split(' ').any(|word| word == format!("{what}-{}", self.name.name()));
            if is_meant("dead") {
                return failed("connection refused");
            }
            if is_meant("deaf") {
                std::future::pending::<()>().await;
            }
            if is_meant("busy") {
                return failed("too much to do").map_err(|error| BackendError { is_overload: true, ..error });
            }
            Ok(Found::of([candidate(self.name.name(), self.name)]))
        }
    }

    struct Fixture {
        bench: Bench,
        recorder: Arc<Recorder>,
        gates: Arc<Gates>,
        queries: NextStage<Extracted>,
        found: Inbox<Rankable>,
        address: actix::Addr<Retriever>,
    }

    fn fixture(expected_panics: u64) -> Fixture {
        inject_panics(FailurePoint::Retriever, "bad");
        let (bench, gates) = (Bench::expecting("retriever", expected_panics), Gates::new());
        let names = [BackendName::Search, BackendName::Graph];
        let backend = |name| Arc::new(Scripted { name, gates: Arc::clone(&gates) }) as Arc<dyn Backend>;
        let tenant =
            TenantParts { backends: names.map(backend).to_vec(), plan: plan(&names), ..TenantParts::new("acme") };
        let recorder = Recorder::of([tenant.build()].into_iter().collect());
        let ((queries, inbox), (ranker, found)) = (stage(9), stage(9));
        let (metrics, cell) = (bench.metrics.clone(), Arc::clone(&bench.cell));
        let address = bench.supervise(Retriever::new(RetrieverDeps { inbox, ranker, metrics, cell }));
        Fixture { bench, recorder, gates, queries, found, address }
    }

    impl Fixture {
        fn ask(&self, interaction: &str, words: &str) -> WorkItem {
            let item = item("acme", interaction, 1);
            let query = Query { text: words.into(), ..Query::default() };
            self.queries.hand_on(Extracted { query, ..extracted(&item, &self.recorder) }, Stage::Extract);
            item
        }
    }

    fn ids(rankable: &Rankable) -> Vec<&str> {
        let ranked = &rankable.order.as_ref().unwrap().ranked;
        ranked.iter().map(|ranked| ranked.article().id.as_str()).collect()
    }

    /// One panics the actor, one its own task; two queue behind them and another is being answered.
    #[actix::test]
    async fn a_panic_costs_the_question_in_hand_and_no_other() {
        let fixture = fixture(2);
        fixture.ask("slow", "slow");
        until("one is being answered", || fixture.bench.cell.report().in_flight == 1).await;
        let lost = [fixture.ask("bad", "bad"), fixture.ask("worse", "worse")];
        for interaction in ["one", "two"] {
            fixture.ask(interaction, "");
        }
        let mut done = take(&fixture.found, 2).await;
        // The pool has several threads.
        done.sort_by_key(|found| found.item.key.interaction.to_string());
        fixture.gates.open("slow");
        fixture.gates.open("slow");
        done.extend(take(&fixture.found, 1).await);
        let interactions: Vec<_> = done.iter().map(|found| found.item.key.interaction.as_str()).collect();
        assert_eq!(interactions, ["one", "two", "slow"]);
        for item in &lost {
            until("it ends", || fixture.recorder.outcome_of(item).is_some()).await;
            assert_eq!(fixture.recorder.outcome_of(item), Some(Outcome::Failed(Failure::Panicked)));
        }
        until("nothing is left", || fixture.bench.cell.report().in_flight == 0).await;
        assert_eq!((fixture.bench.cell.panics(), fixture.bench.cell.restarts()), (2, 1));
        assert!(fixture.address.connected());
    }

    #[actix::test]
    async fn ten_panics_a_minute_cost_what_was_in_hand_and_the_eleventh_ends_the_actor() {
        let fixture = fixture(11);
        let slow = patient_item("acme", "slow", 1);
        let query = Query { text: "slow".into(), ..Query::default() };
        let extracted = Extracted { query, ..extracted(&slow, &fixture.recorder) };
        fixture.queries.hand_on(extracted, Stage::Extract);
        until("one is being answered", || fixture.bench.cell.report().in_flight == 1).await;
        let poison = async |_| {
            let bad = fixture.ask("bad", "");
            until("it ends", || fixture.recorder.outcome_of(&bad).is_some()).await;
            assert_eq!(fixture.recorder.outcome_of(&bad), Some(Outcome::Failed(Failure::Panicked)));
        };
        let works = async |_| {
            fixture.ask("good", "");
            assert_eq!(take(&fixture.found, 1).await[0].item.key.interaction.as_str(), "good");
        };
        fixture.bench.panic_until_it_gives_up(poison, works).await;
        fixture.gates.open("slow");
        fixture.gates.open("slow");
        assert_eq!(take(&fixture.found, 1).await[0].item.key.interaction.as_str(), "slow", "it outlives its actor");
    }

    #[actix::test]
    async fn closing_the_way_in_ends_the_actor_after_what_is_there() {
        let fixture = fixture(0);
        fixture.ask("one", "");
        fixture.queries.close();
        let late = fixture.ask("two", "");
        assert_eq!(fixture.recorder.outcome_of(&late), Some(Outcome::Failed(Failure::Stopping)));
        assert_eq!(take(&fixture.found, 1).await[0].item.key.interaction.as_str(), "one");
        until("it has stopped", || fixture.bench.cell.state() == crate::supervision::ActorState::Stopped).await;
    }

    #[actix::test]
    async fn what_the_backends_found_is_merged_and_the_dead_are_left_out_counted_and_noted() {
        let fixture = fixture(0);
        // (words, articles)
        for (words, expected) in
            [("", vec!["graph", "search"]), ("dead-search", vec!["graph"]), ("dead-graph", vec!["search"])]
        {
            let item = fixture.ask("a", words);
            let rankable = take(&fixture.found, 1).await.remove(0);
            let mut found = ids(&rankable);
            found.sort_unstable();
            assert_eq!(found, expected, "{words}");
            rankable.ticket.finish(Outcome::Replaced);
            let decision =
                fixture.recorder.decisions().into_iter().find(|decision| decision.id == item.decision).unwrap();
            assert_eq!(decision.failures.len(), 2 - expected.len());
            assert_eq!(decision.query.unwrap().text.verbatim(), words);
        }
        let dead = |backend: &str| format!(r#"cuecard_backend_failures_total{{backend="{backend}",profile="acme"}}"#);
        assert_eq!((fixture.bench.metric(&dead("search")), fixture.bench.metric(&dead("graph"))), (1, 1));
    }

    #[actix::test]
    async fn without_any_answer_the_question_fails_and_says_whether_to_come_back() {
        let fixture = fixture(0);
        let refused = |backend| format!("{backend}: connection refused");
        // (words, reason, whether only this service has too much to do)
        for (words, reason, is_overload) in [
            ("dead-search dead-graph", format!("{}; {}", refused("search"), refused("graph")), false),
            ("busy-search dead-graph", format!("search: too much to do; {}", refused("graph")), true),
        ] {
            let lost = fixture.ask("a", words);
            until("it ends", || fixture.recorder.outcome_of(&lost).is_some()).await;
            let expected = Outcome::Failed(Failure::NoBackend { reason, is_overload });
            assert_eq!(fixture.recorder.outcome_of(&lost), Some(expected));
        }
    }

    #[actix::test]
    async fn a_backend_that_hangs_costs_its_own_candidates_and_no_others() {
        let fixture = fixture(0);
        let item = fixture.ask("a", "deaf-search");
        let rankable = take(&fixture.found, 1).await.remove(0);
        assert_eq!(ids(&rankable), ["graph"]);
        let left = item.deadline.saturating_duration_since(Instant::now());
        assert!(left >= Duration::from_millis(500), "time to order and to push: {left:?}");
    }

    #[actix::test]
    async fn where_every_backend_hangs_the_question_fails() {
        let fixture = fixture(0);
        tokio::time::pause();
        let late = fixture.ask("slow", "slow");
        until("it ends", || fixture.recorder.outcome_of(&late).is_some()).await;
        let Some(Outcome::Failed(Failure::NoBackend { reason, .. })) = fixture.recorder.outcome_of(&late) else {
            panic!("{:?}", fixture.recorder.outcomes());
        };
        assert!(reason.contains("no answer while the question could wait for it"), "{reason}");
        assert_eq!(fixture.recorder.stages_of(&late), [(Stage::Retrieve, 3)], "what failed took its time too");
    }
}

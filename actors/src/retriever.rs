//! Retriever: from a query to candidates.
//!
//! Takes [`Extracted`], gives [`Rankable`] to the Ranker. The index is searched on the bounded search pool; other
//! backends are asked meanwhile, and what all of them found is merged. A dead backend is left out and counted; only when
//! none answers does the question fail.

use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, Context, StreamHandler, Supervised};
use cuecard_engine::{BackendError, Candidates, Found, Query, SearchPool};
use futures_util::future::{LocalBoxFuture, join};
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::inbox::{Inbox, NextStage};
use crate::messages::{Extracted, Failure, Outcome, Rankable, Stage, WorkItem};
use crate::supervision::ActorCell;
use crate::telemetry::{BackendFailed, Metrics};

/// Searches the index of the profile's engine by its plan; finds nothing where the plan does not ask it.
pub type SearchIndex = Arc<dyn Fn(&WorkItem, Query) -> Candidates + Send + Sync>;

/// What one backend beside the index found.
pub type Answer = Result<Found, BackendError>;

/// Asks the backends beside the index, each once; `None` where the profile has none.
pub type AskOthers = Rc<dyn Fn(&WorkItem, &Query) -> Option<LocalBoxFuture<'static, Vec<Answer>>>>;

/// Gives candidates of other backends the scores that the plan reads.
pub type Complete = Rc<dyn Fn(&WorkItem, Candidates) -> LocalBoxFuture<'static, Candidates>>;

/// What a Retriever works with.
pub struct RetrieverDeps {
    /// Where queries come from.
    pub inbox: Inbox<Extracted>,
    /// Searches the index.
    pub search_index: SearchIndex,
    /// Asks the other backends.
    pub ask_others: AskOthers,
    /// Prepares what they found for the Ranker.
    pub complete: Complete,
    /// Where the index is searched.
    pub pool: SearchPool,
    /// Where candidates go.
    pub ranker: NextStage<Rankable>,
    /// Where dead backends are counted.
    pub metrics: Metrics,
    /// The actor's public state.
    pub cell: Arc<ActorCell>,
}

/// See the module.
pub struct Retriever {
    deps: Rc<RetrieverDeps>,
}

impl Retriever {
    /// A Retriever; it remembers nothing.
    pub fn new(deps: RetrieverDeps) -> Self {
        Self { deps: Rc::new(deps) }
    }
}

impl RetrieverDeps {
    /// Searches the index and hands on from the pool's thread.
    fn search(&self, extracted: Extracted) {
        let (in_flight, search_index, ranker) =
            (self.cell.in_flight(), Arc::clone(&self.search_index), self.ranker.clone());
        self.pool.spawn(move || {
            let Extracted { item, mut ticket, query } = extracted;
            let found = ticket.span().in_scope(|| search_index(&item, query));
            ticket.leave(Stage::Retrieve);
            ranker.hand_on(Rankable { item, ticket, found: Some(found) }, Stage::Retrieve);
            drop(in_flight);
        });
    }

    /// The search of the index alone; nothing when it panicked.
    async fn search_beside(&self, item: &WorkItem, query: Query) -> Option<Candidates> {
        let (sender, found) = oneshot::channel();
        let (in_flight, search_index, item) = (self.cell.in_flight(), Arc::clone(&self.search_index), item.clone());
        self.pool.spawn(move || {
            // Whoever waited may have been shut down.
            let _ = sender.send(search_index(&item, query));
            drop(in_flight);
        });
        found.await.ok()
    }

    /// Searches the index while the others are asked, and hands on what all of them found.
    async fn search_all(self: Rc<Self>, extracted: Extracted, others: LocalBoxFuture<'static, Vec<Answer>>) {
        let Extracted { item, mut ticket, query } = extracted;
        let (found, answers) = join(self.search_beside(&item, query), others).await;
        let Some(mut found) = found else { return ticket.finish(Outcome::Failed(Failure::Panicked)) };
        let (mut dead, asked) = (Vec::new(), answers.len());
        for answer in answers {
            match answer {
                Ok(more) => found.add(more),
                Err(error) => {
                    BackendFailed { profile: &item.key.profile, error: &error }.emit(&self.metrics);
                    dead.push(error.to_string());
                }
            }
        }
        if dead.len() == asked && found.generation.is_none() {
            return ticket.finish(Outcome::Failed(Failure::NoBackend { reason: dead.join("; ") }));
        }
        let found = (self.complete)(&item, found).await;
        ticket.leave(Stage::Retrieve);
        self.ranker.hand_on(Rankable { item, ticket, found: Some(found) }, Stage::Retrieve);
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
        let deps = &self.deps;
        let Some(others) = (deps.ask_others)(&extracted.item, &extracted.query) else { return deps.search(extracted) };
        let (in_flight, span) = (deps.cell.in_flight(), extracted.ticket.span().clone());
        let work = Rc::clone(deps).search_all(extracted, others);
        let work = async move {
            work.await;
            drop(in_flight);
        };
        actix_rt::spawn(work.instrument(span));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Mutex, mpsc};

    use cuecard_engine::Backend;
    use futures_util::FutureExt;
    use futures_util::future::ready;

    use super::*;
    use crate::inbox::stage;
    use crate::testing::{Bench, Recorder, candidates, extracted, found_by, item, take, until};

    struct Fixture {
        bench: Bench,
        queries: NextStage<Extracted>,
        found: Inbox<Rankable>,
        /// Lets a search of `slow` go on.
        go_on: mpsc::Sender<()>,
        address: actix::Addr<Retriever>,
    }

    fn answer(backend: Backend, works: bool) -> Answer {
        let dead = || BackendError { backend, reason: "connection refused".to_owned() };
        if works { Ok(vec![found_by(backend)].into()) } else { Err(dead()) }
    }

    /// `asks-search-graph` asks two that answer, `asks-dead-graph` one that does not.
    fn others(interaction: &str) -> Option<LocalBoxFuture<'static, Vec<Answer>>> {
        let asked = interaction.strip_prefix("asks-")?;
        let search = answer(Backend::Search, asked.starts_with("search"));
        let graph = answer(Backend::Graph, asked.ends_with("graph"));
        Some(ready(vec![search, graph]).boxed_local())
    }

    fn fixture(expected_panics: u64, threads: usize) -> Fixture {
        let bench = Bench::expecting("retriever", expected_panics);
        let (queries, inbox) = stage(9);
        let (ranker, found) = stage(9);
        let (go_on, gate) = mpsc::channel();
        let gate = Mutex::new(gate);
        let search_index: SearchIndex = Arc::new(move |item, query| {
            match item.key.interaction.as_str() {
                "bad" => panic!("injected"),
                "slow" => gate.lock().unwrap().recv().unwrap(),
                no_index if no_index.ends_with("none") => {
                    return Candidates { generation: None, query, ..candidates() };
                }
                _ => {}
            }
            Candidates { query, ..candidates() }
        });
        let deps = RetrieverDeps {
            inbox,
            search_index,
            ask_others: Rc::new(|item, _| others(item.key.interaction.as_str())),
            complete: Rc::new(|_, found| ready(found).boxed_local()),
            pool: SearchPool::new(threads).unwrap(),
            ranker,
            metrics: bench.metrics.clone(),
            cell: Arc::clone(&bench.cell),
        };
        let address = bench.supervise(Retriever::new(deps));
        Fixture { bench, queries, found, go_on, address }
    }

    /// A search that panics is no panic of the actor, which goes on without a restart; it shows in its cell.
    #[actix::test]
    async fn a_panic_costs_the_search_in_hand_and_no_other() {
        let Fixture { bench, queries, found, go_on, address } = fixture(1, 2);
        let recorder = Recorder::new();
        queries.hand_on(extracted(&item("acme", "slow", 1), &recorder), Stage::Extract);
        until("one is being searched", || bench.cell.report().in_flight == 1).await;
        let bad = item("acme", "bad", 1);
        queries.hand_on(extracted(&bad, &recorder), Stage::Extract);
        for interaction in ["one", "two"] {
            queries.hand_on(extracted(&item("acme", interaction, 1), &recorder), Stage::Extract);
        }
        let mut done = take(&found, 2).await;
        go_on.send(()).unwrap();
        done.extend(take(&found, 1).await);
        let interactions: Vec<_> = done.iter().map(|found| found.item.key.interaction.as_str()).collect();
        assert_eq!(interactions, ["one", "two", "slow"]);
        assert_eq!(recorder.outcome_of(&bad), Some(Outcome::Failed(Failure::Panicked)));
        assert_eq!(recorder.labels(), ["failed"]);
        until("nothing is left", || bench.cell.report().in_flight == 0).await;
        assert_eq!((bench.cell.panics(), bench.cell.restarts()), (1, 0));
        assert!(address.connected());
    }

    #[actix::test]
    async fn closing_the_way_in_ends_the_actor_after_what_is_there() {
        let Fixture { bench, queries, found, .. } = fixture(0, 1);
        let recorder = Recorder::new();
        queries.hand_on(extracted(&item("acme", "one", 1), &recorder), Stage::Extract);
        queries.close();
        let late = item("acme", "two", 1);
        queries.hand_on(extracted(&late, &recorder), Stage::Extract);
        assert_eq!(recorder.outcome_of(&late), Some(Outcome::Failed(Failure::Stopping)));
        assert_eq!(take(&found, 1).await[0].item.key.interaction.as_str(), "one");
        until("it has stopped", || bench.cell.state() == crate::supervision::ActorState::Stopped).await;
    }

    #[actix::test]
    async fn what_the_others_found_is_merged_and_the_dead_are_left_out_and_counted() {
        let Fixture { bench, queries, found, .. } = fixture(0, 1);
        let recorder = Recorder::new();
        // (interaction, articles of the others)
        for (interaction, expected) in [
            ("asks-search-graph", vec!["search", "graph"]),
            ("asks-dead-graph", vec!["graph"]),
            ("asks-search-dead", vec!["search"]),
            ("asks-dead-dead", vec![]),
        ] {
            queries.hand_on(extracted(&item("acme", interaction, 1), &recorder), Stage::Extract);
            let rankable = take(&found, 1).await.remove(0);
            let candidates = rankable.found.unwrap().candidates;
            let ids: Vec<_> = candidates.iter().map(|candidate| candidate.article.id.as_str()).collect();
            assert_eq!(ids, expected, "{interaction}");
            rankable.ticket.finish(Outcome::Replaced);
        }
        let dead = |backend: &str| format!(r#"cuecard_backend_failures_total{{backend="{backend}",profile="acme"}}"#);
        assert_eq!((bench.metric(&dead("search")), bench.metric(&dead("graph"))), (2, 2));
    }

    #[actix::test]
    async fn without_any_answer_the_question_fails_and_says_why() {
        let Fixture { bench: _bench, queries, .. } = fixture(0, 1);
        let recorder = Recorder::new();
        let lost = item("acme", "asks-none", 1);
        queries.hand_on(extracted(&lost, &recorder), Stage::Extract);
        until("it ends", || recorder.outcome_of(&lost).is_some()).await;
        let reason = "search: connection refused; graph: connection refused".to_owned();
        assert_eq!(recorder.outcome_of(&lost), Some(Outcome::Failed(Failure::NoBackend { reason })));
    }
}

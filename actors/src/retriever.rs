//! Retriever: from a query to candidates.
//!
//! Takes [`Extracted`], gives [`Retrieved`] to the Ranker. The search runs on the bounded search pool.

use std::sync::Arc;

use actix::{Actor, Context, StreamHandler, Supervised};
use cuecard_engine::{Candidates, Query, SearchPool};

use crate::inbox::{Inbox, NextStage};
use crate::messages::{Extracted, Retrieved, Stage, WorkItem};
use crate::supervision::ActorCell;

/// Searches in the profile's engine and by its plan.
pub type Retrieve = Arc<dyn Fn(&WorkItem, Query) -> Candidates + Send + Sync>;

/// See the module.
pub struct Retriever {
    /// Where queries come from.
    pub inbox: Inbox<Extracted>,
    /// What is done with them.
    pub retrieve: Retrieve,
    /// Where it is done.
    pub pool: SearchPool,
    /// Where candidates go.
    pub ranker: NextStage<Retrieved>,
    /// The actor's public state.
    pub cell: Arc<ActorCell>,
}

impl Actor for Retriever {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        Self::add_stream(self.inbox.stream(), context);
    }
}

impl Supervised for Retriever {}

impl StreamHandler<Extracted> for Retriever {
    fn handle(&mut self, extracted: Extracted, _context: &mut Self::Context) {
        let in_flight = self.cell.in_flight();
        let retrieve = Arc::clone(&self.retrieve);
        let ranker = self.ranker.clone();
        self.pool.spawn(move || {
            let Extracted { item, mut ticket, query } = extracted;
            let candidates = ticket.span().in_scope(|| retrieve(&item, query));
            ticket.leave(Stage::Retrieve);
            ranker.hand_on(Retrieved { item, ticket, candidates }, Stage::Retrieve);
            drop(in_flight);
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Mutex, mpsc};

    use super::*;
    use crate::inbox::stage;
    use crate::messages::{Failure, Outcome};
    use crate::testing::{Bench, Recorder, candidates, extracted, item, take, until};

    struct Fixture {
        bench: Bench,
        queries: NextStage<Extracted>,
        found: Inbox<Retrieved>,
        /// Lets a search of `slow` go on.
        go_on: mpsc::Sender<()>,
        address: actix::Addr<Retriever>,
    }

    fn fixture(expected_panics: u64, threads: usize) -> Fixture {
        let bench = Bench::expecting("retriever", expected_panics);
        let (queries, inbox) = stage(9);
        let (ranker, found) = stage(9);
        let (go_on, gate) = mpsc::channel();
        let gate = Mutex::new(gate);
        let retrieve: Retrieve = Arc::new(move |item, query| {
            match item.key.interaction.as_str() {
                "bad" => panic!("injected"),
                "slow" => gate.lock().unwrap().recv().unwrap(),
                _ => {}
            }
            Candidates { query, ..candidates() }
        });
        let pool = SearchPool::new(threads).unwrap();
        let cell = Arc::clone(&bench.cell);
        let address = bench.supervise(Retriever { inbox, retrieve, pool, ranker, cell });
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
}

//! Extractor: from an admitted question to a query with embedding and key phrases.
//!
//! Takes admitted work, gives [`Extracted`] to the Retriever. The encoding runs on the encoder's threads;
//! each item waits for it in a task of its own. Without an encoding the query goes on without vectors. A question that
//! brought what is to be ordered goes straight to the Ranker.

use std::pin::Pin;
use std::sync::Arc;

use actix::{Actor, Context, StreamHandler, Supervised};
use cuecard_engine::conversation::Utterance;
use cuecard_engine::{Effort, Query};
use tracing::Instrument;

use crate::admission::Admission;
use crate::inbox::NextStage;
use crate::messages::{Admitted, Ask, Extracted, Rankable, Stage, Ticket, WorkItem};
use crate::supervision::ActorCell;

/// A query on its way out of the encoder.
pub type PendingQuery = Pin<Box<dyn Future<Output = Query>>>;

/// Extracts a query, in the profile's engine and by its plan.
pub type Extract = Arc<dyn Fn(&WorkItem, &Utterance, Effort) -> PendingQuery>;

/// See the module.
pub struct Extractor {
    /// Where work comes from.
    pub admission: Admission,
    /// What is done with it.
    pub extract: Extract,
    /// Where it goes.
    pub retriever: NextStage<Extracted>,
    /// Where questions go that brought what is to be ordered.
    pub ranker: NextStage<Rankable>,
    /// The actor's public state.
    pub cell: Arc<ActorCell>,
}

impl Actor for Extractor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        Self::add_stream(self.admission.admitted(), context);
    }
}

impl Supervised for Extractor {}

impl StreamHandler<Admitted> for Extractor {
    fn handle(&mut self, admitted: Admitted, _context: &mut Self::Context) {
        let Admitted { item, ticket, effort } = admitted;
        match &item.ask {
            Ask::Cards(utterance) => {
                let query = (self.extract)(&item, utterance, effort);
                self.hand_on(item, ticket, query);
            }
            Ask::Order(_) => {
                self.ranker.hand_on(Rankable { item, ticket, found: None }, Stage::Extract);
            }
        }
    }
}

impl Extractor {
    /// Waits for the query in a task of its own.
    fn hand_on(&self, item: WorkItem, mut ticket: Ticket, query: PendingQuery) {
        let (in_flight, retriever, span) = (self.cell.in_flight(), self.retriever.clone(), ticket.span().clone());
        let work = async move {
            let query = query.await;
            ticket.leave(Stage::Extract);
            retriever.hand_on(Extracted { item, ticket, query }, Stage::Extract);
            drop(in_flight);
        };
        actix_rt::spawn(work.instrument(span));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{advance, pause};

    use super::*;
    use crate::admission::AdmissionSettings;
    use crate::inbox::{Inbox, stage};
    use crate::messages::{Failure, Outcome, OutcomeSink};
    use crate::testing::{Bench, GIVING_WAY, Gates, Recorder, item, query, ranking_item, take, until};

    struct Fixture {
        bench: Bench,
        recorder: Arc<Recorder>,
        admission: Admission,
        gates: Arc<Gates>,
        extracted: Inbox<Extracted>,
        rankable: Inbox<Rankable>,
        address: actix::Addr<Extractor>,
    }

    /// Extraction waits at the gate of its interaction; that of `bad` panics at once, that of `worse` behind the gate.
    fn fixture(expected_panics: u64) -> Fixture {
        pause();
        let (bench, recorder, gates) = (Bench::expecting("extractor", expected_panics), Recorder::new(), Gates::new());
        let settings = AdmissionSettings { queue: 9, in_flight: 9, giving_way: GIVING_WAY };
        let admission = Admission::new(settings, Arc::clone(&recorder) as Arc<dyn OutcomeSink>, || Duration::ZERO);
        let waits = Arc::clone(&gates);
        let extract: Extract = Arc::new(move |item, _, effort| {
            let interaction = item.key.interaction.to_string();
            assert_ne!(interaction, "bad", "injected");
            let gate = waits.pass(&interaction);
            Box::pin(async move {
                gate.await;
                assert_ne!(interaction, "worse", "injected");
                Query { text: format!("{interaction} {effort:?}"), ..query() }
            })
        });
        let ((retriever, extracted), (ranker, rankable)) = (stage(9), stage(9));
        let (work, cell) = (admission.clone(), Arc::clone(&bench.cell));
        let address = bench.supervise(Extractor { admission: work, extract, retriever, ranker, cell });
        Fixture { bench, recorder, admission, gates, extracted, rankable, address }
    }

    /// The bad item's extraction panics; two items queue behind it and a third is being encoded.
    #[actix::test]
    async fn a_panic_costs_the_item_in_hand_and_no_other() {
        let Fixture { bench, recorder, admission, gates, extracted, address, .. } = fixture(1);
        admission.hear(item("acme", "encoding", 1));
        until("one is being encoded", || bench.cell.report().in_flight == 1).await;
        let bad = item("acme", "bad", 1);
        admission.hear(bad.clone());
        for interaction in ["one", "two"] {
            gates.open(interaction);
            admission.hear(item("acme", interaction, 1));
        }
        let mut done = take(&extracted, 2).await;
        gates.open("encoding");
        done.extend(take(&extracted, 1).await);
        let texts: Vec<_> = done.iter().map(|extracted| extracted.query.text.as_str()).collect();
        assert_eq!(texts, ["one Full", "two Full", "encoding Full"]);
        assert_eq!(recorder.outcome_of(&bad), Some(Outcome::Failed(Failure::Panicked)));
        assert_eq!(recorder.labels(), ["failed"], "the others are still on their way");
        bench.assert_recovered(&address);
        assert_eq!((admission.in_flight(), bench.cell.report().in_flight), (3, 0), "the bad item's permit is back");
    }

    #[actix::test]
    async fn an_encoding_that_panics_ends_its_item_and_shows_in_the_cell() {
        let Fixture { bench, recorder, admission, gates, address, .. } = fixture(1);
        let worse = item("acme", "worse", 1);
        admission.hear(worse.clone());
        gates.open("worse");
        until("its ticket ends", || recorder.outcome_of(&worse).is_some()).await;
        assert_eq!(recorder.outcome_of(&worse), Some(Outcome::Failed(Failure::Panicked)));
        assert_eq!((bench.cell.panics(), bench.cell.restarts(), admission.in_flight()), (1, 0, 0));
        assert!(address.connected());
    }

    #[actix::test]
    async fn an_item_that_is_late_after_its_encoding_goes_no_further() {
        let Fixture { bench, recorder, admission, gates, .. } = fixture(0);
        let late = item("acme", "late", 1);
        admission.hear(late.clone());
        until("it is being encoded", || bench.cell.report().in_flight == 1).await;
        advance(Duration::from_secs(5)).await;
        gates.open("late");
        until("it ends", || recorder.outcome_of(&late).is_some()).await;
        assert_eq!(recorder.outcome_of(&late), Some(Outcome::Expired(Stage::Extract)));
    }

    #[actix::test]
    async fn what_is_given_to_be_ordered_goes_straight_to_the_ranker() {
        let Fixture { bench: _bench, admission, rankable, .. } = fixture(0);
        let given = ranking_item("acme", "s-1");
        admission.hear(given.clone());
        let mut reached = take(&rankable, 1).await;
        let Rankable { item, found, .. } = reached.remove(0);
        assert_eq!((item, found.is_none()), (given, true));
    }
}

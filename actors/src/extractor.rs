//! Extractor: from an admitted question to a query with embedding and key phrases.
//!
//! Takes admitted work, gives [`Extracted`] to the Retriever. The encoding runs on the encoder's threads;
//! each item waits for it in a task of its own. Without an encoding the query goes on without vectors. A question that
//! brought what is to be ordered goes straight to the Ranker.

use std::sync::Arc;

use actix::{Actor, Context, StreamHandler, Supervised};
use cuecard_engine::conversation::Utterance;
use cuecard_engine::{Effort, WithoutVectors};
use cuecard_failure_points::failure_point;
use tracing::Instrument;

use crate::admission::Admission;
use crate::inbox::NextStage;
use crate::messages::{AdmittedItem, Ask, Extracted, ProfileName, Rankable, Stage, Ticket, WorkItem};
use crate::supervision::ActorCell;
use crate::telemetry::{LogThrottles, Metrics, QueryWithoutVectors};

/// What an Extractor works with.
pub struct ExtractorDeps {
    /// Where work comes from.
    pub admission: Admission,
    /// Where it goes.
    pub retriever: NextStage<Extracted>,
    /// Where questions go that brought what is to be ordered.
    pub ranker: NextStage<Rankable>,
    /// Where queries without vectors are counted.
    pub metrics: Metrics,
    /// The actor's public state.
    pub cell: Arc<ActorCell>,
}

/// See the module.
pub struct Extractor {
    deps: Arc<ExtractorDeps>,
    /// How often it is said of whose queries why they go on without vectors.
    without_vectors: Arc<LogThrottles<(ProfileName, WithoutVectors)>>,
}

impl Actor for Extractor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        Self::add_stream(self.deps.admission.admitted(), context);
    }
}

impl Supervised for Extractor {}

impl StreamHandler<AdmittedItem> for Extractor {
    fn handle(&mut self, admitted: AdmittedItem, _context: &mut Self::Context) {
        self.deps.cell.note_handled();
        let AdmittedItem { item, ticket, effort } = admitted;
        failure_point!(Extractor, item.key.interaction.as_str());
        match &item.ask {
            Ask::Cards(utterance) => {
                let utterance = Arc::clone(utterance);
                self.extract(item, ticket, utterance, effort);
            }
            Ask::Order(_) => {
                self.deps.ranker.hand_on(Rankable { item, ticket, order: None }, Stage::Extract);
            }
        }
    }
}

impl Extractor {
    /// An Extractor that has nothing in hand.
    pub fn new(deps: ExtractorDeps) -> Self {
        Self { deps: Arc::new(deps), without_vectors: Arc::default() }
    }

    /// Waits for the query in a task of its own.
    fn extract(&self, item: WorkItem, mut ticket: Ticket, utterance: Arc<Utterance>, effort: Effort) {
        let (in_flight, span) = (self.deps.cell.in_flight(), ticket.span().clone());
        let (deps, throttles) = (Arc::clone(&self.deps), Arc::clone(&self.without_vectors));
        let work = async move {
            let tenant = Arc::clone(ticket.tenant());
            let query = tenant.engine.extract(&utterance, &tenant.profile.plan, effort).await;
            if let Some(reason) = query.without_vectors.filter(|reason| *reason != WithoutVectors::NotNeeded) {
                QueryWithoutVectors { profile: tenant.name(), reason }.emit(&deps.metrics, &throttles);
            }
            ticket.leave(Stage::Extract);
            deps.retriever.hand_on(Extracted { item, ticket, query }, Stage::Extract);
            drop(in_flight);
        };
        tokio::spawn(work.instrument(span));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cuecard_engine::BackendName;
    use cuecard_engine::encoder::{Encoder, EncoderError, Encoding};
    use cuecard_failure_points::FailurePoint;
    use tokio::time::{Instant, advance, pause};

    use super::*;
    use crate::admission::AdmissionSettings;
    use crate::inbox::{Inbox, stage};
    use crate::messages::{Failure, Outcome};
    use crate::testing::{
        Bench, Gates, LOAD_SHEDDING, Logged, Recorder, TenantParts, inject_panics, item, key, plan, ranking_item, take,
        until,
    };

    struct Fixture {
        bench: Bench,
        recorder: Arc<Recorder>,
        admission: Admission,
        gates: Arc<Gates>,
        extracted: Inbox<Extracted>,
        rankable: Inbox<Rankable>,
        address: actix::Addr<Extractor>,
    }

    /// An encoding waits at the gate of its text; that of `worse` panics behind it. An interaction whose name begins with
    /// `bad` panics at once.
    fn fixture(expected_panics: u64) -> Fixture {
        pause();
        inject_panics(FailurePoint::Extractor, "bad");
        let (bench, gates) = (Bench::expecting("extractor", expected_panics), Gates::new());
        let waits = Arc::clone(&gates);
        let encoder = Encoder::scripted(move |text| {
            let gate = waits.pass(&text);
            async move {
                gate.await;
                assert_ne!(text, "worse", "injected");
                if text == "crowded" {
                    return Err(EncoderError::QueueFull { capacity: 1 });
                }
                Ok(Encoding::along(text.len()))
            }
        });
        let tenant = TenantParts { encoder, plan: plan(&[BackendName::Index]), ..TenantParts::new("acme") }.build();
        let recorder = Recorder::of([tenant].into_iter().collect());
        let settings = AdmissionSettings { queue: 9, in_flight: 9, at_work: 9, load_shedding: LOAD_SHEDDING };
        let admission = Admission::new(settings, recorder.tenants(), recorder.sink());
        let ((retriever, extracted), (ranker, rankable)) = (stage(9), stage(9));
        let (work, cell) = (admission.clone(), Arc::clone(&bench.cell));
        let deps = ExtractorDeps { admission: work, retriever, ranker, metrics: bench.metrics.clone(), cell };
        let address = bench.supervise(Extractor::new(deps));
        Fixture { bench, recorder, admission, gates, extracted, rankable, address }
    }

    /// An utterance whose only words are the interaction's name.
    fn said(interaction: &str) -> WorkItem {
        WorkItem { ask: Ask::Cards(Arc::new(Utterance::question(interaction))), ..item("acme", interaction, 1) }
    }

    /// The bad item's extraction panics; two items queue behind it and a third is being encoded.
    #[actix::test]
    async fn a_panic_costs_the_item_in_hand_and_no_other() {
        let Fixture { bench, recorder, admission, gates, extracted, address, .. } = fixture(1);
        admission.hear(said("encoding"));
        until("one is being encoded", || bench.cell.report().in_flight == 1).await;
        for interaction in ["one", "two"] {
            gates.open(interaction);
            admission.hear(said(interaction));
        }
        // The freshest goes first.
        let bad = said("bad");
        admission.hear(bad.clone());
        let mut done = take(&extracted, 2).await;
        gates.open("encoding");
        done.extend(take(&extracted, 1).await);
        let texts: Vec<_> = done.iter().map(|extracted| extracted.query.text.verbatim()).collect();
        assert_eq!(texts, ["two", "one", "encoding"]);
        assert!(done.iter().all(|extracted| extracted.query.embedding.is_some()));
        assert_eq!(recorder.outcome_of(&bad), Some(Outcome::Failed(Failure::Panicked)));
        assert_eq!(recorder.labels(), ["failed"], "the others are still on their way");
        bench.assert_recovered(&address);
        assert_eq!((admission.in_flight(), bench.cell.report().in_flight), (3, 0), "the bad item's permit is back");
    }

    #[actix::test]
    async fn ten_panics_a_minute_cost_what_was_in_hand_and_the_eleventh_ends_the_actor() {
        let fixture = fixture(11);
        let Fixture { bench, recorder, admission, gates, extracted, .. } = &fixture;
        let deadline = Instant::now() + Duration::from_hours(1);
        admission.hear(WorkItem { deadline, ..said("encoding") });
        until("one is being encoded", || bench.cell.report().in_flight == 1).await;
        let poison = async |_| {
            let bad = said("bad");
            admission.hear(bad.clone());
            until("it ends", || recorder.outcome_of(&bad).is_some()).await;
            assert_eq!(recorder.outcome_of(&bad), Some(Outcome::Failed(Failure::Panicked)));
        };
        let works = async |_| {
            admission.hear(said("good"));
            gates.open("good");
            assert_eq!(take(extracted, 1).await[0].item.key.interaction.as_str(), "good");
        };
        bench.panic_until_it_gives_up(poison, works).await;
        gates.open("encoding");
        assert_eq!(take(extracted, 1).await[0].item.key.interaction.as_str(), "encoding", "it outlives its actor");
        assert_eq!(recorder.labels().iter().filter(|label| **label == "failed").count(), 11 + 11);
    }

    #[actix::test]
    async fn an_encoding_that_panics_ends_its_item_and_shows_in_the_cell() {
        let Fixture { bench, recorder, admission, gates, address, .. } = fixture(1);
        let worse = said("worse");
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
        let late = said("late");
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
        let Rankable { item, order, .. } = reached.remove(0);
        assert_eq!((item, order.is_none()), (given, true));
    }

    #[actix::test]
    async fn queries_without_vectors_are_counted_each_and_told_once_in_a_while() {
        let logged = Logged::start();
        let Fixture { bench, admission, gates, extracted, .. } = fixture(0);
        for number in 0..3 {
            gates.open("crowded");
            admission.hear(WorkItem { key: key("acme", &format!("c-{number}")), ..said("crowded") });
        }
        let queries = take(&extracted, 3).await;
        assert!(queries.iter().all(|extracted| extracted.query.without_vectors == Some(WithoutVectors::QueueFull)));
        let series = r#"cuecard_queries_without_vectors_total{profile="acme",reason="queue_full"}"#;
        assert_eq!((bench.metric(series), logged.count("without vectors")), (3, 1), "{:?}", logged.lines());
    }
}

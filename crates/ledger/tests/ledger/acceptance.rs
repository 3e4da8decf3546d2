//! How cards were received: counted along, and the same as a count over everything.

use cuecard_ledger::{Acceptance, Judged, NewFeedback};
use proptest::prelude::*;
use sqlx::{AnyConnection, Executor, Row};
use uuid::Uuid;

use crate::deliveries::delivery;
use crate::event;
use crate::stores::{Store, on_both};

on_both! {
    async fn each_delivered_card_counts_once_by_its_newest_event(store: Store) {
        let ledger = store.open().await;
        let (deliveries, queue) = (ledger.deliveries(), ledger.feedback());
        assert_eq!(deliveries.acceptance().ratio(), None);
        deliveries.record(delivery(1, "call", &["a", "b", "c"])).await.unwrap();
        deliveries.record(delivery(2, "another", &["a", "b"])).await.unwrap();
        for (interaction, insight, accepted) in [
            ("call", "a", false),
            ("call", "a", true),
            ("call", "b", true),
            ("another", "a", true),
            ("another", "b", false),
            ("never shown", "a", false),
        ] {
            queue.store(event(interaction, insight, accepted)).await.unwrap();
        }
        queue.store(NewFeedback { profile: "other".into(), ..event("call", "c", false) }).await.unwrap();
        assert_eq!(deliveries.acceptance(), Acceptance { accepted: 3, rejected: 1 });
        assert_eq!(deliveries.acceptance().ratio(), Some(0.75));
    }

    async fn deliveries_are_found_of_which_the_first_card_was_rejected(store: Store) {
        let ledger = store.open().await;
        let (deliveries, queue) = (ledger.deliveries(), ledger.feedback());
        for (id, call) in [(1, "first"), (2, "second"), (3, "changed"), (4, "newest")] {
            deliveries.record(delivery(id, call, &["a", "b"])).await.unwrap();
        }
        for (call, insight, accepted) in [
            ("first", "a", false),
            ("second", "b", false),
            ("changed", "a", false),
            ("changed", "a", true),
            ("newest", "a", false),
        ] {
            queue.store(event(call, insight, accepted)).await.unwrap();
        }
        assert_eq!(deliveries.rejected(10).await.unwrap(), [4, 1].map(Uuid::from_u128));
        assert_eq!(deliveries.rejected(1).await.unwrap(), [Uuid::from_u128(4)]);
    }

    async fn verdicts_are_told_by_the_rank_of_their_card_and_a_changed_one_counts_again(store: Store) {
        let ledger = store.open().await;
        ledger.deliveries().record(delivery(1, "call", &["a", "b"])).await.unwrap();
        for (insight, accepted) in [("a", true), ("a", true), ("a", false), ("b", false), ("unknown", true)] {
            ledger.feedback().store(event("call", insight, accepted)).await.unwrap();
        }
        let mut judged = ledger.deliveries().judged(&event("call", "a", true).profile);
        judged.sort_by_key(|judged| (judged.rank, !judged.accepted));
        let expected = [(1, true), (1, false), (2, false)];
        assert_eq!(judged, expected.map(|(rank, accepted)| Judged { rank, accepted, verdicts: 1 }));
        assert_eq!(ledger.deliveries().judged("other"), []);
        assert!(ledger.num_bytes().await.unwrap() > 4096);
    }

    async fn a_write_that_fails_is_not_counted(store: Store) {
        let ledger = store.open().await;
        ledger.feedback().store(event("call", "a", true)).await.unwrap();
        let deliveries = ledger.deliveries();
        assert!(deliveries.record(delivery(1, "call", &["a", "a"])).await.is_err());
        assert_eq!(deliveries.acceptance(), Acceptance::default());
        deliveries.record(delivery(1, "call", &["a"])).await.unwrap();
        assert_eq!(deliveries.acceptance(), Acceptance { accepted: 1, rejected: 0 });
    }
}

#[derive(Debug, Clone)]
enum Operation {
    Deliver { interaction: u8, articles: Vec<&'static str> },
    Judge { interaction: u8, article: &'static str, accepted: bool },
    Reopen,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let articles = prop::sample::subsequence(vec!["a", "b", "c"], 1..=3);
    let operation = prop_oneof![
        3 => (0..2_u8, articles).prop_map(|(interaction, articles)| Operation::Deliver { interaction, articles }),
        6 => (0..2_u8, prop::sample::select(vec!["a", "b", "c"]), any::<bool>())
            .prop_map(|(interaction, article, accepted)| Operation::Judge { interaction, article, accepted }),
        1 => Just(Operation::Reopen),
    ];
    prop::collection::vec(operation, 1..40)
}

/// The rule as one statement over everything: of each delivered card, the newest event.
async fn counted_over(raw: &mut AnyConnection) -> Acceptance {
    let statement = "SELECT COALESCE(SUM(accepted), 0) AS accepted, COALESCE(SUM(1 - accepted), 0) AS rejected
         FROM feedback AS one
         WHERE delivery IS NOT NULL AND NOT EXISTS (
             SELECT 1 FROM feedback AS later
             WHERE later.delivery = one.delivery AND later.insight = one.insight AND later.id > one.id)";
    // The sum of integers is a number of another type in PostgreSQL.
    let statement = format!("SELECT CAST(accepted AS BIGINT), CAST(rejected AS BIGINT) FROM ({statement}) AS sums");
    let row = raw.fetch_one(&*statement).await.unwrap();
    let [accepted, rejected] = [0, 1].map(|field| row.get::<i64, _>(field) as u64);
    Acceptance { accepted, rejected }
}

async fn compare(store: Store, operations: Vec<Operation>) {
    let mut ledger = store.open().await;
    let mut raw = store.raw().await;
    for (number, operation) in (1..).zip(operations) {
        match operation {
            Operation::Deliver { interaction, articles } => {
                let delivery = delivery(number, &format!("call-{interaction}"), &articles);
                ledger.deliveries().record(delivery).await.unwrap();
            }
            Operation::Judge { interaction, article, accepted } => {
                let event = event(&format!("call-{interaction}"), article, accepted);
                ledger.feedback().store(event).await.unwrap();
            }
            Operation::Reopen => {
                ledger.close().await;
                ledger = store.open().await;
            }
        }
        assert_eq!(ledger.deliveries().acceptance(), counted_over(&mut raw).await);
    }
    ledger.close().await;
}

proptest! {
    // Each case works on a database of its own.
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_running_figures_are_those_of_a_count_over_everything(operations in operations()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            compare(Store::sqlite(), operations.clone()).await;
            if let Some(store) = Store::postgres().await {
                compare(store, operations).await;
            }
        });
    }
}

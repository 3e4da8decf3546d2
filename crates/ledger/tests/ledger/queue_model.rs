//! The queue against a model of it in memory, over random operations and reopenings.

use cuecard_ledger::{ItemEnd, ItemId, Ledger, QueueKind};
use proptest::prelude::*;

use crate::stores::Store;
use crate::{event, second};

#[derive(Debug, Clone)]
enum Operation {
    Store { interaction: u8 },
    Delivered { chosen: usize },
    RetryAt { chosen: usize, at: i64 },
    SetAside { chosen: usize },
    Reopen,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        4 => (0..4_u8).prop_map(|interaction| Operation::Store { interaction }),
        2 => any::<usize>().prop_map(|chosen| Operation::Delivered { chosen }),
        2 => (any::<usize>(), 0..20_i64).prop_map(|(chosen, at)| Operation::RetryAt { chosen, at }),
        1 => any::<usize>().prop_map(|chosen| Operation::SetAside { chosen }),
        1 => Just(Operation::Reopen),
    ];
    prop::collection::vec(operation, 1..40)
}

#[derive(Debug)]
struct ModelEvent {
    id: ItemId,
    interaction: String,
    pending: bool,
    attempts: u32,
    retry_at: i64,
}

#[derive(Debug, Default)]
struct Model {
    events: Vec<ModelEvent>,
}

impl Model {
    fn due(&self, now: i64) -> Vec<(ItemId, u32)> {
        let mut seen = std::collections::HashSet::new();
        let heads = self.events.iter().filter(|event| event.pending && seen.insert(&event.interaction));
        heads.filter(|event| event.retry_at <= now).map(|event| (event.id, event.attempts)).collect()
    }

    fn attempt(&mut self, chosen: usize, settled: bool, retry_at: i64) -> Option<ItemId> {
        let index = chosen.checked_rem(self.events.len())?;
        let event = &mut self.events[index];
        if event.pending {
            (event.pending, event.attempts, event.retry_at) = (!settled, event.attempts + 1, retry_at);
        }
        Some(event.id)
    }
}

async fn apply(operation: Operation, ledger: &mut Ledger, store: &Store, model: &mut Model) {
    let queue = ledger.queue(QueueKind::Feedback);
    match operation {
        Operation::Store { interaction } => {
            let interaction = format!("call-{interaction}");
            ledger.feedback().store(event(&interaction, "article", true)).await.unwrap();
            // The ids grow in the order of storing, from 1 in a database of one's own.
            let id = ItemId(i64::try_from(model.events.len()).unwrap() + 1);
            model.events.push(ModelEvent { id, interaction, pending: true, attempts: 0, retry_at: 0 });
        }
        Operation::Delivered { chosen } => {
            let Some(id) = model.attempt(chosen, true, 0) else { return };
            queue.ended(id, ItemEnd::Arrived).await.unwrap();
        }
        Operation::RetryAt { chosen, at } => {
            let Some(id) = model.attempt(chosen, false, at) else { return };
            queue.ended(id, ItemEnd::RetryAt(second(at), "no answer".into())).await.unwrap();
        }
        Operation::SetAside { chosen } => {
            let Some(id) = model.attempt(chosen, true, 0) else { return };
            queue.ended(id, ItemEnd::SetAside("refused".into())).await.unwrap();
        }
        Operation::Reopen => {
            ledger.close().await;
            *ledger = store.open().await;
        }
    }
}

async fn compare(store: Store, operations: Vec<Operation>) {
    let mut ledger = store.open().await;
    let mut model = Model::default();
    for operation in operations {
        apply(operation, &mut ledger, &store, &mut model).await;
        let queue = ledger.queue(QueueKind::Feedback);
        for now in [0, 10, 20] {
            let due = queue.due("main", second(now), 100).await.unwrap();
            let due: Vec<_> = due.iter().map(|item| (item.id, item.attempts)).collect();
            assert_eq!(due, model.due(now), "due at {now}");
        }
        let pending = model.events.iter().filter(|event| event.pending).count();
        assert_eq!(queue.pending_count("main"), pending as u64);
        let profiles: Vec<_> = (pending > 0).then(|| ("main".to_owned(), pending as u64)).into_iter().collect();
        assert_eq!(queue.pending_profiles(), profiles);
    }
    ledger.close().await;
}

proptest! {
    // Each case works on a database of its own.
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_behaves_as_its_model(operations in operations()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            compare(Store::sqlite(), operations.clone()).await;
            if let Some(store) = Store::postgres().await {
                compare(store, operations).await;
            }
        });
    }
}

//! The queue against a model of it in memory, over random operations and reopenings.

use cuecard_ledger::{FeedbackId, Ledger, PendingFeedback};
use proptest::prelude::*;

use crate::{event, second, url};

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
    id: FeedbackId,
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
    fn due(&self, now: i64) -> Vec<(FeedbackId, u32)> {
        let mut seen = std::collections::HashSet::new();
        let heads = self.events.iter().filter(|event| event.pending && seen.insert(&event.interaction));
        heads.filter(|event| event.retry_at <= now).map(|event| (event.id, event.attempts)).collect()
    }

    fn attempt(&mut self, chosen: usize, settled: bool, retry_at: i64) -> Option<FeedbackId> {
        let index = chosen.checked_rem(self.events.len())?;
        let event = &mut self.events[index];
        if event.pending {
            (event.pending, event.attempts, event.retry_at) = (!settled, event.attempts + 1, retry_at);
        }
        Some(event.id)
    }
}

async fn apply(operation: Operation, ledger: &mut Ledger, url: &str, model: &mut Model) {
    let queue = ledger.feedback();
    match operation {
        Operation::Store { interaction } => {
            let interaction = format!("call-{interaction}");
            let id = queue.store(event(&interaction, "article", true)).await.unwrap();
            model.events.push(ModelEvent { id, interaction, pending: true, attempts: 0, retry_at: 0 });
        }
        Operation::Delivered { chosen } => {
            let Some(id) = model.attempt(chosen, true, 0) else { return };
            queue.delivered(id).await.unwrap();
        }
        Operation::RetryAt { chosen, at } => {
            let Some(id) = model.attempt(chosen, false, at) else { return };
            queue.retry_at(id, second(at), "no answer").await.unwrap();
        }
        Operation::SetAside { chosen } => {
            let Some(id) = model.attempt(chosen, true, 0) else { return };
            queue.set_aside(id, "refused").await.unwrap();
        }
        Operation::Reopen => {
            ledger.close().await;
            *ledger = Ledger::open(url).await.unwrap();
        }
    }
}

async fn compare(operations: Vec<Operation>) {
    let directory = tempfile::tempdir().unwrap();
    let url = url(&directory);
    let mut ledger = Ledger::open(&url).await.unwrap();
    let mut model = Model::default();
    for operation in operations {
        apply(operation, &mut ledger, &url, &mut model).await;
        for now in [0, 10, 20] {
            let due = ledger.feedback().due("main", second(now), 100).await.unwrap();
            let due: Vec<_> = due.iter().map(|PendingFeedback { id, attempts, .. }| (*id, *attempts)).collect();
            assert_eq!(due, model.due(now), "due at {now}");
        }
        let pending = model.events.iter().filter(|event| event.pending).count();
        assert_eq!(ledger.feedback().pending_count("main"), pending as u64);
        let profiles: Vec<_> = (pending > 0).then(|| ("main".to_owned(), pending as u64)).into_iter().collect();
        assert_eq!(ledger.feedback().pending_profiles(), profiles);
    }
}

proptest! {
    // Each case works on a file of its own.
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_behaves_as_its_model(operations in operations()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(compare(operations));
    }
}

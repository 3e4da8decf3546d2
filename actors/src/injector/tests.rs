#![allow(clippy::unwrap_used)]

mod lanes;
mod panics;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use cuecard_failure_points::FailurePoint;
use cuecard_ledger::{Ledger, LedgerOptions};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::{advance, pause};

use super::*;
use crate::inbox::{NextStage, stage};
use crate::messages::{Failure, Receipt, WorkItem};
use crate::testing::{
    Bench, Call, Cxone, Recorder, TenantParts, answer, delivery, give_tokens, inject_panics, item, key, patient_item,
    until,
};

struct Fixture {
    bench: Bench,
    recorder: Arc<Recorder>,
    cxone: Arc<Cxone>,
    cards: NextStage<Delivery>,
    /// What each decision is of.
    said: RefCell<HashMap<String, (String, u64)>>,
    not_shown: Rc<RefCell<Vec<NotShown>>>,
    injector: Addr<Injector>,
    ledger: (Ledger, TempDir),
}

/// Stands for the Ranker.
struct Unseen {
    heard: Rc<RefCell<Vec<NotShown>>>,
}

impl Actor for Unseen {
    type Context = Context<Self>;
}

impl Handler<NotShown> for Unseen {
    type Result = ();

    fn handle(&mut self, message: NotShown, _: &mut Self::Context) {
        self.heard.borrow_mut().push(message);
    }
}

/// Two pushes at once for each profile. A push waits at CXone for the gate of its interaction. Of the interactions whose
/// name begins so: `bad` panics before its push, `worse` during it, `refused` is not taken by CXone.
async fn fixture(expected_panics: u64) -> Fixture {
    inject_panics(FailurePoint::Injector, "bad");
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("ledger.db").display());
    let ledger = Ledger::open(&url, LedgerOptions::default()).await.unwrap();
    pause();
    let bench = Bench::expecting("injector", expected_panics);
    let cxone = Cxone::gated(|call| Some(interaction(call)));
    cxone.answer_with(|call| {
        let interaction = interaction(call);
        assert!(!interaction.starts_with("worse"), "injected");
        if interaction.starts_with("refused") { answer(400, "{}") } else { answer(200, r#"{"id":"card-1"}"#) }
    });
    let tenant = |name| TenantParts { cxone: Arc::clone(&cxone), ..TenantParts::new(name) }.build();
    let recorder = Recorder::of(["acme", "other"].map(tenant).into_iter().collect());
    give_tokens(&recorder.tenants());
    let (cards, inbox) = stage(32);
    let not_shown = Rc::<RefCell<Vec<NotShown>>>::default();
    let deps = InjectorDeps {
        inbox,
        records: DeliveryRecords::new(ledger.deliveries(), bench.metrics.clone()),
        ranker: Unseen { heard: Rc::clone(&not_shown) }.start().recipient(),
        width: LaneWidth { in_flight: 2, waiting: 5 },
        profiles: 2,
        conversations: 100,
        forget_after: Duration::from_mins(15),
        cell: Arc::clone(&bench.cell),
        escalation: bench.escalation.clone(),
    };
    let injector = bench.supervise(Injector::new(deps));
    let said = RefCell::default();
    Fixture { bench, recorder, cxone, cards, said, not_shown, injector, ledger: (ledger, directory) }
}

fn interaction(push: &Call) -> String {
    push.text("/insights/0/interactionId")
}

impl Fixture {
    fn deliver(&self, item: &WorkItem) {
        self.note(item);
        self.cards.hand_on(delivery(item, &self.recorder), Stage::Rank);
    }

    fn note(&self, item: &WorkItem) {
        let of = (item.key.interaction.to_string(), item.utterance_number);
        self.said.borrow_mut().insert(item.decision.to_string(), of);
    }

    fn say(&self, profile: &str, interaction: &str, utterance: u64) -> WorkItem {
        let item = item(profile, interaction, utterance);
        self.deliver(&item);
        item
    }

    fn ask(&self, item: &WorkItem) -> oneshot::Receiver<Outcome> {
        self.note(item);
        let (reply, answer) = oneshot::channel();
        let delivery = delivery(item, &Recorder::new());
        let ticket = self.recorder.ticket_for(item, Some(reply));
        self.cards.hand_on(Delivery { ticket, ..delivery }, Stage::Rank);
        answer
    }

    fn open(&self, interaction: &str) {
        self.cxone.open(interaction);
    }

    /// Lets everything happen that needs no further gate.
    async fn settle(&self) {
        for _ in 0..40 {
            tokio::task::yield_now().await;
        }
    }

    fn outcome_of(&self, item: &WorkItem) -> Option<&'static str> {
        self.recorder.outcome_of(item).map(|outcome| outcome.label())
    }

    /// Pushes in the order in which they reached CXone: interaction, utterance.
    fn pushed(&self) -> Vec<(String, u64)> {
        let said = self.said.borrow();
        self.cxone.calls().iter().map(|call| said[call.idempotency_key.as_ref().unwrap()].clone()).collect()
    }

    /// Those that CXone took.
    fn delivered(&self) -> Vec<(String, u64)> {
        let decisions = self.recorder.decisions().into_iter();
        let delivered = decisions.filter(|decision| matches!(decision.outcome, Outcome::Delivered(_)));
        delivered.map(|decision| (decision.interaction.to_string(), decision.utterance_number)).collect()
    }

    fn not_shown(&self) -> Vec<InteractionKey> {
        assert!(self.not_shown.borrow().iter().all(|message| message.article_id == "article"));
        self.not_shown.borrow().iter().map(|message| message.key.clone()).collect()
    }

    async fn ended(&self, item: &WorkItem) {
        until("its ticket ends", || self.recorder.outcome_of(item).is_some()).await;
        self.settle().await;
    }
}

fn pushed<const N: usize>(expected: [(&str, u64); N]) -> Vec<(String, u64)> {
    expected.map(|(interaction, utterance)| (interaction.to_owned(), utterance)).to_vec()
}

#[actix::test]
async fn a_card_whose_delivery_the_ledger_does_not_take_goes_out_all_the_same_and_is_counted() {
    let fixture = fixture(0).await;
    fixture.ledger.0.close().await;
    for (interaction, unrecorded) in [("a", 1), ("b", 2)] {
        fixture.open(interaction);
        let item = fixture.say("acme", interaction, 1);
        fixture.ended(&item).await;
        assert_eq!(fixture.outcome_of(&item), Some("delivered"));
        let counted = fixture.bench.metric(r#"cuecard_dropped_total{actor="injector",reason="unrecorded"}"#);
        assert_eq!(counted, unrecorded);
    }
    assert_eq!(fixture.pushed(), pushed([("a", 1), ("b", 1)]));
    assert!(fixture.not_shown().is_empty(), "they stand on the screen");
}

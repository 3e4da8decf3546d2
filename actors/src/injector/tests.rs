#![allow(clippy::unwrap_used)]

mod lanes;
mod panics;

use std::cell::RefCell;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::{advance, pause};

use super::*;
use crate::inbox::{NextStage, stage};
use crate::messages::{Content, Failure, OutcomeSink, Ticket, WorkItem};
use crate::testing::{Bench, Gates, Recorder, card, delivery, item, key, refusal, until};

struct Fixture {
    bench: Bench,
    recorder: Arc<Recorder>,
    gates: Arc<Gates>,
    cards: NextStage<Delivery>,
    /// Pushes in the order in which they started: profile, interaction, utterance.
    pushes: Rc<RefCell<Vec<(String, String, u64)>>>,
    /// Utterances whose cards CXone took.
    delivered: Rc<RefCell<Vec<(String, u64)>>>,
    not_shown: Rc<RefCell<Vec<NotShown>>>,
    injector: Addr<Injector>,
}

/// Two pushes at once for each profile. A push waits for the gate of its interaction. Of the interactions whose name
/// begins so: `bad` panics before its push, `worse` during it, `refused` is not taken by CXone.
fn fixture(expected_panics: u64) -> Fixture {
    pause();
    let (bench, recorder, gates) = (Bench::expecting("injector", expected_panics), Recorder::new(), Gates::new());
    let (cards, inbox) = stage(32);
    let pushes = Rc::<RefCell<Vec<(String, String, u64)>>>::default();
    let delivered = Rc::<RefCell<Vec<(String, u64)>>>::default();
    let not_shown = Rc::<RefCell<Vec<NotShown>>>::default();
    let (started, waits) = (Rc::clone(&pushes), Arc::clone(&gates));
    let (taken, untold) = (Rc::clone(&delivered), Rc::clone(&not_shown));
    let push: Push = Rc::new(move |delivery| {
        let item = &delivery.item;
        let interaction = item.key.interaction.to_string();
        assert!(!interaction.starts_with("bad"), "injected");
        started.borrow_mut().push((item.key.profile.to_string(), interaction.clone(), item.utterance_number));
        let gate = waits.pass(&interaction);
        async move {
            gate.await;
            assert!(!interaction.starts_with("worse"), "injected");
            if interaction.starts_with("refused") {
                return Outcome::Refused(refusal("injected"));
            }
            Outcome::Delivered(Receipt { cxone_id: Some(interaction), ..Receipt::default() })
        }
        .boxed_local()
    });
    let deps = InjectorDeps {
        inbox,
        push,
        record: Rc::new(move |delivery, receipt| {
            assert!(receipt.cxone_id.is_some());
            let id = delivery.item.key.interaction.to_string();
            taken.borrow_mut().push((id, delivery.item.utterance_number));
            std::future::ready(()).boxed_local()
        }),
        not_shown: Rc::new(move |message| untold.borrow_mut().push(message)),
        width: LaneWidth { in_flight: 2, waiting: 5 },
        conversations: 100,
        forget_after: Duration::from_mins(15),
        cell: Arc::clone(&bench.cell),
        escalation: bench.escalation.clone(),
    };
    let injector = bench.supervise(Injector::new(deps));
    Fixture { bench, recorder, gates, cards, pushes, delivered, not_shown, injector }
}

impl Fixture {
    fn deliver(&self, item: &WorkItem) {
        self.cards.hand_on(delivery(item, &self.recorder), Stage::Rank);
    }

    fn say(&self, profile: &str, interaction: &str, utterance: u64) -> WorkItem {
        let item = item(profile, interaction, utterance);
        self.deliver(&item);
        item
    }

    fn ask(&self, item: &WorkItem) -> oneshot::Receiver<Outcome> {
        let (reply, answer) = oneshot::channel();
        let sink = Arc::clone(&self.recorder) as Arc<dyn OutcomeSink>;
        let (item, ticket) = (item.clone(), Ticket::new(item, sink, Some(reply)));
        let content = Content::Cards(vec![card("article")]);
        self.cards.hand_on(Delivery { item, ticket, content }, Stage::Rank);
        answer
    }

    /// Lets everything happen that needs no further gate.
    async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    fn outcome_of(&self, item: &WorkItem) -> Option<&'static str> {
        self.recorder.outcome_of(item).map(|outcome| outcome.label())
    }

    fn pushed(&self) -> Vec<(String, u64)> {
        self.pushes.borrow().iter().map(|(_, interaction, utterance)| (interaction.clone(), *utterance)).collect()
    }

    fn not_shown(&self) -> Vec<InteractionKey> {
        assert!(self.not_shown.borrow().iter().all(|message| message.article_id == "article"));
        self.not_shown.borrow().iter().map(|message| message.key.clone()).collect()
    }

    async fn ended(&self, item: &WorkItem) {
        until("its ticket ends", || self.recorder.outcome_of(item).is_some()).await;
    }
}

fn delivered(interaction: &str) -> Outcome {
    Outcome::Delivered(Receipt { cxone_id: Some(interaction.to_owned()), ..Receipt::default() })
}

fn pushed<const N: usize>(expected: [(&str, u64); N]) -> Vec<(String, u64)> {
    expected.map(|(interaction, utterance)| (interaction.to_owned(), utterance)).to_vec()
}

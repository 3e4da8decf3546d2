#![allow(clippy::unwrap_used)]

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
        in_flight: 2,
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
        assert!(self.not_shown.borrow().iter().all(|message| message.article_ids == ["article"]));
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

#[actix::test]
async fn an_interaction_has_one_push_at_a_time_and_the_newest_that_waits_is_next() {
    let fixture = fixture(0);
    let items = [1, 2, 3].map(|utterance| fixture.say("acme", "a", utterance));
    fixture.settle().await;
    assert_eq!(fixture.pushed(), pushed([("a", 1)]));
    assert_eq!(items.each_ref().map(|item| fixture.outcome_of(item)), [None, Some("replaced"), None]);
    fixture.gates.open("a");
    fixture.ended(&items[0]).await;
    fixture.settle().await;
    assert_eq!(fixture.pushed(), pushed([("a", 1), ("a", 3)]));
    fixture.gates.open("a");
    fixture.ended(&items[2]).await;
    assert_eq!(*fixture.delivered.borrow(), pushed([("a", 1), ("a", 3)]));
    assert_eq!(fixture.not_shown(), [key("acme", "a")], "of the one that was replaced");
    assert_eq!(fixture.recorder.outcome_of(&items[0]), Some(delivered("a")));
}

#[actix::test]
async fn an_older_utterance_that_comes_late_never_overtakes() {
    let fixture = fixture(0);
    let (first, second) = (item("acme", "a", 1), item("acme", "a", 2));
    fixture.gates.open("a");
    fixture.deliver(&second);
    fixture.ended(&second).await;
    fixture.deliver(&first);
    fixture.ended(&first).await;
    assert_eq!((fixture.outcome_of(&first), fixture.outcome_of(&second)), (Some("replaced"), Some("delivered")));
    assert_eq!(fixture.not_shown(), [key("acme", "a")]);
}

/// A Buffer that lost a conversation's window counts its utterances from 1 again.
#[actix::test]
async fn an_utterance_that_was_heard_later_is_newer_whatever_its_number() {
    let fixture = fixture(0);
    for utterance in [7, 1, 2] {
        advance(Duration::from_secs(1)).await;
        fixture.gates.open("a");
        let item = fixture.say("acme", "a", utterance);
        fixture.ended(&item).await;
        assert_eq!(fixture.outcome_of(&item), Some("delivered"), "utterance {utterance}");
    }
}

#[actix::test]
async fn what_callers_wait_for_is_pushed_in_order_and_never_replaced() {
    let fixture = fixture(0);
    let heard = fixture.say("acme", "a", 1);
    let asked: Vec<_> = (7..10).map(|number| item("acme", "a", number)).collect();
    let answers: Vec<_> = asked.iter().map(|item| fixture.ask(item)).collect();
    let newer = fixture.say("acme", "a", 2);
    let newest = fixture.say("acme", "a", 3);
    for _ in 0..5 {
        fixture.settle().await;
        fixture.gates.open("a");
    }
    for answer in answers {
        assert_eq!(answer.await.unwrap().label(), "delivered");
    }
    fixture.ended(&newest).await;
    assert_eq!((fixture.outcome_of(&heard), fixture.outcome_of(&newer)), (Some("delivered"), Some("replaced")));
    assert_eq!(fixture.pushed(), pushed([("a", 1), ("a", 7), ("a", 8), ("a", 9), ("a", 3)]));
}

#[actix::test]
async fn a_profile_has_so_many_pushes_at_once_and_holds_up_no_other() {
    let fixture = fixture(0);
    for interaction in ["a", "b", "c", "d"] {
        fixture.say("acme", interaction, 1);
    }
    fixture.say("other", "e", 1);
    fixture.settle().await;
    assert_eq!(fixture.pushed(), pushed([("a", 1), ("b", 1), ("e", 1)]));
    assert_eq!(fixture.bench.cell.report().in_flight, 3);
    fixture.gates.open("b");
    fixture.settle().await;
    assert_eq!(fixture.pushed().last().unwrap().0, "c", "the lane goes on in order");
    for interaction in ["a", "c", "d", "e"] {
        fixture.gates.open(interaction);
    }
    until("all are delivered", || fixture.delivered.borrow().len() == 5).await;
    until("nothing is left", || fixture.bench.cell.report().in_flight == 0).await;
    assert!(fixture.not_shown().is_empty());
}

#[actix::test]
async fn what_waited_too_long_expires_and_the_lane_goes_on() {
    let fixture = fixture(0);
    for interaction in ["a", "b"] {
        fixture.say("acme", interaction, 1);
    }
    let late = [fixture.say("acme", "a", 2), fixture.say("acme", "c", 1)];
    fixture.settle().await;
    advance(Duration::from_secs(4)).await;
    let fresh = fixture.say("acme", "d", 1);
    fixture.gates.open("a");
    fixture.gates.open("d");
    fixture.ended(&fresh).await;
    let expired = Some(Outcome::Expired(Stage::Inject));
    assert_eq!(late.each_ref().map(|item| fixture.recorder.outcome_of(item)), [expired.clone(), expired]);
    assert_eq!(fixture.outcome_of(&fresh), Some("delivered"));
    let mut not_shown = fixture.not_shown();
    not_shown.sort();
    assert_eq!(not_shown, [key("acme", "a"), key("acme", "c")]);
    assert_eq!(fixture.pushed(), pushed([("a", 1), ("b", 1), ("d", 1)]));
}

#[actix::test]
async fn cards_that_cxone_does_not_take_were_not_shown() {
    let fixture = fixture(0);
    fixture.gates.open("refused");
    let item = fixture.say("acme", "refused", 1);
    fixture.ended(&item).await;
    assert_eq!(fixture.outcome_of(&item), Some("refused"));
    assert_eq!(fixture.not_shown(), [key("acme", "refused")]);
    assert!(fixture.delivered.borrow().is_empty());
}

/// The bad card can't even be pushed; two queue behind it, and another is being pushed.
#[actix::test]
async fn a_panic_costs_the_card_in_hand_and_no_other() {
    let fixture = fixture(1);
    let pushing = fixture.say("acme", "pushing", 1);
    until("one is being pushed", || fixture.bench.cell.report().in_flight == 1).await;
    let bad = fixture.say("acme", "bad", 1);
    let queued = ["one", "two"].map(|interaction| fixture.say("acme", interaction, 1));
    for interaction in ["one", "two", "pushing"] {
        fixture.gates.open(interaction);
    }
    for item in queued.iter().chain([&pushing]) {
        fixture.ended(item).await;
        assert_eq!(fixture.outcome_of(item), Some("delivered"));
    }
    assert_eq!(fixture.recorder.outcome_of(&bad), Some(Outcome::Failed(Failure::Panicked)));
    assert_eq!(fixture.not_shown(), [key("acme", "bad")]);
    fixture.bench.assert_recovered(&fixture.injector);
    until("nothing is left", || fixture.bench.cell.report().in_flight == 0).await;
}

/// Cards wait in their lane, no longer in the inbox, when the panic comes.
#[actix::test]
async fn a_panic_loses_nothing_that_waits_in_a_lane() {
    let fixture = fixture(1);
    let items = ["a", "b", "c", "d"].map(|interaction| fixture.say("acme", interaction, 1));
    let behind = fixture.say("acme", "a", 2);
    fixture.settle().await;
    assert_eq!(fixture.pushed(), pushed([("a", 1), ("b", 1)]));
    fixture.say("other", "bad", 1);
    until("it restarted", || fixture.bench.cell.restarts() == 1).await;
    assert_eq!(fixture.pushed().len(), 2, "a restart doesn't forget what is being pushed");
    for interaction in ["a", "a", "b", "c", "d"] {
        fixture.gates.open(interaction);
    }
    for item in items.iter().chain([&behind]) {
        fixture.ended(item).await;
        assert_eq!(fixture.outcome_of(item), Some("delivered"));
    }
}

#[actix::test]
async fn a_push_whose_task_panics_frees_its_lane_and_its_interaction() {
    let fixture = fixture(2);
    let worse = ["worse-1", "worse-2"].map(|interaction| fixture.say("acme", interaction, 1));
    fixture.settle().await;
    let behind = fixture.say("acme", "worse-1", 2);
    let other = fixture.say("acme", "other", 1);
    fixture.settle().await;
    assert_eq!(fixture.pushed().len(), 2, "the lane is full");
    for gate in ["worse-1", "worse-2", "other"] {
        fixture.gates.open(gate);
    }
    for item in &worse {
        fixture.ended(item).await;
        assert_eq!(fixture.recorder.outcome_of(item), Some(Outcome::Failed(Failure::Panicked)));
    }
    fixture.ended(&other).await;
    assert_eq!(fixture.outcome_of(&other), Some("delivered"));
    until("what waited behind it goes out", || fixture.pushed().contains(&("worse-1".to_owned(), 2))).await;
    assert_eq!(fixture.outcome_of(&behind), None);
    assert_eq!((fixture.bench.cell.panics(), fixture.bench.cell.restarts()), (2, 0));
    let not_shown = ["worse-1", "worse-2"].map(|interaction| key("acme", interaction));
    assert_eq!(fixture.not_shown(), not_shown);
}

#[actix::test]
async fn a_third_conversation_that_panics_escalates() {
    let mut fixture = fixture(3);
    for interaction in ["bad-1", "bad-2", "bad-3"] {
        fixture.say("acme", interaction, 1);
    }
    let reason = fixture.bench.escalated().await;
    assert!(reason.starts_with("injector: "), "{reason}");
    assert_eq!(fixture.recorder.labels(), ["failed"; 3]);
}

#[actix::test]
async fn more_conversations_than_are_kept_track_of_cost_no_delivery() {
    let mut lanes = Lanes::new(1, 2);
    let recorder = Recorder::new();
    let now = Instant::now();
    let items: Vec<_> = ["a", "b", "c", "d"].map(|interaction| item("acme", interaction, 1)).into();
    for item in &items {
        assert!(lanes.queue(delivery(item, &recorder), now).is_none());
    }
    let profile = ProfileName::new("acme");
    for item in &items {
        let Some(Next::Ready(delivery, permit)) = lanes.next(&profile, now) else { panic!("a lane is stuck") };
        assert_eq!(delivery.item.decision, item.decision);
        assert!(lanes.next(&profile, now).is_none(), "one at a time");
        delivery.ticket.finish(Outcome::Replaced);
        drop(permit);
        lanes.push_ended(&item.key);
    }
    assert_eq!(recorder.labels(), ["replaced"; 4]);
}

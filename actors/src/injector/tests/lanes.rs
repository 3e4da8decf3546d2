//! Who is pushed when, and what becomes of those that wait.

use std::pin::pin;

use futures_util::StreamExt;

use super::*;
use crate::admission::{Admission, AdmissionSettings};
use crate::messages::AdmittedItem;
use crate::supervision::ActorState;
use crate::testing::{LOAD_SHEDDING, soon};

#[actix::test]
async fn an_interaction_has_one_push_at_a_time_and_the_newest_that_waits_is_next() {
    let fixture = fixture(0).await;
    let items = [1, 2, 3].map(|utterance| fixture.say("acme", "a", utterance));
    fixture.settle().await;
    assert_eq!(fixture.pushed(), pushed([("a", 1)]));
    assert_eq!(items.each_ref().map(|item| fixture.outcome_of(item)), [None, Some("replaced"), None]);
    fixture.open("a");
    fixture.ended(&items[0]).await;
    fixture.settle().await;
    assert_eq!(fixture.pushed(), pushed([("a", 1), ("a", 3)]));
    fixture.open("a");
    fixture.ended(&items[2]).await;
    assert_eq!(fixture.delivered(), pushed([("a", 1), ("a", 3)]));
    assert_eq!(fixture.not_shown(), [key("acme", "a")], "of the one that was replaced");
    let Some(Outcome::Delivered(Receipt { cxone_id, count, .. })) = fixture.recorder.outcome_of(&items[0]) else {
        panic!("{:?}", fixture.recorder.outcomes());
    };
    assert_eq!((cxone_id.as_deref(), count), (Some("card-1"), 1));
}

#[actix::test]
async fn an_older_utterance_that_comes_late_never_overtakes() {
    let fixture = fixture(0).await;
    let (first, second) = (item("acme", "a", 1), item("acme", "a", 2));
    fixture.open("a");
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
    let fixture = fixture(0).await;
    for utterance in [7, 1, 2] {
        advance(Duration::from_secs(1)).await;
        fixture.open("a");
        let item = fixture.say("acme", "a", utterance);
        fixture.ended(&item).await;
        assert_eq!(fixture.outcome_of(&item), Some("delivered"), "utterance {utterance}");
    }
}

#[actix::test]
async fn what_callers_wait_for_is_pushed_in_order_and_never_replaced() {
    let fixture = fixture(0).await;
    let heard = fixture.say("acme", "a", 1);
    let asked: Vec<_> = (7..10).map(|number| item("acme", "a", number)).collect();
    let answers: Vec<_> = asked.iter().map(|item| fixture.ask(item)).collect();
    let newer = fixture.say("acme", "a", 2);
    let newest = fixture.say("acme", "a", 3);
    for _ in 0..5 {
        fixture.settle().await;
        fixture.open("a");
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
    let fixture = fixture(0).await;
    for interaction in ["a", "b", "c", "d"] {
        fixture.say("acme", interaction, 1);
    }
    fixture.say("other", "e", 1);
    fixture.settle().await;
    assert_eq!(fixture.pushed(), pushed([("a", 1), ("b", 1), ("e", 1)]));
    assert_eq!(fixture.bench.cell.report().in_flight, 3);
    fixture.open("b");
    fixture.settle().await;
    assert_eq!(fixture.pushed().last().unwrap().0, "c", "the lane goes on in order");
    for interaction in ["a", "c", "d", "e"] {
        fixture.open(interaction);
    }
    until("all are delivered", || fixture.delivered().len() == 5).await;
    until("nothing is left", || fixture.bench.cell.report().in_flight == 0).await;
    assert!(fixture.not_shown().is_empty());
}

/// A tenant whose CXone takes nothing for a while has more to push than there are permits.
#[actix::test]
async fn what_waits_for_one_tenants_cxone_takes_no_permit_from_another() {
    let fixture = fixture(0).await;
    let settings = AdmissionSettings { queue: 9, in_flight: 2, at_work: 2, load_shedding: LOAD_SHEDDING };
    let admission = Admission::new(settings, fixture.recorder.tenants(), fixture.recorder.sink());
    let mut admitted = pin!(admission.admitted());
    fixture.open("e");
    let heard = [("acme", "a"), ("acme", "b"), ("acme", "c"), ("acme", "d"), ("other", "e")];
    for (profile, interaction) in heard {
        let item = item(profile, interaction, 1);
        fixture.note(&item);
        admission.hear(item.clone());
        let AdmittedItem { item, ticket, .. } = soon("a permit", admitted.next()).await.unwrap();
        fixture.cards.hand_on(Delivery { ticket, ..delivery(&item, &Recorder::new()) }, Stage::Rank);
        fixture.settle().await;
    }
    until("the other tenant's card is there", || fixture.delivered() == pushed([("e", 1)])).await;
    assert_eq!(fixture.pushed(), pushed([("a", 1), ("b", 1), ("e", 1)]));
    assert_eq!((admission.in_flight(), fixture.bench.cell.report().queue_depth), (0, 2), "c and d still wait");
}

#[actix::test]
async fn a_full_lane_takes_no_more_but_what_takes_the_place_of_an_older_one() {
    let mut lanes = Lanes::new(LaneWidth { in_flight: 1, waiting: 2 }, 9);
    let recorder = Recorder::new();
    let ended = [("a", 1, None), ("b", 1, None), ("c", 1, Some("shed")), ("b", 2, Some("replaced"))];
    for (interaction, number, expected) in ended {
        let item = item("acme", interaction, number);
        let unsent = lanes.queue(delivery(&item, &recorder), Instant::now());
        let outcome = unsent.map(|(unsent, outcome)| {
            unsent.ticket.finish(outcome.clone());
            outcome.label()
        });
        assert_eq!(outcome, expected, "{interaction} {number}");
    }
    assert_eq!(lanes.depth()(), 2);
    let elsewhere = item("other", "c", 1);
    assert!(lanes.queue(delivery(&elsewhere, &recorder), Instant::now()).is_none(), "a tenant fills its own lane only");
}

#[actix::test]
async fn what_waited_too_long_expires_and_the_lane_goes_on() {
    let fixture = fixture(0).await;
    for interaction in ["a", "b"] {
        fixture.say("acme", interaction, 1);
    }
    let late = [fixture.say("acme", "a", 2), fixture.say("acme", "c", 1)];
    fixture.settle().await;
    advance(Duration::from_secs(4)).await;
    let fresh = fixture.say("acme", "d", 1);
    fixture.open("a");
    fixture.open("d");
    fixture.ended(&fresh).await;
    let expired = Some(Outcome::Expired(Stage::Inject));
    assert_eq!(late.each_ref().map(|item| fixture.recorder.outcome_of(item)), [expired.clone(), expired]);
    for item in &late {
        assert_eq!(fixture.recorder.stages_of(item), [(Stage::Inject, 4)], "its wait counts");
    }
    assert_eq!(fixture.outcome_of(&fresh), Some("delivered"));
    let mut not_shown = fixture.not_shown();
    not_shown.sort();
    not_shown.dedup();
    let expected = ["a", "b", "c"].map(|interaction| key("acme", interaction));
    assert_eq!(not_shown, expected, "b waited at CXone until it was too late");
    assert_eq!(fixture.pushed(), pushed([("a", 1), ("b", 1), ("d", 1)]));
}

#[actix::test]
async fn cards_that_cxone_does_not_take_were_not_shown() {
    let fixture = fixture(0).await;
    fixture.open("refused");
    let item = fixture.say("acme", "refused", 1);
    fixture.ended(&item).await;
    assert_eq!(fixture.outcome_of(&item), Some("refused"));
    assert_eq!(fixture.not_shown(), [key("acme", "refused")]);
    assert!(fixture.delivered().is_empty());
}

#[actix::test]
async fn more_conversations_than_are_kept_track_of_cost_no_delivery() {
    let mut lanes = Lanes::new(LaneWidth { in_flight: 1, waiting: 9 }, 2);
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

/// As at a stop: the second utterance waits behind a push that is slow.
#[actix::test]
async fn what_was_accepted_before_the_way_in_was_closed_is_still_pushed_and_then_the_actor_ends() {
    let fixture = fixture(0).await;
    let items = [1, 2].map(|utterance| fixture.say("acme", "a", utterance));
    let crowd: Vec<_> = (0..4).map(|number| fixture.say("acme", &format!("other-{number}"), 1)).collect();
    fixture.settle().await;
    fixture.cards.close();
    fixture.settle().await;
    assert_eq!(fixture.bench.cell.state(), ActorState::Running, "five wait or are being pushed");
    for interaction in ["a", "a", "other-0", "other-1", "other-2", "other-3"] {
        fixture.open(interaction);
    }
    for item in items.iter().chain(&crowd) {
        fixture.ended(item).await;
        assert_eq!(fixture.outcome_of(item), Some("delivered"));
    }
    until("it ends", || fixture.bench.cell.state() == ActorState::Stopped).await;
}

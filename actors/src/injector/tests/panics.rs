//! What a panic costs.

use super::*;

/// The bad card can't even be pushed; two queue behind it, and another is being pushed.
#[actix::test]
async fn a_panic_costs_the_card_in_hand_and_no_other() {
    let fixture = fixture(1).await;
    let pushing = fixture.say("acme", "pushing", 1);
    until("one is being pushed", || fixture.bench.cell.report().in_flight == 1).await;
    let bad = fixture.say("acme", "bad", 1);
    let queued = ["one", "two"].map(|interaction| fixture.say("acme", interaction, 1));
    for interaction in ["one", "two", "pushing"] {
        fixture.open(interaction);
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
    let fixture = fixture(1).await;
    let items = ["a", "b", "c", "d"].map(|interaction| fixture.say("acme", interaction, 1));
    let behind = fixture.say("acme", "a", 2);
    fixture.settle().await;
    assert_eq!(fixture.pushed(), pushed([("a", 1), ("b", 1)]));
    fixture.say("other", "bad", 1);
    until("it restarted", || fixture.bench.cell.restarts() == 1).await;
    assert_eq!(fixture.pushed().len(), 2, "a restart doesn't forget what is being pushed");
    for interaction in ["a", "a", "b", "c", "d"] {
        fixture.open(interaction);
    }
    for item in items.iter().chain([&behind]) {
        fixture.ended(item).await;
        assert_eq!(fixture.outcome_of(item), Some("delivered"));
    }
}

#[actix::test]
async fn a_push_whose_task_panics_frees_its_lane_and_its_interaction() {
    let fixture = fixture(2).await;
    let worse = ["worse-1", "worse-2"].map(|interaction| fixture.say("acme", interaction, 1));
    fixture.settle().await;
    let behind = fixture.say("acme", "worse-1", 2);
    let other = fixture.say("acme", "other", 1);
    fixture.settle().await;
    assert_eq!(fixture.pushed().len(), 2, "the lane is full");
    for gate in ["worse-1", "worse-2", "other"] {
        fixture.open(gate);
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
    let mut not_shown = fixture.not_shown();
    not_shown.sort();
    assert_eq!(not_shown, ["worse-1", "worse-2"].map(|interaction| key("acme", interaction)));
}

#[actix::test]
async fn a_third_conversation_that_panics_escalates() {
    let fixture = fixture(3).await;
    for interaction in ["bad-1", "bad-2", "bad-3"] {
        fixture.say("acme", interaction, 1);
    }
    let reason = fixture.bench.escalated().await;
    assert!(reason.starts_with("injector: "), "{reason}");
    assert_eq!(fixture.recorder.labels(), ["failed"; 3]);
}

#[actix::test]
async fn ten_panics_a_minute_cost_what_was_in_hand_and_the_eleventh_ends_the_actor() {
    let fixture = fixture(11).await;
    let pushing = patient_item("acme", "pushing", 1);
    fixture.deliver(&pushing);
    until("one is being pushed", || fixture.bench.cell.report().in_flight == 1).await;
    let poison = async |number| {
        let bad = fixture.say("acme", "bad", number);
        fixture.ended(&bad).await;
        assert_eq!(fixture.recorder.outcome_of(&bad), Some(Outcome::Failed(Failure::Panicked)));
    };
    let works = async |number| {
        let good = fixture.say("acme", &format!("good-{number}"), 1);
        fixture.open(&format!("good-{number}"));
        fixture.ended(&good).await;
        assert_eq!(fixture.outcome_of(&good), Some("delivered"));
    };
    fixture.bench.panic_until_it_gives_up(poison, works).await;
    fixture.open("pushing");
    fixture.ended(&pushing).await;
    assert_eq!(fixture.outcome_of(&pushing), Some("delivered"), "it outlives its actor");
    assert_eq!(fixture.not_shown().len(), 11, "none of the bad ones counts as shown");
}

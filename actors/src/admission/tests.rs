#![allow(clippy::unwrap_used)]

use std::future::ready;
use std::pin::pin;

use cuecard_engine::encoder::{Encoder, Encoding};
use cuecard_engine::{BackendName, Effort};
use futures_util::{FutureExt, StreamExt};

use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;

use super::*;
use crate::messages::{Failure, Outcome, Receipt};
use crate::testing::{LOAD_SHEDDING, Recorder, TenantParts, item, plan};

fn admission(queue: usize, in_flight: usize, recorder: &Arc<Recorder>) -> Admission {
    let settings = AdmissionSettings { queue, in_flight, at_work: in_flight, load_shedding: LOAD_SHEDDING };
    Admission::new(settings, recorder.tenants(), recorder.sink())
}

#[tokio::test(start_paused = true)]
async fn the_newest_utterance_of_an_interaction_takes_the_place_of_the_one_that_waits() {
    let recorder = Recorder::new();
    let admission = admission(10, 1, &recorder);
    for (interaction, number) in [("a", 1), ("b", 1), ("a", 2)] {
        admission.hear(item("acme", interaction, number));
    }
    // The same interaction id of another tenant is another conversation.
    admission.hear(item("other", "a", 1));
    assert_eq!(recorder.labels(), ["replaced"]);
    let mut admitted = pin!(admission.admitted());
    let mut seen = Vec::new();
    for _ in 0..3 {
        let next = admitted.next().await.unwrap();
        seen.push((
            next.item.key.profile.to_string(),
            next.item.key.interaction.to_string(),
            next.item.utterance_number,
        ));
        next.ticket.finish(Outcome::Replaced);
    }
    // Turn by turn, and the freshest first.
    let expected = [("acme", "a", 2), ("other", "a", 1), ("acme", "b", 1)];
    assert_eq!(seen, expected.map(|(profile, id, number)| (profile.to_owned(), id.to_owned(), number)));
}

#[tokio::test(start_paused = true)]
async fn an_item_leaves_only_with_a_permit_and_the_ticket_gives_it_back() {
    let recorder = Recorder::new();
    let admission = admission(10, 1, &recorder);
    admission.hear(item("acme", "a", 1));
    admission.hear(item("acme", "b", 1));
    let mut admitted = pin!(admission.admitted());
    let first = admitted.next().await.unwrap();
    assert_eq!((admission.in_flight(), admission.queued()), (1, 1));
    assert!(tokio::time::timeout(Duration::from_secs(1), admitted.next()).await.is_err(), "no permit is free");
    drop(first);
    assert_eq!(recorder.outcomes(), [Outcome::Failed(Failure::Stopping)], "dropped unfinished");
    assert_eq!(admitted.next().await.unwrap().item.key.interaction.to_string(), "a");
}

#[tokio::test(start_paused = true)]
async fn late_work_ends_as_expired_and_a_full_queue_lets_the_oldest_go() {
    let recorder = Recorder::new();
    let admission = admission(2, 1, &recorder);
    for interaction in ["a", "b", "c"] {
        admission.hear(item("acme", interaction, 1));
    }
    assert_eq!(recorder.labels(), ["shed"]);
    tokio::time::advance(Duration::from_secs(5)).await;
    admission.hear(item("acme", "d", 1));
    assert_eq!(recorder.labels(), ["shed", "shed"]);
    let mut admitted = pin!(admission.admitted());
    assert_eq!(admitted.next().await.unwrap().item.key.interaction.to_string(), "d");
    assert_eq!(recorder.labels()[..3], ["shed", "shed", "expired"]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_never_replaced_and_told_at_once_when_the_queue_is_full() {
    let recorder = Recorder::new();
    let admission = admission(2, 1, &recorder);
    let first = admission.ask(item("acme", "a", 1));
    let second = admission.ask(item("acme", "a", 2));
    let third = admission.ask(item("acme", "a", 3));
    assert_eq!(third.await.unwrap(), Outcome::Shed);
    let mut admitted = pin!(admission.admitted());
    admitted.next().await.unwrap().ticket.finish(Outcome::Delivered(Receipt::default()));
    assert_eq!(first.await.unwrap(), Outcome::Delivered(Receipt::default()));
    drop(admitted.next().await.unwrap());
    assert_eq!(second.await.unwrap(), Outcome::Failed(Failure::Stopping), "a dropped ticket answers its caller");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_makes_room_for_what_is_heard_but_never_by_turning_a_caller_out() {
    let recorder = Recorder::new();
    let admission = admission(2, 1, &recorder);
    let first = admission.ask(item("acme", "asked", 1));
    admission.hear(item("acme", "a", 1));
    let newer = item("acme", "b", 1);
    admission.hear(newer.clone());
    assert_eq!((recorder.labels(), recorder.outcome_of(&newer)), (vec!["shed"], None), "the older one gives way");
    let mut admitted = pin!(admission.admitted());
    admitted.next().await.unwrap().ticket.finish(Outcome::Delivered(Receipt::default()));
    assert_eq!(first.await.unwrap(), Outcome::Delivered(Receipt::default()), "who waited longest was asked for");

    let full = self::admission(1, 1, &recorder);
    let _waiting = full.ask(item("acme", "asked", 2));
    let heard = item("acme", "c", 1);
    full.hear(heard.clone());
    assert_eq!((recorder.outcome_of(&heard), full.queued()), (Some(Outcome::Shed), 1));
}

/// An admission before an encoder whose oldest text has waited for so long.
fn behind_an_encoder(wait: &Arc<Mutex<Duration>>) -> Admission {
    let wait = Arc::clone(wait);
    let encoder = Encoder::scripted_behind(move || *wait.lock().unwrap(), |_| ready(Ok(Encoding::along(0))));
    let recorder = Recorder::of([TenantParts { encoder, ..TenantParts::new("acme") }.build()].into_iter().collect());
    admission(9, 9, &recorder)
}

#[tokio::test(start_paused = true)]
async fn effort_falls_while_the_encoder_is_behind_and_rises_again_by_itself() {
    let wait = Arc::new(Mutex::new(Duration::from_millis(1500)));
    let admission = behind_an_encoder(&wait);
    admission.hear(item("acme", "a", 1));
    let mut admitted = pin!(admission.admitted());
    assert_eq!(admitted.next().await.unwrap().effort, Effort::LexicalOnly);
    assert_eq!(admission.effort(&ProfileName::new("acme")), Effort::LexicalOnly);
    *wait.lock().unwrap() = Duration::ZERO;
    assert_eq!(admission.effort(&ProfileName::new("acme")), Effort::Full, "although no item came");
}

#[tokio::test(start_paused = true)]
async fn effort_falls_while_more_wait_than_are_let_in_soon_although_none_has_waited_for_long() {
    let recorder = Recorder::new();
    let admission = admission(100, 1, &recorder);
    let mut admitted = pin!(admission.admitted());
    let mut efforts = Vec::new();
    // Ten come for each that is let in, which takes 50 ms: the queue lets the rest go, and nothing in it is older than half a
    // second.
    for number in 0..50 {
        for coming in 0..10 {
            admission.hear(item("acme", &format!("call-{number}-{coming}"), 1));
        }
        let next = admitted.next().await.unwrap();
        efforts.push(next.effort);
        next.ticket.finish(Outcome::Replaced);
        tokio::time::advance(Duration::from_millis(50)).await;
    }
    assert_eq!((efforts[0], efforts[49]), (Effort::Full, Effort::LexicalOnly));
}

#[tokio::test(start_paused = true)]
async fn a_question_of_a_profile_that_nobody_knows_is_dropped_and_its_caller_told() {
    let recorder = Recorder::new();
    let admission = admission(9, 9, &recorder);
    admission.hear(item("gone", "a", 1));
    let asked = admission.ask(item("gone", "a", 2));
    assert_eq!(asked.await.unwrap(), Outcome::Failed(Failure::UnknownProfile { profile: "gone".to_owned() }));
    assert_eq!((admission.queued(), recorder.outcomes()), (0, Vec::new()), "it was never let in");
    let series = r#"cuecard_dropped_total{actor="admission",reason="unknown_profile"}"#;
    assert_eq!(recorder.metric(series), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_dropped_between_items_loses_none_and_closing_drains() {
    let recorder = Recorder::new();
    let admission = admission(10, 2, &recorder);
    {
        let mut admitted = pin!(admission.admitted());
        assert!(tokio::time::timeout(Duration::from_secs(1), admitted.next()).await.is_err());
    }
    admission.hear(item("acme", "a", 1));
    admission.close();
    admission.hear(item("acme", "b", 1));
    assert_eq!(recorder.outcomes(), [Outcome::Failed(Failure::Stopping)], "closed");
    let mut admitted = pin!(admission.admitted());
    let last = admitted.next().await.unwrap();
    assert!(admitted.next().await.is_none());
    assert!(tokio::time::timeout(Duration::from_secs(1), admission.drained()).await.is_err(), "one is on its way");
    last.ticket.finish(Outcome::Replaced);
    admission.drained().await;
}

/// Behind by two seconds, the service lets old questions go, and answers those that came a moment ago.
#[tokio::test(start_paused = true)]
async fn under_the_highest_pressure_only_the_old_items_are_let_go() {
    let recorder = Recorder::new();
    let admission = admission(10, 1, &recorder);
    let mut admitted = pin!(admission.admitted());
    admission.hear(item("acme", "first", 1));
    let first = admitted.next().await.unwrap();
    for interaction in ["old", "replaced", "older-place"] {
        admission.hear(item("acme", interaction, 1));
    }
    let asked = admission.ask(item("acme", "asked", 1));
    tokio::time::advance(Duration::from_millis(2100)).await;
    // The newest utterance has waited for no time at all, although its conversation has.
    admission.hear(item("acme", "replaced", 2));
    admission.hear(item("acme", "new", 1));
    assert_eq!(recorder.labels(), ["replaced"]);
    first.ticket.finish(Outcome::Replaced);
    let mut seen = Vec::new();
    while admission.queued() > 0 {
        let next = admitted.next().await.unwrap();
        seen.push((next.item.key.interaction.to_string(), next.effort));
        next.ticket.finish(Outcome::Delivered(Receipt::default()));
    }
    let names: Vec<_> = seen.iter().map(|(interaction, _)| interaction.as_str()).collect();
    assert_eq!(names, ["asked", "new", "replaced"], "who asked comes first, then the freshest");
    assert_eq!(seen[0].1, Effort::LexicalOnly);
    assert_eq!(recorder.labels().iter().filter(|label| **label == "shed").count(), 2);
    assert!(matches!(asked.await.unwrap(), Outcome::Delivered { .. }), "somebody waits for it");
}

#[tokio::test(start_paused = true)]
async fn a_single_item_is_never_let_go_for_its_age() {
    let recorder = Recorder::new();
    let admission = admission(10, 1, &recorder);
    let mut admitted = pin!(admission.admitted());
    admission.hear(item("acme", "a", 1));
    let first = admitted.next().await.unwrap();
    admission.hear(item("acme", "b", 1));
    tokio::time::advance(Duration::from_secs(3)).await;
    first.ticket.finish(Outcome::Replaced);
    assert_eq!(admitted.next().await.unwrap().item.key.interaction.to_string(), "b");
}

/// One tenant sends more than can be answered; the other one's questions wait for what is at work, and get all the effort.
#[tokio::test(start_paused = true)]
async fn the_flood_of_one_tenant_takes_no_turn_no_place_and_no_effort_of_another() {
    let recorder = Recorder::new();
    let admission = admission(20, 1, &recorder);
    let mut admitted = pin!(admission.admitted());
    admission.hear(item("acme", "first", 1));
    let first = admitted.next().await.unwrap();
    for number in 0..20 {
        admission.hear(item("acme", &format!("flood-{number}"), 1));
    }
    tokio::time::advance(Duration::from_millis(1500)).await;
    for number in 0..5 {
        admission.hear(item("other", &format!("calm-{number}"), 1));
    }
    assert_eq!(recorder.labels(), ["shed"; 5], "room is made among those of which most wait");
    first.ticket.finish(Outcome::Replaced);
    let mut seen = Vec::new();
    for _ in 0..6 {
        let next = admitted.next().await.unwrap();
        seen.push((next.item.key.profile.to_string(), next.effort));
        next.ticket.finish(Outcome::Replaced);
    }
    let (flood, calm) = (("acme".to_owned(), Effort::LexicalOnly), ("other".to_owned(), Effort::Full));
    assert_eq!(seen, [calm.clone(), flood.clone(), calm.clone(), flood.clone(), calm, flood]);
    let levels = ["acme", "other"].map(|profile| admission.shedding_level(&ProfileName::new(profile)));
    assert_eq!(levels, [2, 0]);
}

/// What waits within the stages waits there before the questions of others, whose turn it may be.
#[tokio::test(start_paused = true)]
async fn no_more_are_on_their_way_than_there_are_threads_but_for_those_that_wait_for_others() {
    let graph = plan(&[BackendName::Index, BackendName::Graph]);
    let parts =
        [TenantParts::new("flood"), TenantParts::new("calm"), TenantParts { plan: graph, ..TenantParts::new("far") }];
    let recorder = Recorder::of(parts.map(TenantParts::build).into_iter().collect());
    let settings = AdmissionSettings { queue: 20, in_flight: 5, at_work: 1, load_shedding: LOAD_SHEDDING };
    let admission = Admission::new(settings, recorder.tenants(), recorder.sink());
    let mut admitted = pin!(admission.admitted());
    for number in 0..2 {
        admission.hear(item("flood", &format!("call-{number}"), 1));
        admission.hear(item("far", &format!("call-{number}"), 1));
    }
    let mut on_their_way = Vec::new();
    while let Some(next) = admitted.next().now_or_never().flatten() {
        on_their_way.push(next);
    }
    let profiles: Vec<_> = on_their_way.iter().map(|next| next.item.key.profile.to_string()).collect();
    assert_eq!(profiles, ["flood", "far", "far"]);
    admission.hear(item("calm", "call", 1));
    assert!(admission.is_held(), "what waits stands still because somebody works, and nobody hangs");
    let mut waiting = pin!(admitted.next());
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut waiting).await.is_err(), "the one thread is at work");
    on_their_way.remove(0).ticket.finish(Outcome::Replaced);
    let next = waiting.await.unwrap();
    assert_eq!(next.item.key.profile.to_string(), "calm", "woken by what came back, and it is its turn");
    assert!(admitted.next().now_or_never().is_none(), "the flood's second waits for it");
    next.ticket.finish(Outcome::Replaced);
    assert_eq!(admitted.next().await.unwrap().item.key.profile.to_string(), "flood");
}

#[tokio::test(start_paused = true)]
async fn the_callers_of_one_tenant_take_no_place_of_anothers() {
    let recorder = Recorder::new();
    let admission = admission(4, 1, &recorder);
    let mut flood: Vec<_> = (0..5).map(|number| admission.ask(item("acme", &format!("flood-{number}"), 1))).collect();
    assert_eq!(flood.pop().unwrap().await.unwrap(), Outcome::Shed, "its own places are taken");
    let mut calm: Vec<_> = (0..3).map(|number| admission.ask(item("other", &format!("calm-{number}"), 1))).collect();
    assert_eq!(calm.pop().unwrap().await.unwrap(), Outcome::Shed, "its share is half of four");
    let mut admitted = pin!(admission.admitted());
    for _ in 0..2 {
        admitted.next().await.unwrap().ticket.finish(Outcome::Delivered(Receipt::default()));
    }
    assert_eq!(calm.remove(0).await.unwrap(), Outcome::Delivered(Receipt::default()), "the second turn is its own");
}

/// What may happen at the admission, to two tenants with three interactions each.
#[derive(Debug, Clone)]
enum Event {
    Heard { profile: &'static str, interaction: &'static str },
    Asked { profile: &'static str, interaction: &'static str },
    Admitted,
    Ended(Index),
    Passed(Duration),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let whose = || (prop::sample::select(vec!["acme", "other"]), prop::sample::select(vec!["a", "b", "c"]));
    let event = prop_oneof![
        4 => whose().prop_map(|(profile, interaction)| Event::Heard { profile, interaction }),
        2 => whose().prop_map(|(profile, interaction)| Event::Asked { profile, interaction }),
        3 => Just(Event::Admitted),
        2 => any::<Index>().prop_map(Event::Ended),
        1 => (0..1500_u64).prop_map(|milliseconds| Event::Passed(Duration::from_millis(milliseconds))),
    ];
    prop::collection::vec(event, 1..80)
}

/// An item that was let in, as the model knows it.
#[derive(Debug, Clone)]
struct Given {
    decision: Uuid,
    key: (String, String),
    has_caller: bool,
}

/// What the admission was given, in the order in which it came.
#[derive(Default)]
struct Model(Vec<Given>);

impl Model {
    fn given(&mut self, item: &WorkItem, has_caller: bool) {
        let key = (item.key.profile.to_string(), item.key.interaction.to_string());
        self.0.push(Given { decision: item.decision, key, has_caller });
    }

    fn find(&self, decision: Uuid) -> Given {
        self.0.iter().find(|given| given.decision == decision).unwrap().clone()
    }
}

const PLACES: usize = 4;
const PERMITS: usize = 2;

async fn play(events: Vec<Event>) {
    let recorder = Recorder::new();
    let admission = admission(PLACES, PERMITS, &recorder);
    let mut admitted = pin!(admission.admitted());
    let (mut model, mut under_way, mut taken) = (Model::default(), Vec::new(), Vec::new());
    for event in events {
        match event {
            Event::Heard { profile, interaction } => {
                let heard = item(profile, interaction, 1);
                model.given(&heard, false);
                admission.hear(heard);
            }
            Event::Asked { profile, interaction } => {
                let asked = item(profile, interaction, 1);
                model.given(&asked, true);
                drop(admission.ask(asked));
            }
            Event::Admitted => {
                if let Some(next) = admitted.next().now_or_never() {
                    let next: AdmittedItem = next.unwrap();
                    taken.push(next.item.decision);
                    under_way.push(next.ticket);
                }
            }
            Event::Ended(chosen) if !under_way.is_empty() => {
                let ticket: Ticket = under_way.swap_remove(chosen.index(under_way.len()));
                ticket.finish(Outcome::Delivered(Receipt::default()));
            }
            Event::Ended(_) => {}
            Event::Passed(time) => tokio::time::advance(time).await,
        }
        // A permit that comes back goes to whoever waits for one.
        let with_the_next = (under_way.len() + 1).min(PERMITS);
        assert!((under_way.len()..=with_the_next).contains(&admission.in_flight()), "{}", admission.in_flight());
        assert!(under_way.len() <= PERMITS, "more on their way than there are permits");
        // A tenant that has less than its half of the places gets one although all are taken.
        assert!(admission.queued() <= PLACES + PLACES / 2, "{} wait", admission.queued());
        let num_ended = recorder.decisions().len();
        assert_eq!(model.0.len(), num_ended + admission.queued() + under_way.len(), "one is lost, or counted twice");
    }
    admission.close();
    under_way.drain(..).for_each(|ticket| ticket.finish(Outcome::Delivered(Receipt::default())));
    while let Some(next) = admitted.next().await {
        taken.push(next.item.decision);
        next.ticket.finish(Outcome::Delivered(Receipt::default()));
    }
    check(&model, &recorder, &taken);
}

fn check(model: &Model, recorder: &Recorder, taken: &[Uuid]) {
    let ended = recorder.decisions();
    assert_eq!(ended.len(), model.0.len());
    for given in &model.0 {
        let of_item: Vec<_> = ended.iter().filter(|decision| decision.id == given.decision).collect();
        let [decision] = of_item.as_slice() else { panic!("{} ends of {given:?}", of_item.len()) };
        assert!(!given.has_caller || decision.outcome != Outcome::Replaced, "a caller was replaced: {given:?}");
        let is_taken = taken.contains(&given.decision);
        assert_eq!(is_taken, decision.outcome == Outcome::Delivered(Receipt::default()), "{given:?}");
    }
    for profile in ["acme", "other"] {
        let of_profile = |given: &Given| given.has_caller && given.key.0 == profile;
        let asked: Vec<Uuid> = model.0.iter().filter(|given| of_profile(given)).map(|given| given.decision).collect();
        let answered = taken.iter().filter(|decision| of_profile(&model.find(**decision)));
        let places: Vec<_> = answered.map(|decision| asked.iter().position(|asked| asked == decision)).collect();
        assert!(places.is_sorted(), "callers were not answered in the order of asking: {places:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_each_item_ends_once_within_the_bounds_and_callers_in_their_order(events in events()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(events));
    }
}

#![allow(clippy::unwrap_used)]

mod any_order;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use async_channel::Sender;
use cuecard_engine::conversation::{FlushReason, Pauses, Speaker, WindowLimits};
use cuecard_failure_points::FailurePoint;
use futures_util::StreamExt;
use tokio::time::advance;

use super::*;
use crate::admission::AdmissionSettings;
use crate::inbox::bounded;
use crate::messages::{ProfileName, StreamWord};
use crate::supervision::{ActorCell, ActorState, RestartPolicy, escalations, supervise};
use crate::testing::{Bench, LOAD_SHEDDING, Recorder, inject_panics, key, read_metric, until};

fn settings() -> BufferSettings {
    BufferSettings {
        pauses: Pauses { after_last: Duration::from_secs(3), after_first: Duration::from_secs(10) },
        limits: WindowLimits::default(),
        unnamed_wait: Duration::from_secs(30),
        conversations: 100,
        forget_after: Duration::from_mins(15),
    }
}

fn heard(profile: &str, word: StreamWord) -> Heard {
    Heard { profile: ProfileName::new(profile), received: Instant::now(), word }
}

fn fragment(interaction: Option<&str>, text: &str) -> StreamWord {
    let interaction = interaction.map(|id| id.parse().unwrap());
    StreamWord::Fragment { interaction, speaker: Speaker::Customer, text: text.into() }
}

fn turn_ended(interaction: Option<&str>) -> StreamWord {
    StreamWord::TurnEnded { interaction: interaction.map(|id| id.parse().unwrap()) }
}

/// What came out: interaction, number, question, reason.
#[derive(Default)]
struct Seen(RefCell<Vec<(String, u64, String, FlushReason)>>);

impl Seen {
    fn admit(&self, flushed: &Flushed<'_>) {
        let question = flushed.utterance.newest_customer_turn().verbatim().to_owned();
        let id = flushed.key.interaction.to_string();
        self.0.borrow_mut().push((id, flushed.utterance_number, question, flushed.utterance.flushed));
    }
}

struct Fixture {
    conversations: Conversations,
    seen: Seen,
}

impl Fixture {
    fn new(settings: BufferSettings) -> Self {
        Self { conversations: Conversations::new(settings), seen: Seen::default() }
    }

    fn hear(&mut self, word: StreamWord) -> Vec<Lost> {
        self.hear_of("acme", word)
    }

    fn hear_of(&mut self, profile: &str, word: StreamWord) -> Vec<Lost> {
        self.conversations.hear(heard(profile, word), &|flushed| self.seen.admit(&flushed))
    }

    fn flush_due(&mut self) -> Vec<Lost> {
        self.conversations.flush_due(Instant::now(), &|flushed| self.seen.admit(&flushed))
    }

    fn questions(&self) -> Vec<String> {
        self.seen.0.borrow().iter().map(|(_, _, question, _)| question.clone()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_flushes_at_once_and_a_second_one_does_nothing() {
    let mut fixture = Fixture::new(settings());
    fixture.hear(fragment(Some("a"), "where is"));
    fixture.hear(fragment(Some("a"), "my order"));
    fixture.hear(turn_ended(Some("b")));
    assert!(fixture.questions().is_empty());
    fixture.hear(turn_ended(Some("a")));
    fixture.hear(turn_ended(Some("a")));
    let expected = ("a".to_owned(), 1, "where is my order".to_owned(), FlushReason::State);
    assert_eq!(*fixture.seen.0.borrow(), [expected]);
    assert_eq!(fixture.conversations.next_alarm(), None);
}

#[tokio::test(start_paused = true)]
async fn silence_flushes_three_seconds_after_the_last_or_ten_after_the_first_fragment() {
    let mut fixture = Fixture::new(settings());
    let start = Instant::now();
    fixture.hear(fragment(Some("a"), "one"));
    advance(Duration::from_secs(2)).await;
    fixture.hear(fragment(Some("a"), "two"));
    assert_eq!(fixture.conversations.next_alarm(), Some(start + Duration::from_secs(5)));
    advance(Duration::from_secs(3)).await;
    fixture.flush_due();
    assert_eq!(fixture.seen.0.borrow()[0].3, FlushReason::Pause);
    let again = Instant::now();
    for _ in 0..5 {
        fixture.hear(fragment(Some("a"), "more"));
        advance(Duration::from_secs(2)).await;
    }
    assert_eq!(fixture.conversations.next_alarm(), Some(again + Duration::from_secs(10)));
    fixture.flush_due();
    assert_eq!(
        fixture.seen.0.borrow()[1],
        ("a".into(), 2, "one two more more more more more".into(), FlushReason::Longest)
    );
}

#[tokio::test(start_paused = true)]
async fn fragments_without_an_interaction_join_the_next_state_that_names_one() {
    let mut fixture = Fixture::new(settings());
    fixture.hear(fragment(Some("a"), "where"));
    advance(Duration::from_millis(1)).await;
    fixture.hear(fragment(None, "is my"));
    advance(Duration::from_millis(1)).await;
    fixture.hear(fragment(Some("a"), "order"));
    fixture.hear(turn_ended(None));
    assert!(fixture.questions().is_empty(), "a state without an id names no window");
    fixture.hear(turn_ended(Some("a")));
    assert_eq!(fixture.questions(), ["where is my order"]);
    assert_eq!(fixture.conversations.next_alarm(), None);
}

#[tokio::test(start_paused = true)]
async fn fragments_that_no_state_claims_are_dropped_after_thirty_seconds_and_counted() {
    let mut fixture = Fixture::new(settings());
    fixture.hear(fragment(None, "one"));
    fixture.hear(fragment(None, "two"));
    advance(Duration::from_millis(32_900)).await;
    assert!(fixture.flush_due().is_empty(), "a state may still come");
    advance(Duration::from_millis(100)).await;
    let lost = fixture.flush_due();
    assert_eq!((lost[0].reason, lost[0].count), (DropReason::NoInteraction, 2));
    fixture.hear(turn_ended(Some("a")));
    assert!(fixture.questions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn fragments_of_a_lost_connection_join_nothing_that_the_next_one_names_and_are_counted() {
    let mut fixture = Fixture::new(settings());
    fixture.hear(fragment(None, "my card number"));
    fixture.hear(fragment(None, "is"));
    fixture.hear_of("other", fragment(None, "theirs"));
    let lost = fixture.hear(StreamWord::Connected);
    let counts: Vec<_> = lost.iter().map(|lost| (lost.reason, lost.count)).collect();
    assert_eq!(counts, [(DropReason::NoInteraction, 2)]);
    assert_eq!(fixture.hear(StreamWord::Connected), [], "nothing is left to be lost");
    fixture.hear(fragment(Some("a"), "hello"));
    fixture.hear(turn_ended(Some("a")));
    fixture.hear_of("other", turn_ended(Some("a")));
    assert_eq!(fixture.questions(), ["hello", "theirs"]);
    assert_eq!(fixture.conversations.next_alarm(), None);
}

#[tokio::test(start_paused = true)]
async fn an_ended_or_idle_interaction_is_forgotten_and_a_full_map_evicts() {
    let mut fixture = Fixture::new(BufferSettings { conversations: 2, ..settings() });
    fixture.hear(fragment(Some("a"), "one"));
    fixture.hear(StreamWord::InteractionEnded { interaction: "a".parse().unwrap() });
    assert_eq!((fixture.conversations.len(), fixture.conversations.next_alarm()), (0, None));
    for (number, id) in ["b", "c", "d"].into_iter().enumerate() {
        advance(Duration::from_millis(1)).await;
        let lost = fixture.hear(fragment(Some(id), "hello"));
        assert_eq!(lost.len(), usize::from(number == 2), "{id}");
    }
    advance(Duration::from_secs(3)).await;
    fixture.flush_due();
    assert_eq!(fixture.questions().len(), 2, "the evicted window's alarm is gone");
    fixture.conversations.evict_idle(Instant::now() + Duration::from_secs(1000));
    assert_eq!(fixture.conversations.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_alarm_of_a_conversation_that_was_forgotten_makes_no_other_give_way() {
    let mut fixture = Fixture::new(BufferSettings { conversations: 1, ..settings() });
    fixture.hear(fragment(Some("a"), "hello"));
    advance(Duration::from_secs(1)).await;
    fixture.conversations.evict_idle(Instant::now() + Duration::from_mins(15));
    fixture.hear(fragment(Some("b"), "good morning"));
    advance(Duration::from_secs(2)).await;
    assert!(fixture.flush_due().is_empty());
    fixture.hear(turn_ended(Some("b")));
    assert_eq!(fixture.questions(), ["good morning"], "b is not evicted");
}

#[tokio::test(start_paused = true)]
async fn words_that_wait_when_the_service_ends_are_counted_also_those_of_no_interaction() {
    let mut fixture = Fixture::new(settings());
    fixture.hear(fragment(Some("a"), "one"));
    fixture.hear(fragment(None, "two"));
    fixture.hear(fragment(None, "three"));
    let lost = fixture.conversations.unfinished();
    let counts: Vec<_> = lost.iter().map(|lost| (lost.reason, lost.count)).collect();
    assert_eq!(counts, [(DropReason::Unfinished, 1), (DropReason::Unfinished, 2)]);
    fixture.hear(turn_ended(Some("a")));
    assert_eq!(fixture.conversations.unfinished(), []);
}

#[tokio::test(start_paused = true)]
async fn too_much_text_flushes_without_waiting() {
    let mut fixture = Fixture::new(settings());
    fixture.hear(fragment(Some("a"), &"word ".repeat(4000)));
    assert_eq!(fixture.seen.0.borrow()[0].3, FlushReason::Full);
}

/// The bad message is a turn end whose flush panics; two conversations queue behind it, and a third
/// has a flush under way by timer. All three end in utterances, at the same address.
#[actix::test]
async fn a_panic_costs_the_window_in_hand_and_no_other() {
    tokio::time::pause();
    let cell = ActorCell::new("buffer");
    let metrics = metrics();
    let (sender, admitted, address) = buffer(&cell, &metrics);
    sender.send(heard("acme", fragment(Some("timed"), "hello"))).await.unwrap();
    for id in ["bad", "one", "two"] {
        sender.send(heard("acme", fragment(Some(id), "hello"))).await.unwrap();
        sender.send(heard("acme", turn_ended(Some(id)))).await.unwrap();
    }
    until("the three other conversations end in utterances", || admitted.borrow().len() == 3).await;
    let mut seen = interactions(&admitted);
    seen.sort();
    assert_eq!(seen, ["one", "timed", "two"]);
    assert_eq!((cell.panics(), cell.restarts(), cell.state()), (1, 1, ActorState::Running));
    assert!(address.connected());
    let text = metrics.render(0.0).unwrap();
    assert!(text.contains(r#"cuecard_dropped_total{actor="buffer",reason="window_lost"} 1"#), "{text}");
}

/// All on one conversation, while two others have words that wait for a pause.
#[actix::test]
async fn ten_panics_a_minute_cost_what_was_in_hand_and_the_eleventh_ends_the_actor() {
    tokio::time::pause();
    let bench = Bench::expecting("buffer", 11);
    let (sender, admitted, _) = buffer_that_escalates(&bench.cell, &bench.metrics, bench.escalation.clone());
    let hear = async |id: &str, word: fn(Option<&str>) -> StreamWord| {
        sender.send(heard("acme", word(Some(id)))).await.unwrap();
    };
    let says: fn(Option<&str>) -> StreamWord = |id| fragment(id, "hello");
    let waits = async |id: &str| hear(id, says).await;
    waits("kept").await;
    let poison = async |_| {
        hear("bad", says).await;
        hear("bad", turn_ended).await;
    };
    let works = async |number| {
        hear(&format!("good-{number}"), says).await;
        hear(&format!("good-{number}"), turn_ended).await;
        until("it is let in", || admitted.borrow().len() as u64 == number).await;
        // Its pause would be over otherwise.
        waits("kept").await;
    };
    bench.panic_until_it_gives_up(poison, works).await;
    until("the actor is gone", || sender.is_closed()).await;
    let dropped = |reason: &str| bench.metric(&format!(r#"cuecard_dropped_total{{actor="buffer",reason="{reason}"}}"#));
    assert_eq!(dropped("window_lost"), 11, "one for each panic, the last one too");
    assert_eq!(dropped("unfinished"), 11, "the words that waited when the last panic came");
}

#[tokio::test(start_paused = true)]
async fn a_state_of_an_unknown_interaction_makes_no_other_give_way() {
    let mut fixture = Fixture::new(BufferSettings { conversations: 1, ..settings() });
    fixture.hear(fragment(Some("a"), "hello"));
    for id in ["b", "c"] {
        assert!(fixture.hear(turn_ended(Some(id))).is_empty());
    }
    fixture.hear(turn_ended(Some("a")));
    assert_eq!(fixture.questions(), ["hello"]);
}

/// An actor whose flush of an interaction that begins with `bad` panics, and what it let in.
fn buffer(cell: &Arc<ActorCell>, metrics: &Metrics) -> (Sender<Heard>, Admitted, actix::Addr<Buffer>) {
    let (escalation, _) = escalations();
    buffer_that_escalates(cell, metrics, escalation)
}

fn buffer_that_escalates(
    cell: &Arc<ActorCell>,
    metrics: &Metrics,
    escalation: Escalation,
) -> (Sender<Heard>, Admitted, actix::Addr<Buffer>) {
    inject_panics(FailurePoint::Buffer, "bad");
    let (sender, inbox) = bounded(64);
    let recorder = Recorder::new();
    let settings_of_admission =
        AdmissionSettings { queue: 64, in_flight: 64, at_work: 64, load_shedding: LOAD_SHEDDING };
    let admission = Admission::new(settings_of_admission, recorder.tenants(), recorder.sink());
    let admitted = Admitted::default();
    let (letting_in, seen) = (admission.clone(), Rc::clone(&admitted));
    actix_rt::spawn(async move {
        let mut items = std::pin::pin!(letting_in.admitted());
        while let Some(admitted) = items.next().await {
            seen.borrow_mut().push(admitted.item);
        }
    });
    let deps = BufferDeps {
        inbox,
        admission,
        tenants: recorder.tenants(),
        settings: settings(),
        metrics: metrics.clone(),
        escalation: escalation.clone(),
    };
    let address = supervise(Arc::clone(cell), RestartPolicy::default(), escalation, |_| Buffer::new(deps));
    (sender, admitted, address)
}

/// Items in the order in which they were let in.
type Admitted = Rc<RefCell<Vec<WorkItem>>>;

fn interactions(admitted: &Admitted) -> Vec<String> {
    admitted.borrow().iter().map(|item| item.key.interaction.to_string()).collect()
}

fn metrics() -> Metrics {
    Metrics::new(&[ProfileName::new("acme")], Vec::new()).unwrap()
}

/// The same on paused time.
fn paused_buffer(cell: &Arc<ActorCell>) -> (Sender<Heard>, Admitted) {
    tokio::time::pause();
    let (sender, admitted, _) = buffer(cell, &metrics());
    (sender, admitted)
}

/// The fragment without an interaction arms a timer for half a minute, the one after it a shorter one in its place,
/// and then a panic comes before that is carried out.
#[actix::test]
async fn timers_hold_after_a_restart_whatever_was_rearmed_just_before_it() {
    let cell = ActorCell::new("buffer");
    let (sender, admitted) = paused_buffer(&cell);
    for word in [
        fragment(None, "nobody's"),
        fragment(Some("a"), "hello"),
        fragment(Some("bad"), "hello"),
        turn_ended(Some("bad")),
        fragment(Some("b"), "hello"),
    ] {
        sender.send(heard("acme", word)).await.unwrap();
    }
    until("it restarted", || cell.restarts() == 1).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut flushed = interactions(&admitted);
    flushed.sort_unstable();
    assert_eq!(flushed, ["a", "b"], "silence flushes as it did before");
    assert_eq!(cell.panics(), 1);
}

#[actix::test]
async fn a_work_item_carries_when_the_last_word_was_heard_and_until_when_a_card_is_of_use() {
    let cell = ActorCell::new("buffer");
    let (sender, admitted) = paused_buffer(&cell);
    let start = Instant::now();
    sender.send(heard("acme", fragment(Some("a"), "hello"))).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let item = admitted.borrow()[0].clone();
    assert_eq!((item.key.profile.as_str(), item.utterance_number, item.heard), ("acme", 1, start));
    let flushed = item.deadline - Duration::from_secs(4);
    let pause = flushed - start;
    assert!(pause >= Duration::from_secs(3) && pause < Duration::from_millis(3010), "{pause:?}");
    assert_eq!(cell.panics(), 0);
}

#[actix::test]
async fn the_metrics_hear_of_a_conversation_that_ends() {
    tokio::time::pause();
    let (cell, metrics) = (ActorCell::new("buffer"), metrics());
    let (sender, _, _) = buffer(&cell, &metrics);
    for call in ["goes-on", "over"] {
        metrics.conversation_heard(&key("acme", call));
    }
    sender.send(heard("acme", StreamWord::InteractionEnded { interaction: "over".parse().unwrap() })).await.unwrap();
    until("it was heard", || sender.is_empty()).await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    metrics.close_conversations(Duration::from_hours(1));
    assert_eq!(read_metric(&metrics, r#"cuecard_conversation_pushes_count{profile="acme"}"#), 1);
}

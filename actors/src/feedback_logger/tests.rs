#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use async_channel::Sender;
use cuecard_failure_points::FailurePoint;
use cuecard_ledger::{Ledger, LedgerOptions, QueueKind};
use tempfile::TempDir;

use super::*;
use crate::inbox::bounded;
use crate::testing::{
    Answered, Bench, Call, Cxone, Logged, TenantParts, answer, give_tokens_after, inject_panics, until,
};

/// The pretended CXone takes everything, except what the first word of the event's id asks for.
struct Fixture {
    bench: Bench,
    events: Sender<HeardFeedback>,
    queue: Queue,
    ledger: Ledger,
    cxone: Arc<Cxone>,
    logger: Addr<FeedbackLogger>,
    rejections: Rejections,
    directory: TempDir,
}

/// Stands for the Ranker.
#[derive(Clone, Default)]
struct Rejections(Arc<std::sync::Mutex<Vec<String>>>);

impl Actor for Rejections {
    type Context = Context<Self>;
}

impl Handler<CardRejected> for Rejections {
    type Result = ();

    fn handle(&mut self, CardRejected { key, article_id }: CardRejected, _: &mut Self::Context) {
        self.0.lock().unwrap().push(format!("{}/{} {article_id}", key.profile, key.interaction));
    }
}

#[actix::test]
async fn the_ranker_hears_of_rejections_alone() {
    let fixture = fixture(0).await;
    fixture.hear("a", "liked").await;
    let unliked = HeardFeedback { accepted: false, ..heard("a", "unliked") };
    fixture.events.send(unliked).await.unwrap();
    until("both are forwarded", || fixture.forwarded().len() == 2).await;
    assert_eq!(*fixture.rejections.0.lock().unwrap(), ["acme/a unliked"]);
}

#[actix::test]
async fn feedback_on_cards_that_others_show_is_left_to_them() {
    let fixture = fixture(0).await;
    let foreign = HeardFeedback { profile: ProfileName::new("silent"), accepted: false, ..heard("a", "foreign") };
    fixture.events.send(foreign).await.unwrap();
    fixture.hear("a", "own").await;
    until("the own one is forwarded", || fixture.forwarded() == ["own"]).await;
    assert!(fixture.rejections.0.lock().unwrap().is_empty());
    assert!(fixture.queue.pending_profiles().iter().all(|(profile, _)| profile != "silent"), "nothing of it is stored");
}

fn heard(interaction: &str, insight: &str) -> HeardFeedback {
    HeardFeedback {
        profile: ProfileName::new("acme"),
        interaction: interaction.parse().unwrap(),
        insight: insight.to_owned(),
        action: "ACCEPTED".into(),
        accepted: true,
        heard_at: Timestamp::now(),
    }
}

async fn open(directory: &TempDir) -> Ledger {
    Ledger::open(&format!("sqlite:{}", directory.path().join("ledger.db").display()), LedgerOptions::default())
        .await
        .unwrap()
}

async fn fixture(expected_panics: u64) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(&directory).await;
    on_ledger(expected_panics, directory, ledger)
}

fn on_ledger(expected_panics: u64, directory: TempDir, ledger: Ledger) -> Fixture {
    with_tokens_after(0, expected_panics, directory, ledger)
}

/// There is no token for the first so many who ask for one.
fn with_tokens_after(failures: u32, expected_panics: u64, directory: TempDir, ledger: Ledger) -> Fixture {
    inject_panics(FailurePoint::FeedbackLogger, "bad");
    inject_panics(FailurePoint::FeedbackLoggerSettle, "unwritable");
    let bench = Bench::expecting("feedback_logger", expected_panics);
    let (events, inbox) = bounded(64);
    let cxone = Cxone::gated(|call| Some(insight_of(call)).filter(|insight| insight.starts_with("slow")));
    let late = AtomicUsize::new(0);
    cxone.answer_with(move |call| answer_to(&insight_of(call), &late));
    let tenant = TenantParts { cxone: Arc::clone(&cxone), ..TenantParts::new("acme") }.build();
    let silent = TenantParts { pushes: false, ..TenantParts::new("silent") }.build();
    let tenants: Tenants = [tenant, silent].into_iter().collect();
    give_tokens_after(failures, &tenants);
    let queue = ledger.queue(QueueKind::Feedback);
    let rejections = Rejections::default();
    let deps = FeedbackLoggerDeps {
        inbox,
        ranker: rejections.clone().start().recipient(),
        stored: ledger.feedback(),
        queue: queue.clone(),
        tenants,
        metrics: bench.metrics.clone(),
        cell: Arc::clone(&bench.cell),
    };
    let logger = bench.supervise(FeedbackLogger::new(deps));
    Fixture { bench, events, queue, ledger, cxone, logger, rejections, directory }
}

fn insight_of(call: &Call) -> String {
    call.text("/insightId")
}

/// `late` is refused twice for the moment, `unwanted` for good, and `worse` panics.
fn answer_to(insight: &str, late: &AtomicUsize) -> Answered {
    assert!(!insight.starts_with("worse"), "injected");
    match insight.split('-').next() {
        Some("late") if late.fetch_add(1, SeqCst) < 2 => answer(503, "{}"),
        Some("unwanted") => answer(422, "{}"),
        _ => answer(200, "{}"),
    }
}

impl Fixture {
    async fn hear(&self, interaction: &str, insight: &str) {
        self.events.send(heard(interaction, insight)).await.unwrap();
    }

    /// Insights in the order in which they reached CXone.
    fn forwarded(&self) -> Vec<String> {
        self.cxone.calls().iter().map(insight_of).collect()
    }

    fn pending(&self) -> u64 {
        self.queue.pending_count("acme")
    }

    /// Waits until so many attempts ended this way.
    async fn ended(&self, result: &str, count: u64) {
        let series = format!(r#"cuecard_feedback_forwarding_total{{profile="acme",result="{result}"}}"#);
        until(&series, || self.bench.metric(&series) >= count).await;
        until("nothing is under way", || self.bench.cell.report().in_flight == 0).await;
        assert_eq!(self.bench.metric(&series), count, "{series}");
    }
}

#[actix::test]
async fn an_event_is_stored_before_it_is_forwarded() {
    let fixture = fixture(0).await;
    fixture.hear("a", "slow-1").await;
    until("it is being forwarded", || fixture.forwarded().len() == 1).await;
    let stored = fixture.queue.due("acme", Timestamp::now(), 9).await.unwrap();
    assert_eq!(stored.iter().map(insight).collect::<Vec<_>>(), ["slow-1"]);
    until("the gauge shows it", || fixture.bench.metric(r#"cuecard_feedback_pending{profile="acme"}"#) == 1).await;
    fixture.cxone.open("slow-1");
    fixture.ended("forwarded", 1).await;
    assert_eq!(fixture.pending(), 0);
    until("the gauge shows that too", || fixture.bench.metric(r#"cuecard_feedback_pending{profile="acme"}"#) == 0)
        .await;
}

#[actix::test]
async fn events_of_an_interaction_go_out_in_order_and_one_at_a_time() {
    let fixture = fixture(0).await;
    let insights: Vec<_> = (0..40).map(|number| format!("{number}")).collect();
    for insight in &insights {
        fixture.hear("a", insight).await;
    }
    fixture.ended("forwarded", 40).await;
    assert_eq!(fixture.forwarded(), insights, "each once, in order");
    assert_eq!(fixture.cxone.most_at_once(), 1);
}

#[actix::test]
async fn a_slow_interaction_holds_up_no_other() {
    let fixture = fixture(0).await;
    fixture.hear("a", "slow-1").await;
    fixture.hear("a", "behind").await;
    for number in 0..20 {
        fixture.hear(&format!("b-{number}"), "quick").await;
    }
    let series = r#"cuecard_feedback_forwarding_total{profile="acme",result="forwarded"}"#;
    until("the others are forwarded", || fixture.bench.metric(series) == 20).await;
    assert!(!fixture.forwarded().contains(&"behind".to_owned()));
    fixture.cxone.open("slow-1");
    fixture.ended("forwarded", 22).await;
    assert_eq!(fixture.forwarded().last().unwrap(), "behind");
    assert_eq!(fixture.forwarded().len(), 22, "none twice");
}

#[actix::test]
async fn a_postponed_event_comes_again_before_the_next_of_its_interaction() {
    let fixture = fixture(0).await;
    fixture.hear("a", "late").await;
    fixture.hear("a", "next").await;
    fixture.ended("forwarded", 2).await;
    assert_eq!(fixture.forwarded(), ["late", "late", "late", "next"]);
    fixture.ended("postponed", 2).await;
}

#[actix::test]
async fn an_event_that_was_not_sent_comes_again_and_that_was_no_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(&directory).await;
    let fixture = with_tokens_after(20, 0, directory, ledger);
    // However many wait: of all these one finds out whether there is a token, and the others are left alone meanwhile.
    for number in 0..50 {
        fixture.hear(&format!("a-{number}"), "unsent").await;
    }
    until("all are stored", || fixture.pending() == 50).await;
    let waiting = fixture.queue.due("acme", Timestamp::now(), 99).await.unwrap();
    assert_eq!((waiting.len(), waiting.iter().map(|event| event.attempts).max()), (50, Some(0)), "as due as before");
    fixture.ended("forwarded", 50).await;
    assert_eq!(fixture.forwarded(), ["unsent"; 50]);
    fixture.ended("postponed", 0).await;
}

#[actix::test]
async fn an_event_that_no_ledger_takes_any_more_is_counted() {
    let fixture = fixture(0).await;
    fixture.ledger.close().await;
    fixture.hear("a", "lost").await;
    let series = r#"cuecard_dropped_total{actor="feedback_logger",reason="not_stored"}"#;
    until(series, || fixture.bench.metric(series) == 1).await;
}

#[actix::test]
async fn an_event_that_cxone_never_takes_is_set_aside_and_the_next_goes_on() {
    let fixture = fixture(0).await;
    fixture.hear("a", "unwanted").await;
    fixture.hear("a", "next").await;
    fixture.ended("forwarded", 1).await;
    fixture.ended("set_aside", 1).await;
    assert_eq!(fixture.forwarded(), ["unwanted", "next"]);
    assert_eq!(fixture.pending(), 0);
    let series = r#"cuecard_dropped_total{actor="feedback_logger",reason="set_aside"}"#;
    assert_eq!(fixture.bench.metric(series), 1);
}

#[actix::test]
async fn what_an_earlier_process_stored_is_forwarded() {
    let earlier = fixture(0).await;
    earlier.hear("a", "slow-1").await;
    earlier.hear("a", "after").await;
    until("one is being forwarded, the other stored", || {
        earlier.forwarded().len() == 1 && earlier.bench.cell.report().in_flight == 1
    })
    .await;
    assert_eq!(earlier.pending(), 2);
    // As a process does that is killed: nothing is settled any more.
    earlier.ledger.close().await;
    let Fixture { directory, .. } = earlier;
    let ledger = open(&directory).await;
    let later = on_ledger(0, directory, ledger);
    later.cxone.open("slow-1");
    later.ended("forwarded", 2).await;
    assert_eq!(later.forwarded(), ["slow-1", "after"]);
    assert_eq!(later.pending(), 0);
}

/// The bad event makes the actor panic; two wait behind it in the inbox, and another is being forwarded.
#[actix::test]
async fn a_panic_costs_the_event_in_hand_and_no_other() {
    let fixture = fixture(1).await;
    fixture.hear("a", "slow-1").await;
    until("one is being forwarded", || fixture.forwarded().len() == 1).await;
    fixture.hear("b", "bad").await;
    fixture.hear("b", "one").await;
    until("it panicked", || fixture.bench.cell.panics() == 1).await;
    fixture.hear("c", "two").await;
    until("both are forwarded", || fixture.forwarded().len() == 3).await;
    fixture.cxone.open("slow-1");
    fixture.ended("forwarded", 3).await;
    fixture.ended("set_aside", 1).await;
    assert!(!fixture.forwarded().contains(&"bad".to_owned()), "never tried again");
    assert_eq!(fixture.pending(), 0);
    fixture.bench.assert_recovered(&fixture.logger);
}

#[actix::test]
async fn an_event_whose_task_panics_is_set_aside_too() {
    let fixture = fixture(1).await;
    fixture.hear("a", "worse").await;
    fixture.hear("a", "next").await;
    fixture.ended("forwarded", 1).await;
    fixture.ended("set_aside", 1).await;
    assert_eq!(fixture.forwarded(), ["worse", "next"]);
    assert_eq!((fixture.bench.cell.panics(), fixture.bench.cell.restarts()), (1, 0));
}

/// Writing down how it ended panics, and so does setting it aside.
#[actix::test]
async fn an_event_that_can_not_even_be_set_aside_is_left_for_the_next_start() {
    let fixture = fixture(2).await;
    fixture.hear("a", "unwritable").await;
    until("both tasks panicked", || fixture.bench.cell.panics() == 2).await;
    // Each of these takes a look at the ledger, which brings the first one, too.
    for (number, insight) in ["next", "another", "last"].into_iter().enumerate() {
        fixture.hear("b", insight).await;
        fixture.ended("forwarded", number as u64 + 1).await;
    }
    assert_eq!(
        (fixture.forwarded(), fixture.pending()),
        (["unwritable", "next", "another", "last"].map(str::to_owned).to_vec(), 1)
    );
}

#[actix::test]
async fn what_waits_for_a_profile_that_is_gone_is_named_at_the_start_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(&directory).await;
    for profile in ["gone", "gone", "acme"] {
        let HeardFeedback { insight, action, accepted, heard_at, .. } = heard("a", "1");
        let profile = profile.to_owned();
        let event = Uuid::new_v4();
        let event = NewFeedback { event, profile, interaction: "a".to_owned(), insight, action, accepted, heard_at };
        ledger.feedback().store(event).await.unwrap();
    }
    let logged = Logged::start();
    let fixture = on_ledger(0, directory, ledger);
    fixture.ended("forwarded", 1).await;
    assert_eq!(fixture.bench.metric("cuecard_feedback_unclaimed"), 2);
    let line = logged.lines().into_iter().find(|line| line.contains("the settings do not name")).unwrap();
    assert!(line.contains(r#""profile":"gone","events":2"#), "{line}");
    assert_eq!((fixture.queue.pending_count("gone"), fixture.pending()), (2, 0));
}

/// All on one interaction, while an event of another one is being forwarded.
#[actix::test]
async fn ten_panics_a_minute_cost_what_was_in_hand_and_the_eleventh_ends_the_actor() {
    let fixture = fixture(11).await;
    fixture.hear("a", "slow-1").await;
    until("one is being forwarded", || fixture.forwarded().len() == 1).await;
    let poison = async |number| fixture.hear("b", &format!("bad-{number}")).await;
    let works = async |number: u64| {
        fixture.hear("c", &format!("good-{number}")).await;
        until("it is forwarded", || fixture.forwarded().len() as u64 == 1 + number).await;
    };
    fixture.bench.panic_until_it_gives_up(poison, works).await;
    fixture.cxone.open("slow-1");
    fixture.ended("forwarded", 11).await;
    fixture.ended("set_aside", 10).await;
    assert_eq!(fixture.pending(), 1, "the last one is kept for the next start");
}

#![allow(clippy::unwrap_used)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use futures_util::FutureExt;
use tokio::time::{Instant, advance, pause};

use super::*;
use crate::messages::ProfileName;
use crate::telemetry::ProfileState;
use crate::testing::{Bench, Gates, until};

const INTERVAL: Duration = Duration::from_mins(10);
/// A second less.
const JUST_BEFORE: Duration = Duration::from_secs(599);

/// What the next polls come to, and how many were made.
#[derive(Clone, Default)]
struct Script {
    results: Rc<RefCell<VecDeque<Result<Synced, SyncError>>>>,
    polls: Rc<Cell<usize>>,
}

impl Script {
    fn num_polls(&self) -> usize {
        self.polls.get()
    }

    fn next(&self) -> Result<Synced, SyncError> {
        self.polls.set(self.polls.get() + 1);
        self.results.borrow_mut().pop_front().unwrap_or(Ok(Synced::Unchanged))
    }
}

struct Fixture {
    bench: Bench,
    script: Script,
    gates: Arc<Gates>,
    health: Arc<ProfileHealth>,
    address: Addr<KnowledgeSync>,
}

/// Polls wait at the gate `poll`; one that fails with the reason `panic` panics behind it, one with `at once` before.
fn fixture(expected_panics: u64, results: impl IntoIterator<Item = Result<Synced, SyncError>>) -> Fixture {
    pause();
    let bench = Bench::expecting("knowledge_sync", expected_panics);
    let health = ProfileHealth::new(ProfileName::new("acme"), &[Part::Polls], bench.metrics.clone());
    let (script, gates) = (Script::default(), Gates::new());
    script.results.borrow_mut().extend(results);
    let (asked, waits) = (script.clone(), Arc::clone(&gates));
    let sync: Sync = Rc::new(move || {
        let result = asked.next();
        assert_ne!(result, failed("at once"), "injected");
        let gate = waits.pass("poll");
        async move {
            gate.await;
            assert_ne!(result, failed("panic"), "injected");
            result
        }
        .boxed_local()
    });
    let deps = KnowledgeSyncDeps {
        sync,
        interval: INTERVAL,
        health: Arc::clone(&health),
        metrics: bench.metrics.clone(),
        cell: Arc::clone(&bench.cell),
    };
    let address = bench.supervise(KnowledgeSync::new(deps));
    Fixture { bench, script, gates, health, address }
}

fn failed(reason: &str) -> Result<Synced, SyncError> {
    Err(SyncError::Failed(reason.to_owned()))
}

impl Fixture {
    async fn polled(&self, times: usize) {
        until("it polls", || self.script.num_polls() == times).await;
    }

    /// Lets the poll under way end, and waits until that is known.
    async fn ended(&self) {
        let before = self.num_ended();
        self.gates.open("poll");
        until("the poll ends", || self.num_ended() > before).await;
    }

    fn num_ended(&self) -> u64 {
        PollResult::ALL.iter().map(|result| self.counted(result.name())).sum()
    }

    fn counted(&self, result: &str) -> u64 {
        self.bench.metric(&format!(r#"cuecard_knowledge_polls_total{{profile="acme",result="{result}"}}"#))
    }
}

#[actix::test]
async fn it_polls_at_its_start_and_an_interval_after_each_end() {
    let fixture = fixture(0, [Ok(Synced::Updated)]);
    fixture.polled(1).await;
    assert_eq!(fixture.health.state().0, ProfileState::Waiting, "there are no articles before the first poll");
    advance(2 * INTERVAL).await;
    assert_eq!(fixture.script.num_polls(), 1, "one at a time");
    fixture.ended().await;
    assert_eq!(fixture.health.state().0, ProfileState::Ready);
    advance(JUST_BEFORE).await;
    assert_eq!(fixture.script.num_polls(), 1);
    advance(Duration::from_secs(1)).await;
    fixture.polled(2).await;
    assert_eq!((fixture.counted("updated"), fixture.counted("unchanged")), (1, 0));
}

#[actix::test]
async fn a_refresh_polls_at_once_and_one_during_a_poll_polls_again_after_it() {
    let fixture = fixture(0, []);
    fixture.polled(1).await;
    fixture.ended().await;
    fixture.address.do_send(Refresh);
    fixture.polled(2).await;
    fixture.address.do_send(Refresh);
    fixture.address.do_send(Refresh);
    fixture.ended().await;
    fixture.polled(3).await;
    fixture.ended().await;
    assert_eq!(fixture.script.num_polls(), 3, "both wishes are met by one poll");
}

#[actix::test]
async fn a_poll_that_fails_or_is_refused_leaves_the_profile_at_work_and_says_why() {
    let refused = Err(SyncError::Refused("0 of 12039".to_owned()));
    let fixture = fixture(0, [Ok(Synced::Updated), refused, failed("no answer"), Ok(Synced::Unchanged)]);
    // (state, result)
    let expected = [
        (ProfileState::Ready, "updated"),
        (ProfileState::Degraded, "refused"),
        (ProfileState::Degraded, "failed"),
        (ProfileState::Ready, "unchanged"),
    ];
    for (number, (state, result)) in expected.into_iter().enumerate() {
        fixture.polled(number + 1).await;
        fixture.ended().await;
        assert_eq!(fixture.health.state().0, state, "{result}");
        assert_eq!(fixture.counted(result), 1);
        fixture.address.do_send(Refresh);
    }
}

/// A bad poll panics the actor; two wishes are queued behind it, and its first poll is still in flight.
#[actix::test]
async fn a_panic_costs_the_poll_in_hand_and_no_other() {
    let fixture = fixture(1, [failed("at once"), Ok(Synced::Updated)]);
    until("it panics and restarts", || fixture.bench.cell.restarts() == 1).await;
    fixture.address.do_send(Refresh);
    fixture.address.do_send(Refresh);
    fixture.polled(2).await;
    fixture.ended().await;
    fixture.polled(3).await;
    fixture.ended().await;
    fixture.bench.assert_recovered(&fixture.address);
    assert_eq!(["failed", "updated", "unchanged"].map(|result| fixture.counted(result)), [1, 1, 1]);
}

#[actix::test]
async fn a_poll_whose_task_panics_counts_as_failed_and_the_next_one_comes() {
    let fixture = fixture(1, [failed("panic")]);
    fixture.polled(1).await;
    fixture.ended().await;
    assert_eq!(fixture.counted("failed"), 1);
    advance(FIRST_RETRY).await;
    fixture.polled(2).await;
    assert_eq!((fixture.bench.cell.panics(), fixture.bench.cell.restarts()), (1, 0));
}

#[actix::test]
async fn a_poll_that_failed_is_tried_again_after_a_wait_that_doubles_up_to_the_interval() {
    let fixture = fixture(0, (0..12).map(|_| failed("no answer")));
    let mut longest = FIRST_RETRY;
    for number in 1..=12 {
        fixture.polled(number).await;
        fixture.ended().await;
        let ended = Instant::now();
        fixture.polled(number + 1).await;
        let waited = ended.elapsed();
        assert!(waited >= longest / 2 && waited <= longest + Duration::from_millis(100), "{number}: {waited:?}");
        longest = (longest * 2).min(INTERVAL);
    }
    fixture.ended().await;
    advance(JUST_BEFORE).await;
    assert_eq!(fixture.script.num_polls(), 13, "a poll that went well ends the hurry");
}

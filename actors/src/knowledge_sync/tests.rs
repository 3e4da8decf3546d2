#![allow(clippy::unwrap_used)]
// Answers stand where a call may also fail.
#![allow(clippy::unnecessary_wraps)]

use cuecard_cxone::http::Answer;
use cuecard_engine::BulkEncoder;
use cuecard_engine::encoder::{Encoder, Encoding};
use cuecard_engine::knowledge::{Completeness, IndexHandle, Update, build};
use cuecard_failure_points::FailurePoint;
use strum::VariantArray;
use tempfile::TempDir;
use tokio::time::{Instant, advance, pause};

use super::*;
use crate::telemetry::ProfileState;
use crate::tenant::{KnowledgePlaces, Profile, Tenant};
use crate::testing::{Answered, Bench, Cxone, TenantParts, answer, give_tokens, inject_panics, until};

const INTERVAL: Duration = Duration::from_mins(10);
/// A second less.
const JUST_BEFORE: Duration = Duration::from_secs(599);

/// Two articles.
fn list() -> Answered {
    answer(200, r#"{"items":[{"id":"a","title":"A","content":"one"},{"id":"b","title":"B","content":"two"}]}"#)
}

fn unchanged() -> Answered {
    Ok(Answer::scripted(304, &[], ""))
}

/// Which is refused once there are articles.
fn empty_list() -> Answered {
    answer(200, r#"{"items":[]}"#)
}

fn failure() -> Answered {
    answer(404, "{}")
}

struct Fixture {
    bench: Bench,
    profile: &'static str,
    cxone: Arc<Cxone>,
    tenants: Tenants,
    health: Arc<ProfileHealth>,
    address: Addr<KnowledgeSync>,
    _directory: TempDir,
}

fn fixture(expected_panics: u64, answers: impl IntoIterator<Item = Answered>) -> Fixture {
    of_profile("acme", expected_panics, answers)
}

/// Polls wait at CXone for the gate `poll`; what is not said is unchanged.
fn of_profile(profile: &'static str, expected_panics: u64, answers: impl IntoIterator<Item = Answered>) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let encoder = Encoder::scripted(|text| std::future::ready(Ok(Encoding::along(text.len()))));
    let bulk = BulkEncoder::new(encoder.clone());
    let nothing = Update { source: "none".into(), articles: Vec::new(), completeness: Completeness::Partial };
    build(directory.path(), nothing, &bulk, &()).unwrap();
    let index = Arc::new(IndexHandle::open(directory.path(), None).unwrap());
    pause();
    let bench = Bench::expecting("knowledge_sync", expected_panics);
    let cxone = Cxone::gated(|_| Some("poll".to_owned()));
    cxone.queue(answers);
    cxone.answer_with(|_| unchanged());
    let tenant = TenantParts { cxone: Arc::clone(&cxone), ..TenantParts::new(profile) }.build();
    let tenants: Tenants = [Arc::clone(&tenant)].into_iter().collect();
    give_tokens(&tenants);
    poll_by(&tenants, SyncSettings { poll_interval: INTERVAL, allow_shrinking: false });
    let health = ProfileHealth::new(tenant.name().clone(), &[Part::Polls], bench.metrics.clone());
    let calls = Arc::clone(&tenant.calls);
    let deps = KnowledgeSyncDeps {
        poll: Poll { calls, index, encoder, metrics: bench.metrics.clone() },
        tenants: tenants.clone(),
        stop: CancellationToken::new(),
        health: Arc::clone(&health),
        metrics: bench.metrics.clone(),
        cell: Arc::clone(&bench.cell),
    };
    let address = bench.supervise(KnowledgeSync::new(deps));
    Fixture { bench, profile, cxone, tenants, health, address, _directory: directory }
}

/// As a reload says.
fn poll_by(tenants: &Tenants, settings: SyncSettings) {
    let retold = |tenant: Arc<Tenant>| {
        let knowledge = KnowledgePlaces { sync: Some(settings), ..tenant.profile.knowledge.clone() };
        Profile { knowledge, ..tenant.profile.clone() }
    };
    let profiles: Vec<_> = tenants.iter().map(retold).collect();
    tenants.take(tenants.prepare(&profiles).unwrap());
}

impl Fixture {
    async fn polled(&self, times: usize) {
        until("it polls", || self.cxone.calls().len() == times).await;
    }

    /// Lets the poll under way end, and waits until that is known.
    async fn ended(&self) {
        let before = self.num_ended();
        self.cxone.open("poll");
        until("the poll ends", || self.num_ended() > before).await;
    }

    fn num_ended(&self) -> u64 {
        PollResult::VARIANTS.iter().map(|result| self.counted(result.name())).sum()
    }

    fn counted(&self, result: &str) -> u64 {
        let profile = self.profile;
        self.bench.metric(&format!(r#"cuecard_knowledge_polls_total{{profile="{profile}",result="{result}"}}"#))
    }
}

#[actix::test]
async fn it_polls_at_its_start_and_an_interval_after_each_end() {
    let fixture = fixture(0, [list()]);
    fixture.polled(1).await;
    assert_eq!(fixture.health.state().0, ProfileState::Waiting, "there are no articles before the first poll");
    fixture.ended().await;
    assert_eq!(fixture.health.state().0, ProfileState::Ready);
    advance(JUST_BEFORE).await;
    assert_eq!(fixture.cxone.calls().len(), 1);
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
    assert_eq!(fixture.cxone.calls().len(), 3, "both wishes are met by one poll");
}

#[actix::test]
async fn a_poll_that_fails_or_is_refused_leaves_the_profile_at_work_and_says_why() {
    let fixture = fixture(0, [list(), empty_list(), failure(), unchanged()]);
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

#[actix::test]
async fn a_reload_says_what_the_next_poll_believes_and_when_the_one_after_it_comes() {
    let fixture = fixture(0, [list(), empty_list(), empty_list()]);
    fixture.polled(1).await;
    fixture.ended().await;
    fixture.address.do_send(Refresh);
    fixture.polled(2).await;
    fixture.ended().await;
    assert_eq!((fixture.counted("updated"), fixture.counted("refused")), (1, 1));
    let poll_interval = Duration::from_mins(1);
    poll_by(&fixture.tenants, SyncSettings { poll_interval, allow_shrinking: true });
    fixture.address.do_send(Refresh);
    fixture.polled(3).await;
    fixture.ended().await;
    assert_eq!((fixture.counted("updated"), fixture.counted("refused")), (2, 1), "the empty list is believed");
    advance(poll_interval).await;
    fixture.polled(4).await;
}

/// A bad poll panics the actor; two wishes are queued behind it, and its first poll is still in flight.
#[actix::test]
async fn a_panic_costs_the_poll_in_hand_and_no_other() {
    inject_panics(FailurePoint::KnowledgeSync, "bad!");
    let fixture = of_profile("bad", 1, [list()]);
    until("it panics and restarts", || fixture.bench.cell.restarts() == 1).await;
    fixture.address.do_send(Refresh);
    fixture.address.do_send(Refresh);
    fixture.polled(1).await;
    fixture.ended().await;
    fixture.polled(2).await;
    fixture.ended().await;
    fixture.bench.assert_recovered(&fixture.address);
    assert_eq!(["failed", "updated", "unchanged"].map(|result| fixture.counted(result)), [1, 1, 1]);
}

#[actix::test]
async fn a_poll_whose_task_panics_counts_as_failed_and_the_next_one_comes() {
    inject_panics(FailurePoint::KnowledgeSyncPoll, "worse!");
    let fixture = of_profile("worse", 1, []);
    until("the poll fails", || fixture.num_ended() == 1).await;
    assert_eq!(fixture.counted("failed"), 1);
    advance(FIRST_RETRY).await;
    fixture.polled(1).await;
    assert_eq!((fixture.bench.cell.panics(), fixture.bench.cell.restarts()), (1, 0));
}

#[actix::test]
async fn a_poll_that_failed_is_tried_again_after_a_wait_that_doubles_up_to_the_interval() {
    let fixture = fixture(0, (0..12).map(|_| failure()));
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
    assert_eq!(fixture.cxone.calls().len(), 13, "a poll that went well ends the hurry");
}

/// Panics while a message is in hand.
#[derive(Message)]
#[rtype(result = "()")]
struct Explode;

impl Handler<Explode> for KnowledgeSync {
    type Result = ();

    fn handle(&mut self, _: Explode, _: &mut Self::Context) {
        panic!("injected");
    }
}

#[actix::test]
async fn ten_panics_a_minute_cost_what_was_in_hand_and_the_eleventh_ends_the_actor() {
    let fixture = fixture(11, []);
    fixture.polled(1).await;
    let poison = async |_| fixture.address.do_send(Explode);
    let works = async |number| {
        // Begun before the panic, and known to be under way after it.
        assert_eq!(fixture.bench.cell.report().in_flight, 1);
        fixture.address.do_send(Refresh);
        fixture.ended().await;
        fixture.polled(number as usize + 1).await;
    };
    fixture.bench.panic_until_it_gives_up(poison, works).await;
    assert_eq!((fixture.counted("unchanged"), fixture.counted("failed")), (10, 0), "no poll was lost");
}

//! A restart that somebody asks for.

use super::*;
use crate::supervision::NoRestart;

#[actix::test]
async fn a_restart_by_hand_keeps_the_address_what_waits_and_what_is_in_flight() {
    pause();
    let running = Running::start(RestartPolicy::default());
    assert_eq!(running.echo(1).await, 1);
    let work = running.cell.in_flight();
    running.items.send(12).await.unwrap();
    running.cell.ask_restart().unwrap();
    // Both wait already when the supervisor is polled.
    assert_eq!(running.echo(2).await, 2);
    until("the item that waited is handled", || running.log().contains(&"item 12".to_owned())).await;
    let log = running.log();
    assert_eq!(log[..3], ["started", "echo 1", "restarting"], "restarted before anything is handled: {log:?}");
    assert_eq!(log[3], "started");
    let report = running.cell.report();
    assert_eq!((report.restarts, report.panics, report.in_flight), (1, 0, 1));
    assert_eq!((report.state, report.last_error), (ActorState::Running, None));
    drop(work);
}

/// Far more than the policy allows after panics.
#[actix::test]
async fn restarts_by_hand_are_no_panics() {
    pause();
    let mut running = Running::start(RestartPolicy { max_restarts: 1, ..Default::default() });
    assert_eq!(running.echo(0).await, 0);
    for restart in 1..=5 {
        running.cell.ask_restart().unwrap();
        assert_eq!(running.echo(restart).await, restart);
        assert_eq!(running.cell.restarts(), u64::from(restart));
    }
    let gave_up = tokio::time::timeout(Duration::from_secs(1), running.escalations.next()).await;
    assert!(gave_up.is_err());
}

/// The only thing that wakes the actor is the wish itself.
#[actix::test]
async fn an_actor_that_nobody_sends_anything_is_restarted_too() {
    pause();
    let running = Running::start(RestartPolicy::default());
    assert_eq!(running.echo(1).await, 1);
    running.cell.ask_restart().unwrap();
    until("it restarted", || running.cell.restarts() == 1).await;
}

#[actix::test]
async fn a_restart_that_panics_counts_as_a_panic() {
    pause();
    let running = Running::start(RestartPolicy::default());
    assert_eq!(running.echo(1).await, 1);
    running.bad_restarts.set(1);
    running.cell.ask_restart().unwrap();
    assert_eq!(running.echo(2).await, 2);
    assert_eq!((running.cell.panics(), running.cell.restarts()), (1, 1));
}

#[actix::test]
async fn an_actor_that_ended_or_gave_up_is_not_restarted_and_the_reason_is_told() {
    pause();
    let ended = Running::start(RestartPolicy::default());
    ended.address.send(Stop).await.unwrap();
    until("it has stopped", || ended.cell.state() == ActorState::Stopped).await;
    assert_eq!(ended.cell.ask_restart(), Err(NoRestart::Ended));
    let failed = Running::start(RestartPolicy { max_restarts: 0, ..Default::default() });
    failed.explode().await;
    assert_eq!(failed.cell.ask_restart(), Err(NoRestart::GaveUp));
}

/// It is about to start anyway.
#[actix::test]
async fn an_actor_that_waits_out_its_backoff_is_restarted_once() {
    pause();
    let running = Running::start(RestartPolicy::default());
    running.explode().await;
    assert_eq!(running.cell.state(), ActorState::Restarting);
    running.cell.ask_restart().unwrap();
    assert_eq!(running.echo(1).await, 1);
    assert_eq!((running.cell.panics(), running.cell.restarts()), (1, 1));
    assert_eq!(running.log(), ["started", "restarting", "started", "echo 1"]);
}

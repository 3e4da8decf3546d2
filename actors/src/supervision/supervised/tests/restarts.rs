//! What a panic costs, and what goes on.

use super::*;

#[actix::test]
async fn a_panic_in_a_handler_costs_its_message_and_no_other() {
    pause();
    let running = Running::start(RestartPolicy::default());
    assert_eq!(running.echo(1).await, 1);
    let address = &running.address;
    let (bad, second, third) =
        tokio::join!(address.send(Explode("injected text")), address.send(Echo(2)), address.send(Echo(3)));
    assert!(matches!(bad, Err(MailboxError::Closed)), "only the bad message's caller is told");
    assert_eq!((second.unwrap(), third.unwrap()), (2, 3));
    assert_eq!(running.log(), ["started", "echo 1", "restarting", "started", "echo 2", "echo 3"]);
    let report = running.cell.report();
    assert_eq!((report.panics, report.restarts, report.state), (1, 1, ActorState::Running));
    let told = report.last_error.unwrap();
    assert!(told.starts_with("a panic at") && !told.contains("injected"), "its words may be a customer's: {told}");
    assert!(address.connected());
}

#[actix::test]
async fn a_panic_over_an_item_leaves_the_items_behind_it_in_the_data_channel() {
    pause();
    let running = Running::start(RestartPolicy::default());
    for item in [12, 13, 14, 15] {
        running.items.send(item).await.unwrap();
    }
    assert_eq!(running.cell.report().queue_depth, 4);
    until("the items behind the bad one are handled", || running.log().len() == 6).await;
    assert_eq!(running.log(), ["started", "item 12", "restarting", "started", "item 14", "item 15"]);
    let report = running.cell.report();
    assert_eq!((report.panics, report.queue_depth, report.queue_bound, report.handled), (1, 0, 16, 4));
    running.items.send(16).await.unwrap();
    until("the channel still leads to the actor", || running.log().last().unwrap() == "item 16").await;
}

#[actix::test]
async fn a_panic_in_a_future_of_the_actor_is_caught_like_any_other() {
    pause();
    let running = Running::start(RestartPolicy::default());
    assert!(matches!(running.address.send(ExplodeLater).await, Err(MailboxError::Closed)));
    assert_eq!(running.echo(1).await, 1);
    assert_eq!((running.cell.panics(), running.cell.restarts()), (1, 1));
    assert!(running.cell.report().last_error.is_some());
}

#[actix::test]
async fn a_timer_may_panic_and_is_armed_again_by_started() {
    pause();
    let running = Running::start(RestartPolicy::default());
    running.address.send(ExplodeByTimer).await.unwrap();
    until("the timer panicked", || running.cell.restarts() == 1).await;
    assert!(!running.log().contains(&"tick".to_owned()));
    tokio::time::sleep(TICK).await;
    assert_eq!(running.log(), ["started", "restarting", "started", "tick"]);
    assert_eq!(running.cell.panics(), 1);
}

/// With actix's own `cancel_future` the replaced timer's number would take away a timer that is armed after the
/// restart, since the cancellation is carried out only after the panic.
#[actix::test]
async fn a_timer_replaced_just_before_a_panic_takes_no_other_away() {
    pause();
    let running = Running::start(RestartPolicy::default());
    assert_eq!(running.echo(1).await, 1);
    running.address.do_send(ExplodeByTimer);
    running.address.do_send(Explode("injected"));
    until("it restarted", || running.cell.restarts() == 1).await;
    tokio::time::sleep(TICK).await;
    assert_eq!(running.log().last().unwrap(), "tick");
    assert_eq!(running.cell.panics(), 1, "the timer from before the restart is gone");
}

#[actix::test]
async fn the_backoff_doubles_and_messages_wait_for_it() {
    pause();
    let running = Running::start(RestartPolicy { longest_backoff: Duration::from_millis(30), ..Default::default() });
    for (restart, wait_ms) in [(1, 10), (2, 20), (3, 30), (4, 30)] {
        running.explode().await;
        assert_eq!(running.cell.state(), ActorState::Restarting);
        let since = Instant::now();
        assert_eq!(running.echo(restart).await, restart);
        let waited_ms = since.elapsed().as_millis();
        // The runtime's timers round up to a millisecond.
        assert!(waited_ms == wait_ms || waited_ms == wait_ms + 1, "restart {restart} after {waited_ms} ms");
        assert_eq!((running.cell.restarts(), running.cell.state()), (u64::from(restart), ActorState::Running));
    }
}

/// The first message is handled in the poll in which the actor starts.
#[actix::test]
async fn a_panic_over_the_first_message_is_none_of_the_start() {
    pause();
    let running = Running::start(RestartPolicy::default());
    running.address.do_send(Explode("injected"));
    assert_eq!(running.echo(1).await, 1);
    assert_eq!((running.cell.panics(), running.cell.restarts()), (1, 1));
}

#[actix::test]
async fn panics_far_apart_never_escalate() {
    pause();
    let policy = RestartPolicy { max_restarts: 1, ..Default::default() };
    let running = Running::start(policy);
    for restart in 1..=5 {
        running.explode().await;
        assert_eq!(running.echo(restart).await, restart);
        tokio::time::sleep(policy.window).await;
    }
    assert_eq!(running.cell.panics(), 5);
}

#[actix::test]
async fn a_panic_while_restarting_counts_and_is_tried_again() {
    pause();
    let running = Running::start(RestartPolicy::default());
    running.bad_restarts.set(1);
    running.explode().await;
    assert_eq!(running.echo(1).await, 1);
    assert_eq!((running.cell.panics(), running.cell.restarts()), (2, 1));
    assert_eq!(running.log(), ["started", "restarting", "restarting", "started", "echo 1"]);
}

#[actix::test]
async fn an_actor_that_stops_has_not_failed() {
    pause();
    let running = Running::start(RestartPolicy::default());
    assert_eq!(running.cell.state(), ActorState::Starting);
    running.address.send(Stop).await.unwrap();
    until("it has stopped", || running.cell.state() == ActorState::Stopped).await;
    assert_eq!(running.cell.panics(), 0);
}

#[actix::test]
async fn the_cell_tells_from_outside_what_the_actor_does() {
    let running = Running::start(RestartPolicy::default());
    let inside = running.address.send(InHandler(Arc::clone(&running.cell))).await.unwrap();
    assert!(inside.is_some_and(|seconds| seconds >= 0.002), "{inside:?}");
    let report = running.cell.report();
    assert!(report.busy_seconds >= 0.002, "{report:?}");
    assert_eq!(report.in_handler_seconds, None, "nobody polls it now");
    assert!(report.idle_seconds >= 0.0);
    let work = running.cell.in_flight();
    let more = running.cell.in_flight();
    assert_eq!(running.cell.report().in_flight, 2);
    drop((work, more));
    assert_eq!(running.cell.report().in_flight, 0);
}

#[actix::test]
async fn a_panic_of_a_piece_of_work_counts_as_one_of_its_actor() {
    let running = Running::start(RestartPolicy::default());
    let work = running.cell.in_flight();
    let task = actix_rt::spawn(async move {
        tokio::task::yield_now().await;
        let _work = work;
        panic!("injected into a task");
    });
    assert!(task.await.unwrap_err().is_panic());
    let report = running.cell.report();
    assert_eq!((report.panics, report.restarts, report.in_flight), (1, 0, 0));
    let told = report.last_error.unwrap();
    assert!(told.starts_with("a panic of a piece of its work at ") && !told.contains("injected"), "{told}");
}

//! When an actor is given up.

use super::*;

#[actix::test]
async fn too_many_panics_end_the_actor_and_escalate() {
    pause();
    let mut running = Running::start(RestartPolicy { max_restarts: 2, ..Default::default() });
    for restart in 1..=2 {
        running.explode().await;
        assert_eq!(running.echo(restart).await, restart);
    }
    let early = tokio::time::timeout(Duration::from_secs(1), running.escalations.next()).await;
    assert!(early.is_err(), "two are within the policy");
    running.address.do_send(Explode("the last straw"));
    let waiting = running.address.send(Echo(3));
    let reason = soon("an escalation", running.escalations.next()).await;
    assert!(reason.starts_with("probe: too many panics"), "{reason}");
    assert_eq!(running.cell.report().last_error.as_deref(), reason.strip_prefix("probe: "), "health says so too");
    assert_eq!((running.cell.state(), running.cell.panics(), running.cell.restarts()), (ActorState::Failed, 3, 2));
    until("the address is dead", || !running.address.connected()).await;
    assert!(waiting.await.is_err(), "whoever still waits is told");
    assert_eq!(running.cell.state(), ActorState::Failed, "it stays so");
    until("whoever sends to it sees that", || running.items.is_closed()).await;
}

#[actix::test]
async fn an_actor_that_can_not_start_escalates_at_once() {
    pause();
    let mut running = Running::start_as(RestartPolicy::default(), true);
    let waiting = running.address.send(Echo(1));
    let reason = soon("an escalation", running.escalations.next()).await;
    assert!(reason.starts_with("probe: ") && reason.ends_with("while it started"), "{reason}");
    assert_eq!(running.cell.report().last_error.as_deref(), reason.strip_prefix("probe: "), "health says so too");
    assert!(waiting.await.is_err(), "whoever waits is told");
    assert_eq!((running.cell.state(), running.cell.panics(), running.cell.restarts()), (ActorState::Failed, 1, 0));
    assert_eq!(running.log(), ["started"]);
}

#[actix::test]
async fn an_actor_that_can_never_restart_fails() {
    pause();
    let mut running = Running::start(RestartPolicy { max_restarts: 3, ..Default::default() });
    running.bad_restarts.set(u32::MAX);
    running.explode().await;
    assert!(soon("an escalation", running.escalations.next()).await.contains("too many panics"));
    assert_eq!((running.cell.state(), running.cell.panics(), running.cell.restarts()), (ActorState::Failed, 4, 0));
}

//! The task that holds the socket: when it connects, and how it ends.

use std::collections::BTreeSet;

use super::*;
use crate::health::Condition;
use crate::testing::Logged;

/// The next frame; that sockets are opened is passed over.
async fn next(received: &Receiver<Received>) -> String {
    loop {
        if let Received::Frame { frame, .. } = soon("a frame", received.recv()).await.unwrap() {
            return String::from_utf8(frame.bytes().to_vec()).unwrap();
        }
    }
}

fn inbox(room: usize) -> (Sender<Received>, Receiver<Received>) {
    async_channel::bounded(room)
}

#[actix::test]
async fn a_lost_connection_is_opened_again_after_a_wait_and_frames_keep_their_order() {
    pause();
    let peers = vec![
        Peer::Sends(vec!["one", "two"], ClosedReason::Cut),
        Peer::Sends(vec!["three"], ClosedReason::ByPeer { code: Some(1001) }),
        Peer::Stays(vec!["four"]),
    ];
    let (frames, received) = inbox(9);
    let listened = Listened::start(frames, peers);
    for expected in ["one", "two", "three", "four"] {
        assert_eq!(next(&received).await, expected);
    }
    let waits = listened.waits();
    assert!(waits.iter().all(|wait| *wait >= Duration::from_millis(250)), "never at once: {waits:?}");
    assert_eq!(listened.health.state(), (ProfileState::Ready, String::new()));
}

#[actix::test]
async fn streams_that_are_lost_at_one_instant_do_not_come_back_at_one() {
    pause();
    let (frames, received) = inbox(99);
    let lost = || vec![Peer::Sends(vec!["one"], ClosedReason::Cut), Peer::Stays(vec!["two"])];
    let listeners: Vec<_> = (0..20).map(|_| Listened::start(frames.clone(), lost())).collect();
    for _ in 0..2 * listeners.len() {
        next(&received).await;
    }
    let waits: BTreeSet<Duration> = listeners.iter().map(|listened| listened.waits()[0]).collect();
    assert!(waits.len() > listeners.len() / 2, "each draws its own: {waits:?}");
}

#[actix::test]
async fn health_says_whether_the_stream_never_stood_or_was_lost() {
    pause();
    let peers = vec![Peer::Refuses(HandshakeError::Forbidden), Peer::Sends(vec!["one"], ClosedReason::Silent)];
    let (frames, received) = inbox(9);
    let listened = Listened::start(frames, peers);
    assert_eq!(listened.health.state().0, ProfileState::Waiting);
    until("it was refused", || listened.health.state().1.contains("agentassist:read")).await;
    assert_eq!(listened.health.state().0, ProfileState::Waiting);
    assert_eq!(next(&received).await, "one");
    assert!(listened.waits()[0] >= Duration::from_secs(30), "only an administrator can help");
    until("it was lost", || listened.health.state().0 == ProfileState::Degraded).await;
    assert!(listened.health.state().1.contains("no pong"), "{:?}", listened.health.state());
}

#[actix::test]
async fn without_a_token_nothing_is_connected_until_there_is_one() {
    pause();
    let (frames, received) = inbox(9);
    let listened = Listened::start_without_token(frames, vec![Peer::Stays(vec!["one"])], 2);
    until("its lack is told", || listened.health.state().0 == ProfileState::Waiting).await;
    assert_eq!(next(&received).await, "one");
    assert_eq!(listened.tokens(), ["t1"]);
}

/// The token endpoint is down for ten minutes: more than a thousand attempts.
#[actix::test]
async fn a_night_without_a_token_is_a_line_a_minute() {
    pause();
    let logged = Logged::start();
    let (frames, received) = inbox(9);
    let listened = Listened::start_without_token(frames, vec![Peer::Stays(vec!["one"])], 600);
    tokio::time::sleep(Duration::from_mins(11)).await;
    assert_eq!(next(&received).await, "one");
    let lines = logged.count("the stream can't be connected");
    assert!((9..=12).contains(&lines), "{lines} lines");
    assert!(logged.lines().iter().any(|line| line.contains(r#""held_back":1"#)), "what was held back is counted");
    assert_eq!(listened.tokens(), ["t1"]);
}

#[actix::test]
async fn before_there_are_articles_no_stream_is_opened_and_the_wait_is_said() {
    pause();
    let (frames, received) = inbox(9);
    let listened = Listened::start(frames, vec![Peer::Stays(vec!["one"])]);
    listened.health.set(Part::Index, Condition::Missing("the index holds no articles".to_owned()));
    until("the wait is said", || listened.health.state().1.contains("when there are articles")).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(listened.num_attempts(), 0);
    listened.health.set(Part::Index, Condition::Good);
    assert_eq!(next(&received).await, "one");
}

#[actix::test]
async fn a_refused_token_is_renewed_at_once_and_a_second_refusal_waited_out() {
    pause();
    let refusal = || Peer::Refuses(HandshakeError::Unauthorised);
    let peers =
        vec![refusal(), Peer::Sends(vec!["one"], ClosedReason::Cut), refusal(), refusal(), Peer::Stays(vec!["two"])];
    let (frames, received) = inbox(9);
    let listened = Listened::start(frames, peers);
    assert_eq!((next(&received).await, next(&received).await), ("one".to_owned(), "two".to_owned()));
    assert_eq!(listened.tokens(), ["t1", "t2", "t2", "t3", "t4"]);
    let waits = listened.waits();
    assert!(waits[0].is_zero() && waits[2].is_zero() && waits[3] >= Duration::from_secs(30), "{waits:?}");
    for (status, count) in [("2xx", 2), ("401", 3)] {
        let series = format!(r#"cuecard_cxone_requests_total{{endpoint="stream",status="{status}"}}"#);
        assert_eq!(listened.bench.metric(&series), count, "{status}");
    }
    let failed = r#"cuecard_cxone_failed_requests_total{endpoint="stream",profile="acme"}"#;
    assert_eq!(listened.bench.metric(failed), 3, "the same of this profile alone");
}

#[actix::test]
async fn a_message_over_the_limit_is_counted_and_the_socket_opened_again_at_once() {
    pause();
    let too_large = ClosedReason::TooLarge { limit_bytes: 1 << 20 };
    let (frames, received) = inbox(9);
    let listened = Listened::start(frames, vec![Peer::Sends(vec!["one"], too_large), Peer::Stays(vec!["two"])]);
    assert_eq!((next(&received).await, next(&received).await), ("one".to_owned(), "two".to_owned()));
    assert!(listened.waits()[0] < Duration::from_millis(10), "{:?}", listened.waits());
    let series = r#"cuecard_stream_frames_total{fate="too_large",profile="acme"}"#;
    assert_eq!(listened.bench.metric(series), 1);
}

#[actix::test]
async fn a_panic_in_the_task_is_survived_and_shown() {
    pause();
    let peers = vec![Peer::Sends(vec!["one"], ClosedReason::Cut), Peer::Explodes, Peer::Stays(vec!["two"])];
    let (frames, received) = inbox(9);
    let listened = Listened::start(frames, peers);
    assert_eq!(next(&received).await, "one");
    until("it panicked", || listened.num_attempts() == 2).await;
    let (state, reason) = listened.health.state();
    assert_eq!(state, ProfileState::Degraded);
    assert!(reason.contains("panicked"), "{reason}");
    assert_eq!(next(&received).await, "two");
    assert_eq!(listened.health.state().0, ProfileState::Ready);
}

/// The peer takes its time for the goodbye.
#[actix::test]
async fn told_to_stop_it_lets_go_of_the_inbox_before_the_peer_has_answered_its_goodbye() {
    pause();
    let (frames, received) = inbox(9);
    let listened = Listened::start(frames, vec![Peer::Stays(vec!["one"])]);
    assert_eq!(next(&received).await, "one");
    listened.stop.cancel();
    assert!(soon("the end", received.recv()).await.is_err(), "the inbox is closed");
    assert_eq!(listened.script.goodbyes.get(), 0, "the goodbye was waited for");
    listened.goodbyes.close();
    soon("the goodbye", listened.goodbyes.wait()).await;
    assert_eq!((listened.script.goodbyes.get(), listened.num_attempts()), (1, 1));
}

#[actix::test]
async fn told_to_stop_it_ends_while_it_waits_to_connect_again_or_for_room() {
    pause();
    let (frames, received) = inbox(9);
    let waiting = Listened::start(frames, vec![]);
    until("it was refused", || waiting.num_attempts() == 1).await;
    waiting.stop.cancel();
    assert!(soon("the end", received.recv()).await.is_err());
    let (frames, received) = inbox(1);
    let full = Listened::start(frames, vec![Peer::Stays(vec!["one", "two", "three"])]);
    until("the inbox is full", || received.is_full()).await;
    full.stop.cancel();
    until("it lets go of the inbox", || received.is_closed()).await;
    full.goodbyes.close();
    soon("the goodbye", full.goodbyes.wait()).await;
    assert_eq!(full.script.goodbyes.get(), 1);
}

#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_channel::Receiver;
use cuecard_cxone::stream::InsightsCodec;
use cuecard_cxone::websocket::{ClosedReason, HandshakeError};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::time::pause;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::health::{Condition, Part, ProfileHealth};
use crate::inbox::bounded;
use crate::messages::TokenError;
use crate::telemetry::ProfileState;
use crate::testing::{Bench, soon, take, until};

/// Reads contract 003, and panics on one frame.
struct FragileCodec;

impl StreamCodec for FragileCodec {
    fn decode(&mut self, text: &str) -> Result<Decoded, FrameError> {
        assert_ne!(text, "bad", "injected");
        InsightsCodec.decode(text)
    }
}

struct Fixture {
    bench: Bench,
    frames: Sender<Received>,
    heard: Inbox<Heard>,
    feedback: Inbox<HeardFeedback>,
    address: actix::Addr<StreamListener>,
}

fn fixture(expected_panics: u64, buffer_room: usize) -> Fixture {
    pause();
    let bench = Bench::expecting("stream_listener", expected_panics);
    let (frames, inbox) = bounded(64);
    let (buffer, heard) = bounded(buffer_room);
    let (to_feedback, feedback) = bounded(64);
    let deps = StreamListenerDeps {
        profile: ProfileName::new("acme"),
        codec: Box::new(FragileCodec),
        inbox,
        buffer,
        feedback: to_feedback,
        metrics: bench.metrics.clone(),
    };
    let address = bench.supervise(StreamListener::new(deps));
    Fixture { bench, frames, heard, feedback, address }
}

fn text(frame: impl Into<String>) -> Received {
    Received { frame: Frame::Text(frame.into()), at: Instant::now() }
}

fn fragment(words: &str) -> Received {
    text(format!(r#"{{"type":"TRANSCRIPT_FRAGMENT","text":"{words}","interactionId":"c-1"}}"#))
}

fn words(heard: &Heard) -> String {
    match &heard.word {
        StreamWord::Fragment { text, .. } => text.clone(),
        other => format!("{other:?}"),
    }
}

fn insights(feedback: Vec<HeardFeedback>) -> impl Iterator<Item = String> {
    feedback.into_iter().map(|event| event.insight)
}

impl Fixture {
    fn frames(&self, fate: &str) -> u64 {
        self.bench.metric(&format!(r#"cuecard_stream_frames_total{{fate="{fate}",profile="acme"}}"#))
    }
}

#[actix::test]
async fn frames_become_words_for_the_buffer_and_feedback_for_the_logger() {
    let fixture = fixture(0, 64);
    let sent_at = Instant::now();
    for frame in [
        r#"{"type":"TRANSCRIPT_FRAGMENT","text":"where is it","interactionId":"c-1"}"#,
        r#"{"type":"TRANSCRIPT_FRAGMENT","text":"one moment","participant":"AGENT"}"#,
        r#"{"type":"DIALOG_STATE","state":"TURN_END","interactionId":"c-1"}"#,
        r#"{"type":"DIALOG_STATE","state":"AGENT_SILENT"}"#,
        r#"{"type":"INSIGHT_ACCEPTED","interactionId":"c-1","insightId":"kb-7"}"#,
        r#"{"type":"INSIGHT_REJECTED","interactionId":"c-2","insightId":"kb-8","action":"closed"}"#,
    ] {
        fixture.frames.send(text(frame)).await.unwrap();
    }
    let heard = take(&fixture.heard, 4).await;
    let customer = matches!(&heard[0].word, StreamWord::Fragment { interaction: Some(id), speaker: Speaker::Customer, text }
        if id.as_str() == "c-1" && text == "where is it");
    let agent = matches!(&heard[1].word, StreamWord::Fragment { interaction: None, speaker: Speaker::Agent, .. });
    let named = matches!(&heard[2].word, StreamWord::TurnEnded { interaction: Some(id) } if id.as_str() == "c-1");
    let unnamed = matches!(&heard[3].word, StreamWord::TurnEnded { interaction: None });
    assert!(customer && agent && named && unnamed, "{heard:?}");
    assert!(heard.iter().all(|heard| heard.profile.as_str() == "acme" && heard.received == sent_at));
    let feedback = take(&fixture.feedback, 2).await;
    let seen = feedback
        .iter()
        .map(|event| (event.interaction.as_str(), event.insight.as_str(), event.action.as_str(), event.accepted));
    assert_eq!(seen.collect::<Vec<_>>(), [("c-1", "kb-7", "ACCEPTED", true), ("c-2", "kb-8", "closed", false)]);
    assert_eq!(fixture.frames("used"), 6);
    for action in ["accepted", "rejected"] {
        let series = format!(r#"cuecard_feedback_total{{action="{action}",profile="acme"}}"#);
        assert_eq!(fixture.bench.metric(&series), 1, "{action}");
    }
}

#[actix::test]
async fn a_frame_that_is_of_no_use_is_counted_by_its_fate_and_drops_nothing_else() {
    let fixture = fixture(0, 64);
    let at = Instant::now();
    let frames = [
        text("not json"),
        text("[]"),
        text(r#"{"type":"TRANSCRIPT_FRAGMENT"}"#),
        Received { frame: Frame::InvalidUtf8(7), at },
        Received { frame: Frame::Binary(7), at },
        text(r#"{"type":"TRANSCRIPT_FRAGMENT","text":"hello","interactionId":"../c"}"#),
        text(r#"{"type":"INSIGHT_SHOWN","interactionId":"c-1"}"#),
        text(r#"{"type":"DIALOG_STATE","state":"LAUGHTER","interactionId":"c-1"}"#),
        fragment("hello"),
    ];
    for frame in frames {
        fixture.frames.send(frame).await.unwrap();
    }
    assert_eq!(words(&take(&fixture.heard, 1).await[0]), "hello");
    let counted = ["malformed", "binary", "bad_id", "ignored", "used", "too_large"].map(|fate| fixture.frames(fate));
    assert_eq!(counted, [4, 1, 1, 2, 1, 0]);
}

/// The bad frame makes the codec panic; two wait behind it, and the words of another wait for room at the Buffer.
#[actix::test]
async fn a_panic_costs_the_frame_in_hand_and_no_other() {
    let fixture = fixture(1, 1);
    for words in ["one", "waiting for room"] {
        fixture.frames.send(fragment(words)).await.unwrap();
    }
    fixture.frames.send(text("bad")).await.unwrap();
    for words in ["two", "three"] {
        fixture.frames.send(fragment(words)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!((fixture.frames.len(), fixture.bench.cell.panics()), (3, 0), "a full Buffer stops the reading");
    let heard = take(&fixture.heard, 4).await;
    let heard: Vec<_> = heard.iter().map(words).collect();
    assert_eq!(heard, ["one", "waiting for room", "two", "three"]);
    fixture.bench.assert_recovered(&fixture.address);
}

#[actix::test]
async fn a_feedback_inbox_that_is_full_delays_and_loses_nothing() {
    let fixture = fixture(0, 64);
    let mut ids = Vec::new();
    for number in 0..200 {
        let frame = format!(r#"{{"type":"INSIGHT_ACCEPTED","interactionId":"c-1","insightId":"{number}"}}"#);
        fixture.frames.send(text(frame)).await.unwrap();
        if number >= 100 {
            ids.extend(insights(take(&fixture.feedback, 1).await));
        }
    }
    ids.extend(insights(take(&fixture.feedback, 100).await));
    assert_eq!(ids, (0..200).map(|number| number.to_string()).collect::<Vec<_>>());
}

/// What a pretended peer does with a connection.
enum Peer {
    /// Refuses it.
    Refuses(ConnectFailure),
    /// Sends these and then goes away for this reason.
    Sends(Vec<&'static str>, ClosedReason),
    /// Sends these and stays.
    Stays(Vec<&'static str>),
    /// Makes the caller panic.
    Explodes,
}

struct FakeSource {
    frames: VecDeque<&'static str>,
    end: Option<ClosedReason>,
    goodbyes: Rc<RefCell<usize>>,
}

impl FrameSource for FakeSource {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Frame, ClosedReason>> {
        async {
            match (self.frames.pop_front(), self.end) {
                (Some(frame), _) => Ok(Frame::Text(frame.to_owned())),
                (None, Some(reason)) => Err(reason),
                (None, None) => std::future::pending().await,
            }
        }
        .boxed_local()
    }

    fn close(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            *self.goodbyes.borrow_mut() += 1;
        }
        .boxed_local()
    }
}

/// The task that holds the socket, with a script of peers; after the last it is refused for ever.
struct Listened {
    frames: Receiver<Received>,
    health: Arc<ProfileHealth>,
    stop: CancellationToken,
    goodbyes: Rc<RefCell<usize>>,
    /// When each connection was asked for.
    attempts: Rc<RefCell<Vec<Instant>>>,
    bench: Bench,
}

impl Listened {
    /// On paused time.
    fn start(room: usize, peers: Vec<Peer>) -> Self {
        let bench = Bench::new("unused");
        let (frames, received) = async_channel::bounded(room);
        let (goodbyes, attempts) = (Rc::<RefCell<usize>>::default(), Rc::<RefCell<Vec<Instant>>>::default());
        let peers = RefCell::new(VecDeque::from(peers));
        let (said, asked) = (Rc::clone(&goodbyes), Rc::clone(&attempts));
        let connect: Connect = Rc::new(move || {
            asked.borrow_mut().push(Instant::now());
            let peer = peers.borrow_mut().pop_front();
            let goodbyes = Rc::clone(&said);
            async move {
                let (frames, end) = match peer {
                    Some(Peer::Sends(frames, reason)) => (frames, Some(reason)),
                    Some(Peer::Stays(frames)) => (frames, None),
                    Some(Peer::Explodes) => panic!("injected"),
                    Some(Peer::Refuses(failure)) => return Err(failure),
                    None => return Err(ConnectFailure::Handshake(HandshakeError::Status(503))),
                };
                let source = FakeSource { frames: frames.into(), end, goodbyes };
                Ok(Box::new(source) as Box<dyn FrameSource>)
            }
            .boxed_local()
        });
        let health = ProfileHealth::new(ProfileName::new("acme"), &[Part::Token, Part::Stream], bench.metrics.clone());
        health.set(Part::Token, Condition::Good);
        let stop = CancellationToken::new();
        listen(Listening {
            connect,
            frames,
            health: Arc::clone(&health),
            metrics: bench.metrics.clone(),
            scope: "agentassist:read",
            stop: stop.clone(),
        });
        Self { frames: received, health, stop, goodbyes, attempts, bench }
    }

    async fn next(&self) -> String {
        match soon("a frame", self.frames.recv()).await.unwrap().frame {
            Frame::Text(text) => text,
            other => format!("{other:?}"),
        }
    }

    /// The waits between the attempts so far.
    fn waits(&self) -> Vec<Duration> {
        self.attempts.borrow().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

#[actix::test]
async fn a_lost_connection_is_opened_again_after_a_wait_and_frames_keep_their_order() {
    pause();
    let peers = vec![
        Peer::Sends(vec!["one", "two"], ClosedReason::Cut),
        Peer::Sends(vec!["three"], ClosedReason::ByPeer { code: Some(1001) }),
        Peer::Stays(vec!["four"]),
    ];
    let listened = Listened::start(9, peers);
    for expected in ["one", "two", "three", "four"] {
        assert_eq!(listened.next().await, expected);
    }
    let waits = listened.waits();
    assert!(waits.iter().all(|wait| *wait >= Duration::from_millis(250)), "never at once: {waits:?}");
    assert_eq!(listened.health.state(), (ProfileState::Ready, String::new()));
}

#[actix::test]
async fn health_says_whether_the_stream_never_stood_or_was_lost() {
    pause();
    let forbidden = ConnectFailure::Handshake(HandshakeError::Forbidden);
    let no_token = ConnectFailure::NoToken(TokenError::NoAnswer);
    let peers = vec![Peer::Refuses(no_token), Peer::Refuses(forbidden), Peer::Sends(vec!["one"], ClosedReason::Silent)];
    let listened = Listened::start(9, peers);
    assert_eq!(listened.health.state().0, ProfileState::Waiting);
    until("it was refused twice", || listened.attempts.borrow().len() == 2).await;
    let (state, reason) = listened.health.state();
    assert_eq!(state, ProfileState::Waiting);
    assert!(reason.contains("agentassist:read"), "{reason}");
    assert_eq!(listened.next().await, "one");
    assert!(listened.waits()[1] >= Duration::from_secs(30), "only an administrator can help");
    until("it was lost", || listened.health.state().0 == ProfileState::Degraded).await;
    assert!(listened.health.state().1.contains("no pong"), "{:?}", listened.health.state());
}

#[actix::test]
async fn a_message_over_the_limit_is_counted_and_the_socket_opened_again_at_once() {
    pause();
    let too_large = ClosedReason::TooLarge { limit_bytes: 1 << 20 };
    let listened = Listened::start(9, vec![Peer::Sends(vec!["one"], too_large), Peer::Stays(vec!["two"])]);
    assert_eq!((listened.next().await, listened.next().await), ("one".to_owned(), "two".to_owned()));
    assert!(listened.waits()[0] < Duration::from_millis(10), "{:?}", listened.waits());
    let series = r#"cuecard_stream_frames_total{fate="too_large",profile="acme"}"#;
    assert_eq!(listened.bench.metric(series), 1);
}

#[actix::test]
async fn a_panic_in_the_task_is_survived_and_shown() {
    pause();
    let peers = vec![Peer::Sends(vec!["one"], ClosedReason::Cut), Peer::Explodes, Peer::Stays(vec!["two"])];
    let listened = Listened::start(9, peers);
    assert_eq!(listened.next().await, "one");
    until("it panicked", || listened.attempts.borrow().len() == 2).await;
    let (state, reason) = listened.health.state();
    assert_eq!(state, ProfileState::Degraded);
    assert!(reason.contains("panicked"), "{reason}");
    assert_eq!(listened.next().await, "two");
    assert_eq!(listened.health.state().0, ProfileState::Ready);
}

#[actix::test]
async fn told_to_stop_it_says_goodbye_and_lets_go_of_the_inbox() {
    pause();
    let listened = Listened::start(9, vec![Peer::Stays(vec!["one"])]);
    assert_eq!(listened.next().await, "one");
    listened.stop.cancel();
    assert!(soon("the end", listened.frames.recv()).await.is_err(), "the inbox is closed");
    assert_eq!((*listened.goodbyes.borrow(), listened.attempts.borrow().len()), (1, 1));
}

#[actix::test]
async fn told_to_stop_it_ends_while_it_waits_to_connect_again_or_for_room() {
    pause();
    let waiting = Listened::start(9, vec![]);
    until("it was refused", || waiting.attempts.borrow().len() == 1).await;
    waiting.stop.cancel();
    assert!(soon("the end", waiting.frames.recv()).await.is_err());
    let full = Listened::start(1, vec![Peer::Stays(vec!["one", "two", "three"])]);
    until("the inbox is full", || full.frames.is_full()).await;
    full.stop.cancel();
    until("it lets go of the inbox", || full.frames.is_closed()).await;
    assert_eq!((full.next().await, *full.goodbyes.borrow()), ("one".to_owned(), 1));
}

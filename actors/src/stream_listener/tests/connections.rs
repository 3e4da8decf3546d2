//! The task that holds the socket: when it connects, and how it ends.

use super::*;

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

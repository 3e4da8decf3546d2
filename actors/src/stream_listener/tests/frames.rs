//! The actor: what becomes of the frames.

use super::*;

/// Reads contract 003, and panics on one frame when it has changed half of what it remembers.
#[derive(Default)]
struct FragileProtocol {
    insights: InsightsProtocol,
    is_half_changed: bool,
}

impl StreamProtocol for FragileProtocol {
    fn on_frame(&mut self, frame: &Map<String, Value>, now: Instant) -> Result<Step, FrameError> {
        assert!(!self.is_half_changed, "goes on with what a panic left");
        self.is_half_changed = frame["type"] == "bad";
        assert!(!self.is_half_changed, "injected");
        self.insights.on_frame(frame, now)
    }
}

struct Fixture {
    bench: Bench,
    frames: Sender<Received>,
    heard: Inbox<Heard>,
    feedback: Inbox<HeardFeedback>,
    address: Addr<StreamListener>,
}

fn fixture(expected_panics: u64, buffer_room: usize) -> Fixture {
    pause();
    let bench = Bench::expecting("stream_listener", expected_panics);
    let (frames, inbox) = bounded(64);
    let (buffer, heard) = bounded(buffer_room);
    let (to_feedback, feedback) = bounded(64);
    let deps = StreamListenerDeps {
        profile: ProfileName::new("acme"),
        protocol: Box::new(|| Box::new(FragileProtocol::default())),
        inbox,
        buffer,
        feedback: to_feedback,
        metrics: bench.metrics.clone(),
        cell: Arc::clone(&bench.cell),
    };
    let address = bench.supervise(StreamListener::new(deps));
    Fixture { bench, frames, heard, feedback, address }
}

fn text(frame: impl Into<Vec<u8>>) -> Received {
    Received::Frame { frame: Frame::Text(frame.into().into()), at: Instant::now() }
}

fn binary(frame: impl Into<Vec<u8>>) -> Received {
    Received::Frame { frame: Frame::Binary(frame.into().into()), at: Instant::now() }
}

fn fragment(words: &str) -> Received {
    text(json!({"type": "TRANSCRIPT_FRAGMENT", "text": words, "interactionId": "c-1"}).to_string())
}

fn words(heard: &Heard) -> String {
    match &heard.word {
        StreamWord::Fragment { text, .. } => text.verbatim().to_owned(),
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

    fn repairs(&self, repair: &str) -> u64 {
        self.bench.metric(&format!(r#"cuecard_json_repairs_total{{repair="{repair}",source="frame"}}"#))
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
        if id.as_str() == "c-1" && text.verbatim() == "where is it");
    let agent = matches!(&heard[1].word, StreamWord::Fragment { interaction: None, speaker: Speaker::Agent, .. });
    let named = matches!(&heard[2].word, StreamWord::TurnEnded { interaction: Some(id) } if id.as_str() == "c-1");
    let unnamed = matches!(&heard[3].word, StreamWord::TurnEnded { interaction: None });
    assert!(customer && agent && named && unnamed, "{heard:?}");
    assert!(heard.iter().all(|heard| heard.profile.as_str() == "acme" && heard.received == sent_at));
    let feedback = take(&fixture.feedback, 2).await;
    let seen = feedback
        .iter()
        .map(|event| (event.interaction.as_str(), event.insight.as_str(), event.action.verbatim(), event.accepted));
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
    let frames = [
        text("not json"),
        text("[]"),
        text(r#"{"type":"TRANSCRIPT_FRAGMENT"}"#),
        text([0xff; 7]),
        binary([0xff; 7]),
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

/// Half of an emoji whose other half is in the next frame, a byte of latin-1, a byte order mark, and no number in a field
/// that nobody reads.
#[actix::test]
async fn a_frame_that_is_not_quite_json_keeps_its_words() {
    let fixture = fixture(0, 64);
    for frame in [
        &br#"{"type":"TRANSCRIPT_FRAGMENT","text":"so nice \ud83d","interactionId":"c-1"}"#[..],
        b"{\"type\":\"TRANSCRIPT_FRAGMENT\",\"text\":\"my caf\xe9 bill\",\"interactionId\":\"c-1\"}",
        b"\xef\xbb\xbf{\"type\":\"TRANSCRIPT_FRAGMENT\",\"text\":\"marked\",\"interactionId\":\"c-1\"}",
        br#"{"type":"TRANSCRIPT_FRAGMENT","text":"sure","interactionId":"c-1","confidence":NaN,"at":-Infinity}"#,
    ] {
        fixture.frames.send(text(frame)).await.unwrap();
    }
    let heard = take(&fixture.heard, 4).await;
    let said: Vec<_> = heard.iter().map(words).collect();
    assert_eq!(said, ["so nice \u{fffd}", "my caf\u{fffd} bill", "marked", "sure"]);
    assert_eq!(fixture.frames("used"), 4);
    let kinds = ["lone_surrogate", "invalid_utf8", "byte_order_mark", "non_number"];
    assert_eq!(kinds.map(|repair| fixture.repairs(repair)), [1, 1, 1, 2]);
}

#[actix::test]
async fn json_in_a_binary_frame_is_read_as_text() {
    let fixture = fixture(0, 64);
    let frames = [r#"{"type":"TRANSCRIPT_FRAGMENT","text":"in bytes"}"#, "[]", r#"{"type":"#];
    for frame in frames {
        fixture.frames.send(binary(frame)).await.unwrap();
    }
    fixture.frames.send(fragment("the last")).await.unwrap();
    let heard = take(&fixture.heard, 2).await;
    assert_eq!((words(&heard[0]), words(&heard[1])), ("in bytes".to_owned(), "the last".to_owned()));
    assert_eq!(["used", "malformed", "binary"].map(|fate| fixture.frames(fate)), [2, 1, 1]);
}

#[actix::test]
async fn machines_and_listeners_give_context_and_ask_nothing() {
    let fixture = fixture(0, 64);
    // (role, who it is heard as)
    let table = [
        ("CUSTOMER", Speaker::Customer),
        ("AGENT", Speaker::Agent),
        ("system", Speaker::Agent),
        ("BOT", Speaker::Agent),
        ("ivr", Speaker::Agent),
        ("Supervisor", Speaker::Agent),
        ("partner", Speaker::Customer),
    ];
    for (role, _) in table {
        let frame = json!({"type": "TRANSCRIPT_FRAGMENT", "text": "please enter your number", "participant": role});
        fixture.frames.send(text(frame.to_string())).await.unwrap();
    }
    for (heard, (role, expected)) in take(&fixture.heard, table.len()).await.iter().zip(table) {
        let StreamWord::Fragment { speaker, .. } = heard.word else { panic!("{heard:?}") };
        assert_eq!(speaker, expected, "{role}");
    }
}

/// What is heard over a new connection comes behind the word that it is one, also where the Buffer is behind.
#[actix::test]
async fn the_buffer_is_told_of_each_connection_in_the_order_of_what_comes_over_it() {
    let fixture = fixture(0, 1);
    for words in ["one", "two"] {
        let (outgoing, _to_send) = async_channel::unbounded();
        fixture.frames.send(Received::Opened { outgoing, at: Instant::now() }).await.unwrap();
        fixture.frames.send(fragment(words)).await.unwrap();
    }
    let heard: Vec<_> = take(&fixture.heard, 4).await.iter().map(words).collect();
    assert_eq!(heard, ["Connected", "one", "Connected", "two"]);
}

/// The bad frame makes the protocol panic; two wait behind it, and the words of another wait for room at the Buffer.
#[actix::test]
async fn a_panic_costs_the_frame_in_hand_and_no_other() {
    let fixture = fixture(1, 1);
    for words in ["one", "waiting for room"] {
        fixture.frames.send(fragment(words)).await.unwrap();
    }
    fixture.frames.send(text(r#"{"type":"bad"}"#)).await.unwrap();
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
async fn ten_panics_a_minute_cost_what_was_in_hand_and_the_eleventh_ends_the_actor() {
    let fixture = fixture(11, 64);
    let poison = async |_| fixture.frames.send(text(r#"{"type":"bad"}"#)).await.unwrap();
    let works = async |number: u64| {
        let said = format!("word {number}");
        fixture.frames.send(fragment(&said)).await.unwrap();
        assert_eq!(words(&take(&fixture.heard, 1).await[0]), said);
    };
    fixture.bench.panic_until_it_gives_up(poison, works).await;
    until("whoever holds the socket sees that nobody reads", || fixture.frames.is_closed()).await;
    assert_eq!(fixture.frames("used"), 10);
}

#[actix::test]
async fn a_restart_by_hand_loses_no_word_that_waits_for_room() {
    let fixture = fixture(0, 1);
    for words in ["one", "waiting for room", "two"] {
        fixture.frames.send(fragment(words)).await.unwrap();
    }
    until("the Buffer is full", || fixture.bench.cell.report().in_flight == 1).await;
    fixture.bench.cell.ask_restart().unwrap();
    until("it restarted", || fixture.bench.cell.restarts() == 1).await;
    assert_eq!(fixture.frames.len(), 1, "no further frame is read");
    let heard: Vec<_> = take(&fixture.heard, 3).await.iter().map(words).collect();
    assert_eq!(heard, ["one", "waiting for room", "two"]);
    until("nothing is left", || fixture.bench.cell.report().in_flight == 0).await;
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

//! The actor: what becomes of the frames.

use super::*;

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

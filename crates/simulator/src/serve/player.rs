//! A conversation as a hub would tell it, how fast, and in which frames.
//!
//! Input: turns and a [`Pace`]. Output: [`Step`]s, and what each puts on a stream: the literal frames of contract 003, or
//! the events of contract 001, where nothing tells customer and agent apart and every event is a question: only the
//! customer's words are told there, each turn as one event when it ends. Pure.

use std::time::Duration;

use serde_json::{Value, json};

use super::files::Turn;
use super::settings::Transcripts;
use crate::base::contracts::StreamKind;
use crate::base::verdict::AgentVerdict;

/// Longest message made on request; every client's limit is far below.
const MAX_OVERSIZED_BYTES: usize = 64 * 1024 * 1024;
/// Longest transcript that an event repeats, oldest words cut first: an event that repeats everything would else outgrow
/// the messages that clients take.
const MAX_TRANSCRIPT_BYTES: usize = 256 * 1024;

/// How fast conversations are played.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// Words in one transcript fragment.
    pub words_per_fragment: usize,
    /// How long one word takes to say; zero sends a turn at once.
    pub per_word: Duration,
    /// Between the end of one turn and the next one's first fragment.
    pub between_turns: Duration,
    /// Between two conversations.
    pub between_conversations: Duration,
    /// How long after its last turn an interaction, shown as ended, still takes cards.
    pub linger: Duration,
}

impl Pace {
    /// As people speak: 170 words a minute.
    pub fn life() -> Self {
        Self {
            words_per_fragment: 4,
            per_word: Duration::from_millis(350),
            between_turns: Duration::from_millis(1200),
            between_conversations: Duration::from_secs(3),
            linger: Duration::from_mins(1),
        }
    }

    /// The pace of life with all pauses of speech divided by `factor`; a factor that is no positive number means
    /// [`Pace::instant`].
    #[must_use]
    pub fn faster(factor: f64) -> Self {
        let life = Self::life();
        let shorten = |pause: Duration| Duration::try_from_secs_f64(pause.as_secs_f64() / factor);
        match (shorten(life.per_word), shorten(life.between_turns), shorten(life.between_conversations)) {
            (Ok(per_word), Ok(between_turns), Ok(between_conversations)) if factor > 0.0 => {
                Self { per_word, between_turns, between_conversations, ..life }
            }
            _ => Self::instant(),
        }
    }

    /// No pauses at all.
    pub fn instant() -> Self {
        Self {
            per_word: Duration::ZERO,
            between_turns: Duration::ZERO,
            between_conversations: Duration::ZERO,
            ..Self::life()
        }
    }
}

/// Something said, and the pause before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) pause: Duration,
    pub(crate) speech: Speech,
}

/// What is said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Speech {
    Fragment { customer: bool, text: String },
    TurnEnd { customer: bool },
}

/// A turn as fragments of a few words and its end; nothing when it has no words.
pub(crate) fn steps(turn: &Turn, pace: &Pace) -> Vec<Step> {
    let customer = turn.is_customer();
    let words: Vec<&str> = turn.text.split_whitespace().collect();
    let mut steps: Vec<Step> = words
        .chunks(pace.words_per_fragment.max(1))
        .map(|chunk| Step {
            pause: pace.per_word.saturating_mul(u32::try_from(chunk.len()).unwrap_or(u32::MAX)),
            speech: Speech::Fragment { customer, text: chunk.join(" ") },
        })
        .collect();
    if !steps.is_empty() {
        steps.push(Step { pause: Duration::ZERO, speech: Speech::TurnEnd { customer } });
    }
    steps
}

/// One interaction as it is told.
pub(crate) struct Frames {
    interaction_id: String,
    transcripts: Transcripts,
    /// What the customer has said, as the next event will tell it.
    said: String,
}

impl Frames {
    pub(crate) fn new(interaction_id: &str, transcripts: Transcripts) -> Self {
        Self { interaction_id: interaction_id.to_owned(), transcripts, said: String::new() }
    }

    /// The frame for each kind of stream that has one for `speech`.
    pub(crate) fn tell(&mut self, speech: &Speech, timestamp: &str) -> Vec<(StreamKind, Value)> {
        let mut frames = vec![(StreamKind::Insights, insights_frame(&self.interaction_id, speech, timestamp))];
        match speech {
            Speech::Fragment { customer: true, text } => self.add(text),
            Speech::TurnEnd { customer: true } => frames.push((StreamKind::Snippets, self.event())),
            _ => {}
        }
        frames
    }

    fn add(&mut self, text: &str) {
        if !self.said.is_empty() {
            self.said.push(' ');
        }
        self.said.push_str(text);
        if let Some(surplus) = self.said.len().checked_sub(MAX_TRANSCRIPT_BYTES) {
            let start = (surplus..=self.said.len()).find(|start| self.said.is_char_boundary(*start));
            self.said.drain(..start.unwrap_or_default());
        }
    }

    fn event(&mut self) -> Value {
        let transcript = match self.transcripts {
            Transcripts::Whole => self.said.clone(),
            Transcripts::New => std::mem::take(&mut self.said),
        };
        json!({
            "type": "interaction",
            "data": {"id": self.interaction_id, "state": "active", "channels": [{"transcript": transcript}]},
        })
    }
}

fn insights_frame(interaction_id: &str, speech: &Speech, timestamp: &str) -> Value {
    match speech {
        Speech::Fragment { customer, text } => json!({
            "type": "TRANSCRIPT_FRAGMENT",
            "text": text,
            "interactionId": interaction_id,
            "participant": if *customer { "CUSTOMER" } else { "AGENT" },
            "timestamp": timestamp,
        }),
        Speech::TurnEnd { .. } => json!({
            "type": "DIALOG_STATE",
            "state": "TURN_END",
            "interactionId": interaction_id,
        }),
    }
}

/// The event of contract 001 that ends an interaction.
pub(crate) fn end_event(interaction_id: &str) -> Value {
    json!({"type": "interaction", "data": {"id": interaction_id, "state": "completed", "channels": []}})
}

/// The frame of contract 003 for an agent's answer to a card.
pub(crate) fn verdict_frame(interaction_id: &str, insight_id: &str, verdict: AgentVerdict) -> Value {
    json!({
        "type": if verdict.is_accepted() { "INSIGHT_ACCEPTED" } else { "INSIGHT_REJECTED" },
        "interactionId": interaction_id,
        "insightId": insight_id,
        "action": verdict.action(),
    })
}

/// A well-formed fragment of exactly `length` bytes, or of the least that a fragment needs. An agent speaks it, so that
/// no customer turn hangs on a message that clients are meant to drop.
pub(crate) fn oversized_fragment(length: usize) -> String {
    let fragment =
        |text: String| json!({"type": "TRANSCRIPT_FRAGMENT", "text": text, "participant": "AGENT"}).to_string();
    let around = fragment(String::new()).len();
    fragment("x".repeat(length.min(MAX_OVERSIZED_BYTES).saturating_sub(around)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::verdict::RejectReason;

    fn turn(speaker: &str, text: &str) -> Turn {
        Turn { speaker: speaker.into(), text: text.into() }
    }

    #[test]
    fn a_turn_becomes_fragments_and_an_end() {
        let pace = Pace { words_per_fragment: 2, per_word: Duration::from_millis(10), ..Pace::life() };
        let steps = steps(&turn("customer", " one  two\nthree "), &pace);
        let fragment = |millis, text: &str| Step {
            pause: Duration::from_millis(millis),
            speech: Speech::Fragment { customer: true, text: text.into() },
        };
        let end = Step { pause: Duration::ZERO, speech: Speech::TurnEnd { customer: true } };
        assert_eq!(steps, [fragment(20, "one two"), fragment(10, "three"), end]);
    }

    #[test]
    fn a_turn_without_words_is_not_played() {
        assert!(steps(&turn("customer", " \n"), &Pace::instant()).is_empty());
    }

    #[test]
    fn paces() {
        assert_eq!(Pace::faster(10.0).per_word, Duration::from_millis(35));
        for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Pace::faster(factor).per_word, Duration::ZERO, "{factor}");
        }
    }

    fn told(frames: &mut Frames, customer: bool, text: &str) -> Vec<String> {
        let fragment = Speech::Fragment { customer, text: text.into() };
        let both = [fragment, Speech::TurnEnd { customer }].map(|speech| frames.tell(&speech, "2025-01-01T00:00:00Z"));
        let events = both.into_iter().flatten().filter(|(kind, _)| *kind == StreamKind::Snippets);
        events
            .map(|(_, event)| event["data"]["channels"][0]["transcript"].as_str().unwrap_or_default().into())
            .collect()
    }

    #[test]
    fn frames_of_003_are_the_contract_s() {
        let mut frames = Frames::new("i", Transcripts::Whole);
        let speech = Speech::Fragment { customer: false, text: "hi".into() };
        let (kind, frame) = frames.tell(&speech, "2025-01-01T00:00:00Z").remove(0);
        assert_eq!(kind, StreamKind::Insights);
        assert_eq!(
            frame.to_string(),
            r#"{"type":"TRANSCRIPT_FRAGMENT","text":"hi","interactionId":"i","participant":"AGENT","timestamp":"2025-01-01T00:00:00Z"}"#
        );
        let (_, frame) = frames.tell(&Speech::TurnEnd { customer: false }, "").remove(0);
        assert_eq!(frame.to_string(), r#"{"type":"DIALOG_STATE","state":"TURN_END","interactionId":"i"}"#);
        assert_eq!(
            verdict_frame("i", "a", AgentVerdict::Rejected(Some(RejectReason::Outdated))).to_string(),
            r#"{"type":"INSIGHT_REJECTED","interactionId":"i","insightId":"a","action":"REJECTED_OUTDATED"}"#
        );
    }

    #[test]
    fn events_of_001_are_the_contract_s() {
        let mut frames = Frames::new("i", Transcripts::Whole);
        frames.add("where is it");
        assert_eq!(
            frames.event().to_string(),
            r#"{"type":"interaction","data":{"id":"i","state":"active","channels":[{"transcript":"where is it"}]}}"#
        );
        assert_eq!(
            end_event("i").to_string(),
            r#"{"type":"interaction","data":{"id":"i","state":"completed","channels":[]}}"#
        );
    }

    #[test]
    fn an_event_tells_all_or_what_is_new_and_never_the_agent() {
        for (transcripts, second) in [(Transcripts::Whole, "one two"), (Transcripts::New, "two")] {
            let mut frames = Frames::new("i", transcripts);
            assert_eq!(told(&mut frames, true, "one"), ["one"]);
            assert!(told(&mut frames, false, "agent").is_empty());
            assert_eq!(told(&mut frames, true, "two"), [second]);
        }
    }

    #[test]
    fn a_very_long_transcript_loses_its_beginning() {
        let mut frames = Frames::new("i", Transcripts::Whole);
        frames.add(&"é".repeat(MAX_TRANSCRIPT_BYTES));
        frames.add("end");
        assert!(frames.said.len() <= MAX_TRANSCRIPT_BYTES && frames.said.ends_with("é end"));
    }
}

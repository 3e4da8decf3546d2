//! A conversation as the frames that a hub would send, and how fast.
//!
//! Input: turns and a [`Pace`]. Output: [`Step`]s, and the literal frames of contract 003. Pure; `running.rs` sends them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::conversation::Turn;

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
    /// How long after its last turn an interaction still takes cards.
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

/// One frame, and the pause before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) pause: Duration,
    pub(crate) speech: Speech,
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Speech {
    Fragment { customer: bool, text: String },
    TurnEnd,
}

/// A turn as fragments of a few words and its end; nothing when it has no words.
pub(crate) fn steps(turn: &Turn, pace: &Pace) -> Vec<Step> {
    let words: Vec<&str> = turn.text.split_whitespace().collect();
    let mut steps: Vec<Step> = words
        .chunks(pace.words_per_fragment.max(1))
        .map(|chunk| Step {
            pause: pace.per_word.saturating_mul(u32::try_from(chunk.len()).unwrap_or(u32::MAX)),
            speech: Speech::Fragment { customer: turn.is_customer(), text: chunk.join(" ") },
        })
        .collect();
    if !steps.is_empty() {
        steps.push(Step { pause: Duration::ZERO, speech: Speech::TurnEnd });
    }
    steps
}

/// The frame of contract 003 for `speech`.
pub(crate) fn frame(interaction_id: &str, speech: &Speech, timestamp: &str) -> Value {
    match speech {
        Speech::Fragment { customer, text } => json!({
            "type": "TRANSCRIPT_FRAGMENT",
            "text": text,
            "interactionId": interaction_id,
            "participant": if *customer { "CUSTOMER" } else { "AGENT" },
            "timestamp": timestamp,
        }),
        Speech::TurnEnd => json!({
            "type": "DIALOG_STATE",
            "state": "TURN_END",
            "interactionId": interaction_id,
        }),
    }
}

/// The frame of contract 003 for an agent's answer to a card.
pub(crate) fn verdict_frame(interaction_id: &str, insight_id: &str, accepted: bool) -> Value {
    let action = if accepted { "ACCEPTED" } else { "REJECTED" };
    json!({
        "type": format!("INSIGHT_{action}"),
        "interactionId": interaction_id,
        "insightId": insight_id,
        "action": action,
    })
}

/// Longest message made on request; every client's limit is far below.
const MAX_OVERSIZED_BYTES: usize = 64 * 1024 * 1024;

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
        let end = Step { pause: Duration::ZERO, speech: Speech::TurnEnd };
        assert_eq!(steps, [fragment(20, "one two"), fragment(10, "three"), end]);
    }

    #[test]
    fn a_turn_without_words_is_not_played() {
        assert!(steps(&turn("customer", " \n"), &Pace::instant()).is_empty());
    }

    #[test]
    fn frames_are_the_contract_s() {
        let speech = Speech::Fragment { customer: false, text: "hi".into() };
        assert_eq!(
            frame("i", &speech, "2025-01-01T00:00:00Z").to_string(),
            r#"{"type":"TRANSCRIPT_FRAGMENT","text":"hi","interactionId":"i","participant":"AGENT","timestamp":"2025-01-01T00:00:00Z"}"#
        );
        assert_eq!(
            frame("i", &Speech::TurnEnd, "").to_string(),
            r#"{"type":"DIALOG_STATE","state":"TURN_END","interactionId":"i"}"#
        );
        assert_eq!(
            verdict_frame("i", "a", false).to_string(),
            r#"{"type":"INSIGHT_REJECTED","interactionId":"i","insightId":"a","action":"REJECTED"}"#
        );
    }

    #[test]
    fn paces() {
        assert_eq!(Pace::faster(10.0).per_word, Duration::from_millis(35));
        for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Pace::faster(factor).per_word, Duration::ZERO, "{factor}");
        }
    }
}

//! A conversation as a hub would tell it, and how fast.
//!
//! Input: turns and a [`Pace`]. Output: [`Step`]s, and by `frames` what each puts on a stream. Pure; `running/play.rs`
//! sends them.

mod frames;

use std::time::Duration;

use crate::conversation::Turn;
pub(crate) use frames::{Frames, end_event, oversized_fragment, verdict_frame};

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
}

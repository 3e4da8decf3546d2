//! Turns of a conversation and the utterance that asks about them.

use std::fmt;
use std::str::FromStr;

use cuecard_text::Spoken;
use serde::{Deserialize, Serialize};

use super::FlushReason;

/// Who spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The customer; an unknown participant counts as one.
    Customer,
    /// The agent, whose text is context and never asks.
    Agent,
}

/// What one participant said before the other spoke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Who spoke.
    pub speaker: Speaker,
    /// The words, fragments joined with a space.
    pub text: Spoken,
}

/// A flushed question with the turns around it, oldest first. What the conversation is about is a pure
/// function of these turns, so a replay or another replica gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Utterance {
    /// At most 64 turns and 16 KiB (settings); holds at least one customer turn.
    pub turns: Vec<Turn>,
    /// Why the window was flushed.
    pub flushed: FlushReason,
}

impl Utterance {
    /// An utterance of one question without a conversation around it.
    pub fn question(text: impl Into<Spoken>) -> Self {
        Self { turns: vec![Turn { speaker: Speaker::Customer, text: text.into() }], flushed: FlushReason::Asked }
    }

    /// The newest customer turn: what is being asked.
    pub fn newest_customer_turn(&self) -> Spoken {
        self.turns_to_question().last().map(|turn| turn.text.clone()).unwrap_or_default()
    }

    /// Whether the newest customer turn is the first.
    pub fn is_first_customer_turn(&self) -> bool {
        self.turns.iter().filter(|turn| turn.speaker == Speaker::Customer).count() == 1
    }

    /// The last turns up to the newest customer turn, joined with a space. What the agent said after the
    /// question is an answer, not a part of it.
    pub fn window_text(&self, window: TurnWindow) -> Spoken {
        let turns = self.turns_to_question();
        let first = match window {
            TurnWindow::Last(count) => turns.len().saturating_sub(count),
            TurnWindow::All => 0,
        };
        Spoken::joined(turns[first..].iter().map(|turn| &turn.text))
    }

    fn turns_to_question(&self) -> &[Turn] {
        let newest = self.turns.iter().rposition(|turn| turn.speaker == Speaker::Customer);
        &self.turns[..newest.map_or(0, |position| position + 1)]
    }
}

/// How many turns of both speakers a question reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TurnWindow {
    /// The last so many, 1 or more.
    Last(usize),
    /// All that the utterance carries.
    All,
}

impl fmt::Display for TurnWindow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last(count) => write!(formatter, "{count}"),
            Self::All => formatter.write_str("all"),
        }
    }
}

/// A window that is neither a count of turns nor `all`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no turn window; give a number of turns from 1 on, or `all`")]
pub struct BadTurnWindow(String);

impl FromStr for TurnWindow {
    type Err = BadTurnWindow;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<usize>() {
            _ if text == "all" => Ok(Self::All),
            Ok(count) if count > 0 => Ok(Self::Last(count)),
            _ => Err(BadTurnWindow(text.to_owned())),
        }
    }
}

impl TryFrom<String> for TurnWindow {
    type Error = BadTurnWindow;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TurnWindow> for String {
    fn from(window: TurnWindow) -> Self {
        window.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn utterance(turns: &[(Speaker, &str)]) -> Utterance {
        let turns = turns.iter().map(|(speaker, text)| Turn { speaker: *speaker, text: (*text).into() }).collect();
        Utterance { turns, flushed: FlushReason::State }
    }

    #[test]
    fn a_window_ends_with_the_newest_customer_turn() {
        use Speaker::{Agent, Customer};
        let utterance = utterance(&[(Customer, "hi"), (Agent, "hello"), (Customer, "my bill?"), (Agent, "one moment")]);
        assert_eq!(utterance.newest_customer_turn().verbatim(), "my bill?");
        assert_eq!(utterance.window_text(TurnWindow::Last(1)).verbatim(), "my bill?");
        assert_eq!(utterance.window_text(TurnWindow::Last(2)).verbatim(), "hello my bill?");
        assert_eq!(utterance.window_text(TurnWindow::Last(9)).verbatim(), "hi hello my bill?");
        assert_eq!(utterance.window_text(TurnWindow::All).verbatim(), "hi hello my bill?");
    }

    #[test]
    fn windows_are_read_and_written_as_people_write_them() {
        for text in ["1", "3", "all"] {
            assert_eq!(text.parse::<TurnWindow>().unwrap().to_string(), text);
        }
        for text in ["0", "-1", "", "some"] {
            assert!(text.parse::<TurnWindow>().is_err(), "{text}");
        }
    }

    #[test]
    fn debug_output_holds_no_customer_text() {
        let shown = format!("{:?}", utterance(&[(Speaker::Customer, "my card number")]));
        assert!(!shown.contains("card"), "{shown}");
    }
}

//! One interaction on the desk: its bubbles and its cards.
//!
//! Input: what frames say, and pushes. Output: which bubbles or card changed. Bounded: so many of each, and so much text
//! in a bubble.

use std::sync::Arc;

use actix_web::web::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::Of;
use super::cards::Card;
use crate::ledger::{Attribution, ENDING_STATES, transcript};
use crate::routes::Route;

/// Bubbles or cards kept per interaction.
const MAX_ITEMS: usize = 300;
/// Text kept in a bubble, far more than one person says before another does; what is beyond is not shown.
const MAX_BUBBLE_BYTES: usize = 16 * 1024;

#[derive(Clone, Debug, Serialize)]
pub(super) struct Bubble {
    index: usize,
    customer: bool,
    text: String,
    /// No more words will come.
    done: bool,
    /// Number of the customer turn that this bubble ended.
    turn: Option<usize>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Interaction {
    /// Tells interactions of different tenants apart.
    key: String,
    id: String,
    client: Arc<str>,
    ended: bool,
    bubbles: Vec<Bubble>,
    cards: Vec<Card>,
    /// The transcript of the last event, which the next one may repeat.
    #[serde(skip)]
    heard: String,
}

/// What a frame says about an interaction.
pub(super) struct Spoken<'a> {
    pub(super) id: &'a str,
    what: What<'a>,
}

enum What<'a> {
    Words { customer: bool, text: &'a str },
    Transcript(String),
    TurnEnd,
}

impl Bubble {
    fn add(&mut self, text: &str) {
        let room = MAX_BUBBLE_BYTES.saturating_sub(self.text.len());
        self.text.push_str(&text[..text.floor_char_boundary(room)]);
    }
}

impl<'a> Spoken<'a> {
    /// Nothing for frames that change no bubble.
    pub(super) fn read(frame: &'a Value) -> Option<Self> {
        let what = match frame["type"].as_str()? {
            "TRANSCRIPT_FRAGMENT" => What::Words {
                customer: frame["participant"].as_str() != Some("AGENT"),
                text: frame["text"].as_str().unwrap_or_default(),
            },
            "DIALOG_STATE" if ENDING_STATES.contains(&frame["state"].as_str()?) => What::TurnEnd,
            "interaction" if frame["data"]["state"] == "active" => What::Transcript(transcript(&frame["data"])),
            _ => return None,
        };
        let id = if let What::Transcript(_) = what { &frame["data"]["id"] } else { &frame["interactionId"] };
        Some(Self { id: id.as_str()?, what })
    }
}

impl Interaction {
    pub(super) fn new(of: Of<'_>) -> Self {
        Self {
            key: format!("{} {}", of.client, of.id),
            id: of.id.to_owned(),
            client: Arc::clone(of.client),
            ended: false,
            bubbles: Vec::new(),
            cards: Vec::new(),
            heard: String::new(),
        }
    }

    pub(super) fn is(&self, of: Of<'_>) -> bool {
        self.id == of.id && self.client == *of.client
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn bubble(&self, index: usize) -> Option<&Bubble> {
        self.bubbles.get(index)
    }

    pub(super) fn card(&self, index: usize) -> Option<&Card> {
        self.cards.get(index)
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The bubbles that changed.
    pub(super) fn hear(&mut self, spoken: &Spoken<'_>, ended_turn: Option<usize>) -> Vec<usize> {
        self.ended = false;
        match (&spoken.what, ended_turn) {
            (What::Words { customer, text }, _) => self.say(*customer, text).into_iter().collect(),
            (What::TurnEnd, _) => self.end_bubble(ended_turn),
            (What::Transcript(_), None) => Vec::new(),
            (What::Transcript(all), Some(turn)) => {
                let new = all.strip_prefix(self.heard.as_str()).unwrap_or(all).trim_start().to_owned();
                self.heard.clone_from(all);
                self.ask(&new, turn)
            }
        }
    }

    /// The bubble of a question that was asked as a whole.
    pub(super) fn ask(&mut self, text: &str, turn: usize) -> Vec<usize> {
        self.ended = false;
        self.say(true, text).map_or_else(Vec::new, |_| self.end_bubble(Some(turn)))
    }

    fn say(&mut self, customer: bool, text: &str) -> Option<usize> {
        let index = self.bubbles.len();
        match self.bubbles.last_mut().filter(|bubble| !bubble.done && bubble.customer == customer) {
            Some(bubble) => {
                bubble.add(" ");
                bubble.add(text);
            }
            None if index < MAX_ITEMS => {
                let mut bubble = Bubble { index, customer, text: String::new(), done: false, turn: None };
                bubble.add(text);
                self.bubbles.push(bubble);
            }
            None => return None,
        }
        Some(self.bubbles.len() - 1)
    }

    /// Nothing is added to the last bubble any more. The turn is the customer's, even when the agent spoke after it.
    fn end_bubble(&mut self, ended_turn: Option<usize>) -> Vec<usize> {
        let mut changed = Vec::new();
        if let Some(last) = self.bubbles.last_mut() {
            last.done = true;
            changed.push(last.index);
        }
        if let Some(turn) = ended_turn
            && let Some(said) = self.bubbles.iter_mut().rfind(|bubble| bubble.customer)
        {
            said.turn.get_or_insert(turn);
            changed.push(said.index);
        }
        changed.dedup();
        changed
    }

    /// The card's place; nothing when there are too many.
    pub(super) fn show(&mut self, route: Route, body: Bytes, attribution: Attribution) -> Option<usize> {
        let index = self.cards.len();
        (index < MAX_ITEMS).then(|| {
            self.cards.push(Card::new(index, route, body, attribution));
            index
        })
    }

    /// Changes the newest card that shows an insight; its place.
    pub(super) fn change_card(&mut self, insight_id: &str, change: impl FnOnce(&mut Card)) -> Option<usize> {
        let index = self.cards.iter().rposition(|card| card.shows(insight_id))?;
        change(&mut self.cards[index]);
        Some(index)
    }
}

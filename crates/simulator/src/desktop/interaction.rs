//! One interaction on the desk: its bubbles and its cards.
//!
//! Input: what frames say, and pushes. Output: which bubbles or card changed, and the event that tells a page of it.
//! Bounded: so many of each, and so much text in a bubble.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::cards::{Card, Push};
use crate::base::frames::Saying;
use crate::base::turns::Attribution;

/// Bubbles or cards kept per interaction.
const MAX_ITEMS: usize = 300;
/// Text kept in a bubble, far more than one person says before another does; what is beyond is not shown.
const MAX_BUBBLE_BYTES: usize = 16 * 1024;

/// An interaction of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Of<'a> {
    pub(crate) client: &'a Arc<str>,
    pub(crate) id: &'a str,
}

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
    /// What it is called for people, where anybody said.
    title: Option<String>,
    client: Arc<str>,
    ended: bool,
    bubbles: Vec<Bubble>,
    cards: Vec<Card>,
    /// Cards, from the first on, of which the suggestions are forgotten.
    #[serde(skip)]
    num_forgotten: usize,
    /// The transcript of the last event, which the next one may repeat.
    #[serde(skip)]
    heard: String,
}

/// What of an interaction is not as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Bubble(usize),
    Card(usize),
    Ended,
}

impl Bubble {
    fn add(&mut self, text: &str) {
        let room = MAX_BUBBLE_BYTES.saturating_sub(self.text.len());
        self.text.push_str(&text[..text.floor_char_boundary(room)]);
    }
}

impl Interaction {
    pub(super) fn new(of: Of<'_>, title: Option<String>) -> Self {
        Self {
            key: format!("{} {}", of.client, of.id),
            id: of.id.to_owned(),
            title,
            client: Arc::clone(of.client),
            ended: false,
            bubbles: Vec::new(),
            cards: Vec::new(),
            num_forgotten: 0,
            heard: String::new(),
        }
    }

    pub(super) fn is(&self, of: Of<'_>) -> bool {
        self.id == of.id && self.client == *of.client
    }

    /// What a page is told of a change.
    pub(super) fn event(&self, changed: Changed) -> Value {
        let key = &self.key;
        match changed {
            Changed::Bubble(index) => json!({"event": "bubble", "interaction": key, "bubble": self.bubbles[index]}),
            Changed::Card(index) => json!({"event": "card", "interaction": key, "card": self.cards[index]}),
            Changed::Ended => json!({"event": "ended", "interaction": key}),
        }
    }

    pub(super) fn end(&mut self) -> Vec<Changed> {
        self.ended = true;
        vec![Changed::Ended]
    }

    pub(super) fn hear(&mut self, saying: &Saying<'_>, ended_turn: Option<usize>) -> Vec<Changed> {
        self.ended = false;
        match (saying, ended_turn) {
            (Saying::Words { customer, text }, _) => self.say(*customer, text).into_iter().collect(),
            (Saying::TurnEnd, _) => self.end_bubble(ended_turn),
            (Saying::Transcript(all), Some(turn)) => {
                let new = all.strip_prefix(self.heard.as_str()).unwrap_or(all).trim_start().to_owned();
                self.heard.clone_from(all);
                self.ask(&new, turn)
            }
            (Saying::Transcript(_) | Saying::Completed | Saying::Nothing, _) => Vec::new(),
        }
    }

    /// Shows a question that was asked as a whole.
    pub(super) fn ask(&mut self, text: &str, turn: usize) -> Vec<Changed> {
        self.ended = false;
        self.say(true, text).map_or_else(Vec::new, |_| self.end_bubble(Some(turn)))
    }

    fn say(&mut self, customer: bool, text: &str) -> Option<Changed> {
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
        Some(Changed::Bubble(self.bubbles.len() - 1))
    }

    /// Nothing is added to the last bubble any more. The turn is the customer's, even when the agent spoke after it.
    fn end_bubble(&mut self, ended_turn: Option<usize>) -> Vec<Changed> {
        let mut changed = Vec::new();
        if let Some(last) = self.bubbles.last_mut() {
            last.done = true;
            changed.push(Changed::Bubble(last.index));
        }
        if let Some(turn) = ended_turn
            && let Some(said) = self.bubbles.iter_mut().rfind(|bubble| bubble.customer)
        {
            said.turn.get_or_insert(turn);
            changed.push(Changed::Bubble(said.index));
        }
        changed.dedup();
        changed
    }

    /// Shows a push, unless there are too many.
    pub(super) fn show(&mut self, number: u64, push: Push, attribution: Attribution) -> Vec<Changed> {
        let index = self.cards.len();
        if index == MAX_ITEMS {
            return Vec::new();
        }
        self.cards.push(Card::new(index, number, push, attribution));
        vec![Changed::Card(index)]
    }

    /// Bytes kept of its cards.
    pub(super) fn size(&self) -> usize {
        self.cards.iter().map(Card::size).sum()
    }

    /// The number of the oldest card whose suggestions are kept.
    pub(super) fn oldest_kept(&self) -> Option<u64> {
        self.cards.get(self.num_forgotten).map(Card::number)
    }

    /// Forgets the suggestions of that card; how many bytes they were.
    pub(super) fn forget_oldest_card(&mut self) -> usize {
        let Some(card) = self.cards.get_mut(self.num_forgotten) else {
            return 0;
        };
        self.num_forgotten += 1;
        let size = card.size();
        card.forget();
        size
    }

    /// Changes the newest card that shows an insight.
    pub(super) fn change_card(&mut self, insight_id: &str, change: impl FnOnce(&mut Card)) -> Vec<Changed> {
        let Some(index) = self.cards.iter().rposition(|card| card.shows(insight_id)) else {
            return Vec::new();
        };
        change(&mut self.cards[index]);
        vec![Changed::Card(index)]
    }
}

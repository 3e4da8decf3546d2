//! What the agent's desktop shows: the newest interactions with their bubbles and cards, and the changes to them.
//!
//! Input: frames, shown pushes, verdicts of the agent, accepted training calls. Output: a snapshot for a page that has
//! just opened, and one JSON event per change. Bounded: the oldest interaction leaves the desk when a new one needs its
//! place; nothing here decides anything.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::{Value, json};

use crate::ledger::Attribution;

/// Interactions on the desk.
const MAX_INTERACTIONS: usize = 30;
/// Bubbles or cards kept per interaction.
const MAX_ITEMS: usize = 300;

#[derive(Clone, Debug, Serialize)]
struct Bubble {
    index: usize,
    customer: bool,
    text: String,
    /// No more words will come.
    done: bool,
    /// Number of the customer turn that this bubble ended.
    turn: Option<usize>,
}

#[derive(Clone, Debug, Serialize)]
struct Insight {
    #[serde(flatten)]
    pushed: Value,
    /// What the agent pressed.
    verdict: Option<String>,
    /// The training endpoint heard of it.
    learned: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Card {
    index: usize,
    turn: Option<usize>,
    after_ms: Option<f64>,
    duplicate: bool,
    insights: Vec<Insight>,
}

#[derive(Clone, Debug, Serialize)]
struct Interaction {
    id: String,
    ended: bool,
    bubbles: Vec<Bubble>,
    cards: Vec<Card>,
}

/// The numbers above the conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) streams: usize,
    pub(crate) turns: u64,
    pub(crate) cards: u64,
    pub(crate) duplicates: u64,
    pub(crate) violations: u64,
}

/// The desk and the events not yet told to its pages.
#[derive(Default)]
pub(crate) struct Desk {
    interactions: VecDeque<Interaction>,
    counts: Counts,
    events: Vec<Value>,
}

impl Desk {
    /// Everything on the desk now.
    pub(crate) fn snapshot(&self) -> Value {
        json!({"event": "snapshot", "interactions": self.interactions, "counts": self.counts})
    }

    /// The changes since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    pub(crate) fn set_counts(&mut self, counts: Counts) {
        if counts != self.counts {
            self.events.push(json!({"event": "counts", "counts": counts}));
            self.counts = counts;
        }
    }

    /// Takes a frame that went to the socket; `ended_turn` is the number of the customer turn that it ended.
    pub(crate) fn note_frame(&mut self, frame: &Value, ended_turn: Option<usize>) {
        let Some(id) = frame["interactionId"].as_str() else {
            return;
        };
        match frame["type"].as_str() {
            Some("TRANSCRIPT_FRAGMENT") => {
                let customer = frame["participant"].as_str() != Some("AGENT");
                self.say(id, customer, frame["text"].as_str().unwrap_or_default());
            }
            Some("DIALOG_STATE") => self.end_bubble(id, ended_turn),
            _ => {}
        }
    }

    fn open(&mut self, id: &str) -> &mut Interaction {
        let position = self.interactions.iter().position(|shown| shown.id == id);
        let position = position.unwrap_or_else(|| {
            if self.interactions.len() == MAX_INTERACTIONS {
                self.interactions.pop_front();
            }
            self.interactions.push_back(Interaction {
                id: id.to_owned(),
                ended: false,
                bubbles: Vec::new(),
                cards: Vec::new(),
            });
            self.interactions.len() - 1
        });
        &mut self.interactions[position]
    }

    fn find(&mut self, id: &str) -> Option<&mut Interaction> {
        self.interactions.iter_mut().find(|shown| shown.id == id)
    }

    fn say(&mut self, id: &str, customer: bool, text: &str) {
        let interaction = self.open(id);
        interaction.ended = false;
        let bubbles = &mut interaction.bubbles;
        let index = bubbles.len();
        match bubbles.last_mut().filter(|bubble| !bubble.done && bubble.customer == customer) {
            Some(bubble) => {
                bubble.text.push(' ');
                bubble.text.push_str(text);
            }
            None if index < MAX_ITEMS => {
                bubbles.push(Bubble { index, customer, text: text.to_owned(), done: false, turn: None });
            }
            None => return,
        }
        let event = json!({"event": "bubble", "interaction": id, "bubble": bubbles.last()});
        self.events.push(event);
    }

    fn end_bubble(&mut self, id: &str, ended_turn: Option<usize>) {
        let Some(bubble) = self.find(id).and_then(|shown| shown.bubbles.last_mut()) else {
            return;
        };
        bubble.done = true;
        bubble.turn = ended_turn.or(bubble.turn);
        let event = json!({"event": "bubble", "interaction": id, "bubble": bubble});
        self.events.push(event);
    }

    /// Puts a push on the desk beside the turn that it answers.
    pub(crate) fn show(&mut self, id: &str, insights: &[Value], attribution: Attribution) {
        let (turn, after_ms) = match attribution {
            Attribution::Turn { number, after } => (Some(number), Some(after.as_secs_f64() * 1000.0)),
            Attribution::Duplicate | Attribution::Unprompted => (None, None),
        };
        let interaction = self.open(id);
        if interaction.cards.len() == MAX_ITEMS {
            return;
        }
        let insight = |pushed: &Value| Insight { pushed: pushed.clone(), verdict: None, learned: false };
        let card = Card {
            index: interaction.cards.len(),
            turn,
            after_ms,
            duplicate: attribution == Attribution::Duplicate,
            insights: insights.iter().map(insight).collect(),
        };
        let event = json!({"event": "card", "interaction": id, "card": card});
        interaction.cards.push(card);
        self.events.push(event);
    }

    /// The agent pressed a button; the frame that tells the client went out.
    pub(crate) fn note_verdict(&mut self, id: &str, insight_id: &str, accepted: bool) {
        let verdict = if accepted { "ACCEPTED" } else { "REJECTED" };
        self.change_insight(id, insight_id, |insight| {
            insight.verdict = Some(verdict.to_owned());
            insight.learned = false;
        });
    }

    /// The training endpoint took the client's feedback.
    pub(crate) fn note_training(&mut self, id: &str, insight_id: &str) {
        self.change_insight(id, insight_id, |insight| insight.learned = true);
    }

    /// Changes the newest showing of an insight.
    fn change_insight(&mut self, id: &str, insight_id: &str, change: impl FnOnce(&mut Insight)) {
        let holds = |card: &&mut Card| card.insights.iter().any(|insight| insight.pushed["id"] == insight_id);
        let Some(card) = self.find(id).and_then(|shown| shown.cards.iter_mut().rev().find(holds)) else {
            return;
        };
        if let Some(insight) = card.insights.iter_mut().find(|insight| insight.pushed["id"] == insight_id) {
            change(insight);
        }
        let event = json!({"event": "card", "interaction": id, "card": card});
        self.events.push(event);
    }

    pub(crate) fn end(&mut self, id: &str) {
        if let Some(interaction) = self.find(id) {
            interaction.ended = true;
            self.events.push(json!({"event": "ended", "interaction": id}));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn say(desk: &mut Desk, id: &str, participant: &str, text: &str) {
        let frame =
            json!({"type": "TRANSCRIPT_FRAGMENT", "interactionId": id, "participant": participant, "text": text});
        desk.note_frame(&frame, None);
    }

    fn end_turn(desk: &mut Desk, id: &str, turn: usize) {
        desk.note_frame(&json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": id}), Some(turn));
    }

    #[test]
    fn fragments_join_until_the_turn_ends() {
        let mut desk = Desk::default();
        say(&mut desk, "i", "CUSTOMER", "hello");
        say(&mut desk, "i", "CUSTOMER", "there");
        end_turn(&mut desk, "i", 1);
        say(&mut desk, "i", "CUSTOMER", "more");
        say(&mut desk, "i", "AGENT", "yes");
        let snapshot = desk.snapshot();
        let bubbles = snapshot["interactions"][0]["bubbles"].as_array().map_or(&[][..], Vec::as_slice);
        let seen: Vec<_> = bubbles.iter().map(|bubble| (bubble["text"].as_str(), bubble["turn"].as_u64())).collect();
        assert_eq!(seen, [(Some("hello there"), Some(1)), (Some("more"), None), (Some("yes"), None)]);
        assert_eq!(desk.take_events().len(), 5);
        assert!(desk.take_events().is_empty());
    }

    #[test]
    fn a_verdict_marks_the_newest_showing() {
        let mut desk = Desk::default();
        let insights = [json!({"id": "a", "title": "t"})];
        let attribution = |number| Attribution::Turn { number, after: Duration::from_millis(5) };
        desk.show("i", &insights, attribution(1));
        desk.show("i", &insights, attribution(2));
        desk.note_verdict("i", "a", true);
        desk.note_training("i", "a");
        desk.note_verdict("i", "unknown", true);
        let cards = desk.snapshot()["interactions"][0]["cards"].clone();
        assert_eq!(cards[0]["insights"][0]["verdict"], Value::Null);
        assert_eq!(cards[1]["insights"][0]["verdict"], "ACCEPTED");
        assert_eq!(cards[1]["insights"][0]["learned"], true);
        assert_eq!(cards[1]["after_ms"], 5.0);
    }

    #[test]
    fn the_oldest_interaction_leaves_a_full_desk() {
        let mut desk = Desk::default();
        for number in 0..=MAX_INTERACTIONS {
            say(&mut desk, &format!("i{number}"), "CUSTOMER", "x");
        }
        let snapshot = desk.snapshot();
        assert_eq!(snapshot["interactions"].as_array().map(Vec::len), Some(MAX_INTERACTIONS));
        assert_eq!(snapshot["interactions"][0]["id"], "i1");
    }
}

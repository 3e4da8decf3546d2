//! Which turn a card answers.
//!
//! Input: the frames as they are handed to the socket, and the pushes as they arrive. Output: per customer turn the
//! time of its ending frame and of its card. A turn is customer text followed by a `DIALOG_STATE` frame. A push goes to
//! the newest ended turn of its interaction that has no card yet, else to an older one without a card, else it is a
//! duplicate; one whose insights are identical to those that the newest turn already shows is a duplicate at once,
//! because an older turn that was left silent must not hide it. Pure: the caller brings the instants.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

/// One customer turn with its ending frame, and the card that answered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnOutcome {
    /// The interaction that it belongs to.
    pub interaction_id: String,
    /// Counts from 1 within the interaction.
    pub number: usize,
    /// From the ending frame's hand-over to the socket until the card's arrival; `None` without a card.
    pub card_after: Option<Duration>,
}

/// Where a push belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attribution {
    /// The card of this turn (from 1), so long after its end.
    Turn { number: usize, after: Duration },
    /// Every ended turn has its card, or this one is already shown.
    Duplicate,
    /// No turn of the interaction has ended yet.
    Unprompted,
}

/// What a hub knows about an interaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Unknown,
    Live,
    Ended,
}

struct Slot {
    ended_at: Instant,
    card: Option<(Instant, u64)>,
}

#[derive(Default)]
struct Interaction {
    ended: bool,
    customer_spoke: bool,
    turns: Vec<Slot>,
}

/// All interactions and their turns.
#[derive(Default)]
pub(crate) struct Ledger {
    interactions: HashMap<String, Interaction>,
    order: Vec<String>,
    /// Customer text without an interaction waits for the next state that names one.
    anonymous_customer_spoke: bool,
    num_turns: u64,
    num_cards: u64,
    num_duplicates: u64,
    num_unprompted: u64,
}

impl Ledger {
    /// Takes note of a frame at the moment it goes to the socket; the number of the turn that it ended, if any.
    pub(crate) fn note_frame(&mut self, frame: &Value, now: Instant) -> Option<usize> {
        let kind = frame["type"].as_str().unwrap_or_default();
        let from_customer = frame["participant"].as_str() != Some("AGENT");
        let Some(id) = frame["interactionId"].as_str() else {
            self.anonymous_customer_spoke |= kind == "TRANSCRIPT_FRAGMENT" && from_customer;
            return None;
        };
        let anonymous = kind == "DIALOG_STATE" && std::mem::take(&mut self.anonymous_customer_spoke);
        let interaction = self.open(id);
        interaction.customer_spoke |= anonymous;
        match kind {
            "TRANSCRIPT_FRAGMENT" => {
                interaction.customer_spoke |= from_customer;
                None
            }
            "DIALOG_STATE" if std::mem::take(&mut interaction.customer_spoke) => {
                interaction.turns.push(Slot { ended_at: now, card: None });
                let number = interaction.turns.len();
                self.num_turns += 1;
                Some(number)
            }
            _ => None,
        }
    }

    fn open(&mut self, id: &str) -> &mut Interaction {
        if !self.interactions.contains_key(id) {
            self.order.push(id.to_owned());
        }
        let interaction = self.interactions.entry(id.to_owned()).or_default();
        interaction.ended = false;
        interaction
    }

    /// Pushes for it are refused from now on; false when nobody knows it.
    pub(crate) fn end(&mut self, id: &str) -> bool {
        self.interactions.get_mut(id).is_some_and(|interaction| !std::mem::replace(&mut interaction.ended, true))
    }

    pub(crate) fn standing(&self, id: &str) -> Standing {
        match self.interactions.get(id) {
            None => Standing::Unknown,
            Some(interaction) if interaction.ended => Standing::Ended,
            Some(_) => Standing::Live,
        }
    }

    /// Finds the turn that a push answers and gives it to it. `fingerprint` is equal for identical insights.
    pub(crate) fn place(&mut self, id: &str, fingerprint: u64, now: Instant) -> Attribution {
        let turns = self.interactions.get_mut(id).map(|found| &mut found.turns);
        let attribution = match turns {
            Some(turns) if !turns.is_empty() => attribute(turns, fingerprint, now),
            _ => Attribution::Unprompted,
        };
        match attribution {
            Attribution::Turn { .. } => self.num_cards += 1,
            Attribution::Duplicate => self.num_duplicates += 1,
            Attribution::Unprompted => self.num_unprompted += 1,
        }
        attribution
    }

    /// Every ended turn, interactions in the order of their first frame.
    pub(crate) fn turns(&self) -> Vec<TurnOutcome> {
        let of = |id: &String| {
            let turns = self.interactions.get(id).map_or(&[][..], |found| &found.turns);
            let outcome = |(index, slot): (usize, &Slot)| TurnOutcome {
                interaction_id: id.clone(),
                number: index + 1,
                card_after: slot.card.map(|(at, _)| at.saturating_duration_since(slot.ended_at)),
            };
            turns.iter().enumerate().map(outcome).collect::<Vec<_>>()
        };
        self.order.iter().flat_map(of).collect()
    }

    pub(crate) fn num_turns(&self) -> u64 {
        self.num_turns
    }

    /// Turns that have their card.
    pub(crate) fn num_cards(&self) -> u64 {
        self.num_cards
    }

    /// Pushes to an interaction in which every turn had its card already.
    pub(crate) fn num_duplicates(&self) -> u64 {
        self.num_duplicates
    }

    /// Pushes to an interaction in which no turn had ended.
    pub(crate) fn num_unprompted(&self) -> u64 {
        self.num_unprompted
    }
}

fn attribute(turns: &mut [Slot], fingerprint: u64, now: Instant) -> Attribution {
    let newest_card = turns.last().and_then(|slot| slot.card);
    if newest_card.is_some_and(|(_, shown)| shown == fingerprint) {
        return Attribution::Duplicate;
    }
    let Some(index) = turns.iter().rposition(|slot| slot.card.is_none()) else {
        return Attribution::Duplicate;
    };
    turns[index].card = Some((now, fingerprint));
    Attribution::Turn { number: index + 1, after: now.saturating_duration_since(turns[index].ended_at) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fragment(id: &str, participant: &str) -> Value {
        json!({"type": "TRANSCRIPT_FRAGMENT", "text": "x", "interactionId": id, "participant": participant})
    }

    fn state(id: &str) -> Value {
        json!({"type": "DIALOG_STATE", "state": "TURN_END", "interactionId": id})
    }

    #[derive(Clone, Copy)]
    enum Event {
        TurnEnds,
        Push(u64, Seen),
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Seen {
        Turn(usize),
        Duplicate,
        Unprompted,
    }

    #[test]
    fn pushes_find_their_turns() {
        use Event::{Push, TurnEnds};
        use Seen::{Duplicate, Turn, Unprompted};
        let table: &[(&str, &[Event])] = &[
            ("in step", &[TurnEnds, Push(1, Turn(1)), TurnEnds, Push(2, Turn(2))]),
            ("same insights for the next turn", &[TurnEnds, Push(1, Turn(1)), TurnEnds, Push(1, Turn(2))]),
            ("late cards", &[TurnEnds, TurnEnds, Push(1, Turn(2)), Push(2, Turn(1)), Push(3, Duplicate)]),
            ("one turn without", &[TurnEnds, TurnEnds, Push(1, Turn(2)), TurnEnds, Push(2, Turn(3))]),
            ("second card for one turn", &[TurnEnds, Push(1, Turn(1)), Push(2, Duplicate)]),
            ("an old silent turn hides no repetition", &[TurnEnds, TurnEnds, Push(1, Turn(2)), Push(1, Duplicate)]),
            ("before any turn", &[Push(1, Unprompted), TurnEnds, Push(2, Turn(1))]),
        ];
        for (name, events) in table {
            let mut ledger = Ledger::default();
            let now = Instant::now();
            ledger.note_frame(&fragment("i", "AGENT"), now);
            for event in *events {
                match event {
                    TurnEnds => {
                        ledger.note_frame(&fragment("i", "CUSTOMER"), now);
                        ledger.note_frame(&state("i"), now);
                    }
                    Push(fingerprint, expected) => {
                        let seen = match ledger.place("i", *fingerprint, now) {
                            Attribution::Turn { number, .. } => Turn(number),
                            Attribution::Duplicate => Duplicate,
                            Attribution::Unprompted => Unprompted,
                        };
                        assert_eq!(seen, *expected, "{name}");
                    }
                }
            }
        }
    }

    #[test]
    fn only_customer_text_with_an_ending_frame_is_a_turn() {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        assert_eq!(ledger.note_frame(&fragment("i", "AGENT"), now), None);
        assert_eq!(ledger.note_frame(&state("i"), now), None, "agent turn");
        assert_eq!(ledger.note_frame(&fragment("i", "SUPERVISOR"), now), None);
        assert_eq!(ledger.note_frame(&state("i"), now), Some(1), "unknown participant counts as customer");
        assert_eq!(ledger.note_frame(&state("i"), now), None, "nothing new");
        let anonymous = json!({"type": "TRANSCRIPT_FRAGMENT", "text": "x"});
        assert_eq!(ledger.note_frame(&anonymous, now), None);
        assert_eq!(ledger.note_frame(&state("j"), now), Some(1), "text without id joins the next state");
        assert_eq!((ledger.num_turns(), ledger.turns().len()), (2, 2));
    }

    #[test]
    fn times_and_interactions_are_kept_apart() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut ledger = Ledger::default();
        for (id, at) in [("i", 0), ("j", 10)] {
            ledger.note_frame(&fragment(id, "CUSTOMER"), after(at));
            ledger.note_frame(&state(id), after(at));
        }
        assert_eq!(ledger.place("i", 1, after(30)), Attribution::Turn { number: 1, after: Duration::from_millis(30) });
        let times: Vec<_> = ledger.turns().into_iter().map(|turn| (turn.interaction_id, turn.card_after)).collect();
        let expected = [("i".to_owned(), Some(Duration::from_millis(30))), ("j".to_owned(), None)];
        assert_eq!(times, expected);
        assert_eq!((ledger.num_cards(), ledger.num_duplicates()), (1, 0));
    }

    #[test]
    fn an_ended_interaction_lives_again_with_its_next_frame() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.standing("i"), Standing::Unknown);
        assert!(!ledger.end("i"));
        ledger.note_frame(&fragment("i", "AGENT"), Instant::now());
        assert_eq!(ledger.standing("i"), Standing::Live);
        assert!(ledger.end("i"));
        assert!(!ledger.end("i"), "ended once");
        assert_eq!(ledger.standing("i"), Standing::Ended);
        ledger.note_frame(&fragment("i", "CUSTOMER"), Instant::now());
        assert_eq!(ledger.standing("i"), Standing::Live);
    }
}

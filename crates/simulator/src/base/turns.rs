//! The ended customer turns of one interaction.
//!
//! Input: ends of turns, pushes. Output: where each push belongs: to the newest ended turn that has no card yet, else to
//! an older one without a card, else it is a duplicate. One that is identical to the card of the newest turn is a
//! duplicate at once, because an older turn that was left silent must not hide it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Where a push belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attribution {
    /// The card of this turn (from 1), which ended then, so long before.
    Turn { number: usize, ended_at: Instant, after: Duration },
    /// Every ended turn has its card, or this one is already shown.
    Duplicate,
    /// No turn of the interaction has ended yet.
    Unprompted,
}

/// Turns remembered of one interaction; nobody speaks longer.
const MAX_TURNS: usize = 1000;

struct Slot {
    ended_at: Instant,
    card: Option<(Instant, u64)>,
}

impl Slot {
    fn card_at(&self) -> Option<Instant> {
        self.card.map(|(at, _)| at)
    }

    fn card_after(&self) -> Option<Duration> {
        self.card_at().map(|at| at.saturating_duration_since(self.ended_at))
    }
}

/// The turns, oldest first.
#[derive(Default)]
pub(crate) struct Turns {
    slots: VecDeque<Slot>,
    num_forgotten: usize,
}

impl Turns {
    /// One more has ended; its number.
    pub(crate) fn end(&mut self, now: Instant) -> usize {
        if self.slots.len() == MAX_TURNS {
            self.slots.pop_front();
            self.num_forgotten += 1;
        }
        self.slots.push_back(Slot { ended_at: now, card: None });
        self.num_forgotten + self.slots.len()
    }

    pub(crate) fn place(&mut self, fingerprint: u64, now: Instant) -> Attribution {
        let Some(newest) = self.slots.back() else {
            return Attribution::Unprompted;
        };
        if newest.card.is_some_and(|(_, shown)| shown == fingerprint) {
            return Attribution::Duplicate;
        }
        let Some(index) = self.slots.iter().rposition(|slot| slot.card.is_none()) else {
            return Attribution::Duplicate;
        };
        let slot = &mut self.slots[index];
        slot.card = Some((now, fingerprint));
        let ended_at = slot.ended_at;
        let after = now.saturating_duration_since(ended_at);
        Attribution::Turn { number: self.num_forgotten + index + 1, ended_at, after }
    }

    /// Whether the turn of this number has its card; one that is forgotten has none.
    pub(crate) fn has_card(&self, number: usize) -> bool {
        let place = number.checked_sub(self.num_forgotten + 1);
        place.and_then(|place| self.slots.get(place)).is_some_and(|slot| slot.card.is_some())
    }

    /// The number of each turn, the time until its card, and when that came.
    pub(crate) fn cards(&self) -> impl Iterator<Item = (usize, Option<Duration>, Option<Instant>)> {
        let first = self.num_forgotten + 1;
        self.slots.iter().enumerate().map(move |(index, slot)| (first + index, slot.card_after(), slot.card_at()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn seen(turns: &mut Turns, fingerprint: u64) -> Seen {
        match turns.place(fingerprint, Instant::now()) {
            Attribution::Turn { number, .. } => Seen::Turn(number),
            Attribution::Duplicate => Seen::Duplicate,
            Attribution::Unprompted => Seen::Unprompted,
        }
    }

    #[test]
    fn pushes_find_their_turns() {
        use Event::{Push, TurnEnds};
        use Seen::{Duplicate, Turn, Unprompted};
        let table: &[(&str, &[Event])] = &[
            ("in step", &[TurnEnds, Push(1, Turn(1)), TurnEnds, Push(2, Turn(2))]),
            ("same cards for the next turn", &[TurnEnds, Push(1, Turn(1)), TurnEnds, Push(1, Turn(2))]),
            ("late cards", &[TurnEnds, TurnEnds, Push(1, Turn(2)), Push(2, Turn(1)), Push(3, Duplicate)]),
            ("one turn without", &[TurnEnds, TurnEnds, Push(1, Turn(2)), TurnEnds, Push(2, Turn(3))]),
            ("second card for one turn", &[TurnEnds, Push(1, Turn(1)), Push(2, Duplicate)]),
            ("an old silent turn hides no repetition", &[TurnEnds, TurnEnds, Push(1, Turn(2)), Push(1, Duplicate)]),
            ("before any turn", &[Push(1, Unprompted), TurnEnds, Push(2, Turn(1))]),
        ];
        for (name, events) in table {
            let mut turns = Turns::default();
            for event in *events {
                match event {
                    TurnEnds => drop(turns.end(Instant::now())),
                    Push(fingerprint, expected) => assert_eq!(seen(&mut turns, *fingerprint), *expected, "{name}"),
                }
            }
        }
    }

    #[test]
    fn numbers_stay_when_old_turns_are_forgotten() {
        let mut turns = Turns::default();
        let last = (0..MAX_TURNS + 2).map(|_| turns.end(Instant::now())).last();
        assert_eq!(last, Some(MAX_TURNS + 2));
        assert_eq!(seen(&mut turns, 1), Seen::Turn(MAX_TURNS + 2));
        assert_eq!(turns.cards().next().map(|(number, ..)| number), Some(3));
    }
}

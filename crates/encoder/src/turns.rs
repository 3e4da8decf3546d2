//! A queue that serves its lanes turn by turn: who sends much waits for itself and takes nobody else's turn.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};

/// Whose work it is; lanes wait for each other no longer than a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lane(u32);

impl Lane {
    /// A lane that nobody else has.
    #[must_use]
    pub fn own() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// First in, first out within a lane.
#[derive(Debug)]
pub struct Turns<T> {
    lanes: HashMap<Lane, VecDeque<T>>,
    /// The lanes in which something waits; the first one is next.
    order: VecDeque<Lane>,
    len: usize,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { lanes: HashMap::new(), order: VecDeque::new(), len: 0 }
    }
}

impl<T> Turns<T> {
    /// Lets an item wait in its lane.
    pub fn push(&mut self, lane: Lane, item: T) {
        let waiting = self.lanes.entry(lane).or_default();
        if waiting.is_empty() {
            self.order.push_back(lane);
        }
        waiting.push_back(item);
        self.len += 1;
    }

    /// The oldest item of the lane whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        let lane = self.order.pop_front()?;
        self.take(lane)
    }

    /// The same without the items of this lane.
    pub fn pop_other(&mut self, than: Lane) -> Option<T> {
        let place = self.order.iter().position(|lane| *lane != than)?;
        let lane = self.order.remove(place)?;
        self.take(lane)
    }

    fn take(&mut self, lane: Lane) -> Option<T> {
        let waiting = self.lanes.get_mut(&lane)?;
        let item = waiting.pop_front()?;
        if waiting.is_empty() {
            self.lanes.remove(&lane);
        } else {
            self.order.push_back(lane);
        }
        self.len -= 1;
        Some(item)
    }

    /// The lane whose turn it is.
    pub fn next_lane(&self) -> Option<Lane> {
        self.order.front().copied()
    }

    /// The oldest item of a lane.
    pub fn oldest(&self, lane: Lane) -> Option<&T> {
        self.lanes.get(&lane)?.front()
    }

    /// Items that wait, in all lanes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Items that wait in a lane.
    pub fn len_of(&self, lane: Lane) -> usize {
        self.lanes.get(&lane).map_or(0, VecDeque::len)
    }

    /// Lanes in which something waits.
    pub fn num_lanes(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_served_turn_by_turn_and_each_in_its_order() {
        let (much, little) = (Lane::own(), Lane::own());
        let mut turns = Turns::default();
        for number in 1..=4 {
            turns.push(much, number);
        }
        turns.push(little, 10);
        assert_eq!((turns.len(), turns.num_lanes(), turns.len_of(much), turns.oldest(much)), (5, 2, 4, Some(&1)));
        assert_eq!([turns.pop(), turns.pop(), turns.pop()], [Some(1), Some(10), Some(2)]);
        turns.push(little, 11);
        assert_eq!(turns.pop_other(much), Some(11));
        assert_eq!(turns.pop_other(much), None);
        assert_eq!([turns.pop(), turns.pop(), turns.pop()], [Some(3), Some(4), None]);
        assert!(turns.is_empty() && turns.next_lane().is_none());
    }
}

//! Load shedding: how much is done for a profile's questions, a pure function of what waits of it, with hysteresis.

use std::time::Duration;

use cuecard_engine::Effort;

/// What has to be done for a profile at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    /// Its items that wait for admission.
    pub(super) queued: usize,
    /// How long the oldest of them has waited.
    pub(super) oldest_age: Duration,
    /// How long one more of them would wait if all that wait were let in before it. A queue that lets old ones go is never old.
    pub(super) expected_wait: Duration,
    /// Items that could still be let in at once.
    pub(super) permits_free: usize,
    /// How long its oldest text has waited for the encoder.
    pub(super) encoder_wait: Duration,
}

/// How far a profile is behind, from not at all to hopelessly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pressure {
    /// Every question gets what its plan says.
    None,
    /// Only newest turns are embedded.
    NewestTurn,
    /// Nothing is embedded.
    LexicalOnly,
    /// The oldest items are let go, the others are answered without vectors.
    DropOldest,
}

impl Pressure {
    const RISING: [Self; 3] = [Self::NewestTurn, Self::LexicalOnly, Self::DropOldest];

    /// What an admitted item may cost.
    pub(super) fn effort(self) -> Effort {
        match self {
            Self::None => Effort::Full,
            Self::NewestTurn => Effort::NewestTurn,
            Self::LexicalOnly | Self::DropOldest => Effort::LexicalOnly,
        }
    }
}

/// The waits from which on less is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadShedding {
    /// From this wait on only newest turns are embedded.
    pub newest_turn_after: Duration,
    /// From this wait on nothing is embedded.
    pub lexical_only_after: Duration,
    /// From this wait on the oldest items are let go.
    pub drop_oldest_after: Duration,
}

impl LoadShedding {
    /// The pressure that follows from the load. It rises at a threshold and falls only below half of
    /// it, so that it does not flicker. With a free permit and nothing waiting there is none.
    pub(super) fn pressure(&self, current: Pressure, load: &Load) -> Pressure {
        let queue_wait = if load.permits_free > 0 && load.queued <= 1 {
            Duration::ZERO
        } else {
            load.oldest_age.max(load.expected_wait)
        };
        let wait = queue_wait.max(load.encoder_wait);
        let reached = |pressure: &Pressure| {
            let threshold = self.threshold(*pressure);
            wait >= if *pressure <= current { threshold / 2 } else { threshold }
        };
        Pressure::RISING.into_iter().rev().find(reached).unwrap_or(Pressure::None)
    }

    /// Whether an item that waited this long is let go: as many are as it takes for the pressure to fall.
    pub(super) fn lets_go(&self, pressure: Pressure, waited: Duration) -> bool {
        pressure == Pressure::DropOldest && waited >= self.drop_oldest_after / 2
    }

    fn threshold(&self, pressure: Pressure) -> Duration {
        match pressure {
            Pressure::None => Duration::ZERO,
            Pressure::NewestTurn => self.newest_turn_after,
            Pressure::LexicalOnly => self.lexical_only_after,
            Pressure::DropOldest => self.drop_oldest_after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::LOAD_SHEDDING;

    #[test]
    fn pressure_follows_the_longest_wait_with_hysteresis() {
        use Pressure::{DropOldest, LexicalOnly, NewestTurn, None};
        // (pressure before, queued, oldest ms, permits free, encoder ms, expected ms) → pressure after
        let table = [
            ((None, 0, 0, 8, 0, 0), None),
            ((None, 9, 499, 0, 0, 0), None),
            ((None, 9, 500, 0, 0, 0), NewestTurn),
            ((None, 0, 0, 8, 700, 0), NewestTurn),
            ((None, 9, 1_000, 0, 0, 0), LexicalOnly),
            ((None, 9, 5_000, 0, 0, 0), DropOldest),
            // A single item that a free permit awaits is no queue, however old it is.
            ((None, 1, 5_000, 3, 0, 0), None),
            ((None, 1, 5_000, 0, 0, 0), DropOldest),
            // Falls only below half of the threshold that was reached.
            ((NewestTurn, 9, 250, 0, 0, 0), NewestTurn),
            ((NewestTurn, 9, 249, 0, 0, 0), None),
            ((LexicalOnly, 9, 500, 0, 0, 0), LexicalOnly),
            ((LexicalOnly, 9, 499, 0, 0, 0), NewestTurn),
            ((DropOldest, 9, 1_000, 0, 0, 0), DropOldest),
            ((DropOldest, 9, 999, 0, 0, 0), LexicalOnly),
            ((DropOldest, 0, 0, 8, 0, 0), None),
            // As many wait as take so long, although old ones are let go before they are old.
            ((None, 9, 400, 0, 0, 499), None),
            ((None, 9, 400, 0, 0, 1_000), LexicalOnly),
            ((LexicalOnly, 9, 400, 0, 0, 500), LexicalOnly),
            ((None, 1, 0, 3, 0, 5_000), None),
        ];
        for ((current, queued, oldest, permits_free, encoder, wait), expected) in table {
            let load = Load {
                queued,
                oldest_age: Duration::from_millis(oldest),
                permits_free,
                encoder_wait: Duration::from_millis(encoder),
                expected_wait: Duration::from_millis(wait),
            };
            let pressure = LOAD_SHEDDING.pressure(current, &load);
            assert_eq!(pressure, expected, "{current:?} with {load:?}");
        }
    }

    #[test]
    fn only_old_items_are_let_go_and_only_under_the_highest_pressure() {
        let waits = [999, 1_000, 5_000].map(Duration::from_millis);
        assert_eq!(waits.map(|wait| LOAD_SHEDDING.lets_go(Pressure::DropOldest, wait)), [false, true, true]);
        assert_eq!(waits.map(|wait| LOAD_SHEDDING.lets_go(Pressure::LexicalOnly, wait)), [false; 3]);
    }

    #[test]
    fn effort_never_rises_with_pressure() {
        let efforts =
            [Pressure::None, Pressure::NewestTurn, Pressure::LexicalOnly, Pressure::DropOldest].map(Pressure::effort);
        assert!(efforts.is_sorted(), "{efforts:?}");
    }
}

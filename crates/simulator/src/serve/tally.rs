//! The account that a replay keeps while it runs, in bounded memory however many turns there are.
//!
//! Input: ends of turns and the cards that answer them. Output: how many of both, percentiles of the times between, and
//! how many cards came in each second. Turns that had ended before the tally began don't count, nor do their cards.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// The last digit of the printed milliseconds.
const UNIT: Duration = Duration::from_micros(10);
/// 30 s, longer than any card is waited for; what takes longer counts as this.
const LONGEST: u64 = 3_000_000;
/// Exact up to 2.6 s; beyond, the last printed digits are rounded.
const NUM_DIGITS: u8 = 5;
/// A day; what comes later is left out of the rate.
const MAX_SECONDS: usize = 86_400;

/// The account.
pub(crate) struct Tally {
    since: Instant,
    num_turns: u64,
    /// One for each card, in units.
    times: Histogram<u32>,
    per_second: Vec<u32>,
}

impl Tally {
    pub(crate) fn begin(since: Instant) -> Self {
        let times = Histogram::new_with_bounds(1, LONGEST, NUM_DIGITS).expect("the bounds are constants that fit");
        Self { since, num_turns: 0, times, per_second: Vec::new() }
    }

    pub(crate) fn turn_ended(&mut self) {
        self.num_turns += 1;
    }

    /// A card came at `now`, `after` the end of its turn.
    pub(crate) fn card_came(&mut self, ended_at: Instant, after: Duration, now: Instant) {
        if ended_at < self.since {
            return;
        }
        // Rounded to the nearest, as the printed figures are.
        let units = (after + UNIT / 2).as_nanos() / UNIT.as_nanos();
        self.times.saturating_record(u64::try_from(units).unwrap_or(LONGEST).min(LONGEST));
        let second = now.saturating_duration_since(self.since).as_secs() as usize;
        if second < MAX_SECONDS {
            self.per_second.resize(self.per_second.len().max(second + 1), 0);
            self.per_second[second] += 1;
        }
    }

    pub(crate) fn num_turns(&self) -> u64 {
        self.num_turns
    }

    pub(crate) fn num_cards(&self) -> u64 {
        self.times.len()
    }

    /// The nearest-rank percentile of the times, in milliseconds to 2 places; none without cards.
    pub(crate) fn percentile_ms(&self, percent: u32) -> Option<f64> {
        let has_cards = !self.times.is_empty();
        has_cards.then(|| self.times.value_at_quantile(f64::from(percent) / 100.0) as f64 / 100.0)
    }

    /// The median over the whole seconds of `lasted`, without the first `warm_up`; none when there is no such second.
    pub(crate) fn cards_per_second(&self, lasted: Duration, warm_up: usize) -> Option<f64> {
        let seconds = lasted.as_secs() as usize;
        let mut counts: Vec<u32> = (warm_up..seconds.min(MAX_SECONDS))
            .map(|second| self.per_second.get(second).copied().unwrap_or(0))
            .collect();
        counts.sort_unstable();
        let middle = counts.len() / 2;
        match counts.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(f64::from(counts[middle])),
            _ => Some(f64::midpoint(f64::from(counts[middle - 1]), f64::from(counts[middle]))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(times: impl Iterator<Item = Duration>) -> Tally {
        let since = Instant::now();
        let mut tally = Tally::begin(since);
        for after in times {
            tally.turn_ended();
            tally.card_came(since, after, since);
        }
        tally
    }

    #[test]
    fn percentiles_by_nearest_rank() {
        let hundred = tally((1..=100).map(Duration::from_millis));
        let percentiles = [50, 95, 99].map(|percent| hundred.percentile_ms(percent));
        assert_eq!(percentiles, [Some(50.0), Some(95.0), Some(99.0)]);
        let one = tally(std::iter::once(Duration::from_micros(1234)));
        assert_eq!((one.percentile_ms(50), one.percentile_ms(99)), (Some(1.23), Some(1.23)));
        let late = tally(std::iter::once(Duration::from_mins(5)));
        assert!(late.percentile_ms(50).is_some_and(|millis| (29_999.0..30_001.0).contains(&millis)));
        assert_eq!(tally(std::iter::empty()).percentile_ms(50), None);
    }

    #[test]
    fn cards_of_turns_before_the_tally_don_t_count() {
        let since = Instant::now();
        let mut tally = Tally::begin(since + Duration::from_secs(1));
        tally.card_came(since, Duration::from_secs(2), since + Duration::from_secs(2));
        assert_eq!((tally.num_turns(), tally.num_cards()), (0, 0));
    }

    #[test]
    fn the_rate_is_the_median_second_after_the_warm_up() {
        let since = Instant::now();
        let mut tally = Tally::begin(since);
        for (second, count) in [(0, 9), (1, 8), (2, 3), (3, 5), (5, 4)] {
            for _ in 0..count {
                tally.card_came(since, Duration::ZERO, since + Duration::from_secs(second));
            }
        }
        let rate = |millis| tally.cards_per_second(Duration::from_millis(millis), 2);
        assert_eq!((rate(2999), rate(3000), rate(4500)), (None, Some(3.0), Some(4.0)));
        assert_eq!(rate(6000), Some(3.5), "3, 5, 0 and 4");
    }
}

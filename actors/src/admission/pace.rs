//! How fast waiting questions are let in, and so how long one more would wait.

use std::time::Duration;

use tokio::time::Instant;

/// The share of the newest interval in the mean: some twenty admissions back nothing is remembered.
const NEWEST: f64 = 0.1;

/// The mean interval between two admissions while questions wait; without any waiting it says nothing.
#[derive(Debug, Default)]
pub(super) struct Pace {
    mean_seconds: Option<f64>,
    /// When the last one was let in that left others waiting.
    last: Option<Instant>,
}

impl Pace {
    /// One was let in, and so many still wait.
    pub(super) fn admitted(&mut self, now: Instant, still_waiting: usize) {
        if let Some(last) = self.last {
            let interval = now.saturating_duration_since(last).as_secs_f64();
            let mean = self.mean_seconds.unwrap_or(interval);
            self.mean_seconds = Some(mean + NEWEST * (interval - mean));
        }
        if still_waiting == 0 {
            *self = Self::default();
        } else {
            self.last = Some(now);
        }
    }

    /// How long a question would wait behind so many others.
    pub(super) fn expected_wait(&self, waiting: usize) -> Duration {
        let seconds = self.mean_seconds.unwrap_or(0.0) * waiting as f64;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_the_mean_interval_for_each_that_waits_before() {
        let mut pace = Pace::default();
        let start = Instant::now();
        assert_eq!(pace.expected_wait(500), Duration::ZERO, "nothing is known yet");
        for number in 0..200 {
            pace.admitted(start + number * Duration::from_millis(20), 10);
        }
        let wait = pace.expected_wait(100);
        assert!((wait.as_secs_f64() - 2.0).abs() < 1e-6, "{wait:?}");
        pace.admitted(start + Duration::from_mins(1), 0);
        assert_eq!(pace.expected_wait(100), Duration::ZERO, "an empty queue says nothing of the next one");
    }

    #[test]
    fn a_slower_service_is_noticed_within_some_admissions() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        for step in [10, 100] {
            for _ in 0..50 {
                now += Duration::from_millis(step);
                pace.admitted(now, 1);
            }
        }
        let wait = pace.expected_wait(10).as_secs_f64();
        assert!((0.95..=1.0).contains(&wait), "{wait}");
    }
}

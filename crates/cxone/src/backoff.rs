//! Waiting times that double.
//!
//! Input: which attempt failed, and a random fraction from the caller. Output: how long to wait. Pure; no value of
//! either can make it panic or exceed `longest`.

use std::time::Duration;

/// Beyond this many doublings every start exceeds every `longest` in use.
const MOST_DOUBLINGS: u32 = 31;

/// `first`, doubling with each attempt up to `longest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The whole step after `attempt` failures, counted from 1.
    pub fn step(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(MOST_DOUBLINGS);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }

    /// Full jitter: `fraction` of the step, where `fraction` is drawn from 0 to 1. Anything that is no number counts
    /// as 1.
    pub fn jittered(&self, attempt: u32, fraction: f64) -> Duration {
        let fraction = if fraction.is_nan() { 1.0 } else { fraction.clamp(0.0, 1.0) };
        let step = self.step(attempt);
        // Times beyond what a float counts in whole seconds may come out larger than they went in.
        Duration::try_from_secs_f64(step.as_secs_f64() * fraction).map_or(step, |wait| wait.min(step))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));

    #[test]
    fn steps_double_up_to_the_longest() {
        let steps: Vec<u128> = (0..=9).map(|attempt| BACKOFF.step(attempt).as_millis()).collect();
        assert_eq!(steps, [500, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        assert_eq!(BACKOFF.step(u32::MAX), BACKOFF.longest);
    }

    #[test]
    fn jitter_stays_within_the_step_whatever_the_fraction() {
        let second = Duration::from_secs(1);
        for (fraction, expected) in [
            (0.0, Duration::ZERO),
            (0.25, second / 4),
            (1.0, second),
            (7.0, second),
            (-1.0, Duration::ZERO),
            (f64::NAN, second),
            (f64::INFINITY, second),
        ] {
            assert_eq!(BACKOFF.jittered(2, fraction), expected, "{fraction}");
        }
    }

    fn duration() -> impl Strategy<Value = Duration> {
        prop_oneof![
            any::<u64>().prop_map(Duration::from_nanos),
            (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
        ]
    }

    proptest! {
        #[test]
        fn no_wait_exceeds_the_longest_or_its_step_and_steps_never_shrink(
            first in duration(),
            longest in duration(),
            attempt in any::<u32>(),
            fraction in any::<f64>(),
        ) {
            let backoff = Backoff::new(first, longest);
            let (step, next) = (backoff.step(attempt), backoff.step(attempt.saturating_add(1)));
            prop_assert!(step <= next && next <= longest);
            prop_assert!(backoff.jittered(attempt, fraction) <= step);
            let (less, more) = (backoff.jittered(attempt, 0.25), backoff.jittered(attempt, 0.75));
            prop_assert!(less <= more);
        }
    }
}

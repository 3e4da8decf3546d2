//! Which share of a profile's questions is let go, over the last minute, and how an operator is told.

use std::collections::VecDeque;
use std::time::Duration;

use cuecard_actors::health::Condition;
use tokio::time::Instant;

/// Long enough for a share that stands still, short enough to tell of now.
const OVER: Duration = Duration::from_mins(1);
/// The shares that are told apart, in percent; each change is a line of the log.
const STEPS: [u8; 5] = [90, 75, 50, 25, 10];

/// Samples of two counters.
#[derive(Debug, Default)]
pub(super) struct ShedShare {
    samples: VecDeque<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    ended: u64,
    shed: u64,
}

impl ShedShare {
    /// Takes note of how many questions ended so far, and how many of them were shed. Gives the share of those that were shed
    /// of what ended within the last minute; none where nothing did.
    pub(super) fn note(&mut self, at: Instant, (ended, shed): (u64, u64)) -> Option<f64> {
        self.samples.push_back(Sample { at, ended, shed });
        // The one before the minute is what it is counted from.
        while self.samples.get(1).is_some_and(|second| at.duration_since(second.at) >= OVER) {
            self.samples.pop_front();
        }
        let first = self.samples.front()?;
        let (ended, shed) = (ended - first.ended, shed - first.shed);
        (ended > 0).then(|| shed as f64 / ended as f64)
    }
}

/// What an operator must see of it: less than a tenth passes by itself.
pub(super) fn condition(share: Option<f64>) -> Condition {
    let percent = share.unwrap_or_default() * 100.0;
    STEPS.into_iter().find(|step| percent >= f64::from(*step)).map_or(Condition::Good, |step| {
        Condition::Failing(format!(
            "{step} % or more of the last minute's questions were let go unanswered: more comes than can be answered; give \
             encoder.threads more cores, or see what sends so much"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_of_the_last_minute() {
        let (mut share, start) = (ShedShare::default(), Instant::now());
        // (seconds, ended so far, shed so far) → share
        let table = [
            ((0, 100, 50), None),
            ((1, 100, 50), None),
            ((30, 110, 58), Some(0.8)),
            ((60, 120, 58), Some(0.4)),
            // Counted from the sample of a minute ago.
            ((90, 120, 58), Some(0.0)),
            ((150, 120, 58), None),
        ];
        for ((seconds, ended, shed), expected) in table {
            let found = share.note(start + Duration::from_secs(seconds), (ended, shed));
            assert_eq!(found, expected, "after {seconds} s");
        }
        assert!(share.samples.len() <= 3, "{share:?}");
    }

    #[test]
    fn from_a_tenth_on_it_is_told_in_steps() {
        for share in [None, Some(0.0), Some(0.099)] {
            assert_eq!(condition(share), Condition::Good, "{share:?}");
        }
        for (share, step) in [(0.1, "10 %"), (0.249, "10 %"), (0.5, "50 %"), (0.8, "75 %"), (1.0, "90 %")] {
            let Condition::Failing(reason) = condition(Some(share)) else { panic!("{share} must be seen") };
            assert!(reason.starts_with(step), "{share}: {reason}");
        }
    }
}

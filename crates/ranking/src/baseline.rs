//! What is usual for a deployment: how near its customers' turns lie to its articles, and how clearly the best article
//! stands out.
//!
//! Short articles lie nearer to what is said than long ones, and customers of one company speak more like its articles
//! than those of another, so that no cosine means the same everywhere. Measured by the deployment's own turns, which need
//! no labels, it does.

use serde::{Deserialize, Serialize};

/// What is taken to be usual before any turn was heard, and weighs as much as so many turns: the middle of what was measured
/// on calls about hotels, public services and telephones.
const USUAL: Measured<Spread> =
    Measured { closeness: Spread { mean: 0.5, deviation: 0.16 }, certainty: Spread { mean: 0.0, deviation: 2.0 } };
const USUAL_TURNS: f64 = 50.0;

/// Turns from before that weigh no more: what customers ask changes over the weeks.
const MOST_TURNS: f64 = 20_000.0;

/// What of a turn is measured on a scale of the deployment's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured<T> {
    /// How near the articles lie to what the turn asks: a cosine.
    pub closeness: T,
    /// How likely the best article answers, where that is told: log-odds.
    pub certainty: T,
}

/// Of a turn; none without vectors, or without probabilities.
pub type MeasuredTurn = Measured<Option<f64>>;

impl MeasuredTurn {
    /// Of the cosine of what lies nearest, and the probability of the best candidate.
    pub fn of(closeness: Option<f32>, probability: Option<f64>) -> Self {
        Self { closeness: closeness.map(f64::from), certainty: probability.map(log_odds) }
    }
}

/// The log-odds of a probability; what is nearer to certain than can be told says no more.
pub fn log_odds(probability: f64) -> f64 {
    let probability = probability.clamp(LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY);
    (probability / (1.0 - probability)).ln()
}

const LEAST_PROBABILITY: f64 = 1e-4;

/// Mean and standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation, above 0.
    pub deviation: f64,
}

impl Spread {
    fn standardised(&self, value: f64) -> f64 {
        (value - self.mean) / self.deviation
    }

    fn is_sane(&self) -> bool {
        self.mean.is_finite() && self.deviation.is_finite() && self.deviation > 0.0
    }
}

/// A snapshot of what is usual. Two decisions that name the same version were judged by the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Counts the renewals.
    pub version: u64,
    /// Turns that it was made of.
    pub turns: u64,
    /// What they had.
    #[serde(flatten)]
    pub usual: Measured<Spread>,
}

impl Default for Baseline {
    fn default() -> Self {
        Usual::default().snapshot(0)
    }
}

impl Baseline {
    /// How many deviations a turn lies above what is usual.
    pub fn standardised(&self, turn: MeasuredTurn) -> MeasuredTurn {
        let Measured { closeness, certainty } = &self.usual;
        Measured {
            closeness: turn.closeness.map(|value| closeness.standardised(value)),
            certainty: turn.certainty.map(|value| certainty.standardised(value)),
        }
    }

    /// Whether turns can be judged by it.
    pub fn is_sane(&self) -> bool {
        self.usual.closeness.is_sane() && self.usual.certainty.is_sane()
    }
}

/// Turns as they are heard; a baseline is made of them now and then.
#[derive(Debug, Clone)]
pub struct Usual {
    heard: u64,
    measured: Measured<Moments>,
}

impl Default for Usual {
    fn default() -> Self {
        Self { heard: 0, measured: Moments::of(&USUAL, USUAL_TURNS) }
    }
}

impl Usual {
    /// Goes on where this baseline was made.
    pub fn from_baseline(baseline: &Baseline) -> Self {
        let weight = (baseline.turns as f64 + USUAL_TURNS).min(MOST_TURNS);
        Self { heard: baseline.turns, measured: Moments::of(&baseline.usual, weight) }
    }

    /// Takes a turn in that has any measure.
    pub fn hear(&mut self, turn: MeasuredTurn) {
        if turn != MeasuredTurn::default() {
            self.heard += 1;
        }
        turn.closeness.into_iter().for_each(|value| self.measured.closeness.take(value));
        turn.certainty.into_iter().for_each(|value| self.measured.certainty.take(value));
    }

    /// Turns heard.
    pub fn turns(&self) -> u64 {
        self.heard
    }

    /// What is usual by now.
    pub fn snapshot(&self, version: u64) -> Baseline {
        let usual = Measured {
            closeness: self.measured.closeness.spread(USUAL.closeness.deviation),
            certainty: self.measured.certainty.spread(USUAL.certainty.deviation),
        };
        Baseline { version, turns: self.heard, usual }
    }
}

/// Mean and squares of deviations by Welford's method, "Note on a method for calculating corrected sums of squares and
/// products" (1962).
#[derive(Debug, Clone)]
struct Moments {
    weight: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn of(usual: &Measured<Spread>, weight: f64) -> Measured<Self> {
        let of = |Spread { mean, deviation }: Spread| Self { weight, mean, squares: deviation * deviation * weight };
        Measured { closeness: of(usual.closeness), certainty: of(usual.certainty) }
    }

    /// What is no number is left out.
    fn take(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        if self.weight >= MOST_TURNS {
            self.squares *= (MOST_TURNS - 1.0) / self.weight;
            self.weight = MOST_TURNS - 1.0;
        }
        self.weight += 1.0;
        let above = value - self.mean;
        self.mean += above / self.weight;
        self.squares += above * (value - self.mean);
    }

    /// Turns that all say the same must not make every other one stand out without bound.
    fn spread(&self, usual_deviation: f64) -> Spread {
        Spread { mean: self.mean, deviation: (self.squares / self.weight).sqrt().max(usual_deviation / 10.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(closeness: f64) -> MeasuredTurn {
        Measured { closeness: Some(closeness), certainty: None }
    }

    fn heard(closenesses: impl Iterator<Item = f64>) -> Usual {
        let mut usual = Usual::default();
        closenesses.for_each(|closeness| usual.hear(turn(closeness)));
        usual
    }

    fn is_near(one: Spread, other: Spread, within: f64) -> bool {
        (one.mean - other.mean).abs() < within && (one.deviation - other.deviation).abs() < within
    }

    #[test]
    fn the_first_turns_move_little_and_many_decide() {
        let few = heard([0.9, f64::NAN].into_iter()).snapshot(1);
        assert!(is_near(few.usual.closeness, USUAL.closeness, 0.02), "{few:?}");
        assert!(is_near(few.usual.certainty, USUAL.certainty, 1e-9), "nothing was heard of it");
        let many = heard((0..5_000).map(|turn| if turn % 2 == 0 { 0.6 } else { 0.8 })).snapshot(2);
        assert!(is_near(many.usual.closeness, Spread { mean: 0.7, deviation: 0.1 }, 0.01), "{many:?}");
        assert!((many.standardised(turn(0.8)).closeness.unwrap_or_default() - 1.0).abs() < 0.1);
        assert_eq!(many.standardised(MeasuredTurn::default()), MeasuredTurn::default());
    }

    #[test]
    fn it_goes_on_where_it_was_left_and_follows_the_weeks() {
        let before = heard((0..40_000).map(|turn| f64::from(turn % 10) / 20.0)).snapshot(7);
        let mut again = Usual::from_baseline(&before);
        assert!(is_near(again.snapshot(7).usual.closeness, before.usual.closeness, 1e-9));
        (0..60_000).for_each(|_| again.hear(turn(0.9)));
        let after = again.snapshot(8).usual.closeness;
        assert!(after.mean > 0.85 && after.deviation >= USUAL.closeness.deviation / 10.0);
    }

    #[test]
    fn certainty_is_bounded_log_odds() {
        let certainty = |probability| MeasuredTurn::of(None, Some(probability)).certainty.unwrap_or_default();
        assert_eq!(certainty(0.5), 0.0);
        assert!(certainty(1.0).is_finite() && certainty(0.0).is_finite() && certainty(0.9) > certainty(0.8));
    }
}

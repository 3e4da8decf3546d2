//! What closeness is usual for a deployment: how near its customers' turns lie to its articles.
//!
//! Short articles lie nearer to what is said than long ones, and customers of one company speak more like its articles
//! than those of another, so that no cosine means the same everywhere. Measured by the deployment's own turns, which need
//! no labels, it does.

use serde::{Deserialize, Serialize};

/// What is taken to be usual before any turn was heard, and weighs as much as so many turns: the middle of what was measured
/// on calls about hotels (mean .61), public services (.53) and telephones (.34), with deviations of .13 to .19.
const USUAL_MEAN: f64 = 0.5;
const USUAL_DEVIATION: f64 = 0.16;
const USUAL_TURNS: f64 = 50.0;

/// Turns from before that weigh no more: what customers ask changes over the weeks.
const MOST_TURNS: f64 = 20_000.0;

/// A snapshot of what is usual. Two decisions that name the same version were judged by the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Counts the renewals.
    pub version: u64,
    /// Turns that it was made of.
    pub turns: u64,
    /// Mean of the cosines of newest customer turns and the passages nearest to them.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
}

impl Default for Baseline {
    fn default() -> Self {
        Usual::default().snapshot(0)
    }
}

impl Baseline {
    /// How many deviations a turn of this closeness lies above what is usual.
    pub fn standardised(&self, closeness: f32) -> f64 {
        (f64::from(closeness) - self.mean) / self.deviation
    }
}

/// Turns as they are heard; a baseline is made of them now and then. Welford's method, "Note on a method for calculating
/// corrected sums of squares and products" (1962).
#[derive(Debug, Clone)]
pub struct Usual {
    heard: u64,
    weight: f64,
    mean: f64,
    squares: f64,
}

impl Default for Usual {
    fn default() -> Self {
        let squares = USUAL_DEVIATION * USUAL_DEVIATION * USUAL_TURNS;
        Self { heard: 0, weight: USUAL_TURNS, mean: USUAL_MEAN, squares }
    }
}

impl Usual {
    /// Goes on where this baseline was made.
    pub fn from_baseline(baseline: &Baseline) -> Self {
        let weight = (baseline.turns as f64 + USUAL_TURNS).min(MOST_TURNS);
        let squares = baseline.deviation * baseline.deviation * weight;
        Self { heard: baseline.turns, weight, mean: baseline.mean, squares }
    }

    /// Takes a turn in. What is no number is left out.
    pub fn hear(&mut self, closeness: f32) {
        let closeness = f64::from(closeness);
        if !closeness.is_finite() {
            return;
        }
        self.heard += 1;
        if self.weight >= MOST_TURNS {
            self.squares *= (MOST_TURNS - 1.0) / self.weight;
            self.weight = MOST_TURNS - 1.0;
        }
        self.weight += 1.0;
        let above = closeness - self.mean;
        self.mean += above / self.weight;
        self.squares += above * (closeness - self.mean);
    }

    /// Turns heard.
    pub fn turns(&self) -> u64 {
        self.heard
    }

    /// What is usual by now.
    pub fn snapshot(&self, version: u64) -> Baseline {
        // Turns that all say the same must not make every other one stand out without bound.
        let deviation = (self.squares / self.weight).sqrt().max(USUAL_DEVIATION / 10.0);
        Baseline { version, turns: self.heard, mean: self.mean, deviation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(closenesses: impl Iterator<Item = f32>) -> Usual {
        let mut usual = Usual::default();
        closenesses.for_each(|closeness| usual.hear(closeness));
        usual
    }

    #[test]
    fn the_first_turns_move_little_and_many_decide() {
        let few = heard([0.9, f32::NAN].into_iter()).snapshot(1);
        assert_eq!(few.turns, 1);
        assert!((few.mean - USUAL_MEAN).abs() < 0.01 && (few.deviation - USUAL_DEVIATION).abs() < 0.02, "{few:?}");
        let many = heard((0..5_000).map(|turn| if turn % 2 == 0 { 0.6 } else { 0.8 })).snapshot(2);
        assert!((many.mean - 0.7).abs() < 0.01 && (many.deviation - 0.1).abs() < 0.01, "{many:?}");
        assert!((many.standardised(0.8) - 1.0).abs() < 0.1);
    }

    #[test]
    fn it_goes_on_where_it_was_left_and_follows_the_weeks() {
        let before = heard((0..40_000).map(|turn| (turn % 10) as f32 / 20.0));
        let mut again = Usual::from_baseline(&before.snapshot(7));
        let (mean, deviation) = (again.snapshot(7).mean, again.snapshot(7).deviation);
        assert!(
            (mean - before.snapshot(7).mean).abs() < 1e-9 && (deviation - before.snapshot(7).deviation).abs() < 1e-9
        );
        (0..60_000).for_each(|_| again.hear(0.9));
        assert!(again.snapshot(8).mean > 0.85 && again.snapshot(8).deviation >= USUAL_DEVIATION / 10.0);
    }
}

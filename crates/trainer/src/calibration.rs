//! How often a first card is right: Platt scaling ("Probabilistic outputs for support vector machines", 1999) of how sure the
//! order is and how much the turn looks like one that wants a card.

use cuecard_engine::ranking::model::{Calibration, Logistic, Step};

use crate::gate::Fit;

/// Against weights without bound where few turns part the right from the wrong.
const PENALTY: f64 = 1e-3;
/// Least probabilities that a precision can be found by.
const STEPS: usize = 40;

/// A turn whose card was judged by models that had not seen it.
pub struct Judged {
    /// What the calibration reads, see [`card_features`](cuecard_engine::ranking::model::card_features).
    pub features: [f64; 2],
    /// Whether it wants a card.
    pub is_wanted: bool,
    /// Whether its first card is right.
    pub is_right: bool,
}

/// The calibration that these turns teach; none where all cards are right or all wrong.
pub fn learn(turns: &[Judged]) -> Option<Calibration> {
    let holds: Vec<bool> = turns.iter().map(|turn| turn.is_right).collect();
    if !holds.contains(&true) || !holds.contains(&false) {
        return None;
    }
    let rows = turns.iter().map(|turn| turn.features.to_vec()).collect();
    let card = Fit { rows, holds, penalties: vec![PENALTY; 2] }.learn();
    let steps = steps(&card, turns);
    Some(Calibration { card, steps })
}

fn steps(card: &Logistic, turns: &[Judged]) -> Vec<Step> {
    let mut by_probability: Vec<(f64, &Judged)> =
        turns.iter().map(|turn| (card.probability(turn.features), turn)).collect();
    by_probability.sort_by(|a, b| a.0.total_cmp(&b.0));
    let num_wanted = turns.iter().filter(|turn| turn.is_wanted).count();
    let mut steps: Vec<Step> = Vec::new();
    for step in 0..STEPS {
        let first = step * by_probability.len() / STEPS;
        let shown = &by_probability[first..];
        let right = shown.iter().filter(|(_, turn)| turn.is_right).count();
        let wanted = shown.iter().filter(|(_, turn)| turn.is_wanted).count();
        let precision = right as f64 / shown.len().max(1) as f64;
        // The fewer cards, the more of them right, but for chance.
        let at_least = steps.last().map_or(0.0, |step| step.precision);
        let shown = wanted as f64 / num_wanted.max(1) as f64;
        steps.push(Step { least: by_probability[first].0, precision: precision.max(at_least), shown });
    }
    steps
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn probabilities_are_what_happens_and_a_precision_finds_its_least_probability() {
        let mut random = StdRng::seed_from_u64(1);
        let turn = |random: &mut StdRng| {
            let features = [random.random_range(-3.0..3.0), random.random_range(-3.0..3.0)];
            let probability = 1.0 / (1.0 + f64::exp(-(features[0] + 0.5 * features[1])));
            Judged { features, is_wanted: true, is_right: random.random_bool(probability) }
        };
        let turns: Vec<Judged> = (0..4_000).map(|_| turn(&mut random)).collect();
        let calibration = learn(&turns).unwrap();
        assert!((calibration.card.weights[0] - 1.0).abs() < 0.15 && (calibration.card.weights[1] - 0.5).abs() < 0.1);
        let least = calibration.least_for(0.8);
        let shown: Vec<_> = turns.iter().filter(|turn| calibration.card.probability(turn.features) >= least).collect();
        let precision = shown.iter().filter(|turn| turn.is_right).count() as f64 / shown.len() as f64;
        assert!((precision - 0.8).abs() < 0.03, "{precision}");
        assert!(calibration.steps.is_sorted_by(|a, b| a.least <= b.least && a.precision <= b.precision));
        assert!(learn(&turns[..1]).is_none());
    }
}

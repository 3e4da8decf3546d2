//! The gate: logistic regression over the words, measures and embedding of a turn.
//!
//! Many of its features are dimensions of an embedding, of which few labels teach little: the fewer labels, the more a weight
//! costs. The gate by hand costs least, so that with few labels it is what is left.

use cuecard_engine::ranking::model::{Logistic, features};

use crate::descent::{Loss, least};
use crate::examples::Example;

const STEPS: u64 = 200;
/// What a squared weight costs, times the number of labels; found on 25 to 800 labels of each kind.
const PENALTY: f64 = 0.15;
/// What that of the gate by hand costs.
const PENALTY_BY_HAND: f64 = 1e-3;

/// Rows of features, and for each whether it holds.
pub struct Fit {
    pub rows: Vec<Vec<f64>>,
    pub holds: Vec<bool>,
    /// What a squared weight costs, for each feature.
    pub penalties: Vec<f64>,
}

impl Fit {
    /// The weights of least loss; the mean log loss, plus what the weights cost.
    pub fn learn(&self) -> Logistic {
        let num_features = self.penalties.len();
        let mut weights = least(self, vec![0.0; num_features + 1], STEPS);
        let bias = weights.pop().unwrap_or_default();
        Logistic { weights, bias }
    }
}

impl Loss for Fit {
    fn at(&self, place: &[f64]) -> (f64, Vec<f64>) {
        let (bias, weights) = place.split_last().map_or((0.0, place), |(bias, weights)| (*bias, weights));
        let scale = 1.0 / self.rows.len() as f64;
        let (mut loss, mut gradient) = (0.0, vec![0.0; place.len()]);
        for (row, holds) in self.rows.iter().zip(&self.holds) {
            let log_odds = bias + weights.iter().zip(row).map(|(weight, value)| weight * value).sum::<f64>();
            let signed = if *holds { log_odds } else { -log_odds };
            // ln(1 + e^-x) without overflow.
            loss += scale * (signed.abs().mul_add(-1.0, 0.0).exp().ln_1p() + (-signed).max(0.0));
            let slope = scale * (1.0 / (1.0 + (-log_odds).exp()) - if *holds { 1.0 } else { 0.0 });
            gradient.iter_mut().zip(row).for_each(|(gradient, value)| *gradient += slope * value);
            gradient[weights.len()] += slope;
        }
        for ((weight, penalty), gradient) in weights.iter().zip(&self.penalties).zip(&mut gradient) {
            loss += penalty * weight * weight;
            *gradient += 2.0 * penalty * weight;
        }
        (loss, gradient)
    }
}

/// What the gate reads of a turn.
pub fn row(example: &Example, dimensions: usize) -> Vec<f64> {
    features::of_turn(&example.wanted, example.question.num_words, example.embedding.as_deref(), dimensions)
}

/// The gate that these turns teach; none where they are all of one kind.
pub fn learn(examples: &[&Example], dimensions: usize) -> Option<Logistic> {
    let holds: Vec<bool> = examples.iter().map(|example| example.is_wanted).collect();
    let rarer = holds.iter().filter(|holds| **holds).count().min(holds.iter().filter(|holds| !**holds).count());
    if rarer == 0 {
        return None;
    }
    let names = features::turn_features();
    let penalty = PENALTY / rarer as f64;
    let mut penalties = vec![penalty; names.len() + dimensions];
    if let Some(by_hand) = names.iter().position(|name| name == features::BY_HAND) {
        penalties[by_hand] = PENALTY_BY_HAND;
    }
    let rows = examples.iter().map(|example| row(example, dimensions)).collect();
    Some(Fit { rows, holds, penalties }.learn())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_gets_weight_and_what_does_not_gets_none() {
        let rows: Vec<Vec<f64>> = (0..200).map(|n| vec![f64::from(n % 2), f64::from(n % 3)]).collect();
        let holds = (0..200).map(|n| n % 2 == 1 || n % 20 == 0).collect();
        let fit = Fit { rows, holds, penalties: vec![1e-4; 2] };
        let model = fit.learn();
        assert!(model.weights[0] > 2.0 && model.weights[1].abs() < 0.3, "{model:?}");
        let (value, gradient) = fit.at(&[model.weights[0], model.weights[1], model.bias]);
        assert!(value < 0.3 && gradient.iter().all(|slope| slope.abs() < 1e-3), "{value} {gradient:?}");
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let fit =
            Fit { rows: vec![vec![1.0, -2.0], vec![0.5, 3.0]], holds: vec![true, false], penalties: vec![0.1, 0.2] };
        let place = [0.3, -0.4, 0.2];
        let (value, gradient) = fit.at(&place);
        for (axis, slope) in gradient.iter().enumerate() {
            let mut beside = place;
            beside[axis] += 1e-6;
            assert!(((fit.at(&beside).0 - value) / 1e-6 - slope).abs() < 1e-4, "{axis}");
        }
    }
}

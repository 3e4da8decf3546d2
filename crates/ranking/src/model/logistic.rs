//! A weighted sum as log-odds.

use serde::{Deserialize, Serialize};

/// The log-odds of something: a weighted sum of features.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Logistic {
    /// One for each feature.
    pub weights: Vec<f64>,
    /// What is added whatever the features are.
    pub bias: f64,
}

impl Logistic {
    /// The log-odds for these features; those that are missing count 0.
    pub fn log_odds(&self, features: impl IntoIterator<Item = f64>) -> f64 {
        self.bias + self.weights.iter().zip(features).map(|(weight, value)| weight * value).sum::<f64>()
    }

    /// The probability for these features.
    pub fn probability(&self, features: impl IntoIterator<Item = f64>) -> f64 {
        1.0 / (1.0 + (-self.log_odds(features)).exp())
    }

    pub(super) fn fits(&self, num_features: usize) -> bool {
        self.weights.len() == num_features
            && self.bias.is_finite()
            && self.weights.iter().all(|weight| weight.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probability_is_the_logistic_of_the_sum() {
        let model = Logistic { weights: vec![2.0, -1.0], bias: 0.5 };
        assert_eq!(model.log_odds([1.0, 2.5]), 0.0);
        assert_eq!(model.probability([1.0, 2.5]), 0.5);
        assert!(model.probability([1e9, 0.0]) <= 1.0 && model.probability([-1e9, 0.0]) >= 0.0);
        assert!(model.fits(2) && !model.fits(3) && !Logistic { weights: vec![f64::NAN], bias: 0.0 }.fits(1));
    }
}

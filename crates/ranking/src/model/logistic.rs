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

/// The gate in a file: each weight beside the feature that it is of, then those of the embedding.
pub(super) mod gate {
    use std::collections::HashMap;

    use serde::de::Error as _;
    use serde::ser::{Error as _, SerializeStruct as _};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Logistic;
    use crate::model::features::turn_features;

    #[derive(Deserialize)]
    struct Written {
        bias: f64,
        weights: HashMap<String, f64>,
        embedding: Vec<f64>,
    }

    struct Named<'a>(&'a [String], &'a [f64]);

    impl Serialize for Named<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().zip(self.1))
        }
    }

    #[expect(clippy::ref_option, reason = "what serde gives")]
    pub fn serialize<S: Serializer>(gate: &Option<Logistic>, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(Logistic { weights, bias }) = gate else { return serializer.serialize_none() };
        let names = turn_features();
        let (of_features, embedding) = weights
            .split_at_checked(names.len())
            .ok_or_else(|| S::Error::custom(format!("the gate has {} weights only", weights.len())))?;
        let mut written = serializer.serialize_struct("Gate", 3)?;
        written.serialize_field("bias", bias)?;
        written.serialize_field("weights", &Named(&names, of_features))?;
        written.serialize_field("embedding", embedding)?;
        written.end()
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Logistic>, D::Error> {
        let Some(Written { bias, mut weights, embedding }) = Option::deserialize(deserializer)? else {
            return Ok(None);
        };
        let mut all = Vec::new();
        for name in turn_features() {
            let weight = weights.remove(&name);
            all.push(weight.ok_or_else(|| D::Error::custom(format!("the gate has no weight for `{name}`")))?);
        }
        if let Some(name) = weights.keys().next() {
            return Err(D::Error::custom(format!("the gate has a weight for `{name}`, which it does not read")));
        }
        all.extend(embedding);
        Ok(Some(Logistic { weights: all, bias }))
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

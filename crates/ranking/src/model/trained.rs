//! How a model was learned, and what it gains.

use serde::{Deserialize, Serialize};

/// How a model was learned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// When, RFC 3339.
    pub at: String,
    /// Hash of the data: of labelled conversations their calls, words and labels with the articles, of feedback what was shown, by
    /// what it was chosen, and the verdicts.
    pub data: String,
    /// Where they came from.
    pub source: Source,
    /// Conversations that want a card at some turn.
    pub conversations: usize,
    /// Turns that do.
    pub wanted_turns: usize,
    /// Turns that want none.
    pub quiet_turns: usize,
    /// What counts of the correction of the order that was learned: less than 1 where few labels taught it.
    pub share: f32,
    /// The version of the model that it was compared with; none for the formula.
    pub compared_with: Option<String>,
    /// The version of the model from which the gate and the calibration were taken over unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate_of: Option<String>,
    /// Parts that could not be learned, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// What it gains over that on the newest conversations, which it had not seen.
    pub gains: Vec<MeasuredGain>,
}

/// Where training data came from, and what was done about cards that were seen more because they stood first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Labelled conversations: every article could be right.
    #[default]
    #[strum(to_string = "labelled conversations")]
    Labels,
    /// What agents did, weighted by how likely each card was shown where it stood.
    #[strum(to_string = "feedback, by inverse propensity")]
    InversePropensity,
    /// What agents did, with the place of a card as a feature.
    #[strum(to_string = "feedback, with the place of the card as a feature")]
    PlaceAsFeature,
}

/// The difference that a model makes in one measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredGain {
    /// The measure's name.
    pub measure: String,
    /// Without the model.
    pub before: f64,
    /// With it.
    pub after: f64,
    /// The 95 % interval of the difference.
    pub interval: [f64; 2],
    /// Whether less is better.
    pub less_is_better: bool,
}

impl MeasuredGain {
    /// Whether the model is better than can be chance.
    pub fn is_gain(&self) -> bool {
        if self.less_is_better { self.interval[1] < 0.0 } else { self.interval[0] > 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_is_one_only_where_its_interval_says_so() {
        let gain = |interval, less_is_better| {
            MeasuredGain { measure: "m".into(), before: 0.0, after: 0.0, interval, less_is_better }.is_gain()
        };
        assert!(gain([0.01, 0.2], false) && !gain([-0.01, 0.2], false));
        assert!(gain([-0.2, -0.01], true) && !gain([-0.2, 0.01], true));
    }
}

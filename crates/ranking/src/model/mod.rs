//! What was learned from a deployment's own conversations: a file that people can read.
//!
//! A model adds to the formula of [`crate::conversation`] and never stands alone: an adapter of the question's embedding and
//! trees correct its sums, a logistic gate takes the place of the one by hand, and a calibration says how often a card is
//! right. Each part may be absent. The file names the features that it was learned on; a model of others is refused.

mod adapter;
pub mod features;
mod logistic;
mod trained;
mod trees;
mod written;

use serde::{Deserialize, Serialize};

pub use self::adapter::Adapter;
pub use self::features::QuestionSigns;
pub use self::logistic::Logistic;
pub use self::trained::{MeasuredGain, Source, Trained};
pub use self::trees::{Node, Tree};
use crate::baseline::log_odds;
use crate::conversation::Evidence;
use crate::silence::Wanted;

/// The measure that the order must gain in, and that of the gate.
pub const ORDER_MEASURE: &str = "mrr_at_5";
pub const GATE_MEASURE: &str = "false_push_rate_at_90";

/// The format of the file that this version reads and writes.
pub const FORMAT: u32 = 2;

/// A model of one deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// See [`FORMAT`].
    pub format: u32,
    /// Short for exactly this content: two decisions that name it were made by the same model.
    pub version: String,
    /// The encoder whose embeddings it was learned on.
    pub encoder: String,
    /// The length of these embeddings.
    pub dimensions: usize,
    /// How it was learned, and what it gains.
    pub trained: Trained,
    /// What the trees read.
    pub candidate_features: Vec<String>,
    /// What the gate reads, before the embedding of the turn.
    pub turn_features: Vec<String>,
    /// Tells how often the first card is right.
    pub calibration: Option<Calibration>,
    /// Tells whether a card is wanted.
    #[serde(with = "logistic::gate")]
    pub gate: Option<Logistic>,
    /// Correct the order.
    pub trees: Vec<Tree>,
    /// Corrects the question.
    pub adapter: Option<Adapter>,
}

/// How often the first card is right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Over the log-odds of the first candidate and how much the turn looks like one that wants a card.
    pub card: Logistic,
    /// What each least probability of a card comes to, the lowest first.
    pub steps: Vec<Step>,
}

/// A least probability of a card, and what comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Cards of less are not shown.
    pub least: f64,
    /// The share of the cards shown that are right.
    pub precision: f64,
    /// The share of the turns that want a card that get one.
    pub shown: f64,
}

impl Calibration {
    /// The least probability at which this share of the cards is expected to be right. Where none reaches it, the highest
    /// that is known.
    pub fn least_for(&self, precision: f64) -> f64 {
        let reaches = self.steps.iter().find(|step| step.precision >= precision);
        reaches.or(self.steps.last()).map_or(precision, |step| step.least)
    }
}

/// Why a model can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file is not JSON of a model.
    #[error("this is no model: {0}; make one with `cuecard train`")]
    Unreadable(#[from] serde_json::Error),
    /// It was written by another version.
    #[error("the model has format {found}, this version reads format {FORMAT}; train it again")]
    OtherFormat {
        /// What the file says.
        found: u32,
    },
    /// It was learned on other features.
    #[error(
        "the model was learned on other features (`{name}` is not one of this version's, or stands elsewhere); train it again"
    )]
    OtherFeatures {
        /// The first that differs.
        name: String,
    },
    /// It was learned on embeddings of another encoder.
    #[error("the model was learned on embeddings of {found}, this deployment uses {expected}; train it again")]
    OtherEncoder {
        /// What the file says.
        found: String,
        /// What is in use.
        expected: String,
    },
    /// Numbers are missing or lead nowhere.
    #[error("the model's {part} is damaged; train it again")]
    Damaged {
        /// Which part.
        part: &'static str,
    },
}

/// Only the format, which is read first: a file of another one need not fit.
#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

/// What is read next: a file of other features need not fit either.
#[derive(Deserialize)]
struct Named {
    candidate_features: Vec<String>,
    turn_features: Vec<String>,
}

impl Model {
    /// A model that has learned nothing yet and leaves the formula as it is.
    pub fn untrained(encoder: &str, dimensions: usize, trained: Trained) -> Self {
        Self {
            format: FORMAT,
            version: String::new(),
            encoder: encoder.to_owned(),
            dimensions,
            trained,
            candidate_features: features::candidate_features(),
            turn_features: features::turn_features(),
            calibration: None,
            gate: None,
            trees: Vec::new(),
            adapter: None,
        }
    }

    /// Reads a model for this encoder.
    pub fn read(text: &[u8], encoder: &str) -> Result<Self, ModelError> {
        let Versioned { format } = serde_json::from_slice(text)?;
        if format != FORMAT {
            return Err(ModelError::OtherFormat { found: format });
        }
        let Named { candidate_features, turn_features } = serde_json::from_slice(text)?;
        same(&candidate_features, &features::candidate_features())?;
        same(&turn_features, &features::turn_features())?;
        let model: Self = serde_json::from_slice(text)?;
        model.check(encoder)?;
        Ok(model)
    }

    fn check(&self, encoder: &str) -> Result<(), ModelError> {
        if self.encoder != encoder {
            return Err(ModelError::OtherEncoder { found: self.encoder.clone(), expected: encoder.to_owned() });
        }
        let num_turn_features = self.turn_features.len() + self.dimensions;
        let damaged = |is_sound: bool, part| if is_sound { Ok(()) } else { Err(ModelError::Damaged { part }) };
        damaged(self.trees.iter().all(|tree| tree.fits(self.candidate_features.len())), "trees")?;
        damaged(self.adapter.iter().all(|it| it.is_square() && it.rows.len() == self.dimensions), "adapter")?;
        damaged(self.gate.iter().all(|gate| gate.fits(num_turn_features)), "gate")?;
        damaged(self.calibration.iter().all(|it| it.card.fits(2)), "calibration")
    }

    /// Keeps the gate and the calibration of the model that it is to take the place of, where it has none of its own.
    pub fn take_over_gate(&mut self, running: &Self) {
        if self.gate.is_none() && running.gate.is_some() {
            (self.gate, self.calibration) = (running.gate.clone(), running.calibration.clone());
            self.trained.gate_of = Some(running.version.clone());
        }
    }

    /// Why it is not proven to be better than the model of this version, or than the formula; empty where it is. Each part
    /// that was learned must gain in what it is for.
    pub fn unproven_against(&self, running: Option<&str>) -> Vec<String> {
        let name = |version: Option<&str>| version.map_or_else(|| "the formula".to_owned(), |it| format!("model {it}"));
        let compared_with = self.trained.compared_with.as_deref();
        if compared_with != running {
            let (compared, runs) = (name(compared_with), name(running));
            return vec![format!("it was compared with {compared}, and {runs} runs: train it again with --against")];
        }
        let orders = self.adapter.is_some() || !self.trees.is_empty();
        // A gate that was taken over is the one that runs.
        let judges = self.gate.is_some() && self.trained.gate_of.is_none();
        let parts = [(orders, "order", ORDER_MEASURE), (judges, "gate", GATE_MEASURE)];
        let unproven = |(is_learned, part, measure): (bool, &str, &str)| {
            let gain = self.trained.gains.iter().find(|gain| gain.measure == measure);
            match gain {
                _ if !is_learned => None,
                Some(gain) if gain.is_gain() => None,
                Some(MeasuredGain { before, after, interval: [low, high], .. }) => Some(format!(
                    "its {part} may gain nothing: {measure} {before:.4} before, {after:.4} after, 95 % of the gain between \
                     {low:+.4} and {high:+.4}"
                )),
                None => Some(format!("nobody measured what its {part} gains in {measure}")),
            }
        };
        parts.into_iter().filter_map(unproven).collect()
    }

    /// What orders the candidates of a question: the formula's sums, corrected. Log-odds.
    pub fn sums(&self, evidence: &[Evidence], question: QuestionSigns) -> Vec<f64> {
        let rows = if self.trees.is_empty() { Vec::new() } else { features::of_candidates(evidence, question) };
        let of_trees = |candidate: usize| -> f32 {
            rows.get(candidate).map_or(0.0, |row| self.trees.iter().map(|tree| tree.value(row)).sum())
        };
        let sum = |(candidate, of): (usize, &Evidence)| f64::from(of.sum() + of.adapted + of_trees(candidate));
        evidence.iter().enumerate().map(sum).collect()
    }

    /// The log-odds that a turn wants a card, where that was learned.
    pub fn wanted(&self, wanted: &Wanted, num_words: usize, embedding: Option<&[f32]>) -> Option<f64> {
        let gate = self.gate.as_ref()?;
        Some(gate.log_odds(features::of_turn(wanted, num_words, embedding, self.dimensions)))
    }

    /// The probability that the first card of a turn is right, where that was learned. `probability` is that candidate's.
    pub fn card(&self, probability: f64, wanted: &Wanted) -> Option<f64> {
        Some(self.calibration.as_ref()?.card.probability(card_features(probability, wanted)))
    }
}

/// What the calibration reads.
pub fn card_features(probability: f64, wanted: &Wanted) -> [f64; 2] {
    [log_odds(probability), wanted.best_known()]
}

fn same(found: &[String], expected: &[String]) -> Result<(), ModelError> {
    let differs = (0..found.len().max(expected.len())).find(|place| found.get(*place) != expected.get(*place));
    match differs {
        None => Ok(()),
        Some(place) => {
            let name = found.get(place).or(expected.get(place)).cloned().unwrap_or_default();
            Err(ModelError::OtherFeatures { name })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn model() -> Model {
        Model {
            version: "1234abcd".into(),
            trees: vec![Tree(vec![
                Node::Split { feature: 0, below: 0.5, low: 1, high: 2 },
                Node::Leaf { add: 0.0 },
                Node::Leaf { add: 3.0 },
            ])],
            adapter: Some(Adapter { rows: vec![vec![1.0, 0.0], vec![0.0, 1.0]] }),
            ..Model::untrained("encoder", 2, Trained::default())
        }
    }

    fn gate(num_embedding: usize) -> Logistic {
        let num_features = features::turn_features().len() + num_embedding;
        Logistic { weights: (0..num_features).map(|number| 0.25 * number as f64).collect(), bias: -1.0 }
    }

    fn read(model: &Model) -> Result<Model, ModelError> {
        Model::read(&model.written().unwrap(), "encoder")
    }

    #[test]
    fn it_is_read_back_and_corrects_the_sums() {
        let model = read(&model()).unwrap();
        let evidence = [Evidence { newest_cosine: 0.6, adapted: 0.5, ..Evidence::default() }, Evidence::default()];
        let sums = model.sums(&evidence, QuestionSigns::default());
        assert!((sums[0] - (f64::from(evidence[0].sum()) + 0.5 + 3.0)).abs() < 1e-5);
        assert_eq!(sums[1], f64::from(evidence[1].sum()));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let refusal = |change: fn(&mut Model)| {
            let mut changed = model();
            change(&mut changed);
            read(&changed).unwrap_err().to_string()
        };
        assert!(refusal(|model| model.format = 7).contains("format 7"));
        assert!(refusal(|model| model.encoder = "another".into()).contains("another"));
        assert!(refusal(|model| model.candidate_features[2] = "stars".into()).contains("`stars`"));
        assert!(refusal(|model| drop(model.turn_features.pop())).contains("`by hand`"));
        assert!(refusal(|model| model.trees[0].0.truncate(1)).contains("trees"));
        assert!(refusal(|model| model.adapter.as_mut().unwrap().rows.truncate(1)).contains("adapter"));
        assert!(refusal(|model| model.gate = Some(gate(1))).contains("gate"));
        let other = |from: &str, to: &str| {
            let whole = Model { gate: Some(gate(2)), ..model() };
            let text = String::from_utf8(whole.written().unwrap()).unwrap();
            let changed = text.replacen(from, to, 1);
            assert_ne!(text, changed);
            Model::read(changed.as_bytes(), "encoder").unwrap_err().to_string()
        };
        assert!(other(r#""feature": "newest_cosine""#, r#""feature": "stars""#).contains("no model"));
        assert!(other(r#""by hand": "#, r#""stars": "#).contains("no weight for `by hand`"));
        assert!(other(r#""by hand": "#, r#""stars": 1.0, "by hand": "#).contains("`stars`"));
        assert!(Model::read(b"[]", "encoder").unwrap_err().to_string().contains("cuecard train"));
    }

    #[test]
    fn the_file_names_what_is_read_and_has_a_line_for_each_node_weight_and_row() {
        let whole = Model { gate: Some(gate(2)), ..model() };
        let text = String::from_utf8(whole.written().unwrap()).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for line in [
            r#"{"feature": "newest_cosine", "below": 0.5, "low": 1, "high": 2},"#,
            r#"{"add": 3.0}"#,
            r#""question": 0.0,"#,
            r"[1.0, 0.0],",
            r#""format": 2,"#,
        ] {
            assert!(lines.contains(&line), "{line} in {text}");
        }
        assert_eq!(read(&whole).unwrap(), whole);
    }

    #[test]
    fn the_least_probability_is_the_lowest_that_reaches_the_precision() {
        let step = |least, precision| Step { least, precision, shown: 0.5 };
        let steps = vec![step(0.2, 0.4), step(0.5, 0.7), step(0.8, 0.9)];
        let calibration = Calibration { card: Logistic::default(), steps };
        assert_eq!([0.1, 0.7, 0.71, 0.99].map(|precision| calibration.least_for(precision)), [0.2, 0.5, 0.8, 0.8]);
    }

    #[test]
    fn a_gate_that_was_taken_over_needs_no_proof_and_one_that_was_learned_does() {
        let running =
            Model { version: "running".into(), gate: Some(gate(2)), ..Model::untrained("e", 2, Trained::default()) };
        let trained = Trained { compared_with: Some("running".into()), ..Trained::default() };
        let mut next = Model::untrained("e", 2, trained);
        next.take_over_gate(&running);
        assert_eq!((&next.gate, next.trained.gate_of.as_deref()), (&running.gate, Some("running")));
        assert!(next.unproven_against(Some("running")).is_empty());
        next.trained.gate_of = None;
        assert_eq!(next.unproven_against(Some("running")).len(), 1);
        let own = next.gate.clone();
        next.take_over_gate(&Model { gate: None, ..running });
        assert_eq!((next.gate, next.trained.gate_of), (own, None));
    }
}

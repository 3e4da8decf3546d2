//! From labelled turns to a model.

use std::collections::{HashMap, HashSet};

use cuecard_engine::ranking::conversation::{Evidence, probabilities};
use cuecard_engine::ranking::model::{Adapter, Model, Source, Trained, card_features};
use jiff::Timestamp;

use crate::examples::Example;
use crate::trees::Adapted;
use crate::{adapter, calibration, folds, gate, mixing, trees};

/// Parts within the training: what one model adds to another's features must come from turns that it had not seen.
const INNER_FOLDS: usize = 5;

/// What a model is learned from.
pub struct Lessons<'a> {
    /// The labelled turns.
    pub examples: Vec<&'a Example>,
    /// The encoder that embedded them.
    pub encoder: String,
    /// The length of its embeddings.
    pub dimensions: usize,
    /// Where the labels came from.
    pub source: Source,
}

/// Why nothing can be learned.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// No turn wants a card.
    #[error("none of the {turns} labelled turns wants a card; give conversations that have a `gold`")]
    NothingWanted {
        /// All labelled turns.
        turns: usize,
    },
    /// No right article is among the candidates of any turn.
    #[error(
        "no right article is found for any of the {turns} turns that want one; is this the index of these conversations?"
    )]
    NothingFound {
        /// Turns that want a card.
        turns: usize,
    },
    /// The trees can't be grown.
    #[error("the trees can't be grown: {0}")]
    Trees(#[from] hessboost::prelude::HessboostError),
}

impl Lessons<'_> {
    /// A model of them. Without turns that want no card it has no gate and no calibration.
    pub fn learn(&self) -> Result<Model, TrainError> {
        let wanted = self.examples.iter().filter(|example| example.is_wanted).count();
        if wanted == 0 {
            return Err(TrainError::NothingWanted { turns: self.examples.len() });
        }
        if !self.examples.iter().any(|example| example.teaches_order()) {
            return Err(TrainError::NothingFound { turns: wanted });
        }
        let unseen = self.unseen()?;
        let mut model = self.empty();
        model.adapter = adapter::learn(&self.examples);
        model.trees = trees::learn(&self.adapted(&unseen.adapted, |_| true))?;
        model.trained.share = self.share();
        mixing::mix(&mut model, self.share());
        model.gate = gate::learn(&self.examples, self.dimensions);
        model.calibration = model.gate.as_ref().and_then(|_| calibration::learn(&unseen.judged));
        model.version = version(&model);
        Ok(model)
    }

    /// What counts of the correction that is learned.
    fn share(&self) -> f32 {
        mixing::share(self.examples.iter().filter(|example| example.teaches_order()).count())
    }

    /// What models of the other parts say of each turn.
    fn unseen(&self) -> Result<Unseen, TrainError> {
        let fold_of = self.fold_of_examples();
        let mut unseen = Unseen { adapted: vec![Vec::new(); self.examples.len()], judged: Vec::new() };
        for fold in 0..INNER_FOLDS {
            let adapter = adapter::learn(&self.outside(fold, &fold_of));
            for place in (0..fold_of.len()).filter(|place| fold_of[*place] == fold) {
                unseen.adapted[place] = adapted(adapter.as_ref(), self.examples[place]);
            }
        }
        for fold in 0..INNER_FOLDS {
            let mut model = self.empty();
            model.trees = trees::learn(&self.adapted(&unseen.adapted, |place| fold_of[place] != fold))?;
            mixing::mix(&mut model, self.share());
            model.gate = gate::learn(&self.outside(fold, &fold_of), self.dimensions);
            for place in (0..fold_of.len()).filter(|place| fold_of[*place] == fold) {
                let adapted: Vec<f32> = unseen.adapted[place].iter().map(|adapted| self.share() * adapted).collect();
                unseen.judged.extend(judged(&model, self.examples[place], &adapted));
            }
        }
        Ok(unseen)
    }

    fn fold_of_examples(&self) -> Vec<usize> {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let number_of: Vec<usize> = self
            .examples
            .iter()
            .map(|example| {
                let next = numbers.len();
                *numbers.entry(&example.dialogue).or_insert(next)
            })
            .collect();
        let fold_of = folds::fold_of(numbers.len(), INNER_FOLDS);
        number_of.into_iter().map(|number| fold_of[number]).collect()
    }

    fn outside(&self, fold: usize, fold_of: &[usize]) -> Vec<&Example> {
        let outside = self.examples.iter().zip(fold_of).filter(|(_, of)| **of != fold);
        outside.map(|(example, _)| *example).collect()
    }

    fn adapted(&self, adapted: &[Vec<f32>], takes: impl Fn(usize) -> bool) -> Vec<Adapted<'_>> {
        let with = self.examples.iter().zip(adapted).enumerate().filter(|(place, _)| takes(*place));
        with.map(|(_, (example, adapted))| Adapted { example, adapted: adapted.clone() }).collect()
    }

    fn empty(&self) -> Model {
        let conversations: HashSet<&str> =
            self.examples.iter().filter(|example| example.is_wanted).map(|example| example.dialogue.as_str()).collect();
        let wanted_turns = self.examples.iter().filter(|example| example.is_wanted).count();
        let trained = Trained {
            at: Timestamp::now().to_string(),
            source: self.source,
            conversations: conversations.len(),
            wanted_turns,
            quiet_turns: self.examples.len() - wanted_turns,
            ..Trained::default()
        };
        Model::untrained(&self.encoder, self.dimensions, trained)
    }
}

/// The place that a model, or without one the formula, gives the best right candidate of a turn, from 1; `None` where none is
/// right.
pub fn right_at(model: Option<&Model>, example: &Example) -> Option<usize> {
    let sums = sums(model, example);
    let right = (0..sums.len()).filter(|place| example.candidates[*place].is_right);
    let best = right.max_by(|a, b| sums[*a].total_cmp(&sums[*b]))?;
    Some(1 + sums.iter().filter(|sum| **sum > sums[best]).count())
}

/// The sum of each candidate of a turn.
pub fn sums(model: Option<&Model>, example: &Example) -> Vec<f64> {
    match model {
        Some(model) => model.sums(&evidence(example, &adapted(model.adapter.as_ref(), example)), example.question),
        None => example.candidates.iter().map(|candidate| f64::from(candidate.evidence.sum())).collect(),
    }
}

/// What models say of turns that they were not learned from.
struct Unseen {
    /// What the adapter adds to each candidate of each turn.
    adapted: Vec<Vec<f32>>,
    judged: Vec<calibration::Judged>,
}

fn adapted(adapter: Option<&Adapter>, example: &Example) -> Vec<f32> {
    adapter.map_or_else(|| vec![0.0; example.candidates.len()], |adapter| adapter::adapted(adapter, example))
}

/// Of all candidates, with what the adapter adds.
fn evidence(example: &Example, adapted: &[f32]) -> Vec<Evidence> {
    let with_adapted = example.candidates.iter().zip(adapted);
    with_adapted.map(|(candidate, adapted)| Evidence { adapted: *adapted, ..candidate.evidence }).collect()
}

/// `None` for a turn without candidates, which gets no card whatever was learned.
fn judged(model: &Model, example: &Example, adapted: &[f32]) -> Option<calibration::Judged> {
    let sums = model.sums(&evidence(example, adapted), example.question);
    let probabilities = probabilities(&sums, example.question.phrase_reach);
    let best = (0..probabilities.len()).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]))?;
    let mut wanted = example.wanted.clone();
    wanted.log_odds = model.wanted(&wanted, example.question.num_words, example.embedding.as_deref());
    Some(calibration::Judged {
        features: card_features(probabilities[best], &wanted),
        is_wanted: example.is_wanted,
        is_right: example.is_wanted && example.candidates[best].is_right,
    })
}

/// Of all that decides; not of when it was made.
fn version(model: &Model) -> String {
    let parts = (&model.adapter, &model.trees, &model.gate, &model.calibration);
    let written = serde_json::to_vec(&parts).unwrap_or_default();
    blake3::hash(&written).to_hex()[..8].to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::examples::made_up::{DIMENSIONS, examples};
    use crate::feedback::PositionBias;
    use crate::feedback::made_up::shown;

    fn lessons(examples: &[Example]) -> Lessons<'_> {
        Lessons {
            examples: examples.iter().collect(),
            encoder: "encoder".into(),
            dimensions: DIMENSIONS,
            source: Source::Labels,
        }
    }

    #[test]
    fn what_the_formula_can_not_see_is_learned_and_holds_for_turns_not_seen() {
        let all = examples(160);
        let (seen, unseen) = all.split_at(240);
        let model = lessons(seen).learn().unwrap();
        let wanted: Vec<&Example> = unseen.iter().filter(|example| example.is_wanted).collect();
        let first = wanted.iter().filter(|example| right_at(Some(&model), example) == Some(1)).count();
        assert!(first * 10 >= wanted.len() * 9, "{first} of {}", wanted.len());
        let log_odds = |example: &Example| model.wanted(&example.wanted, 3, example.embedding.as_deref()).unwrap();
        assert!(unseen.iter().all(|example| (log_odds(example) > 0.0) == example.is_wanted));
        assert!(model.calibration.is_some());
        assert_eq!((model.trained.wanted_turns, model.trained.quiet_turns), (120, 120));
        let written = model.written().unwrap();
        assert_eq!(Model::read(&written, "encoder").unwrap().version, model.version);
    }

    #[test]
    fn what_agents_accept_is_learned_whether_places_were_swapped_or_not() {
        for (explore, source) in [(0.2, Source::InversePropensity), (0.0, Source::PlaceAsFeature)] {
            let shown = shown(3_000, explore);
            let bias = PositionBias::of(&shown);
            assert_eq!(bias.is_some(), explore > 0.0);
            let all: Vec<Example> = shown.iter().map(|shown| shown.example(bias.as_ref())).collect();
            let (older, newest) = all.split_at(2_400);
            let model = Lessons { source, ..lessons(older) }.learn().unwrap();
            assert!(model.adapter.is_none() && model.gate.is_none() && model.calibration.is_none());
            assert!(model.trees.iter().all(|tree| tree.fits(model.candidate_features.len())));
            let mean = |model: Option<&Model>| {
                let places: Vec<usize> = newest.iter().filter_map(|example| right_at(model, example)).collect();
                places.iter().map(|place| 1.0 / *place as f64).sum::<f64>() / places.len() as f64
            };
            let (formula, learned) = (mean(None), mean(Some(&model)));
            assert!(learned > formula + 0.05 && learned > 0.9, "{source}: {formula} to {learned}");
        }
    }

    #[test]
    fn the_same_data_give_the_same_model() {
        let all = examples(40);
        let versions: Vec<String> = [1, 3]
            .into_iter()
            .map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| lessons(&all).learn().unwrap().version)
            })
            .collect();
        assert_eq!(versions[0], versions[1]);
    }

    #[test]
    fn without_quiet_turns_there_is_no_gate_and_without_wanted_ones_no_model() {
        let all = examples(40);
        let (wanted, quiet): (Vec<_>, Vec<_>) = all.into_iter().partition(|example| example.is_wanted);
        let model = lessons(&wanted).learn().unwrap();
        assert!(model.gate.is_none() && model.calibration.is_none() && model.adapter.is_some());
        assert!(matches!(lessons(&quiet).learn(), Err(TrainError::NothingWanted { turns: 40 })));
        let mut lost = wanted;
        lost.iter_mut().flat_map(|example| &mut example.candidates).for_each(|candidate| candidate.is_right = false);
        assert!(matches!(lessons(&lost).learn(), Err(TrainError::NothingFound { turns: 40 })));
    }
}

//! How much of what was learned counts beside the formula: the less, the fewer labels there are.

use cuecard_engine::ranking::model::{Model, Node};

/// Turns that teach the order from which on all of it counts.
const ENOUGH: usize = 100;
/// What counts of fewer: half and half with the formula.
const OF_FEW: f32 = 0.5;

/// The share of the correction that counts which so many turns teach.
pub fn share(turns: usize) -> f32 {
    if turns < ENOUGH { OF_FEW } else { 1.0 }
}

/// Keeps this share of what a model adds to the formula's sums.
pub fn mix(model: &mut Model, share: f32) {
    let leaves = model.trees.iter_mut().flat_map(|tree| &mut tree.0);
    leaves.for_each(|node| {
        if let Node::Leaf { add } = node {
            *add *= share;
        }
    });
    model.adapter.iter_mut().flat_map(|adapter| &mut adapter.rows).flatten().for_each(|weight| *weight *= share);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::examples::made_up::{DIMENSIONS, examples};
    use crate::train::{Lessons, sums};
    use cuecard_engine::ranking::model::Source;

    #[test]
    fn a_model_of_few_labels_lies_half_way_between_the_formula_and_what_was_learned() {
        let learned = |count: usize| {
            let all = examples(count);
            let source = Source::Labels;
            let lessons =
                Lessons { examples: all.iter().collect(), encoder: String::new(), dimensions: DIMENSIONS, source };
            lessons.learn().unwrap()
        };
        assert_eq!([50, 120].map(|count| learned(count).trained.share), [0.5, 1.0]);
        let (half, example) = (learned(50), examples(60).swap_remove(118));
        let mut whole = half.clone();
        mix(&mut whole, 2.0);
        let of = |model: Option<&Model>| sums(model, &example);
        let (formula, half, whole) = (of(None), of(Some(&half)), of(Some(&whole)));
        assert!((0..formula.len()).any(|place| (whole[place] - formula[place]).abs() > 0.1), "something was learned");
        for place in 0..formula.len() {
            let middle = f64::midpoint(formula[place], whole[place]);
            assert!((half[place] - middle).abs() < 1e-3, "{} for {middle}", half[place]);
        }
    }
}

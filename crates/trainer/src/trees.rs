//! Trees that correct the order: `LambdaMART` (Burges, "From `RankNet` to `LambdaRank` to `LambdaMART`", 2010), which starts from the
//! sums of the formula and its adapter.

use cuecard_engine::ranking::conversation::Evidence;
use cuecard_engine::ranking::model::{Node, Tree, features};
use hessboost::config::GrowPolicy;
use hessboost::objective::LambdaRank;
use hessboost::prelude::*;

use crate::examples::Example;

/// Pairs with one of the first so many are compared: what stands further down nobody sees.
const TRUNCATION: usize = 10;
const TREES: usize = 150;
const LEAVES: usize = 15;
const RATE: f64 = 0.05;
const SEED: u64 = 20_251_128;

/// A turn with what the adapter adds to each of its candidates.
pub struct Adapted<'a> {
    pub example: &'a Example,
    pub adapted: Vec<f32>,
}

impl Adapted<'_> {
    /// The features of all its candidates.
    fn rows(&self) -> Vec<Vec<f32>> {
        let with_adapted = self.example.candidates.iter().zip(&self.adapted);
        let evidence: Vec<Evidence> =
            with_adapted.map(|(candidate, adapted)| Evidence { adapted: *adapted, ..candidate.evidence }).collect();
        features::of_candidates(&evidence, self.example.question)
    }
}

/// The trees that these turns teach; none where they teach nothing.
pub fn learn(turns: &[Adapted<'_>]) -> Result<Vec<Tree>, HessboostError> {
    let teaching: Vec<&Adapted<'_>> = turns.iter().filter(|turn| turn.example.teaches_order()).collect();
    let num_features = features::candidate_features().len();
    let (mut rows, mut labels, mut margins, mut sizes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for turn in &teaching {
        turn.rows().into_iter().for_each(|row| rows.extend(row));
        for (candidate, adapted) in turn.example.candidates.iter().zip(&turn.adapted) {
            labels.push(if candidate.is_right { 1.0 } else { 0.0 });
            margins.push(candidate.evidence.sum() + adapted);
        }
        sizes.push(turn.example.candidates.len());
    }
    if teaching.is_empty() {
        return Ok(Vec::new());
    }
    let model = grow(&rows, &labels, &margins, &sizes, num_features)?;
    Ok(model.trees().iter().map(tree).collect())
}

/// Rows of so many features, each with its label and the score that it has already; `sizes` are those of the questions.
fn grow(
    rows: &[f32],
    labels: &[f32],
    margins: &[f32],
    sizes: &[usize],
    num_features: usize,
) -> Result<BoostedModel, HessboostError> {
    let data = DMatrix::from_dense(rows, labels.len(), num_features)?
        .with_labels(labels)?
        .with_group_sizes(sizes)?
        .with_base_margin(margins)?;
    let parameters = TrainingParams::builder()
        .objective(Objective::RankNdcg(LambdaRank::new(TRUNCATION)?))
        .tree_method(TreeMethod::Hist)
        .grow_policy(GrowPolicy::LossGuide)
        .unlimited_depth()
        .max_leaves(LEAVES)
        .min_child_weight(1.0)
        .eta(RATE)
        .subsample(0.8)
        .colsample_bynode(0.5)
        .seed(SEED)
        .build()?;
    train(&parameters, &data, TREES)
}

fn tree(tree: &hessboost::tree::RegTree) -> Tree {
    let node = |node: &hessboost::tree::Node| {
        if node.is_leaf() {
            Node::Leaf { add: node.leaf_value }
        } else {
            let (low, high) = (node.left as u32, node.right as u32);
            Node::Split { feature: node.split_feature, below: node.split_cond, low, high }
        }
    };
    Tree(tree.nodes().iter().map(node).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::examples::made_up::examples;

    #[test]
    fn the_trees_say_what_the_library_says() {
        let examples = examples(60);
        let turns: Vec<Adapted<'_>> =
            examples.iter().map(|example| Adapted { example, adapted: vec![0.0; example.candidates.len()] }).collect();
        let rows: Vec<Vec<f32>> = turns.iter().flat_map(Adapted::rows).collect();
        let labels: Vec<f32> = (0..rows.len()).map(|row| if row % 6 == row / 6 % 6 { 1.0 } else { 0.0 }).collect();
        let margins = vec![0.0; rows.len()];
        let (flat, num_features) = (rows.concat(), rows[0].len());
        let model = grow(&flat, &labels, &margins, &vec![6; rows.len() / 6], num_features).unwrap();
        let trees: Vec<Tree> = model.trees().iter().map(tree).collect();
        assert!(trees.iter().any(|tree| tree.0.len() > 1), "something was learned");
        let mut seen = std::collections::BTreeSet::new();
        for row in &rows {
            let ours: f32 = trees.iter().map(|tree| tree.value(row)).sum();
            let theirs = model.predict_margin_row(row, Iterations::Best).unwrap();
            assert!((ours - (theirs - model.base_score())).abs() < 1e-4, "{ours} {theirs}");
            seen.insert((ours * 1e4) as i64);
        }
        assert!(seen.len() > 1, "rows are told apart");
    }
}

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
    let data = DMatrix::from_dense(&rows, labels.len(), num_features)?
        .with_labels(&labels)?
        .with_group_sizes(&sizes)?
        .with_base_margin(&margins)?;
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
    let model = train(&parameters, &data, TREES)?;
    Ok(model.trees().iter().map(tree).collect())
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

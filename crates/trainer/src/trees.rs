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

/// The rank of a candidate where it tells nothing, and where a card is to be judged.
const FIRST: f32 = 0.0;

/// A turn with what the adapter adds to each of its candidates.
pub struct Adapted<'a> {
    pub example: &'a Example,
    pub adapted: Vec<f32>,
}

impl Adapted<'_> {
    fn has_screen_ranks(&self) -> bool {
        self.example.candidates.iter().any(|candidate| candidate.screen_rank.is_some())
    }

    /// The features of all its candidates, where wanted with the rank on the screen as the last.
    fn rows(&self, with_screen_ranks: bool) -> Vec<Vec<f32>> {
        let with_adapted = self.example.candidates.iter().zip(&self.adapted);
        let evidence: Vec<Evidence> =
            with_adapted.map(|(candidate, adapted)| Evidence { adapted: *adapted, ..candidate.evidence }).collect();
        let mut rows = features::of_candidates(&evidence, self.example.question);
        for (row, candidate) in rows.iter_mut().zip(&self.example.candidates).filter(|_| with_screen_ranks) {
            row.push(candidate.screen_rank.map_or(FIRST, |rank| rank as f32));
        }
        rows
    }
}

/// The trees that these turns teach; none where they teach nothing.
pub fn learn(turns: &[Adapted<'_>]) -> Result<Vec<Tree>, HessboostError> {
    let teaching: Vec<&Adapted<'_>> = turns.iter().filter(|turn| turn.example.teaches_order()).collect();
    let with_screen_ranks = teaching.iter().any(|turn| turn.has_screen_ranks());
    let mut table = Table::default();
    for turn in &teaching {
        turn.rows(with_screen_ranks).into_iter().for_each(|row| table.rows.extend(row));
        for (candidate, adapted) in turn.example.candidates.iter().zip(&turn.adapted) {
            table.labels.push(if candidate.is_right { 1.0 } else { 0.0 });
            table.margins.push(candidate.evidence.sum() + adapted);
        }
        table.sizes.push(turn.example.candidates.len());
        table.weights.push(turn.example.weight);
    }
    if teaching.is_empty() {
        return Ok(Vec::new());
    }
    let screen_rank = features::candidate_features().len();
    let model = grow(&table, screen_rank + usize::from(with_screen_ranks))?;
    Ok(model.trees().iter().map(|grown| ranked_first(&tree(grown), screen_rank as u32)).collect())
}

/// What trees are grown from: candidates, question by question.
#[derive(Default)]
struct Table {
    /// The features of all, one row behind the other.
    rows: Vec<f32>,
    labels: Vec<f32>,
    /// The score that each has already.
    margins: Vec<f32>,
    /// Candidates of each question.
    sizes: Vec<usize>,
    /// Of each question.
    weights: Vec<f32>,
}

fn grow(table: &Table, num_features: usize) -> Result<BoostedModel, HessboostError> {
    let data = DMatrix::from_dense(&table.rows, table.labels.len(), num_features)?
        .with_labels(&table.labels)?
        .with_group_sizes(&table.sizes)?
        .with_group_weights(&table.weights)?
        .with_base_margin(&table.margins)?;
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

/// The same tree for candidates that all stand first on the screen: what asks for that feature has its answer.
fn ranked_first(tree: &Tree, screen_rank: u32) -> Tree {
    let mut nodes = Vec::with_capacity(tree.0.len());
    copy(&tree.0, 0, screen_rank, &mut nodes);
    Tree(nodes)
}

/// Copies a node and all below it; gives its number.
fn copy(from: &[Node], number: usize, screen_rank: u32, to: &mut Vec<Node>) -> u32 {
    match from[number] {
        Node::Split { feature, below, low, high } if feature == screen_rank => {
            let next = if FIRST < below { low } else { high };
            copy(from, next as usize, screen_rank, to)
        }
        Node::Leaf { .. } => {
            to.push(from[number]);
            to.len() as u32 - 1
        }
        Node::Split { feature, below, low, high } => {
            let own = to.len();
            to.push(from[number]);
            let (low, high) = (copy(from, low as usize, screen_rank, to), copy(from, high as usize, screen_rank, to));
            to[own] = Node::Split { feature, below, low, high };
            own as u32
        }
    }
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
        let rows: Vec<Vec<f32>> = turns.iter().flat_map(|turn| turn.rows(false)).collect();
        let table = Table {
            rows: rows.concat(),
            labels: (0..rows.len()).map(|row| if row % 6 == row / 6 % 6 { 1.0 } else { 0.0 }).collect(),
            margins: vec![0.0; rows.len()],
            sizes: vec![6; rows.len() / 6],
            weights: vec![1.0; rows.len() / 6],
        };
        let model = grow(&table, rows[0].len()).unwrap();
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
    #[test]
    fn a_tree_that_asks_for_the_rank_on_the_screen_has_its_answer() {
        let leaf = |add| Node::Leaf { add };
        let asks = Tree(vec![
            Node::Split { feature: 0, below: 0.5, low: 1, high: 2 },
            Node::Split { feature: 7, below: 0.5, low: 3, high: 4 },
            Node::Split { feature: 7, below: -1.0, low: 5, high: 6 },
            leaf(1.0),
            leaf(2.0),
            leaf(3.0),
            leaf(4.0),
        ]);
        let fixed = ranked_first(&asks, 7);
        assert_eq!(fixed.0.len(), 3);
        assert_eq!([0.0, 1.0].map(|value| fixed.value(&[value])), [1.0, 4.0]);
        assert_eq!(ranked_first(&Tree(vec![leaf(1.0)]), 7), Tree(vec![leaf(1.0)]));
    }
}

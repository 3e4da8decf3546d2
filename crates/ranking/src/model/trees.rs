//! Decision trees, each of which adds to a score.

use serde::{Deserialize, Serialize};

/// One tree. The first node is the root; a child always stands behind its parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tree(pub Vec<Node>);

/// A node of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Node {
    /// Asks one feature.
    Split {
        /// The number of the feature; its name in a file.
        #[serde(with = "by_name")]
        feature: u32,
        /// Values below it go to `low`, others to `high`.
        below: f32,
        /// The number of a node.
        low: u32,
        /// The number of a node.
        high: u32,
    },
    /// Adds to the score.
    Leaf {
        /// How much.
        add: f32,
    },
}

/// A file says which feature is meant, and not where it stands among the others.
mod by_name {
    use std::sync::LazyLock;

    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::model::features::candidate_features;

    static NAMES: LazyLock<Vec<String>> = LazyLock::new(candidate_features);

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde gives")]
    pub fn serialize<S: Serializer>(feature: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        let name = NAMES.get(*feature as usize);
        name.ok_or_else(|| S::Error::custom(format!("there is no feature {feature}")))?.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let name = String::deserialize(deserializer)?;
        let place = NAMES.iter().position(|known| *known == name);
        place.map(|place| place as u32).ok_or_else(|| D::Error::custom(format!("there is no feature `{name}`")))
    }
}

impl Tree {
    /// What it adds for these features.
    pub fn value(&self, features: &[f32]) -> f32 {
        let mut place = 0;
        loop {
            match self.0.get(place) {
                Some(Node::Split { feature, below, low, high }) => {
                    let value = features.get(*feature as usize).copied().unwrap_or_default();
                    place = if value < *below { *low as usize } else { *high as usize };
                }
                Some(Node::Leaf { add }) => return *add,
                None => return 0.0,
            }
        }
    }

    /// Whether every node asks one of so many features and leads on to nodes that exist.
    pub fn fits(&self, num_features: usize) -> bool {
        let is_sound = |(place, node): (usize, &Node)| match node {
            Node::Leaf { add } => add.is_finite(),
            Node::Split { feature, below, low, high } => {
                let leads_on = |child: u32| (child as usize) > place && (child as usize) < self.0.len();
                (*feature as usize) < num_features && !below.is_nan() && leads_on(*low) && leads_on(*high)
            }
        };
        !self.0.is_empty() && self.0.iter().enumerate().all(is_sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree(vec![
            Node::Split { feature: 1, below: 0.5, low: 1, high: 2 },
            Node::Leaf { add: -1.0 },
            Node::Leaf { add: 2.0 },
        ])
    }

    #[test]
    fn values_below_go_one_way_and_others_the_other() {
        assert_eq!([0.4, 0.5, 0.6].map(|value| tree().value(&[9.0, value])), [-1.0, 2.0, 2.0]);
    }

    #[test]
    fn a_tree_that_leads_nowhere_or_asks_what_nobody_knows_does_not_fit() {
        assert!(tree().fits(2) && !tree().fits(1) && !Tree(Vec::new()).fits(2));
        let mut circle = tree();
        circle.0[2] = Node::Split { feature: 0, below: 0.0, low: 0, high: 1 };
        assert!(!circle.fits(2));
    }
}

//! What each part of an article's score gave it: its weight times its value, and what people decided on top.
//!
//! Read from the record of a decision, where the parts stand without their weights.

use std::borrow::Cow;

use cuecard_ranking::Feature;
use cuecard_ranking::conversation::part;

use crate::order::{Order, Ranked};
use crate::rules::BOOST;

/// A part of a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// Its name among the features of a candidate.
    pub name: Cow<'static, str>,
    /// What it says of the article, in words.
    pub says: Cow<'static, str>,
    /// What it adds to the sum, in log-odds.
    pub adds: f64,
}

impl Contribution {
    fn of(feature: &Feature) -> Option<Self> {
        let (adds, says) = match (part(&feature.name), feature.name.strip_prefix(BOOST)) {
            (Some((weight, says)), _) => (f64::from(weight) * feature.value, Cow::Borrowed(says)),
            (None, Some(boost)) => (feature.value, Cow::Owned(format!("the settings boost it, {boost}"))),
            (None, None) => return None,
        };
        // To the same decimal as the part itself.
        let Feature { name, value: adds } = Feature::new(feature.name.clone(), adds);
        Some(Self { name, says, adds })
    }
}

/// The parts of an article's score, the largest first; none where the ranker's score is no sum of parts.
pub fn contributions(ranked: &Ranked, order: &Order) -> Vec<Contribution> {
    if !order.ranker.gives_probabilities() {
        return Vec::new();
    }
    let mut parts: Vec<_> = ranked.features.iter().filter_map(Contribution::of).collect();
    largest_first(&mut parts);
    parts
}

/// What each part says for an article beside another, the largest first.
pub(crate) fn differences(ranked: &Ranked, other: &Ranked, order: &Order) -> Vec<Contribution> {
    let (mut parts, others) = (contributions(ranked, order), contributions(other, order));
    for other in others {
        match parts.iter_mut().find(|part| part.name == other.name) {
            Some(part) => part.adds -= other.adds,
            None => parts.push(Contribution { adds: -other.adds, ..other }),
        }
    }
    largest_first(&mut parts);
    parts
}

fn largest_first(parts: &mut [Contribution]) {
    parts.sort_by(|a, b| b.adds.abs().total_cmp(&a.adds.abs()));
}

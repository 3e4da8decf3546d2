//! What agents did with the cards that they saw, as turns to learn from.
//!
//! A card that stands further down is looked at less, so fewer are accepted there whatever they say. Where places were swapped
//! now and then, and how probable each place was is on record, [`PositionBias`] tells how much less, and an accepted card counts
//! for as many as were overlooked there (inverse propensity: Joachims, Swaminathan and Schnabel, "Unbiased
//! Learning-to-Rank with Biased Feedback", 2017). Where they were not, the trees learn with the place as a feature, which
//! is then fixed to the first.

use cuecard_engine::ranking::conversation::Evidence;
use cuecard_engine::ranking::{Baseline, QuestionSigns, TurnSigns, Wanted};

use crate::examples::{CandidateExample, Example};

/// No place is taken to be overlooked more than this.
const LEAST_LOOKED_AT: f64 = 0.2;
/// A place of less than this was come to by a swap.
const BY_SWAP: f64 = 0.5;
/// Accepted cards at each of two neighbouring places that came there by a swap, without which nothing is told of them: the
/// ranker's own order puts better cards further up, and tells nothing.
const FEWEST: usize = 10;

/// The cards of a push, of which an agent judged one at least.
#[derive(Debug, Clone)]
pub struct ShownCards {
    /// The id of the call.
    pub dialogue: String,
    /// Of the question.
    pub question: QuestionSigns,
    /// The embedding of the newest customer turn, where it was kept.
    pub vector: Option<Vec<f32>>,
    /// From the top.
    pub cards: Vec<ShownCard>,
}

/// A card as an agent saw it.
#[derive(Debug, Clone)]
pub struct ShownCard {
    /// What the call said for it.
    pub evidence: Evidence,
    /// Of its nearest passage, where the question's was kept.
    pub embedding: Option<Vec<f32>>,
    /// Whether its article is still there; of one that is gone nothing can be learned that is of use.
    pub is_known: bool,
    /// How probable its place was, where places were swapped.
    pub propensity: Option<f64>,
    /// Whether the agent accepted it; what nobody judged was not.
    pub is_accepted: bool,
}

impl ShownCards {
    /// As a turn to learn from. Cards whose articles are gone are left out; the others stand where they stood.
    pub fn example(&self, bias: Option<&PositionBias>) -> Example {
        let known = || self.cards.iter().enumerate().filter(|(_, card)| card.is_known);
        let candidate = |(place, card): (usize, &ShownCard)| CandidateExample {
            evidence: card.evidence,
            embedding: card.embedding.clone(),
            is_right: card.is_accepted,
            screen_rank: bias.is_none().then_some(place),
        };
        let accepted = known().filter(|(_, card)| card.is_accepted).map(|(place, _)| place);
        Example {
            dialogue: self.dialogue.clone(),
            is_wanted: true,
            candidates: known().map(candidate).collect(),
            question: self.question,
            embedding: self.vector.clone(),
            wanted: Wanted::of("", TurnSigns::default(), &Baseline::default()),
            weight: bias.map_or(1.0, |bias| mean(accepted.map(|place| bias.weight(place)))),
        }
    }

    /// The cards in the order of the ranker, by place: what a swap moved is where it was before.
    fn place_before(&self, place: usize) -> usize {
        let is_swapped =
            |place: usize| self.cards.get(place).is_some_and(|card| card.propensity.is_some_and(|p| p < BY_SWAP));
        match (is_swapped(place), place > 0 && is_swapped(place - 1)) {
            (true, true) => place - 1,
            (true, false) => place + 1,
            (false, _) => place,
        }
    }
}

/// How much agents look at each place, beside the second: what only the first two places could tell is not asked, since the
/// first card is never swapped.
#[derive(Debug, Clone, PartialEq)]
pub struct PositionBias(Vec<f64>);

impl PositionBias {
    /// From cards whose places were swapped; `None` where none were, or too few to tell anything.
    pub fn of(shown: &[ShownCards]) -> Option<Self> {
        let places = shown.iter().map(|shown| shown.cards.len()).max()?;
        let mut looked_at: Vec<f64> = vec![1.0, 1.0];
        for place in 2..places {
            // What is not told is taken to be looked at as the place above.
            let Some(ratio) = ratio(shown, place - 1) else { break };
            looked_at.push((looked_at[place - 1] * ratio).max(LEAST_LOOKED_AT));
        }
        (looked_at.len() > 2).then_some(Self(looked_at))
    }

    /// How many an accepted card stands for that came at this place, from 0.
    fn weight(&self, place: usize) -> f32 {
        let looked_at = self.0.get(place).or(self.0.last()).copied().unwrap_or(1.0);
        (1.0 / looked_at) as f32
    }
}

/// How much less the lower of two neighbouring places is looked at: what is accepted of the same articles at both, each
/// counted by how seldom it came there.
fn ratio(shown: &[ShownCards], upper: usize) -> Option<f64> {
    let (mut accepted, mut swapped) = ([0.0; 2], [0; 2]);
    for shown in shown {
        for (side, place) in [upper, upper + 1].into_iter().enumerate() {
            let Some(card) = shown.cards.get(place).filter(|card| card.is_accepted) else { continue };
            let is_of_pair = (upper..=upper + 1).contains(&shown.place_before(place)) && shown.cards.len() > upper + 1;
            if let (true, Some(propensity)) = (is_of_pair, card.propensity) {
                accepted[side] += 1.0 / propensity;
                swapped[side] += usize::from(propensity < BY_SWAP);
            }
        }
    }
    let is_told = swapped.iter().all(|swapped| *swapped >= FEWEST);
    is_told.then(|| (accepted[1] / accepted[0]).min(1.0))
}

/// 1 of nothing.
fn mean(weights: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = weights.fold((0.0, 0.0), |(sum, count), weight| (sum + weight, count + 1.0));
    if count > 0.0 { sum / count } else { 1.0 }
}

#[cfg(test)]
pub mod made_up {
    //! Agents who look at each place with a known chance and accept what is right.

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::{Evidence, QuestionSigns, ShownCard, ShownCards};

    pub const LOOKED_AT: [f64; 4] = [1.0, 1.0, 0.6, 0.3];

    /// So many pushes of four cards, of which `named` tells the right one, and the formula orders by the place.
    pub fn shown(count: usize, explore: f64) -> Vec<ShownCards> {
        let mut random = StdRng::seed_from_u64(3);
        (0..count).map(|number| push(number, explore, &mut random)).collect()
    }

    fn push(number: usize, explore: f64, random: &mut StdRng) -> ShownCards {
        let right = random.random_range(0..4);
        let mut cards: Vec<(bool, f64)> = (0..4).map(|place| (place == right, 1.0)).collect();
        if explore > 0.0 {
            let of_pair = explore / 2.0;
            for (place, pairs) in [(1, 1.0), (2, 2.0), (3, 1.0)] {
                cards[place].1 -= pairs * of_pair;
            }
            if random.random_bool(explore) {
                let first = random.random_range(1..3);
                cards.swap(first, first + 1);
                (cards[first].1, cards[first + 1].1) = (of_pair, of_pair);
            }
        }
        let card = |(place, (is_right, propensity)): (usize, (bool, f64))| ShownCard {
            evidence: Evidence {
                newest_cosine: 0.5 - 0.02 * place as f32,
                named: if is_right { 0.1 } else { 0.0 },
                ..Evidence::default()
            },
            embedding: None,
            is_known: true,
            propensity: (explore > 0.0).then_some(propensity),
            is_accepted: is_right && random.random_bool(LOOKED_AT[place]),
        };
        ShownCards {
            dialogue: format!("call-{number}"),
            question: QuestionSigns { num_words: 5, num_turns: 3, phrase_reach: 0.0 },
            vector: None,
            cards: cards.into_iter().enumerate().map(card).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::made_up::{LOOKED_AT, shown};
    use super::*;

    #[test]
    fn swaps_tell_how_much_each_place_is_looked_at() {
        let PositionBias(told) = PositionBias::of(&shown(60_000, 0.2)).unwrap();
        for (told, true_value) in told.iter().zip(LOOKED_AT) {
            assert!((told - true_value).abs() < 0.06, "{told} for {true_value}");
        }
    }

    #[test]
    fn without_swaps_or_with_few_nothing_is_told() {
        assert_eq!(PositionBias::of(&shown(1_000, 0.0)), None);
        assert_eq!(PositionBias::of(&shown(5, 0.2)), None);
        assert_eq!(PositionBias::of(&[]), None);
        // Swaps were offered, and of what they brought nothing was accepted.
        let mut unswapped = shown(2_000, 0.2);
        let swapped = |card: &&mut ShownCard| card.propensity.is_some_and(|propensity| propensity < BY_SWAP);
        unswapped
            .iter_mut()
            .flat_map(|shown| &mut shown.cards)
            .filter(swapped)
            .for_each(|card| card.is_accepted = false);
        assert_eq!(PositionBias::of(&unswapped), None);
        // The last place is never accepted: those above still tell.
        let mut top = shown(60_000, 0.2);
        for shown in &mut top {
            shown.cards[3].is_accepted = false;
        }
        assert_eq!(PositionBias::of(&top).unwrap().0.len(), 3);
    }

    #[test]
    fn an_accepted_card_counts_for_those_that_were_overlooked_or_has_its_place() {
        let bias = PositionBias(vec![1.0, 1.0, 0.5]);
        let mut pushed = shown(1, 0.0).remove(0);
        pushed.cards.iter_mut().enumerate().for_each(|(place, card)| card.is_accepted = place == 3);
        let example = pushed.example(Some(&bias));
        assert_eq!(
            (example.weight, example.candidates[3].screen_rank),
            (2.0, None),
            "the last known stands for those below"
        );
        pushed.cards[0].is_accepted = true;
        assert!((pushed.example(Some(&bias)).weight - 1.5).abs() < 1e-6, "the mean of both");
        pushed.cards[0].is_accepted = false;
        let example = pushed.example(None);
        assert_eq!((example.weight, example.candidates[3].screen_rank), (1.0, Some(3)));
        assert!(example.candidates[3].is_right && example.teaches_order());
    }

    #[test]
    fn a_card_whose_article_is_gone_is_left_out_and_the_others_stand_where_they_stood() {
        let mut pushed = shown(1, 0.0).remove(0);
        pushed.cards.iter_mut().enumerate().for_each(|(place, card)| card.is_accepted = [1, 3].contains(&place));
        pushed.cards[1].is_known = false;
        let example = pushed.example(None);
        let places: Vec<_> = example.candidates.iter().map(|it| (it.screen_rank.unwrap(), it.is_right)).collect();
        assert_eq!(places, [(0, false), (2, false), (3, true)]);
        let bias = PositionBias(vec![1.0, 1.0, 0.5]);
        assert!((pushed.example(Some(&bias)).weight - 2.0).abs() < 1e-6, "what is gone weighs nothing");
    }
}

//! The ranker `conversation`: a weighted sum of what the whole call says for an article.
//!
//! Each part has one scale over all questions and all knowledge bases, so that one set of weights serves them all. The
//! weights were tuned on labelled conversations of three knowledge bases; docs/ranking.md says in words what each part means.

use crate::Feature;

/// What the call says for one article.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Evidence {
    /// Cosine of the newest customer turn and the article's nearest passage.
    pub newest_cosine: f32,
    /// Cosine of the call, as a weighted mean of its turns, and the article's nearest passage.
    pub call_cosine: f32,
    /// Share of the newest customer turn's words that the article has, 0 to about 1.
    pub newest_words: f32,
    /// The same of the words of the call, the newest ones weighing most.
    pub call_words: f32,
    /// The same of the words of the call in the article's title and tags.
    pub title_words: f32,
    /// How clearly, and how lately, the article's entity was named, 0 to about 1.
    pub named: f32,
    /// How clearly another entity was named that has an article on the same question, 0 to about 1.
    pub contradicted: f32,
    /// How clearly the article's domain was named, for an article without an entity, 0 to about 1.
    pub domain_named: f32,
    /// 1 where the article is about an entity.
    pub has_entity: f32,
    /// The best that an article of the same group has to offer, see [`offer`].
    pub group: f32,
}

/// One part of the sum.
struct Part {
    name: &'static str,
    weight: f32,
    of: fn(&Evidence) -> f32,
}

const PARTS: [Part; 10] = [
    Part { name: "newest_cosine", weight: 1.3, of: |evidence| evidence.newest_cosine },
    Part { name: "call_cosine", weight: 0.2, of: |evidence| evidence.call_cosine },
    Part { name: "newest_words", weight: 0.25, of: |evidence| evidence.newest_words },
    Part { name: "call_words", weight: 0.7, of: |evidence| evidence.call_words },
    Part { name: "title_words", weight: 1.2, of: |evidence| evidence.title_words },
    Part { name: "named", weight: 0.4, of: |evidence| evidence.named },
    Part { name: "contradicted", weight: -4.0, of: |evidence| evidence.contradicted },
    Part { name: "domain_named", weight: 0.5, of: |evidence| evidence.domain_named },
    Part { name: "has_entity", weight: -0.15, of: |evidence| evidence.has_entity },
    Part { name: "group", weight: 0.8, of: |evidence| evidence.group },
];

/// Weight of the words within what an article offers its group.
const GROUP_WORDS: f32 = 1.2;

/// What a turn of the call weighs less than the one after it: as a part of the call's meaning, as the place of a word,
/// and as the place of a name.
const CALL_DECAY: f32 = 0.95;
const WORD_DECAY: f32 = 0.8;
const NAME_DECAY: f32 = 0.92;

/// More words than this give a turn no more weight in the call.
const CALL_WORDS: usize = 40;

/// What an agent names is what both have agreed on.
const NAMED_BY_AGENT: f32 = 1.1;

impl Evidence {
    /// What orders: the sum of all parts.
    pub fn sum(&self) -> f32 {
        PARTS.iter().map(|part| part.weight * (part.of)(self)).sum()
    }

    /// The parts by name, unweighted.
    pub fn features(&self) -> Vec<Feature> {
        PARTS.iter().map(|part| Feature { name: part.name.into(), value: f64::from((part.of)(self)) }).collect()
    }
}

/// What an article has to offer its group: its closeness to the call and the share of the call's words that it has.
pub fn offer(call_cosine: f32, call_words: f32) -> f32 {
    call_cosine + GROUP_WORDS * call_words
}

/// How sharply a better sum tells, and the sum of "none of these", both fitted on labelled conversations of three knowledge
/// bases.
const SHARPNESS: f64 = 10.0;
const NONE_OF_THESE: f64 = 1.0;

/// For each candidate the probability that it answers, where one of them does at most: 0 to 1, the higher the higher its sum.
pub fn probabilities(sums: &[f64]) -> Vec<f64> {
    let highest = sums.iter().copied().fold(NONE_OF_THESE, f64::max);
    let odds = |sum: f64| (SHARPNESS * (sum - highest)).exp();
    let all: f64 = odds(NONE_OF_THESE) + sums.iter().map(|sum| odds(*sum)).sum::<f64>();
    sums.iter().map(|sum| odds(*sum) / all).collect()
}

/// The weight in the call of a turn of so many words, so many turns before the newest.
pub fn turn_weight(turns_back: usize, num_words: usize) -> f32 {
    decayed(CALL_DECAY, turns_back) * num_words.min(CALL_WORDS) as f32
}

/// The weight in the call of a word whose newest mention is so many turns back.
pub fn word_weight(turns_back: usize) -> f32 {
    decayed(WORD_DECAY, turns_back)
}

/// The weight of a name that was said so many turns back.
pub fn name_weight(turns_back: usize, by_agent: bool) -> f32 {
    decayed(NAME_DECAY, turns_back) * if by_agent { NAMED_BY_AGENT } else { 1.0 }
}

fn decayed(decay: f32, turns_back: usize) -> f32 {
    decay.powi(turns_back.try_into().unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_weighted_parts() {
        let evidence = Evidence { newest_cosine: 0.5, named: 1.0, contradicted: 0.25, ..Evidence::default() };
        assert!((evidence.sum() - (1.3 * 0.5 + 0.4 - 1.0)).abs() < 1e-6);
        let features = evidence.features();
        assert_eq!((features.len(), features[6].name.as_ref(), features[6].value), (10, "contradicted", 0.25));
    }

    #[test]
    fn a_candidate_is_the_likelier_the_more_it_stands_out() {
        let clear = probabilities(&[2.0, 1.2, 1.1]);
        let unclear = probabilities(&[2.0, 1.95, 1.9]);
        assert!(clear[0] > 0.95 && unclear[0] < 0.6, "{clear:?} {unclear:?}");
        assert!(probabilities(&[0.2])[0] < 0.01, "alone and far off");
        assert!(probabilities(&[]).is_empty());
        let spread = probabilities(&[9.0, 3.0, -20.0]);
        assert!(
            spread.is_sorted_by(|a, b| a > b) && spread[2] > 0.0 && spread.iter().sum::<f64>() <= 1.0,
            "{spread:?}"
        );
    }

    #[test]
    fn what_lies_back_weighs_less_and_long_turns_weigh_no_more() {
        assert!(turn_weight(1, 10) < turn_weight(0, 10) && turn_weight(0, 40) == turn_weight(0, 4_000));
        assert!(word_weight(0) == 1.0 && word_weight(3) < word_weight(2));
        assert!(name_weight(1, true) > name_weight(1, false) && name_weight(usize::MAX, true) == 0.0);
    }
}

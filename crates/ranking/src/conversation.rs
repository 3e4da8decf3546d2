//! The ranker `conversation`: a weighted sum of what the whole call says for an article.
//!
//! Each part has one scale over all questions and all knowledge bases, so that one set of weights serves them all. The
//! weights were tuned on labelled conversations of three knowledge bases, those that read phrases on one; docs/ranking.md says in words what each part means.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::value::MapDeserializer;

use crate::Feature;

/// What the call says for one article.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct Evidence {
    /// Cosine of the newest customer turn and the article's nearest passage.
    pub newest_cosine: f32,
    /// The same once more, as far as the articles say how customers ask: see [`phrased`].
    pub phrased_cosine: f32,
    /// Cosine of the call, as a weighted mean of its turns, and the article's nearest passage.
    pub call_cosine: f32,
    /// The same once more, as far as the articles say how customers ask: see [`phrased`].
    pub phrased_call: f32,
    /// Cosine of what the newest customer turn says beside the name in it and the nearest sentence of the article.
    pub sentence_cosine: f32,
    /// Share of the newest customer turn's words that the article has, 0 to about 1.
    pub newest_words: f32,
    /// The same of the words of the call, the newest ones weighing most, as far as the newest turn says little by itself: see
    /// [`unsaid`].
    pub call_words: f32,
    /// The same of the customer's words in the article's heading, the title without the names in it, and its tags.
    pub heading_words: f32,
    /// How much the words of the call speak for the article, by the phrases in which articles say how customers ask, beside the
    /// mean of all: log-odds, see [`phrase_weight`].
    pub phrased_words: f32,
    /// For an article that says nothing of how customers ask: what those that do gain because they have so many phrases that one is
    /// like almost any question. 0 for these, and where none has any.
    pub unphrased: f32,
    /// How clearly, and how lately, the article's entity was named, 0 to about 1.
    pub named: f32,
    /// How clearly another entity was named that has an article on the same question, 0 to about 1.
    pub contradicted: f32,
    /// Where the newest turn names a domain: 1 for its articles, -1 for those of others.
    pub domain: f32,
    /// The best that an article of the same group has to offer for the call, see [`offer`].
    pub group_call: f32,
    /// The best cosine of the newest customer turn and an article of the same group.
    pub group_newest: f32,
    /// The best that an article of the same group has to offer for what the agent said last before the newest customer turn.
    pub group_agent: f32,
    /// How near the article lies to all others: what is near to everything answers nothing in particular.
    pub centrality: f32,
    /// What a learned adapter makes of the question, beside the article's nearest passage: log-odds, 0 without a model.
    #[serde(skip)]
    pub adapted: f32,
}

/// One part of the sum.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// In words.
    says: &'static str,
    weight: f32,
    pub(crate) of: fn(&Evidence) -> f32,
}

/// Weights in log-odds, fitted together on labelled conversations of three knowledge bases; those of the four parts about phrases
/// on the one whose articles have some.
pub(crate) const PARTS: [Part; 17] = [
    Part {
        name: "newest_cosine",
        says: "the newest turn means something like its nearest passage",
        weight: 17.0,
        of: |evidence| evidence.newest_cosine,
    },
    Part {
        name: "phrased_cosine",
        says: "the articles say how customers ask, and the newest turn is like it",
        weight: 15.0,
        of: |evidence| evidence.phrased_cosine,
    },
    Part {
        name: "call_cosine",
        says: "the whole call is like its nearest passage",
        weight: -1.0,
        of: |evidence| evidence.call_cosine,
    },
    Part {
        name: "phrased_call",
        says: "the articles say how customers ask, and the whole call is like it",
        weight: 13.0,
        of: |evidence| evidence.phrased_call,
    },
    Part {
        name: "sentence_cosine",
        says: "what the turn asks means something like one of its sentences",
        weight: 4.0,
        of: |evidence| evidence.sentence_cosine,
    },
    Part {
        name: "newest_words",
        says: "it has rare words of the newest turn",
        weight: 2.0,
        of: |evidence| evidence.newest_words,
    },
    Part {
        name: "call_words",
        says: "it has rare words of the call",
        weight: 12.0,
        of: |evidence| evidence.call_words,
    },
    Part {
        name: "heading_words",
        says: "its heading, tags or phrases have the customer's words",
        weight: 12.0,
        of: |evidence| evidence.heading_words,
    },
    Part {
        name: "phrased_words",
        says: "customers who ask for it say what was said",
        weight: 3.0,
        of: |evidence| evidence.phrased_words,
    },
    Part {
        name: "unphrased",
        says: "it has no phrases, where others have so many that one is like almost any question",
        weight: 2.7,
        of: |evidence| evidence.unphrased,
    },
    Part { name: "named", says: "its entity was named", weight: 2.0, of: |evidence| evidence.named },
    Part {
        name: "contradicted",
        says: "another entity was named that has an article on the same question",
        weight: -14.0,
        of: |evidence| evidence.contradicted,
    },
    Part { name: "domain", says: "the word of its domain was said", weight: 1.0, of: |evidence| evidence.domain },
    Part { name: "group_call", says: "its group fits the call", weight: 12.0, of: |evidence| evidence.group_call },
    Part {
        name: "group_newest",
        says: "the newest turn fits its whole group",
        weight: -11.0,
        of: |evidence| evidence.group_newest,
    },
    Part {
        name: "group_agent",
        says: "its group fits what the agent said last",
        weight: 2.5,
        of: |evidence| evidence.group_agent,
    },
    Part { name: "centrality", says: "it is near to everything", weight: -6.0, of: |evidence| evidence.centrality },
];

/// What a model adds to the sum, among its parts.
pub const LEARNED: &str = "learned";
const SAYS_LEARNED: &str = "what was learned from other calls";

/// The weight of a part by its name, and what it says in words.
pub fn part(name: &str) -> Option<(f32, &'static str)> {
    let learned = (name == LEARNED).then_some((1.0, SAYS_LEARNED));
    PARTS.iter().find(|part| part.name == name).map(|part| (part.weight, part.says)).or(learned)
}

/// Weight of the words within what an article offers its group.
const OFFERED_WORDS: f32 = 1.2;

/// What a turn of the call weighs less than the one after it: as a part of the call's meaning, as the place of a word,
/// and as the place of a name.
const CALL_DECAY: f32 = 0.95;
const WORD_DECAY: f32 = 0.8;
const NAME_DECAY: f32 = 0.97;

/// More words than this give a turn no more weight in the call.
const CALL_WORDS: usize = 40;

/// What an agent names is what both have agreed on; what the newest turn names is what it is about.
const NAMED_BY_AGENT: f32 = 1.1;
const NAMED_NOW: f32 = 1.3;
/// A name of which half is said is not half named.
const NAMED_IN_PART: f32 = 1.5;

/// An agent takes up the customer's words, and says others beside them.
const SAID_BY_AGENT: f32 = 0.5;

/// A cosine that speaks neither for an article nor against it.
const UNRELATED: f32 = 0.5;

/// A newest turn whose nearest passage has this cosine leaves all, or nothing, to what was said before.
const SAYS_NOTHING: f32 = 0.4;
const SAYS_ALL: f32 = 0.8;

impl Evidence {
    /// What orders: the sum of all parts.
    #[inline]
    pub fn sum(&self) -> f32 {
        PARTS.iter().map(|part| part.weight * (part.of)(self)).sum()
    }

    /// From its parts by name; an error names one that is missing. What is not a part is not read.
    pub fn of_features(features: &BTreeMap<String, f64>) -> Result<Self, serde::de::value::Error> {
        let parts = features.iter().map(|(name, value)| (name.as_str(), *value as f32));
        Self::deserialize(MapDeserializer::new(parts))
    }

    /// The parts by name, unweighted.
    pub fn features(&self) -> Vec<Feature> {
        PARTS.iter().map(|part| Feature::new(part.name, f64::from((part.of)(self)))).collect()
    }
}

/// By how much the cosine of a turn, or of the call, with an article's nearest passage is above [`UNRELATED`], times how far the
/// articles' phrases can be trusted, 0 to 1. Where talk is compared with talk, its meaning can be trusted further than where it is
/// compared with what was written to be read.
pub fn phrased(cosine: f32, phrase_reach: f32) -> f32 {
    phrase_reach * (cosine - UNRELATED)
}

/// What an article has to offer its group: its closeness to what was said, and the share of the words that it has.
pub fn offer(cosine: f32, words: f32) -> f32 {
    cosine + OFFERED_WORDS * words
}

/// How much the newest turn leaves to what was said before, 1 to 0, by the cosine of its nearest passage.
pub fn unsaid(closeness: f32) -> f32 {
    1.0 - ((closeness - SAYS_NOTHING) / (SAYS_ALL - SAYS_NOTHING)).clamp(0.0, 1.0)
}

/// The sum of "none of these", fitted like the weights.
pub const NONE_OF_THESE: f64 = 8.0;

/// The parts that read phrases say the same thing several times over, so that sums overstate the log-odds by this, times
/// the root of how far phrases can be trusted. Fitted for 3 to 103 phrases each.
const OVERSTATED: f64 = 1.5;

/// For each candidate the probability that it answers, where one of them does at most: 0 to 1, the higher the higher its sum.
pub fn probabilities(sums: &[f64], phrase_reach: f32) -> Vec<f64> {
    let highest = sums.iter().copied().fold(NONE_OF_THESE, f64::max);
    let temperature = 1.0 + OVERSTATED * f64::from(phrase_reach).sqrt();
    let odds = |sum: f64| ((sum - highest) / temperature).exp();
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

/// The weight of what was said so many turns back where it is compared with customers' phrases.
pub fn phrase_weight(turns_back: usize, is_customer: bool) -> f32 {
    word_weight(turns_back) * if is_customer { 1.0 } else { SAID_BY_AGENT }
}

/// How clearly a name is heard of which this share was said, so many turns back.
pub fn named(share: f32, turns_back: usize, by: NamedBy) -> f32 {
    let weight = match by {
        NamedBy::NewestTurn => NAMED_NOW,
        NamedBy::Agent => NAMED_BY_AGENT,
        NamedBy::Customer => 1.0,
    };
    weight * decayed(NAME_DECAY, turns_back) * share.powf(NAMED_IN_PART)
}

/// Who said a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// The customer, in the turn that is being answered.
    NewestTurn,
    /// The customer, before.
    Customer,
    /// The agent.
    Agent,
}

fn decayed(decay: f32, turns_back: usize) -> f32 {
    decay.powi(turns_back.try_into().unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_weighted_parts() {
        let phrased_cosine = phrased(0.7, 0.5);
        let evidence =
            Evidence { newest_cosine: 0.7, phrased_cosine, named: 1.0, contradicted: 0.25, ..Evidence::default() };
        assert!((evidence.sum() - (17.0 * 0.7 + 15.0 * 0.1 + 2.0 - 14.0 * 0.25)).abs() < 1e-5);
        let contradicted = evidence.features().into_iter().find(|feature| feature.name == "contradicted");
        assert_eq!(contradicted.map(|feature| feature.value), Some(0.25));
    }

    #[test]
    fn evidence_is_read_back_from_its_features() {
        let evidence = Evidence { newest_cosine: 0.5, named: 1.0, adapted: 3.0, ..Evidence::default() };
        let mut features: BTreeMap<String, f64> =
            evidence.features().into_iter().map(|feature| (feature.name.into_owned(), feature.value)).collect();
        features.insert("boost: priority".to_owned(), 0.5);
        assert_eq!(Evidence::of_features(&features), Ok(Evidence { adapted: 0.0, ..evidence }));
        features.remove("named");
        let missing = Evidence::of_features(&features).err().map(|error| error.to_string());
        assert!(missing.as_ref().is_some_and(|error| error.contains("`named`")), "{missing:?}");
    }

    #[test]
    fn a_candidate_is_the_likelier_the_more_it_stands_out() {
        let clear = probabilities(&[18.0, 12.0, 11.0], 0.0);
        let unclear = probabilities(&[18.0, 17.8, 17.5], 0.0);
        assert!(clear[0] > 0.95 && unclear[0] < 0.6, "{clear:?} {unclear:?}");
        assert!(probabilities(&[2.0], 0.0)[0] < 0.01, "alone and far off");
        assert!(probabilities(&[], 1.0).is_empty());
        let spread = probabilities(&[90.0, 30.0, -200.0], 1.0);
        assert!(
            spread.is_sorted_by(|a, b| a > b) && spread[2] > 0.0 && spread.iter().sum::<f64>() <= 1.0,
            "{spread:?}"
        );
    }

    #[test]
    fn a_sum_is_trusted_the_less_the_more_of_it_phrases_may_say() {
        let sums = [11.0, 10.0, 9.0];
        let [none, half, all] = [0.0, 0.5, 1.0].map(|reach| probabilities(&sums, reach)[0]);
        assert!(none > half && half > all, "{none} {half} {all}");
        let odds = |sum: f64| ((sum - 11.0) / 2.5).exp();
        assert!((1.0 / all - 1.0 - odds(10.0) - odds(9.0) - odds(NONE_OF_THESE)).abs() < 1e-9);
    }

    #[test]
    fn what_lies_back_weighs_less_and_long_turns_weigh_no_more() {
        assert!(turn_weight(1, 10) < turn_weight(0, 10) && turn_weight(0, 40) == turn_weight(0, 4_000));
        assert!(word_weight(0) == 1.0 && word_weight(3) < word_weight(2));
        let [now, agent, customer] =
            [NamedBy::NewestTurn, NamedBy::Agent, NamedBy::Customer].map(|by| named(1.0, 1, by));
        assert!(now > agent && agent > customer && named(1.0, usize::MAX, NamedBy::Agent) == 0.0);
        assert!(named(0.5, 0, NamedBy::Customer) < 0.5);
    }

    #[test]
    fn a_newest_turn_that_says_little_leaves_more_to_the_call() {
        assert_eq!([0.2, 0.4, 0.6, 0.9].map(|closeness| (unsaid(closeness) * 10.0).round()), [10.0, 10.0, 5.0, 0.0]);
    }
}

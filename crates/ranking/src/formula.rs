//! The formulas that a setting `ranker` names: from a question and its passages to one score per passage.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use strum::VariantNames;

use crate::Okapi;
use crate::conversation::{Evidence, LEARNED, probabilities};
use crate::model::{Model, QuestionSigns};

/// Weight of the cosine in the hybrid score of contract 001.
const COSINE_WEIGHT: f64 = 0.6;
/// Weight of BM25, divided by the best BM25 among the passages.
const WORDS_WEIGHT: f64 = 0.4;

/// What an index is searched by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// Nearest passages by embedding.
    Vector,
    /// Articles by BM25 over the whole index.
    Lexical,
}

/// A formula that orders passages.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownFormula, parse_err_fn = UnknownFormula::new)]
pub enum Formula {
    /// Contract 001: 0.6 cosine + 0.4 BM25 of the key phrases, divided by the best BM25.
    Snippets,
    /// The same with every word of the window instead of the key phrases.
    SnippetsWords,
    /// Cosine of the embeddings alone.
    Cosine,
    /// BM25 over the whole index alone.
    Bm25,
    /// Contract 002: the priority that an editor gave the article; one without a priority comes last.
    Priority,
    /// Contract 003: the score of CXone's own search; what only other backends found comes last.
    Search,
    /// What the whole call says for an article, see [`crate::conversation`].
    Conversation,
}

impl Formula {
    /// The name on command lines, in settings and in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// What an index is searched by for this formula's candidates; nothing where all articles are looked at.
    pub fn lookups(self) -> &'static [Lookup] {
        match self {
            Self::Bm25 => &[Lookup::Lexical],
            Self::Snippets | Self::SnippetsWords | Self::Cosine | Self::Priority | Self::Search => &[Lookup::Vector],
            Self::Conversation => &[],
        }
    }

    /// Whether its scores are probabilities that the passage answers.
    pub fn gives_probabilities(self) -> bool {
        self == Self::Conversation
    }

    /// Whether it orders by closeness in meaning, for which question and passages need embeddings.
    pub fn reads_cosines(self) -> bool {
        matches!(self, Self::Snippets | Self::SnippetsWords | Self::Cosine | Self::Conversation)
    }

    /// Whether it reads the whole call, turn by turn, rather than the last turns as one text.
    pub fn reads_call(self) -> bool {
        self == Self::Conversation
    }

    /// Whether it compares the words of the passages themselves, beyond what the backends said of them.
    pub fn reads_words(self) -> bool {
        matches!(self, Self::Snippets | Self::SnippetsWords)
    }

    /// One score per passage, higher is better; minus infinity for one that has nothing to be ordered by. Where no
    /// passage has a cosine (the question went on without vectors) every ranker of meaning orders by BM25, scaled
    /// so that the best is 1.
    pub fn scores(self, question: &Question<'_>, passages: &[Passage<'_>]) -> Vec<Score> {
        if self == Self::Conversation {
            return by_evidence(question, passages);
        }
        let mut scores = self.unboosted(question, passages);
        for (score, passage) in scores.iter_mut().zip(passages) {
            score.total += passage.boost;
        }
        scores
    }

    fn unboosted(self, question: &Question<'_>, passages: &[Passage<'_>]) -> Vec<Score> {
        let by = |score: fn(&Passage<'_>) -> Option<f64>, missing: f64| {
            passages.iter().map(|passage| Score::plain(score(passage).unwrap_or(missing))).collect()
        };
        match self {
            Self::Bm25 => return by(|passage| passage.bm25, 0.0),
            Self::Priority => return by(|passage| passage.priority, f64::NEG_INFINITY),
            Self::Search => return by(|passage| passage.search, f64::NEG_INFINITY),
            Self::Snippets | Self::SnippetsWords | Self::Cosine | Self::Conversation => {}
        }
        if passages.iter().all(|passage| passage.cosine.is_none()) {
            let words = passages.iter().map(|passage| passage.bm25.unwrap_or(0.0)).collect();
            return scaled(words).into_iter().map(Score::plain).collect();
        }
        let cosines = passages.iter().map(|passage| passage.cosine.unwrap_or(0.0));
        let query = match self {
            Self::Snippets => question.key_phrases.iter().flat_map(|phrase| crate::words(phrase)).collect(),
            Self::SnippetsWords => crate::words(question.text).collect::<Vec<_>>(),
            Self::Cosine | Self::Bm25 | Self::Priority | Self::Search | Self::Conversation => {
                return cosines.map(Score::plain).collect();
            }
        };
        let okapi = Okapi::new(passages.iter().map(|passage| passage.text.as_ref()));
        cosines
            .zip(scaled(okapi.scores(&query)))
            .map(|(cosine, words)| Score {
                total: COSINE_WEIGHT * cosine + WORDS_WEIGHT * words,
                features: vec![Feature::new("words", words)],
            })
            .collect()
    }
}

/// What a ranker makes of one passage.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// What orders.
    pub total: f64,
    /// What went into it beyond what the backends said.
    pub features: Vec<Feature>,
}

/// Decimals of a feature. What lies behind them tells nothing, and the record of a decision would be two fifths larger.
const FEATURE_SCALE: f64 = 1e6;

/// A part of a score, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name in explanations and models.
    pub name: Cow<'static, str>,
    /// Its value, to the sixth decimal.
    pub value: f64,
}

impl Feature {
    /// Rounds the value.
    pub fn new(name: impl Into<Cow<'static, str>>, value: f64) -> Self {
        let scaled = value * FEATURE_SCALE;
        let rounded = if scaled.is_finite() { scaled.round() / FEATURE_SCALE } else { value };
        Self { name: name.into(), value: rounded }
    }
}

impl Score {
    fn plain(total: f64) -> Self {
        Self { total, features: Vec::new() }
    }
}

/// Divides by the largest; a largest of 0 counts as 1.
fn scaled(scores: Vec<f64>) -> Vec<f64> {
    let best = scores.iter().copied().fold(0.0, f64::max);
    let best = if best > 0.0 { best } else { 1.0 };
    scores.into_iter().map(|score| score / best).collect()
}

/// A name that no ranker has.
#[derive(Debug, thiserror::Error)]
#[error("no ranker is called `{name}`; there are {}", Formula::VARIANTS.join(", "))]
pub struct UnknownFormula {
    name: String,
}

impl UnknownFormula {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }
}

/// What the rankers read of a question.
pub struct Question<'a> {
    /// The words of the turns in the window.
    pub text: &'a str,
    /// What the encoder attended to, best first.
    pub key_phrases: Vec<&'a str>,
    /// What was learned, where the ranker reads that.
    pub model: Option<&'a Model>,
    /// What is the same for all candidates.
    pub signs: QuestionSigns,
}

/// What the rankers read of a candidate.
pub struct Passage<'a> {
    /// The text that was embedded; read where [`Formula::reads_words`] says so.
    pub text: Cow<'a, str>,
    /// Cosine with the question, where both have embeddings.
    pub cosine: Option<f64>,
    /// BM25 over the whole index, where the lexical backend found it.
    pub bm25: Option<f64>,
    /// What an editor gave the article.
    pub priority: Option<f64>,
    /// The score of CXone's own search, where that found it.
    pub search: Option<f64>,
    /// What the whole call says for the article.
    pub evidence: Option<Evidence>,
    /// What people decided to add to its score.
    pub boost: f64,
}

/// The probability of each passage, which falls and rises with its sum and its boost.
fn by_evidence(question: &Question<'_>, passages: &[Passage<'_>]) -> Vec<Score> {
    let evidence: Vec<Evidence> = passages.iter().map(|passage| passage.evidence.unwrap_or_default()).collect();
    let by_hand: Vec<f64> = evidence.iter().map(|evidence| f64::from(evidence.sum())).collect();
    let sums = question.model.map_or_else(|| by_hand.clone(), |model| model.sums(&evidence, question.signs));
    let features = |candidate: usize| {
        let mut features = evidence[candidate].features();
        if question.model.is_some() {
            features.push(Feature::new(LEARNED, sums[candidate] - by_hand[candidate]));
        }
        features
    };
    let score = |(candidate, total): (usize, f64)| Score { total, features: features(candidate) };
    let boosted: Vec<f64> = sums.iter().zip(passages).map(|(sum, passage)| sum + passage.boost).collect();
    probabilities(&boosted, question.signs.phrase_reach).into_iter().enumerate().map(score).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn passage(text: &str, cosine: Option<f64>, bm25: Option<f64>) -> Passage<'_> {
        Passage { text: text.into(), cosine, bm25, priority: None, search: None, evidence: None, boost: 0.0 }
    }

    fn scores(ranker: Formula, question: &Question<'_>, passages: &[Passage<'_>]) -> Vec<f64> {
        ranker.scores(question, passages).into_iter().map(|score| score.total).collect()
    }

    fn question<'a>(text: &'a str, key_phrases: &[&'a str]) -> Question<'a> {
        Question { text, key_phrases: key_phrases.to_vec(), model: None, signs: QuestionSigns::default() }
    }

    #[test]
    fn a_feature_is_kept_to_the_sixth_decimal() {
        let value = |value| Feature::new("cosine", value).value;
        assert_eq!(value(f64::from(0.506_069_2_f32)), 0.506_069);
        assert_eq!((value(-1.234_567_8), value(0.0), value(f64::MAX)), (-1.234_568, 0.0, f64::MAX));
        assert!(value(f64::NAN).is_nan());
    }

    #[test]
    fn each_ranker_reads_what_its_name_says() {
        let passages = [
            passage("refund a broken router", Some(0.5), Some(2.0)),
            passage("opening hours of the shop", Some(0.6), Some(5.0)),
            passage("late fee", Some(0.1), None),
        ];
        let question = question("what are the hours for a refund", &["refund"]);
        let best = |ranker: Formula| {
            let scores = scores(ranker, &question, &passages);
            (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
        };
        assert_eq!(best(Formula::Cosine), 1);
        assert_eq!(best(Formula::Bm25), 1);
        assert_eq!(best(Formula::Snippets), 0, "only the key phrase counts as a word");
        assert_eq!(best(Formula::SnippetsWords), 1, "all words of the window count");
    }

    #[test]
    fn the_hybrid_is_six_tenths_cosine_and_four_tenths_words() {
        let passages =
            [passage("refund", Some(0.5), None), passage("fee", Some(0.9), None), passage("hours", Some(0.0), None)];
        let scored = Formula::Snippets.scores(&question("", &["refund"]), &passages);
        assert_eq!(scored[0].features, [Feature { name: "words".into(), value: 1.0 }]);
        let totals: Vec<_> = scored.into_iter().map(|score| score.total).collect();
        assert!((totals[0] - (0.6 * 0.5 + 0.4)).abs() < 1e-12, "{totals:?}");
        assert!((totals[1] - 0.6 * 0.9).abs() < 1e-12, "{totals:?}");
    }

    #[test]
    fn without_vectors_every_ranker_orders_by_bm25() {
        let passages = [passage("a", None, Some(2.0)), passage("b", None, Some(8.0))];
        for ranker in [Formula::Snippets, Formula::SnippetsWords, Formula::Cosine, Formula::Bm25] {
            let scores = scores(ranker, &question("a", &["a"]), &passages);
            assert!(scores[1] > scores[0], "{ranker}");
        }
        assert_eq!(scores(Formula::Snippets, &question("a", &[]), &passages), vec![0.25, 1.0]);
    }

    #[test]
    fn names_go_both_ways_and_an_unknown_one_lists_them() {
        for name in Formula::VARIANTS {
            let ranker: Formula = name.parse().unwrap();
            assert_eq!((ranker.name(), serde_json_name(ranker).as_str()), (*name, *name));
        }
        let error = "bm52".parse::<Formula>().unwrap_err().to_string();
        assert_eq!(
            error,
            "no ranker is called `bm52`; there are snippets, snippets-words, cosine, bm25, priority, search, \
             conversation"
        );
    }

    #[test]
    fn what_has_nothing_to_be_ordered_by_comes_last() {
        let passages = [
            Passage { priority: Some(-1.0), search: None, ..passage("a", Some(0.9), None) },
            Passage { priority: None, search: Some(0.0), ..passage("b", Some(0.1), None) },
        ];
        let scores = |ranker: Formula| scores(ranker, &question("a", &[]), &passages);
        assert_eq!(scores(Formula::Priority), [-1.0, f64::NEG_INFINITY]);
        assert_eq!(scores(Formula::Search), [f64::NEG_INFINITY, 0.0]);
    }

    fn serde_json_name(ranker: Formula) -> String {
        serde_json::to_value(ranker).unwrap().as_str().unwrap().to_owned()
    }

    proptest::proptest! {
        #[test]
        fn scores_are_finite_and_one_per_passage(
            texts in proptest::collection::vec(".{0,40}", 0..12),
            query in ".{0,60}",
        ) {
            let passages: Vec<_> = texts.iter().map(|text| passage(text, Some(0.3), Some(1.0))).collect();
            for ranker in [Formula::Snippets, Formula::SnippetsWords, Formula::Cosine, Formula::Bm25] {
                let scores = scores(ranker, &question(&query, &[&query]), &passages);
                proptest::prop_assert_eq!(scores.len(), passages.len());
                proptest::prop_assert!(scores.iter().all(|score| score.is_finite() && *score >= 0.0));
            }
        }
    }
}

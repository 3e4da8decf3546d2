//! From candidates to their order: pure arithmetic over what the backends found.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use cuecard_ranking::{
    Baseline, Feature, Formula, MeasuredTurn, Model, Passage, Question, Score, TurnSigns, Wanted, answering,
};
use serde::{Deserialize, Serialize, Serializer};

use crate::backends::BackendName;
use crate::call::HeardName;
use crate::candidates::{Candidate, Candidates, Nearness, Scores};
use crate::extract::Query;
use crate::knowledge::{Article, MatchedBy};
use crate::plan::{Excerpt, Plan};

/// Candidates that are kept where an order is written down.
const WRITTEN: usize = 20;

/// All candidates, best first.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "WrittenOrder<'_>")]
pub struct Order {
    /// The formula that ordered.
    pub ranker: Formula,
    /// The version of the model that corrected it.
    pub model: Option<String>,
    /// Best first, before silence and repetition are judged.
    pub ranked: Vec<Ranked>,
    /// How much the newest customer turn looks like one that wants a card.
    pub wanted: Option<Wanted>,
    /// How often a first card like this one is right, where that was learned.
    pub odds: Option<CardOdds>,
    /// How near what was searched lies to the newest customer turn.
    pub nearness: Nearness,
    /// The generation of the index that was searched.
    pub generation: Option<u64>,
    /// The names of articles that were said in the call, the clearest first.
    pub heard: Vec<HeardName>,
    /// Articles that were found and that an operator does not want shown, by their ids.
    pub muted: Vec<String>,
}

/// How often the first card is right, and how often it must be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CardOdds {
    /// The probability that it is.
    pub probability: f64,
    /// Cards of less are not shown.
    pub least: f64,
}

impl CardOdds {
    fn of(score: f64, wanted: &Wanted, model: &Model, plan: &Plan) -> Option<Self> {
        let precision = plan.silence?.precision()?;
        let least = model.calibration.as_ref()?.least_for(precision);
        Some(Self { probability: model.card(score, wanted)?, least })
    }
}

/// A candidate with the score that ordered it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// What was found.
    pub candidate: Candidate,
    /// The ranker's score; minus infinity where it has nothing to go by.
    pub score: f64,
    /// What went into the score beyond what the backends said.
    pub features: Vec<Feature>,
    /// The part of the passage that answers, where a card shows that.
    pub answer: Option<String>,
}

impl Ranked {
    /// A candidate with its score, and what went into that.
    pub fn new(candidate: Candidate, score: f64, features: Vec<Feature>) -> Self {
        Self { candidate, score, features, answer: None }
    }

    /// The article.
    pub fn article(&self) -> &Article {
        &self.candidate.article
    }
}

/// Orders the candidates by the plan's ranker and by what people decided; tells whether the newest turn wants a card by
/// what is usual.
pub fn order(found: Candidates, plan: &Plan, baseline: &Baseline) -> Order {
    let now = found.query.at;
    let boosts: Vec<_> = found.candidates.iter().map(|candidate| plan.boosts.of(&candidate.article, now)).collect();
    let scores = scores(&found, plan.ranker, &boosts);
    let with_scores = found.candidates.into_iter().zip(scores).zip(boosts);
    let mut ranked: Vec<_> = with_scores
        .map(|((candidate, Score { total, mut features }), boosts)| {
            features.extend(boosts);
            Ranked::new(candidate, total, features)
        })
        .collect();
    ranked.sort_by(best_first);
    if plan.excerpt == Excerpt::Answer {
        for ranked in ranked.iter_mut().take(plan.cards) {
            ranked.answer = Some(answering(&ranked.candidate.passage, found.query.newest.verbatim()).to_owned());
        }
    }
    let Candidates { query, nearness, generation, muted, call, .. } = found;
    let heard = call.map(|call| call.heard().to_vec()).unwrap_or_default();
    let model = query.model.as_ref().map(|model| model.version.clone());
    let mut order = Order { model, nearness, generation, heard, muted, ..Order::new(plan.ranker, ranked) };
    if plan.silence.is_some() {
        order.judge_turn(&query, plan, baseline);
    }
    order
}

impl Order {
    /// An order of which nothing more is known.
    pub fn new(ranker: Formula, best_first: Vec<Ranked>) -> Self {
        Self {
            ranker,
            model: None,
            ranked: best_first,
            wanted: None,
            odds: None,
            nearness: Nearness::default(),
            generation: None,
            heard: Vec::new(),
            muted: Vec::new(),
        }
    }

    fn judge_turn(&mut self, query: &Query, plan: &Plan, baseline: &Baseline) {
        let signs = TurnSigns { is_first: query.is_first, measured: self.measured() };
        let mut wanted = Wanted::of(query.newest.verbatim(), signs, baseline);
        if let Some(model) = &query.model {
            wanted.log_odds = model.wanted(&wanted, query.num_words(), query.newest_embedding.as_deref());
            self.odds = self.ranked.first().and_then(|best| CardOdds::of(best.score, &wanted, model, plan));
        }
        self.wanted = Some(wanted);
    }

    /// What of the newest customer turn has no scale but that of its deployment.
    pub fn measured(&self) -> MeasuredTurn {
        // What stands first by an operator's hand says nothing of how clearly an article stands out.
        let scores = self.ranked.iter().map(|ranked| ranked.score);
        let best = scores.max_by(f64::total_cmp).filter(|_| self.ranker.gives_probabilities());
        MeasuredTurn::of(self.nearness.sentence.or(self.nearness.passage), best)
    }
}

fn scores(found: &Candidates, ranker: Formula, boosts: &[Vec<Feature>]) -> Vec<Score> {
    let query = &found.query;
    let question = Question {
        text: query.text.verbatim(),
        key_phrases: query.key_phrases.iter().map(|phrase| phrase.text.verbatim()).collect(),
        model: query.model.as_deref(),
        signs: found.signs(),
    };
    let reads_words = ranker.reads_words();
    let with_boosts = found.candidates.iter().zip(boosts);
    let passages: Vec<_> = with_boosts.map(|(candidate, boosts)| passage(candidate, reads_words, boosts)).collect();
    ranker.scores(&question, &passages)
}

fn passage<'a>(candidate: &'a Candidate, reads_words: bool, boosts: &[Feature]) -> Passage<'a> {
    Passage {
        text: if reads_words { Cow::Owned(candidate.text()) } else { Cow::Borrowed("") },
        cosine: candidate.scores.cosine.map(f64::from),
        bm25: candidate.scores.bm25.map(f64::from),
        priority: candidate.article.priority,
        search: candidate.scores.search,
        evidence: candidate.evidence,
        boost: boosts.iter().map(|boost| boost.value).sum(),
    }
}

/// What is pinned comes first. What the ranker can't tell apart comes in the order of the tenant's search and of the graph's editors; title and id
/// decide last, so that two replicas show the same card.
fn best_first(a: &Ranked, b: &Ranked) -> Ordering {
    let search = |ranked: &Ranked| ranked.candidate.scores.search.unwrap_or(f64::NEG_INFINITY);
    let priority = |ranked: &Ranked| ranked.article().priority.unwrap_or(f64::NEG_INFINITY);
    let is_pinned = |ranked: &Ranked| ranked.candidate.is_pinned;
    is_pinned(b)
        .cmp(&is_pinned(a))
        .then_with(|| b.score.total_cmp(&a.score))
        .then_with(|| search(b).total_cmp(&search(a)))
        .then_with(|| priority(b).total_cmp(&priority(a)))
        .then_with(|| a.article().title.cmp(&b.article().title))
        .then_with(|| a.article().id.cmp(&b.article().id))
}

/// An order as it is written down: the best candidates, and of each article what names it.
#[derive(Serialize, Deserialize)]
struct WrittenOrder<'a> {
    ranker: Formula,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    num_candidates: usize,
    candidates: Vec<WrittenCandidate<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wanted: Option<Wanted>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    odds: Option<CardOdds>,
    #[serde(default)]
    nearness: Nearness,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    #[serde(default, skip_serializing_if = "<[HeardName]>::is_empty")]
    heard: Cow<'a, [HeardName]>,
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    muted: Cow<'a, [String]>,
}

#[derive(Serialize, Deserialize)]
struct WrittenCandidate<'a> {
    id: Cow<'a, str>,
    title: Cow<'a, str>,
    backend: BackendName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    matched_by: Option<MatchedBy>,
    /// None where it is infinite, for which JSON has no number.
    score: Option<f64>,
    scores: Scores,
    #[serde(default, skip_serializing_if = "<[Feature]>::is_empty")]
    features: Cow<'a, [Feature]>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_pinned: bool,
}

impl Serialize for Order {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WrittenOrder::from(self).serialize(serializer)
    }
}

impl<'a> From<&'a Order> for WrittenOrder<'a> {
    fn from(order: &'a Order) -> Self {
        Self {
            ranker: order.ranker,
            num_candidates: order.ranked.len(),
            candidates: order.ranked.iter().take(WRITTEN).map(WrittenCandidate::from).collect(),
            model: order.model.clone(),
            odds: order.odds,
            wanted: order.wanted.clone(),
            nearness: order.nearness,
            generation: order.generation,
            heard: Cow::Borrowed(&order.heard),
            muted: Cow::Borrowed(&order.muted),
        }
    }
}

impl<'a> From<&'a Ranked> for WrittenCandidate<'a> {
    fn from(ranked: &'a Ranked) -> Self {
        let Ranked { candidate, score, features, .. } = ranked;
        Self {
            id: candidate.article.id.as_str().into(),
            title: candidate.article.title.as_str().into(),
            backend: candidate.backend,
            matched_by: candidate.matched_by,
            score: Some(*score).filter(|score| score.is_finite()),
            scores: candidate.scores,
            features: features.into(),
            is_pinned: candidate.is_pinned,
        }
    }
}

impl From<WrittenOrder<'_>> for Order {
    fn from(written: WrittenOrder<'_>) -> Self {
        Self {
            ranker: written.ranker,
            ranked: written.candidates.into_iter().map(Ranked::from).collect(),
            model: written.model,
            odds: written.odds,
            wanted: written.wanted,
            nearness: written.nearness,
            generation: written.generation,
            heard: written.heard.into_owned(),
            muted: written.muted.into_owned(),
        }
    }
}

impl From<WrittenCandidate<'_>> for Ranked {
    fn from(written: WrittenCandidate<'_>) -> Self {
        let article = Article { id: written.id.into_owned(), title: written.title.into_owned(), ..Article::default() };
        let WrittenCandidate { matched_by, scores, is_pinned, .. } = written;
        let candidate =
            Candidate { matched_by, scores, is_pinned, ..Candidate::new(Arc::new(article), "", written.backend) };
        let (score, features) = (written.score.unwrap_or(f64::NEG_INFINITY), written.features.into_owned());
        Self::new(candidate, score, features)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use cuecard_ranking::conversation::Evidence;

    use super::*;
    use crate::candidates::Found;
    use crate::knowledge::ArticleFilter;
    use crate::rules::{Boosts, Mark};
    use crate::testing::{plan, query};

    fn candidate(title: &str, search: Option<f64>, priority: Option<f64>) -> Candidate {
        let article = Article { id: title.into(), title: title.into(), priority, ..Article::default() };
        let scores = Scores { search, ..Scores::default() };
        Candidate { scores, ..Candidate::new(Arc::new(article), "words that were found", BackendName::Search) }
    }

    fn found(candidates: impl IntoIterator<Item = Candidate>) -> Candidates {
        let mut found = Candidates::none(Arc::new(query("refund")), ArticleFilter::default());
        found.take(Ok(Found { generation: Some(3), ..Found::of(candidates) }));
        found
    }

    fn ordered(found: Candidates, plan: &Plan) -> Order {
        order(found, plan, &Baseline::default())
    }

    #[test]
    fn what_people_decided_comes_on_top_of_every_ranker() {
        let ids = |order: &Order| order.ranked.iter().map(|ranked| ranked.article().id.clone()).collect::<Vec<_>>();
        let scored = |title: &str, score: f64| {
            let evidence = Some(Evidence { newest_words: score as f32, ..Evidence::default() });
            Candidate { evidence, ..candidate(title, Some(score), None) }
        };
        let candidates = || [scored("best", 6.0), scored("next", 5.5), scored("third", 5.0)];
        for ranker in [Formula::Search, Formula::Conversation] {
            let mut plan = plan_of(ranker);
            let without_rules = ordered(found(candidates()), &plan);
            assert_eq!(ids(&without_rules), ["best", "next", "third"]);
            plan.boosts.articles = BTreeMap::from([("third".to_owned(), 3.0)]);
            let boosted = ordered(found(candidates()), &plan);
            assert_eq!(ids(&boosted), ["third", "best", "next"], "{ranker}");
            let said: Vec<_> = boosted.ranked[0].features.iter().map(|feature| feature.name.as_ref()).collect();
            assert!(said.contains(&"boost: this article"), "{said:?}");
            let marks = [("next", Mark::Pinned), ("best", Mark::Muted), ("copy", Mark::Pinned)];
            let marks = marks.map(|(id, mark)| (id.to_owned(), mark, None)).into_iter().collect();
            let query = Query { marks: Arc::new(marks), ..query("refund") };
            let mut marked = Candidates::none(Arc::new(query), ArticleFilter::default());
            // A copy of what is muted is not muted with it.
            let copy = |article: Candidate| {
                let body = "the same words".to_owned();
                Candidate { article: Arc::new(Article { body, ..Article::clone(&article.article) }), ..article }
            };
            let [best, next, third] = candidates();
            marked.take(Ok(Found::of([copy(best), copy(scored("unmuted", 4.0)), next, third])));
            let marked = ordered(marked, &Plan { boosts: Boosts::default(), ..plan });
            assert_eq!(
                (ids(&marked), &marked.muted),
                (["next", "third", "unmuted"].map(str::to_owned).into(), &vec!["best".to_owned()])
            );
            assert_eq!(marked.measured().certainty.is_some(), ranker == Formula::Conversation);
            let best_score = marked.ranked.iter().map(|ranked| ranked.score).max_by(f64::total_cmp);
            assert!(
                best_score > Some(0.0)
                    && marked.measured()
                        == MeasuredTurn::of(None, best_score.filter(|_| ranker == Formula::Conversation))
            );
            let read: Order = serde_json::from_value(serde_json::to_value(&marked).unwrap()).unwrap();
            assert!(read.ranked[0].candidate.is_pinned && read.muted == marked.muted);
        }
    }

    fn plan_of(ranker: Formula) -> Plan {
        Plan { ranker, ..Plan::clone(&plan(&[BackendName::Search])) }
    }

    #[test]
    fn without_vectors_and_words_the_backends_own_order_stays() {
        let candidates = [
            candidate("a", None, None),
            candidate("c", None, Some(1.0)),
            candidate("b", None, Some(1.0)),
            candidate("d", None, Some(2.0)),
            candidate("e", Some(0.1), None),
            candidate("f", Some(0.9), None),
        ];
        for ranker in [Formula::Snippets, Formula::Cosine, Formula::Bm25] {
            let order = ordered(found(candidates.clone()), &plan_of(ranker));
            let titles: Vec<_> = order.ranked.iter().map(|ranked| ranked.article().title.as_str()).collect();
            assert_eq!(titles, ["f", "e", "d", "b", "c", "a"], "{ranker}");
        }
    }

    #[test]
    fn an_order_is_written_down_by_its_best_candidates_and_read_back() {
        let many = (0..30).map(|number| candidate(&format!("{number:02}"), Some(f64::from(number)), None));
        let unscored = candidate("unscored", None, None);
        let order = ordered(found(many.chain([unscored])), &plan_of(Formula::Search));
        let written = serde_json::to_value(&order).unwrap();
        assert_eq!((&written["num_candidates"], &written["generation"]), (&31.into(), &3.into()));
        assert!(!written.to_string().contains("words that were found"), "{written}");
        let read: Order = serde_json::from_value(written.clone()).unwrap();
        assert_eq!((read.ranked.len(), read.ranked[0].article().id.as_str()), (20, "29"));
        assert_eq!(read.ranked[0].score, 29.0);
        let again = serde_json::to_value(&read).unwrap();
        assert_eq!(again["candidates"], written["candidates"]);
        let last = Order { ranked: order.ranked.into_iter().rev().take(1).collect(), ..read };
        let last = serde_json::to_value(last).unwrap();
        assert_eq!(last["candidates"][0]["score"], serde_json::Value::Null);
        assert_eq!(serde_json::from_value::<Order>(last).unwrap().ranked[0].score, f64::NEG_INFINITY);
    }
}

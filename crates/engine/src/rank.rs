//! From candidates to cards, or to silence and its reason.

use std::cmp::Ordering;
use std::sync::Arc;

use cuecard_knowledge::{Article, MatchedBy};
use cuecard_ranking::{Passage, Question, Ranker, Shown, SilenceReason};

use crate::candidates::{Candidate, Candidates, Scores};
use crate::plan::{Backend, Plan};

/// All candidates in order and what the agent gets to see of them.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// The formula that ordered.
    pub ranker: Ranker,
    /// Best first, before silence and repetition were judged.
    pub order: Vec<Ranked>,
    /// Cards or silence.
    pub verdict: Verdict,
}

/// A candidate with the score that ordered it.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// The article.
    pub article: Arc<Article>,
    /// The passage that matched.
    pub passage: String,
    /// Who found it first.
    pub backend: Backend,
    /// How the question matched a keyword of the graph.
    pub matched_by: Option<MatchedBy>,
    /// The ranker's score.
    pub score: f64,
    /// What the backends said.
    pub scores: Scores,
}

/// What an utterance comes to.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Show these, best first.
    Cards(Vec<Ranked>),
    /// Show nothing.
    Silent(SilenceReason),
}

/// Orders the candidates by the plan's ranker and judges what is worth showing at this utterance.
pub fn rank(candidates: &Candidates, shown: &Shown, utterance: u64, plan: &Plan) -> Ranking {
    let order = order(candidates, plan.ranker);
    let verdict = judge(&order, candidates.newest_turn_cosine.map(f64::from), shown, utterance, plan);
    Ranking { ranker: plan.ranker, order, verdict }
}

fn order(candidates: &Candidates, ranker: Ranker) -> Vec<Ranked> {
    let question = Question {
        text: &candidates.query.text,
        key_phrases: candidates.query.key_phrases.iter().map(|phrase| phrase.text.as_str()).collect(),
    };
    let texts: Vec<_> = candidates.candidates.iter().map(Candidate::text).collect();
    let passages: Vec<_> = candidates.candidates.iter().zip(&texts).map(passage).collect();
    let mut order: Vec<_> = ranker
        .scores(&question, &passages)
        .into_iter()
        .zip(&candidates.candidates)
        .map(|(score, candidate)| Ranked {
            article: Arc::clone(&candidate.article),
            passage: candidate.passage.clone(),
            backend: candidate.backend,
            matched_by: candidate.matched_by,
            score,
            scores: candidate.scores,
        })
        .collect();
    order.sort_by(best_first);
    order
}

/// What the ranker can't tell apart comes in the order of the tenant's search and of the graph's editors; title and id
/// decide last, so that two replicas show the same card.
fn best_first(a: &Ranked, b: &Ranked) -> Ordering {
    let search = |ranked: &Ranked| ranked.scores.search.unwrap_or(f64::NEG_INFINITY);
    let priority = |ranked: &Ranked| ranked.article.priority.unwrap_or(f64::NEG_INFINITY);
    b.score
        .total_cmp(&a.score)
        .then_with(|| search(b).total_cmp(&search(a)))
        .then_with(|| priority(b).total_cmp(&priority(a)))
        .then_with(|| a.article.title.cmp(&b.article.title))
        .then_with(|| a.article.id.cmp(&b.article.id))
}

fn passage<'a>((candidate, text): (&Candidate, &'a String)) -> Passage<'a> {
    Passage {
        text,
        cosine: candidate.scores.cosine.map(f64::from),
        bm25: candidate.scores.bm25.map(f64::from),
        priority: candidate.article.priority,
        search: candidate.scores.search,
    }
}

fn judge(order: &[Ranked], newest_turn_cosine: Option<f64>, shown: &Shown, utterance: u64, plan: &Plan) -> Verdict {
    let Some(best) = order.first() else { return Verdict::Silent(SilenceReason::NothingFound) };
    if let Some(reason) = plan.silence.and_then(|rule| rule.judge(newest_turn_cosine)) {
        return Verdict::Silent(reason);
    }
    // Without the best one its runners-up would come as if they were the answer.
    if shown.recently(&best.article.id, utterance, plan.repeat_after) {
        return Verdict::Silent(SilenceReason::AlreadyShown);
    }
    Verdict::Cards(order.iter().take(plan.cards).cloned().collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::conversation::TurnWindow;
    use crate::extract::Query;

    fn candidate(title: &str, search: Option<f64>, priority: Option<f64>) -> Candidate {
        let article = Article { id: title.into(), title: title.into(), priority, ..Article::default() };
        let scores = Scores { search, ..Scores::default() };
        let (article, passage) = (Arc::new(article), String::new());
        Candidate { article, passage, backend: Backend::Search, matched_by: None, scores }
    }

    #[test]
    fn without_vectors_and_words_the_backends_own_order_stays() {
        let query = Query {
            text: "refund".into(),
            embedding: None,
            newest_embedding: None,
            key_phrases: Vec::new(),
            without_vectors: None,
        };
        let candidates = vec![
            candidate("a", None, None),
            candidate("c", None, Some(1.0)),
            candidate("b", None, Some(1.0)),
            candidate("d", None, Some(2.0)),
            candidate("e", Some(0.1), None),
            candidate("f", Some(0.9), None),
        ];
        let found = Candidates { candidates, ..Candidates::none(query) };
        for ranker in [Ranker::Snippets, Ranker::Cosine, Ranker::Bm25] {
            let order = order(&found, ranker);
            let titles: Vec<_> = order.iter().map(|ranked| ranked.article.title.as_str()).collect();
            assert_eq!(titles, ["f", "e", "d", "b", "c", "a"], "{ranker}");
        }
    }

    #[test]
    fn where_the_best_was_the_first_card_lately_its_runners_up_do_not_come_in_its_place() {
        let query = Query {
            text: "q".into(),
            embedding: None,
            newest_embedding: None,
            key_phrases: Vec::new(),
            without_vectors: None,
        };
        let candidates = vec![candidate("best", Some(0.9), None), candidate("second", Some(0.5), None)];
        let found = Candidates { candidates, ..Candidates::none(query) };
        let plan = Plan {
            backends: vec![Backend::Search],
            ranker: Ranker::Search,
            window: TurnWindow::Last(1),
            candidates: 20,
            min_keyword_cosine: 1.0,
            cards: 5,
            silence: None,
            repeat_after: 6,
            deadline: Duration::from_secs(4),
        };
        let first_cards = |shown: &Shown, utterance| match rank(&found, shown, utterance, &plan).verdict {
            Verdict::Cards(cards) => cards.into_iter().map(|card| card.article.id.clone()).collect(),
            Verdict::Silent(reason) => vec![reason.name().to_owned()],
        };
        let mut shown = Shown::default();
        assert_eq!(first_cards(&shown, 1), ["best", "second"]);
        shown.note("second", 1);
        assert_eq!(first_cards(&shown, 2), ["best", "second"], "what was first before may stand behind the best");
        shown.note("best", 2);
        assert_eq!(first_cards(&shown, 7), ["already_shown"]);
        assert_eq!(first_cards(&shown, 8), ["best", "second"]);
    }
}

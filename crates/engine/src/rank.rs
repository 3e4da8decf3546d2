//! From candidates to cards, or to silence and its reason.

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
    // Title and id break ties, so that two replicas show the same card.
    order.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| name(a).cmp(&name(b))));
    order
}

fn name(ranked: &Ranked) -> (&str, &str) {
    (&ranked.article.title, &ranked.article.id)
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
    if order.is_empty() {
        return Verdict::Silent(SilenceReason::NothingFound);
    }
    if let Some(reason) = plan.silence.and_then(|rule| rule.judge(newest_turn_cosine)) {
        return Verdict::Silent(reason);
    }
    let fresh = |ranked: &&Ranked| !shown.recently(&ranked.article.id, utterance, plan.repeat_after);
    let cards: Vec<_> = order.iter().filter(fresh).take(plan.cards).cloned().collect();
    if cards.is_empty() { Verdict::Silent(SilenceReason::AlreadyShown) } else { Verdict::Cards(cards) }
}

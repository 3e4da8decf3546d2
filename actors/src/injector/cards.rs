//! From what the Ranker chose to what the dialects write.

use cuecard_cxone::{Card, MatchedBy, PushContent};
use cuecard_engine::knowledge;
use cuecard_engine::{BackendName, Ranked};

use crate::messages::Content;

/// What is pushed, in CXone's terms.
pub(super) fn push_content(content: &Content) -> PushContent {
    match content {
        Content::Cards(ranking) => PushContent::Cards(ranking.cards().into_iter().map(card).collect()),
        Content::Order(order) => PushContent::Ranking(order.clone()),
    }
}

fn card(ranked: &Ranked) -> Card {
    let (article, candidate) = (ranked.article(), &ranked.candidate);
    let from_graph = candidate.backend == BackendName::Graph;
    Card {
        article_id: article.id.clone(),
        title: article.title.clone(),
        url: article.url.clone(),
        body: article.body.clone(),
        passage: candidate.passage.clone(),
        answer: ranked.answer.clone(),
        source: article.source_name.clone().unwrap_or_default(),
        summary: from_graph.then(|| article.body.clone()),
        score: ranked.score,
        priority: article.priority.map(|priority| priority.round() as i64),
        updated: article.updated.clone(),
        matched_by: candidate.matched_by.map(matched_by),
        from_graph,
    }
}

fn matched_by(matched_by: knowledge::MatchedBy) -> MatchedBy {
    match matched_by {
        knowledge::MatchedBy::Exact => MatchedBy::Exact,
        knowledge::MatchedBy::Normalised => MatchedBy::Normalised,
        knowledge::MatchedBy::Phrase => MatchedBy::Phrase,
        knowledge::MatchedBy::Nearest => MatchedBy::Nearest,
    }
}

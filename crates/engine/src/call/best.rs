//! The best of all articles: the most promising are looked into, and what speaks against them is told last.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use cuecard_knowledge::CodedEmbedding;
use cuecard_ranking::conversation::Evidence;

use super::looks::Looks;
use super::{Call, Said};
use crate::backends::BackendName;
use crate::candidates::{Candidate, Place, Scores, says_the_same};
use crate::complete::dot;
use crate::rules::Mark;

/// So many articles, the best by the sum of what is cheap to tell, are looked into.
const LOOKED_INTO: usize = 300;

/// An article with its sum.
pub(super) struct Ranked {
    article: usize,
    evidence: Evidence,
    sum: f32,
    chunk: Option<usize>,
    is_pinned: bool,
    /// Whether the sum has what speaks against the article; without that it is at least as large.
    is_whole: bool,
}

/// By their sums; of equal ones the first of the articles is the best.
impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        best_first(&(self.sum, self.article), &(other.sum, other.article)).reverse()
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

impl Ranked {
    /// With its exact cosines and its nearest sentence.
    fn of(article: usize, looks: &Looks, call: &Call, asked: Option<&CodedEmbedding>) -> Self {
        let (index, mut evidence) = (&call.index, looks.evidence(article, call));
        let nearest = |said: &Said| index.best_chunk(article, said.embedding.as_ref()?);
        let newest = nearest(&call.newest);
        evidence.newest_cosine = newest.map_or(evidence.newest_cosine, |hit| hit.cosine);
        evidence.phrased_cosine = call.phrased(&call.newest, evidence.newest_cosine);
        evidence.call_cosine = nearest(&call.whole).map_or(evidence.call_cosine, |hit| hit.cosine);
        evidence.phrased_call = call.phrased(&call.whole, evidence.call_cosine);
        evidence.sentence_cosine = asked.map_or(0.0, |asked| index.sentence_closeness(article, asked));
        let (sum, chunk) = (evidence.sum(), newest.map(|hit| hit.chunk));
        Self { article, evidence, sum, chunk, is_pinned: false, is_whole: false }
    }

    /// And with what speaks against it.
    fn whole(mut self, call: &Call) -> Self {
        let (article, named) = (self.article, self.evidence.named);
        self.evidence.contradicted = call.index.relations().contradiction(article, named, &call.rivals);
        Self { sum: self.evidence.sum(), is_whole: true, ..self }
    }

    /// An article that stands in two places is one answer.
    fn says_the_same(&self, other: &Self, call: &Call) -> bool {
        let body = |ranked: &Self| &call.index.article(ranked.article).body;
        says_the_same(body(self), body(other))
    }

    pub(super) fn candidate(mut self, call: &Call, adapted: Option<&[f32]>) -> Candidate {
        let index = &call.index;
        let place = self.chunk.map(|chunk| Place { article: self.article, chunk });
        let embedding = place.and_then(|place| index.embedding(place.article, place.chunk));
        if let Some((adapted, embedding)) = adapted.zip(embedding) {
            self.evidence.adapted = dot(adapted, embedding);
        }
        let article = index.article(self.article);
        let passage = self.chunk.and_then(|chunk| index.chunk_text(self.article, chunk)).unwrap_or(&article.body);
        let cosine = call.newest.embedding.is_some().then_some(self.evidence.newest_cosine);
        let (scores, evidence) = (Scores { cosine, ..Scores::default() }, Some(self.evidence));
        let is_pinned = self.is_pinned;
        Candidate {
            scores,
            evidence,
            place,
            is_pinned,
            ..Candidate::new(Arc::clone(article), passage, BackendName::Index)
        }
    }
}

/// What comes of all articles.
pub(super) struct Best {
    /// Best first; of those that say the same, the best.
    pub(super) ranked: Vec<Ranked>,
    /// The ids of those that would be among them and are muted.
    pub(super) muted: Vec<String>,
}

/// The best so many of these articles. What speaks against an article takes longest to tell, and is told only of those that
/// would otherwise be the next best.
pub(super) fn best(
    articles: impl Iterator<Item = usize>,
    count: usize,
    looks: &Looks,
    call: &Call,
    mark: &impl Fn(usize) -> Option<Mark>,
) -> Best {
    let asked = call.coded_question();
    let promising = promising(articles, LOOKED_INTO.max(count), looks, call).into_iter();
    let mut ranked: BinaryHeap<_> = promising.map(|article| Ranked::of(article, looks, call, asked.as_ref())).collect();
    let (mut best, mut muted): (Vec<Ranked>, _) = (Vec::with_capacity(count), Vec::new());
    while best.len() < count
        && let Some(mut next) = ranked.pop()
    {
        if !next.is_whole {
            ranked.push(next.whole(call));
            continue;
        }
        let mark = mark(next.article);
        next.is_pinned = mark == Some(Mark::Pinned);
        if mark == Some(Mark::Muted) {
            muted.push(call.index.article(next.article).id.clone());
        } else if let Some(better) = best.iter_mut().find(|better| better.says_the_same(&next, call)) {
            better.is_pinned |= next.is_pinned;
        } else {
            best.push(next);
        }
    }
    Best { ranked: best, muted }
}

/// The best so many by the sum of what is cheap to tell, in no order.
fn promising(articles: impl Iterator<Item = usize>, count: usize, looks: &Looks, call: &Call) -> Vec<usize> {
    let of_all = looks.sums(call);
    let mut sums: Vec<_> = articles.map(|article| (of_all[article], article)).collect();
    if sums.len() > count {
        sums.select_nth_unstable_by(count, best_first);
        sums.truncate(count);
    }
    sums.into_iter().map(|(_, article)| article).collect()
}

/// Orders sums with their articles; equal ones come in the order of the articles.
fn best_first(one: &(f32, usize), other: &(f32, usize)) -> Ordering {
    other.0.total_cmp(&one.0).then_with(|| one.1.cmp(&other.1))
}

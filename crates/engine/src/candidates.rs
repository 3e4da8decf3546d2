//! What the backends found: passages of articles with every score by name, each article once.

use std::sync::Arc;

use cuecard_knowledge::{Article, ArticleFilter, MatchedBy};
use cuecard_ranking::QuestionSigns;
use cuecard_ranking::conversation::Evidence;
use serde::{Deserialize, Serialize};

use crate::backends::{BackendError, BackendName};
use crate::call::Call;
use crate::extract::Query;

/// Passages that may answer a query, in the order in which the backends gave them.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// The query that they answer.
    pub query: Arc<Query>,
    /// Which articles may be among them.
    pub filter: ArticleFilter,
    /// One per article.
    pub candidates: Vec<Candidate>,
    /// How near what was searched lies to the newest customer turn; silence is judged by it.
    pub nearness: Nearness,
    /// The generation of the index that answered; `None` where none was asked.
    pub generation: Option<u64>,
    /// The call as that index was asked about it, where the ranker reads it whole.
    pub call: Option<Arc<Call>>,
    /// What was found and an operator does not want shown, by ids.
    pub muted: Vec<String>,
    /// How many backends answered.
    pub num_answers: usize,
    /// Why the others did not.
    pub failures: Vec<BackendError>,
}

/// How near what was searched lies to the newest customer turn: cosines, where vectors were compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Nearness {
    /// Of the turn and the nearest passage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passage: Option<f32>,
    /// Of what the turn says beside the name in it, and the nearest sentence: what is asked, whatever it is asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence: Option<f32>,
}

impl Nearness {
    /// What is known of passages alone.
    pub fn of_passage(passage: Option<f32>) -> Self {
        Self { passage, sentence: None }
    }

    /// The nearer of both.
    #[must_use]
    pub fn or_nearer(self, other: Self) -> Self {
        let nearer = |one: Option<f32>, other| one.into_iter().chain(other).max_by(f32::total_cmp);
        Self { passage: nearer(self.passage, other.passage), sentence: nearer(self.sentence, other.sentence) }
    }
}

/// What one backend found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// In the backend's order.
    pub candidates: Vec<Candidate>,
    /// How near what was searched lies to the newest customer turn, where the backend compares vectors itself.
    pub nearness: Nearness,
    /// The generation of the index, where it was one.
    pub generation: Option<u64>,
    /// The call as the index was asked about it, where the ranker reads it whole.
    pub call: Option<Arc<Call>>,
    /// What was found and an operator does not want shown, by ids.
    pub muted: Vec<String>,
}

impl Found {
    /// Candidates of a backend that compares no vectors.
    pub fn of(candidates: impl IntoIterator<Item = Candidate>) -> Self {
        Self { candidates: candidates.into_iter().collect(), ..Self::default() }
    }
}

/// A passage of one article.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The article.
    pub article: Arc<Article>,
    /// The chunk that matched best, or the body where only words matched.
    pub passage: String,
    /// Who found it first.
    pub backend: BackendName,
    /// How the question matched a keyword of the graph.
    pub matched_by: Option<MatchedBy>,
    /// What the backends said of it.
    pub scores: Scores,
    /// What the whole call says for it, where the ranker asks for that.
    pub evidence: Option<Evidence>,
    /// Where the passage lies in the index that found it, where the ranker reads the whole call.
    pub place: Option<Place>,
    /// Whether an operator wants it first.
    pub is_pinned: bool,
}

/// A passage of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The article's position.
    pub article: usize,
    /// The number of the passage.
    pub chunk: usize,
}

/// Scores by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Cosine of query and passage, -1 to 1.
    pub cosine: Option<f32>,
    /// BM25 over the whole index, 0 or more.
    pub bm25: Option<f32>,
    /// What CXone's own search gave it.
    pub search: Option<f64>,
}

impl Candidate {
    /// A passage of an article that this backend found; what else is known of it comes beside.
    pub fn new(article: Arc<Article>, passage: impl Into<String>, backend: BackendName) -> Self {
        Self {
            article,
            passage: passage.into(),
            backend,
            matched_by: None,
            scores: Scores::default(),
            evidence: None,
            place: None,
            is_pinned: false,
        }
    }

    /// What is embedded: the article's heading and the passage.
    pub fn text(&self) -> String {
        self.article.text_of(&self.passage)
    }

    /// Takes over what another backend knows of the same article.
    fn gain(&mut self, other: &Self) {
        self.scores.cosine = self.scores.cosine.or(other.scores.cosine);
        self.scores.bm25 = self.scores.bm25.or(other.scores.bm25);
        self.scores.search = self.scores.search.or(other.scores.search);
        if self.evidence.is_none() {
            (self.evidence, self.place) = (other.evidence, other.place);
        }
        self.matched_by = self.matched_by.or(other.matched_by);
        self.is_pinned |= other.is_pinned;
        if self.article.priority.is_none() && other.article.priority.is_some() {
            Arc::make_mut(&mut self.article).priority = other.article.priority;
        }
    }

    /// The same article, or another one that says the same.
    fn is_same(&self, other: &Self) -> bool {
        self.article.id == other.article.id || says_the_same(&self.article.body, &other.article.body)
    }
}

/// Whether two bodies have the same words, of which there are some.
pub(crate) fn says_the_same(one: &str, other: &str) -> bool {
    let mut words = one.split_whitespace();
    words.clone().next().is_some()
        && other.split_whitespace().all(|word| words.next() == Some(word))
        && words.next().is_none()
}

impl Candidates {
    /// Nothing found yet.
    pub fn none(query: Arc<Query>, filter: ArticleFilter) -> Self {
        let (candidates, failures) = (Vec::new(), Vec::new());
        Self {
            query,
            filter,
            candidates,
            nearness: Nearness::default(),
            generation: None,
            call: None,
            muted: Vec::new(),
            num_answers: 0,
            failures,
        }
    }

    /// What of the question is the same for all of them.
    pub fn signs(&self) -> QuestionSigns {
        let phrase_reach = self.call.as_ref().map_or(0.0, |call| call.phrase_reach());
        QuestionSigns { num_words: self.query.num_words(), num_turns: self.query.turns.len(), phrase_reach }
    }

    /// Takes a backend's answer in, as far as the filter admits it.
    pub fn take(&mut self, answer: Result<Found, BackendError>) {
        match answer {
            Ok(mut found) => {
                self.num_answers += 1;
                found.candidates.retain(|candidate| self.filter.admits(&candidate.article));
                self.muted.append(&mut found.muted);
                self.muted.extend(self.query.heed_marks(&mut found.candidates));
                self.generation = self.generation.or(found.generation);
                self.call = self.call.take().or(found.call);
                self.nearness = self.nearness.or_nearer(found.nearness);
                Self::merge(&mut self.candidates, found.candidates);
            }
            Err(error) => self.failures.push(error),
        }
    }

    /// Adds candidates; an article that is there already, by its id or by what it says, keeps its passage and gains what
    /// it lacks.
    pub(crate) fn merge(known: &mut Vec<Candidate>, more: Vec<Candidate>) {
        for candidate in more {
            match known.iter_mut().find(|known| known.is_same(&candidate)) {
                Some(known) => known.gain(&candidate),
                None => known.push(candidate),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::query;

    fn candidate(id: &str, body: &str, backend: BackendName) -> Candidate {
        let article = Article { id: id.into(), body: body.into(), ..Article::default() };
        Candidate::new(Arc::new(article), body, backend)
    }

    #[test]
    fn an_article_is_one_candidate_by_its_id_and_by_what_it_says() {
        let mut found = Candidates::none(Arc::new(query("refund")), ArticleFilter::default());
        let cosine = Scores { cosine: Some(0.5), ..Scores::default() };
        let search = Scores { search: Some(9.0), ..Scores::default() };
        let index = |id, body| Candidate { scores: cosine, ..candidate(id, body, BackendName::Index) };
        let remote = |id, body| Candidate { scores: search, ..candidate(id, body, BackendName::Search) };
        found.take(Ok(Found::of([index("a", "refunds take 5 days"), index("b", ""), index("c", "")])));
        found.take(Ok(Found::of([
            remote("a", "other words"),
            remote("x", " refunds  take\n5 days"),
            remote("y", "refunds take 5"),
            remote("z", ""),
        ])));
        let ids: Vec<_> = found.candidates.iter().map(|candidate| candidate.article.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "c", "y", "z"]);
        let first = &found.candidates[0];
        assert_eq!((first.passage.as_str(), first.backend), ("refunds take 5 days", BackendName::Index));
        assert_eq!((first.scores.cosine, first.scores.search), (Some(0.5), Some(9.0)));
    }

    #[test]
    fn what_is_not_shown_is_no_candidate_whoever_found_it() {
        let filter = ArticleFilter { audience: "agent".parse().ok(), language: "en".parse().ok() };
        let mut found = Candidates::none(Arc::new(query("refund")), filter);
        let with = |id, change: fn(&mut Article)| {
            let mut candidate = candidate(id, id, BackendName::Search);
            change(Arc::make_mut(&mut candidate.article));
            candidate
        };
        found.take(Ok(Found::of([
            with("draft", |article| article.status = Some("draft".into())),
            with("customers", |article| article.audience = "customer".parse().ok()),
            with("german", |article| article.language = Some("de-AT".into())),
            with("shown", |article| article.language = Some("en-US".into())),
        ])));
        let ids: Vec<_> = found.candidates.iter().map(|candidate| candidate.article.id.as_str()).collect();
        assert_eq!(ids, ["shown"]);
    }

    #[test]
    fn a_backend_that_fails_is_left_out_and_the_closest_look_at_the_newest_turn_counts() {
        let mut found = Candidates::none(Arc::new(query("refund")), ArticleFilter::default());
        let saw = |cosine| Found { nearness: Nearness::of_passage(Some(cosine)), ..Found::default() };
        found.take(Ok(Found { generation: Some(7), ..saw(0.4) }));
        found.take(Err(BackendError::failed(BackendName::Search, "connection refused")));
        found.take(Ok(saw(0.3)));
        assert_eq!((found.num_answers, found.generation, found.nearness.passage), (2, Some(7), Some(0.4)));
        assert_eq!(found.failures, [BackendError::failed(BackendName::Search, "connection refused")]);
    }
}

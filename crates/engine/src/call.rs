//! What the whole call says for each article of an index: the evidence of the ranker `conversation`.
//!
//! Every article is looked at by what is cheap: its closeness to the newest turn and to the call, the words that it shares
//! with them, the names that were said. What costs more, exact cosines and what speaks against an article, is computed
//! from the top down until the order of the best can't change any more.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::fmt;
use std::sync::Arc;

use cuecard_knowledge::{Heard, Index, Rival, WordsOf};
use cuecard_ranking::conversation::{Evidence, name_weight, offer, turn_weight, word_weight};

use crate::backends::BackendName;
use crate::candidates::{Candidate, Found, Scores, says_the_same};
use crate::complete::dot;
use crate::conversation::Speaker;
use crate::extract::Query;
use crate::plan::Plan;
use crate::turns::HeardTurn;

/// The best articles of an index for the call, with their evidence.
pub(crate) fn search(index: &Arc<Index>, query: &Query, plan: &Plan) -> Found {
    let call = Call::of(Arc::clone(index), &query.turns);
    let looks = Looks::of(&call);
    let admits = index.admits(&plan.filter);
    let articles = (0..index.len()).filter(|article| admits(*article));
    let best = best(articles, plan.candidates, &looks, &call);
    let candidates = best.into_iter().map(|ranked| ranked.candidate(&call)).collect();
    let closeness = looks.nearest_to_newest(&call, &admits);
    Found { candidates, closeness, generation: Some(index.generation()), call: Some(Arc::new(call)) }
}

/// The call as an index is asked about it.
pub struct Call {
    index: Arc<Index>,
    /// Of the newest customer turn, where it has one.
    newest: Option<Vec<f32>>,
    /// The weighted mean of all turns that have one, of length 1.
    whole: Option<Vec<f32>>,
    newest_words: BTreeMap<String, f32>,
    /// Each with its weight; in a fixed order, since sums of floats depend on it.
    words: BTreeMap<String, f32>,
    /// How clearly each entity was named; 0 for most.
    named: Vec<f32>,
    /// Those of them that speak against articles of others.
    rivals: Vec<Rival>,
    /// How clearly each domain was named.
    domains: HashMap<u32, f32>,
}

/// Prints sizes, never what was said.
impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Call").field("words", &self.words.len()).finish_non_exhaustive()
    }
}

impl Call {
    fn of(index: Arc<Index>, turns: &[HeardTurn]) -> Self {
        let newest = turns.iter().rposition(|turn| turn.speaker == Speaker::Customer);
        let mut call = Self {
            newest: newest.and_then(|newest| Some(turns[newest].encoding.as_ref()?.embedding.clone())),
            whole: mean(turns),
            newest_words: BTreeMap::new(),
            words: BTreeMap::new(),
            named: vec![0.0; index.relations().num_entities()],
            rivals: Vec::new(),
            domains: HashMap::new(),
            index,
        };
        for (turns_back, (position, turn)) in turns.iter().enumerate().rev().enumerate() {
            call.hear(turn, turns_back, Some(position) == newest);
        }
        let named = (0..).zip(&call.named).map(|(name, share)| Heard { name, share: *share });
        call.rivals = call.index.relations().rivals(named);
        call
    }

    /// An article that stands in two places is one answer.
    fn say_the_same(&self, one: &Ranked, other: &Ranked) -> bool {
        let body = |ranked: &Ranked| &self.index.article(ranked.article).body;
        says_the_same(body(one), body(other))
    }

    /// What the call says for a text that is no article of the index: what can be told from its words and its embedding.
    pub(crate) fn evidence_of(&self, candidate: &Candidate, embedding: Option<&[f32]>) -> Evidence {
        let (title, text) = (&candidate.article.title, candidate.text());
        let share = |text: &str, of, words| self.index.share_of_text(text, of, weights(words));
        let cosine =
            |turn: Option<&Vec<f32>>| turn.zip(embedding).map_or(0.0, |(turn, embedding)| dot(turn, embedding));
        let (call_cosine, call_words) = (cosine(self.whole.as_ref()), share(&text, WordsOf::Text, &self.words));
        Evidence {
            newest_cosine: cosine(self.newest.as_ref()),
            call_cosine,
            newest_words: share(&text, WordsOf::Text, &self.newest_words),
            call_words,
            title_words: share(title, WordsOf::Title, &self.words),
            group: offer(call_cosine, call_words),
            ..Evidence::default()
        }
    }

    /// Turns are heard from the newest back, so that the first mention of a word is its newest.
    fn hear(&mut self, turn: &HeardTurn, turns_back: usize, is_newest: bool) {
        let text = turn.text.verbatim();
        for word in self.index.words(text) {
            if is_newest {
                self.newest_words.insert(word.clone(), 1.0);
            }
            self.words.entry(word).or_insert_with(|| word_weight(turns_back));
        }
        let (relations, weight) = (self.index.relations(), name_weight(turns_back, turn.speaker == Speaker::Agent));
        for Heard { name, share } in relations.entities_heard(text, |word| self.index.has_word(word)) {
            let named = &mut self.named[name as usize];
            *named = named.max(weight * share);
        }
        for Heard { name, share } in relations.domains_heard(text) {
            let named = self.domains.entry(name).or_default();
            *named = named.max(weight * share);
        }
    }
}

fn weights(words: &BTreeMap<String, f32>) -> impl Iterator<Item = (&str, f32)> {
    words.iter().map(|(word, weight)| (word.as_str(), *weight))
}

/// The mean of the turns' embeddings, newer and longer ones weighing more, of length 1.
fn mean(turns: &[HeardTurn]) -> Option<Vec<f32>> {
    let mut mean: Vec<f32> = Vec::new();
    for (turns_back, turn) in turns.iter().rev().enumerate() {
        let Some(encoding) = &turn.encoding else { continue };
        let weight = turn_weight(turns_back, turn.text.verbatim().split_whitespace().count());
        mean.resize(encoding.embedding.len(), 0.0);
        mean.iter_mut().zip(&encoding.embedding).for_each(|(mean, value)| *mean += weight * value);
    }
    let norm = mean.iter().map(|value| value * value).sum::<f32>().sqrt();
    (norm > 0.0).then(|| mean.into_iter().map(|value| value / norm).collect())
}

/// A look at every article.
struct Looks {
    newest_cosines: Vec<f32>,
    call_cosines: Vec<f32>,
    newest_words: Vec<f32>,
    call_words: Vec<f32>,
    title_words: Vec<f32>,
    /// For each group the best that an article has to offer it.
    groups: Vec<f32>,
}

impl Looks {
    fn of(call: &Call) -> Self {
        let index = &call.index;
        let closeness = |embedding: Option<&Vec<f32>>| match embedding {
            Some(embedding) => index.closeness(embedding),
            None => vec![0.0; index.len()],
        };
        let mut looks = Self {
            newest_cosines: closeness(call.newest.as_ref()),
            call_cosines: closeness(call.whole.as_ref()),
            newest_words: index.shares(WordsOf::Text, weights(&call.newest_words)),
            call_words: index.shares(WordsOf::Text, weights(&call.words)),
            title_words: index.shares(WordsOf::Title, weights(&call.words)),
            groups: vec![0.0; index.relations().num_groups()],
        };
        for (article, (cosine, words)) in looks.call_cosines.iter().zip(&looks.call_words).enumerate() {
            let best = &mut looks.groups[index.relations().group_of(article) as usize];
            *best = best.max(offer(*cosine, *words));
        }
        looks
    }

    /// All but what speaks against the article, its cosines to the second place.
    fn evidence(&self, article: usize, call: &Call) -> Evidence {
        let relations = call.index.relations();
        let entity = relations.entity_of(article);
        let domain_named = || relations.domain_of(article).and_then(|domain| call.domains.get(&domain)).copied();
        Evidence {
            newest_cosine: self.newest_cosines[article],
            call_cosine: self.call_cosines[article],
            newest_words: self.newest_words[article],
            call_words: self.call_words[article],
            title_words: self.title_words[article],
            named: entity.map_or(0.0, |entity| call.named[entity as usize]),
            contradicted: 0.0,
            domain_named: if entity.is_none() { domain_named().unwrap_or_default() } else { 0.0 },
            has_entity: f32::from(entity.is_some()),
            group: self.groups[relations.group_of(article) as usize],
        }
    }

    fn nearest_to_newest(&self, call: &Call, admits: &impl Fn(usize) -> bool) -> Option<f32> {
        let newest = call.newest.as_ref()?;
        let admitted = self.newest_cosines.iter().enumerate().filter(|(article, _)| admits(*article));
        let (nearest, _) = admitted.max_by(|a, b| a.1.total_cmp(b.1))?;
        call.index.best_chunk(nearest, newest).map(|hit| hit.cosine)
    }
}

/// An article and its sum: what it can reach at most, then what it is.
struct Ranked {
    article: usize,
    evidence: Evidence,
    sum: f32,
    chunk: Option<usize>,
    is_exact: bool,
}

impl Ranked {
    fn at_most(article: usize, looks: &Looks, call: &Call) -> Self {
        let evidence = looks.evidence(article, call);
        Self { article, sum: evidence.sum(), evidence, chunk: None, is_exact: false }
    }

    fn exact(mut self, call: &Call) -> Self {
        let evidence = &mut self.evidence;
        if let Some(hit) = call.newest.as_ref().and_then(|newest| call.index.best_chunk(self.article, newest)) {
            (evidence.newest_cosine, self.chunk) = (hit.cosine, Some(hit.chunk));
        }
        if let Some(hit) = call.whole.as_ref().and_then(|whole| call.index.best_chunk(self.article, whole)) {
            evidence.call_cosine = hit.cosine;
        }
        evidence.contradicted = call.index.relations().contradiction(self.article, evidence.named, &call.rivals);
        self.sum = evidence.sum();
        self.is_exact = true;
        self
    }

    fn candidate(self, call: &Call) -> Candidate {
        let index = &call.index;
        let article = Arc::clone(index.article(self.article));
        let passage = self.chunk.and_then(|chunk| index.chunk_text(self.article, chunk)).unwrap_or(&article.body);
        let cosine = call.newest.is_some().then_some(self.evidence.newest_cosine);
        Candidate {
            passage: passage.to_owned(),
            article,
            backend: BackendName::Index,
            matched_by: None,
            scores: Scores { cosine, ..Scores::default() },
            evidence: Some(self.evidence),
        }
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sum.total_cmp(&other.sum).then_with(|| other.article.cmp(&self.article))
    }
}

/// The best so many of these articles, best first; of those that say the same, the best. What comes to the top without its
/// exact sum gets that and goes back to its place; what comes to the top with it is the next best.
fn best(articles: impl Iterator<Item = usize>, count: usize, looks: &Looks, call: &Call) -> Vec<Ranked> {
    let all: Vec<_> = articles.map(|article| Ranked::at_most(article, looks, call)).collect();
    let mut waiting = BinaryHeap::from(all);
    let mut best = Vec::with_capacity(count);
    while best.len() < count
        && let Some(next) = waiting.pop()
    {
        if !next.is_exact {
            waiting.push(next.exact(call));
        } else if !best.iter().any(|better| call.say_the_same(better, &next)) {
            best.push(next);
        }
    }
    best
}

//! What the whole call says for each article of an index: the evidence of the ranker `conversation`.
//!
//! Every article is looked at by what is cheap: its closeness to the newest turn and to the call, the words that it shares
//! with them, the names that were said. The best of these are looked into: their exact cosines, their nearest sentence, and
//! what speaks against them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::sync::Arc;

use cuecard_knowledge::{CodedEmbedding, Heard, Index, Rival, WordsOf};
use cuecard_ranking::conversation::{Evidence, NamedBy, named, offer, turn_weight, unsaid, word_weight};

use serde::{Deserialize, Serialize};

use crate::backends::BackendName;
use crate::candidates::{Candidate, Found, Nearness, Place, Scores, says_the_same};
use crate::complete::dot;
use crate::conversation::Speaker;
use crate::extract::Query;
use crate::plan::Plan;
use crate::rules::Mark;
use crate::turns::HeardTurn;

/// A model may bring up what the formula has further down: it learned from so many candidates.
const LEARNED_FROM: usize = 60;

/// A name of which less is said is not taken for what the turn is about.
const SAID: f32 = 0.4;

/// More names than this explain nothing.
const MOST_NAMES: usize = 8;

/// The nearest sentence is looked for in so many articles, those with the nearest passages.
const NEAR_ARTICLES: usize = 60;

/// So many articles, the best by the sum of what is cheap to tell, are looked into.
const LOOKED_INTO: usize = 300;

/// The best articles of an index for the call, with their evidence.
pub(crate) fn search(index: &Arc<Index>, query: &Query, plan: &Plan) -> Found {
    let call = Call::of(Arc::clone(index), &query.turns);
    let looks = Looks::of(&call);
    let admits = index.admits(&plan.filter);
    let articles = (0..index.len()).filter(|article| admits(*article));
    let count = if query.model.is_some() { plan.candidates.max(LEARNED_FROM) } else { plan.candidates };
    let mark = |article: usize| query.mark(&index.article(article).id);
    let Best { ranked: best, muted } = best(articles, count, &looks, &call, &mark);
    let adapted = query.adapted.as_deref();
    let candidates = best.into_iter().map(|ranked| ranked.candidate(&call, adapted)).collect();
    let nearness = looks.nearness(&call, &admits, &mark);
    let generation = Some(index.generation());
    Found { candidates, nearness, generation, call: Some(Arc::new(call)), muted }
}

/// A name of the articles that was said in the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeardName {
    /// As the articles spell it.
    pub name: String,
    /// How much of it was said, 0 to 1.
    pub share: f32,
    /// Who said it last.
    pub speaker: Speaker,
    /// How many turns before the newest.
    pub turns_back: usize,
}

/// The call as an index is asked about it.
pub struct Call {
    index: Arc<Index>,
    /// The newest customer turn.
    newest: Said,
    /// The weighted mean of all turns that have an embedding, of length 1, and the words of all, each with its weight.
    whole: Said,
    /// The words of the customer's turns.
    customer_words: Words,
    /// What the agent said last before the newest customer turn.
    agent: Option<Said>,
    /// How clearly each name was said; 0 for most.
    named: Vec<f32>,
    /// The names that were said, the clearest first.
    heard: Vec<HeardName>,
    /// Those of them that speak against articles of others.
    rivals: Vec<Rival>,
    /// What the newest customer turn says beside the name that is said most clearly in it: what is asked, whatever about.
    asked: Option<Vec<f32>>,
    /// The domains that the newest customer turn names.
    domains: Vec<u32>,
}

/// Words, each with its weight; in a fixed order, since sums of floats depend on it.
type Words = BTreeMap<String, f32>;

/// What was said, as it is compared with articles.
#[derive(Default)]
struct Said {
    embedding: Option<Vec<f32>>,
    words: Words,
}

impl Said {
    fn of(index: &Index, turn: &HeardTurn) -> Self {
        let words = index.words(turn.text.verbatim()).into_iter().map(|word| (word, 1.0)).collect();
        Self { embedding: turn.encoding.as_ref().map(|encoding| encoding.embedding.clone()), words }
    }
}

/// Prints sizes, never what was said.
impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Call").field("words", &self.whole.words.len()).finish_non_exhaustive()
    }
}

impl Call {
    fn of(index: Arc<Index>, turns: &[HeardTurn]) -> Self {
        let newest = turns.iter().rposition(|turn| turn.speaker == Speaker::Customer).unwrap_or(turns.len());
        let agent = turns[..newest].iter().rev().find(|turn| turn.speaker == Speaker::Agent);
        let newest_turn = turns.get(newest);
        let mut call = Self {
            newest: newest_turn.map_or_else(Said::default, |turn| Said::of(&index, turn)),
            whole: Said { embedding: mean(turns), words: Words::new() },
            customer_words: Words::new(),
            agent: agent.map(|turn| Said::of(&index, turn)),
            named: vec![0.0; index.relations().num_names()],
            heard: Vec::new(),
            rivals: Vec::new(),
            asked: None,
            domains: newest_turn.map_or_else(Vec::new, |turn| index.relations().domains_named(turn.text.verbatim())),
            index,
        };
        let (mut clearest, mut last_said): (Option<Heard>, BTreeMap<u32, HeardName>) = (None, BTreeMap::new());
        for (turns_back, (position, turn)) in turns.iter().enumerate().rev().enumerate() {
            let heard = call.hear(turn, turns_back, position == newest);
            if position == newest {
                clearest = heard.iter().copied().max_by(|a, b| a.share.total_cmp(&b.share));
            }
            for Heard { name, share } in heard.into_iter().filter(|heard| heard.share > SAID) {
                let spelled = call.index.relations().spelled(name).to_owned();
                last_said.entry(name).or_insert(HeardName { name: spelled, share, speaker: turn.speaker, turns_back });
            }
        }
        call.heard = call.clearest_first(last_said);
        let named = (0..).zip(&call.named).map(|(name, share)| Heard { name, share: *share });
        call.rivals = call.index.relations().rivals(named);
        call.asked = call.newest.embedding.as_ref().map(|newest| call.without_name(newest, clearest));
        call
    }

    fn without_name(&self, embedding: &[f32], clearest: Option<Heard>) -> Vec<f32> {
        match clearest.filter(|name| name.share > SAID) {
            Some(name) => self.index.relations().without_name(embedding, name.name),
            None => embedding.to_vec(),
        }
    }

    fn clearest_first(&self, last_said: BTreeMap<u32, HeardName>) -> Vec<HeardName> {
        let mut names: Vec<_> = last_said.into_iter().collect();
        let clearness = |name: u32| self.named[name as usize];
        names.sort_by(|(a, _), (b, _)| clearness(*b).total_cmp(&clearness(*a)));
        names.into_iter().take(MOST_NAMES).map(|(_, heard)| heard).collect()
    }

    /// The names that were said, the clearest first.
    pub(crate) fn heard(&self) -> &[HeardName] {
        &self.heard
    }

    /// Turns are heard from the newest back, so that the first mention of a word is its newest. Gives the names of which
    /// something is said.
    fn hear(&mut self, turn: &HeardTurn, turns_back: usize, is_newest: bool) -> Vec<Heard> {
        let text = turn.text.verbatim();
        for word in self.index.words(text) {
            if turn.speaker == Speaker::Customer {
                self.customer_words.entry(word.clone()).or_insert_with(|| word_weight(turns_back));
            }
            self.whole.words.entry(word).or_insert_with(|| word_weight(turns_back));
        }
        let by = match turn.speaker {
            Speaker::Agent => NamedBy::Agent,
            Speaker::Customer if is_newest => NamedBy::NewestTurn,
            Speaker::Customer => NamedBy::Customer,
        };
        let heard = self.index.relations().names_heard(text, |word| self.index.has_word(word));
        for Heard { name, share } in &heard {
            let clearest = &mut self.named[*name as usize];
            *clearest = clearest.max(named(*share, turns_back, by));
        }
        heard
    }

    /// What the call says for a text that is no article of the index: what can be told from its words and its embedding.
    pub(crate) fn evidence_of(&self, candidate: &Candidate, embedding: Option<&[f32]>) -> Evidence {
        let (title, text) = (&candidate.article.title, candidate.text());
        let cosine = |said: &Said| said.embedding.as_deref().zip(embedding).map_or(0.0, |(said, text)| dot(said, text));
        let offered = |said: &Said| offer(cosine(said), self.share(&text, WordsOf::Text, &said.words));
        let newest_cosine = cosine(&self.newest);
        Evidence {
            newest_cosine,
            call_cosine: cosine(&self.whole),
            sentence_cosine: newest_cosine,
            newest_words: self.share(&text, WordsOf::Text, &self.newest.words),
            call_words: self.share(&text, WordsOf::Text, &self.whole.words) * unsaid(newest_cosine),
            heading_words: self.share(title, WordsOf::Heading, &self.customer_words),
            group_call: offered(&self.whole),
            group_newest: newest_cosine,
            group_agent: self.agent.as_ref().map_or(0.0, offered),
            ..Evidence::default()
        }
    }

    fn share(&self, text: &str, of: WordsOf, words: &Words) -> f32 {
        self.index.share_of_text(text, of, weights(words))
    }

    fn coded_question(&self) -> Option<CodedEmbedding> {
        CodedEmbedding::of(self.asked.as_ref()?, &self.index)
    }

    /// The embedding of the passage by which a candidate was found, where the index found it.
    pub fn embedding_of(&self, candidate: &Candidate) -> Option<&[f32]> {
        let place = candidate.place?;
        self.index.embedding(place.article, place.chunk)
    }

    /// An article that stands in two places is one answer.
    fn say_the_same(&self, one: &Ranked, other: &Ranked) -> bool {
        let body = |ranked: &Ranked| &self.index.article(ranked.article).body;
        says_the_same(body(one), body(other))
    }
}

fn weights(words: &Words) -> impl Iterator<Item = (&str, f32)> {
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
    newest: Look,
    whole: Look,
    heading_words: Vec<f32>,
    /// How much the newest turn leaves to the rest of the call.
    unsaid: f32,
    /// For each group the best that an article of it has to offer.
    group_call: Vec<f32>,
    group_newest: Vec<f32>,
    group_agent: Vec<f32>,
}

/// For each article its closeness to what was said, and the share of its words that it has.
struct Look {
    cosines: Vec<f32>,
    words: Vec<f32>,
}

impl Look {
    fn of(said: &Said, cosines: Vec<f32>, index: &Index) -> Self {
        Self { cosines, words: index.shares(WordsOf::Text, weights(&said.words)) }
    }

    fn offers(&self) -> impl Iterator<Item = f32> {
        self.cosines.iter().zip(&self.words).map(|(cosine, words)| offer(*cosine, *words))
    }
}

impl Looks {
    fn of(call: &Call) -> Self {
        let (index, agent) = (&call.index, call.agent.as_ref());
        let embeddings = [&call.newest, &call.whole].map(|said| said.embedding.as_deref());
        let agent_embedding = agent.and_then(|said| said.embedding.as_deref());
        let [to_newest, to_whole, to_agent] = index.closeness([embeddings[0], embeddings[1], agent_embedding]);
        let (newest, whole) = (Look::of(&call.newest, to_newest, index), Look::of(&call.whole, to_whole, index));
        let group_agent = match agent {
            Some(said) => best_of_groups(index, Look::of(said, to_agent, index).offers()),
            None => vec![0.0; index.relations().num_groups()],
        };
        Self {
            heading_words: index.shares(WordsOf::Heading, weights(&call.customer_words)),
            unsaid: unsaid(newest.cosines.iter().copied().fold(0.0, f32::max)),
            group_call: best_of_groups(index, whole.offers()),
            group_newest: best_of_groups(index, newest.cosines.iter().copied()),
            group_agent,
            newest,
            whole,
        }
    }

    /// All that is cheap to tell of an article; cosines to the second place.
    fn evidence(&self, article: usize, call: &Call) -> Evidence {
        let relations = call.index.relations();
        let group = relations.group_of(article) as usize;
        let domain = match relations.domain_of(article) {
            Some(domain) if !call.domains.is_empty() => {
                if call.domains.contains(&domain) {
                    1.0
                } else {
                    -1.0
                }
            }
            _ => 0.0,
        };
        Evidence {
            newest_cosine: self.newest.cosines[article],
            call_cosine: self.whole.cosines[article],
            sentence_cosine: 0.0,
            newest_words: self.newest.words[article],
            call_words: self.whole.words[article] * self.unsaid,
            heading_words: self.heading_words[article],
            named: relations.name_of(article).map_or(0.0, |name| call.named[name as usize]),
            contradicted: 0.0,
            domain,
            group_call: self.group_call[group],
            group_newest: self.group_newest[group],
            group_agent: self.group_agent[group],
            centrality: call.index.centrality()[article],
            adapted: 0.0,
        }
    }

    fn nearness(
        &self,
        call: &Call,
        admits: &impl Fn(usize) -> bool,
        mark: &impl Fn(usize) -> Option<Mark>,
    ) -> Nearness {
        let index = &call.index;
        let mut near: Vec<usize> = (0..index.len()).filter(|article| admits(*article)).collect();
        let nearest_first = |a: &usize, b: &usize| self.newest.cosines[*b].total_cmp(&self.newest.cosines[*a]);
        if near.len() > NEAR_ARTICLES {
            near.select_nth_unstable_by(NEAR_ARTICLES, nearest_first);
            near.truncate(NEAR_ARTICLES);
        }
        // Of the nearest alone: a mark is looked up by an article's id.
        near.retain(|article| mark(*article) != Some(Mark::Muted));
        let passage = |newest: &Vec<f32>| {
            let nearest = near.iter().copied().min_by(nearest_first)?;
            index.best_chunk(nearest, newest).map(|hit| hit.cosine)
        };
        let sentence = |asked: &CodedEmbedding| {
            near.iter().map(|article| index.sentence_closeness(*article, asked)).max_by(f32::total_cmp)
        };
        Nearness {
            passage: call.newest.embedding.as_ref().and_then(passage),
            sentence: call.coded_question().as_ref().and_then(sentence),
        }
    }
}

/// For each group the best that its articles offer.
fn best_of_groups(index: &Index, offers: impl Iterator<Item = f32>) -> Vec<f32> {
    let mut best = vec![f32::NEG_INFINITY; index.relations().num_groups()];
    for (article, offer) in offers.enumerate() {
        let best = &mut best[index.relations().group_of(article) as usize];
        *best = best.max(offer);
    }
    best
}

/// An article with its sum.
struct Ranked {
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
        evidence.call_cosine = nearest(&call.whole).map_or(evidence.call_cosine, |hit| hit.cosine);
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

    fn candidate(mut self, call: &Call, adapted: Option<&[f32]>) -> Candidate {
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
struct Best {
    /// Best first; of those that say the same, the best.
    ranked: Vec<Ranked>,
    /// The ids of those that would be among them and are muted.
    muted: Vec<String>,
}

/// The best so many of these articles. What speaks against an article takes longest to tell, and is told only of those that
/// would otherwise be the next best.
fn best(
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
        } else if let Some(better) = best.iter_mut().find(|better| call.say_the_same(better, &next)) {
            better.is_pinned |= next.is_pinned;
        } else {
            best.push(next);
        }
    }
    Best { ranked: best, muted }
}

/// The best so many by the sum of what is cheap to tell, in no order.
fn promising(articles: impl Iterator<Item = usize>, count: usize, looks: &Looks, call: &Call) -> Vec<usize> {
    let mut sums: Vec<_> = articles.map(|article| (looks.evidence(article, call).sum(), article)).collect();
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

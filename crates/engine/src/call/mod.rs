//! What the whole call says for each article of an index: the evidence of the ranker `conversation`.
//!
//! Every article is looked at by what is cheap: its closeness to the newest turn and to the call, the words that it shares
//! with them, the names that were said. The best of these are looked into: their exact cosines, their nearest sentence, and
//! what speaks against them.

mod best;
mod looks;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use cuecard_knowledge::{CodedEmbedding, Heard, Index, Reading, Rival, WeightedGrams, WordsOf};
use cuecard_ranking::conversation::{
    Evidence, NamedBy, named, offer, phrase_weight, phrased, turn_weight, unsaid, word_weight,
};
use serde::{Deserialize, Serialize};

use self::best::{Best, best};
use self::looks::Looks;
use crate::candidates::{Candidate, Found};
use crate::complete::dot;
use crate::conversation::Speaker;
use crate::extract::Query;
use crate::plan::Plan;
use crate::turns::HeardTurn;

/// A model may bring up what the formula has further down: it learned from so many candidates.
const LEARNED_FROM: usize = 60;

/// A name of which less is said is not taken for what the turn is about.
const SAID: f32 = 0.4;

/// More names than this explain nothing.
const MOST_NAMES: usize = 8;

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
    /// For each article how much the words of all turns speak for it, by customers' phrases.
    phrased_words: Vec<f32>,
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
        let words = index.read(turn.text.verbatim()).words.iter().map(|word| (word.clone(), 1.0)).collect();
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
            phrased_words: Vec::new(),
            agent: agent.map(|turn| Said::of(&index, turn)),
            named: vec![0.0; index.relations().num_names()],
            heard: Vec::new(),
            rivals: Vec::new(),
            asked: None,
            domains: newest_turn.map_or_else(Vec::new, |turn| index.relations().domains_named(turn.text.verbatim())),
            index,
        };
        let (mut clearest, mut last_said): (Option<Heard>, BTreeMap<u32, HeardName>) = (None, BTreeMap::new());
        let mut readings = Vec::new();
        for (turns_back, (position, turn)) in turns.iter().enumerate().rev().enumerate() {
            let reading = call.hear(turn, turns_back, position == newest);
            let names = reading.names.iter().copied();
            readings.push((phrase_weight(turns_back, turn.speaker == Speaker::Customer), Arc::clone(&reading)));
            if position == newest {
                clearest = names.clone().max_by(|a, b| a.share.total_cmp(&b.share));
            }
            for Heard { name, share } in names.filter(|heard| heard.share > SAID) {
                let spelled = call.index.relations().spelled(name).to_owned();
                last_said.entry(name).or_insert(HeardName { name: spelled, share, speaker: turn.speaker, turns_back });
            }
        }
        let weighted =
            readings.iter().map(|(weight, reading)| WeightedGrams { grams: &reading.grams, weight: *weight });
        call.phrased_words = call.index.speaks_for(weighted);
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

    /// Turns are heard from the newest back, so that the first mention of a word is its newest.
    fn hear(&mut self, turn: &HeardTurn, turns_back: usize, is_newest: bool) -> Arc<Reading> {
        let reading = self.index.read(turn.text.verbatim());
        for word in &reading.words {
            if turn.speaker == Speaker::Customer {
                self.customer_words.entry(word.clone()).or_insert_with(|| word_weight(turns_back));
            }
            self.whole.words.entry(word.clone()).or_insert_with(|| word_weight(turns_back));
        }
        let by = match turn.speaker {
            Speaker::Agent => NamedBy::Agent,
            Speaker::Customer if is_newest => NamedBy::NewestTurn,
            Speaker::Customer => NamedBy::Customer,
        };
        for Heard { name, share } in &reading.names {
            let clearest = &mut self.named[*name as usize];
            *clearest = clearest.max(named(*share, turns_back, by));
        }
        reading
    }

    /// What the call says for a text that is no article of the index: what can be told from its words and its embedding.
    pub(crate) fn evidence_of(&self, candidate: &Candidate, embedding: Option<&[f32]>) -> Evidence {
        let (title, text) = (&candidate.article.title, candidate.text());
        let cosine = |said: &Said| said.embedding.as_deref().zip(embedding).map_or(0.0, |(said, text)| dot(said, text));
        let offered = |said: &Said| offer(cosine(said), self.share(&text, WordsOf::Text, &said.words));
        let (newest_cosine, call_cosine) = (cosine(&self.newest), cosine(&self.whole));
        Evidence {
            newest_cosine,
            phrased_cosine: self.phrased(&self.newest, newest_cosine),
            call_cosine,
            phrased_call: self.phrased(&self.whole, call_cosine),
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

    /// How far the phrases in which articles say how customers ask can be trusted, 0 to 1.
    pub fn phrase_reach(&self) -> f32 {
        self.index.phrase_reach()
    }

    /// What a cosine of what was said says once more; nothing where that was not embedded, which speaks against no article.
    fn phrased(&self, said: &Said, cosine: f32) -> f32 {
        said.embedding.as_ref().map_or(0.0, |_| phrased(cosine, self.phrase_reach()))
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

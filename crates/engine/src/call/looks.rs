//! What is cheap to tell of every article: its closeness to what was said, the words that it shares with it, its group.

use cuecard_knowledge::{CodedEmbedding, Index, WordsOf};
use cuecard_ranking::conversation::{Evidence, offer, unsaid};

use super::{Call, Said, weights};
use crate::candidates::Nearness;
use crate::rules::Mark;

/// The nearest sentence is looked for in so many articles, those with the nearest passages.
const NEAR_ARTICLES: usize = 60;

/// A look at every article.
pub(super) struct Looks {
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
    pub(super) fn of(call: &Call) -> Self {
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

    /// For each article the sum of what is cheap to tell. The sum is linear in its parts, so each part is added for all
    /// articles at once, by wide operations of the processor.
    pub(super) fn sums(&self, call: &Call) -> Vec<f32> {
        let (index, none) = (&call.index, Evidence::default());
        let (relations, reach) = (index.relations(), call.phrase_reach());
        let parts = [
            (Evidence { newest_cosine: 1.0, phrased_cosine: reach, ..none }, self.newest.cosines.as_slice()),
            (Evidence { call_cosine: 1.0, phrased_call: reach, ..none }, &self.whole.cosines),
            (Evidence { newest_words: 1.0, ..none }, &self.newest.words),
            (Evidence { call_words: self.unsaid, ..none }, &self.whole.words),
            (Evidence { heading_words: 1.0, ..none }, &self.heading_words),
            (Evidence { phrased_words: 1.0, ..none }, &call.phrased_words),
            (Evidence { unphrased: 1.0, ..none }, index.unphrased()),
            (Evidence { centrality: 1.0, ..none }, index.centrality()),
        ];
        // What a cosine of 0 has of these parts is the same for all articles.
        let (phrased_cosine, phrased_call) = (call.phrased(&call.newest, 0.0), call.phrased(&call.whole, 0.0));
        let of_group = |group: usize| {
            let (group_call, group_newest) = (self.group_call[group], self.group_newest[group]);
            let group_agent = self.group_agent[group];
            Evidence { group_call, group_newest, group_agent, phrased_cosine, phrased_call, ..none }.sum()
        };
        let of_groups: Vec<f32> = (0..relations.num_groups()).map(of_group).collect();
        let of_domain = Evidence { domain: 1.0, ..none }.sum();
        let of_names: Vec<f32> = call.named.iter().map(|named| Evidence { named: *named, ..none }.sum()).collect();
        let mut sums: Vec<f32> = (0..index.len())
            .map(|article| {
                let name = relations.name_of(article).map_or(0.0, |name| of_names[name as usize]);
                of_groups[relations.group_of(article) as usize] + name + of_domain * domain(article, call)
            })
            .collect();
        for (one, values) in parts {
            let weight = one.sum();
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
        }
        sums
    }

    /// All that is cheap to tell of an article; cosines to the second place.
    pub(super) fn evidence(&self, article: usize, call: &Call) -> Evidence {
        let relations = call.index.relations();
        let group = relations.group_of(article) as usize;
        Evidence {
            newest_cosine: self.newest.cosines[article],
            phrased_cosine: call.phrased(&call.newest, self.newest.cosines[article]),
            call_cosine: self.whole.cosines[article],
            phrased_call: call.phrased(&call.whole, self.whole.cosines[article]),
            sentence_cosine: 0.0,
            newest_words: self.newest.words[article],
            call_words: self.whole.words[article] * self.unsaid,
            heading_words: self.heading_words[article],
            phrased_words: call.phrased_words[article],
            unphrased: call.index.unphrased()[article],
            named: relations.name_of(article).map_or(0.0, |name| call.named[name as usize]),
            contradicted: 0.0,
            domain: domain(article, call),
            group_call: self.group_call[group],
            group_newest: self.group_newest[group],
            group_agent: self.group_agent[group],
            centrality: call.index.centrality()[article],
            adapted: 0.0,
        }
    }

    pub(super) fn nearness(
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

/// Where the newest turn names domains: 1 for an article of one of them, -1 for one of another.
fn domain(article: usize, call: &Call) -> f32 {
    match call.index.relations().domain_of(article) {
        Some(domain) if call.domains.contains(&domain) => 1.0,
        Some(_) if !call.domains.is_empty() => -1.0,
        _ => 0.0,
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::error::Error;
    use std::ops::Range;
    use std::sync::Arc;

    use cuecard_encoder::Encoding;
    use cuecard_knowledge::{Article, Completeness, TextEncoder, Update, build};
    use tempfile::TempDir;

    use super::*;
    use crate::conversation::Speaker::{Agent, Customer};
    use crate::turns::HeardTurn;

    /// Embeds each text along the axis of its length.
    struct ByLength;

    impl TextEncoder for ByLength {
        fn model(&self) -> &'static str {
            "by length"
        }

        fn dimensions(&self) -> usize {
            Encoding::along(0).embedding.len()
        }

        fn chunks(&self, text: &str) -> Vec<Range<usize>> {
            std::iter::once(0..text.len()).collect()
        }

        fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Box<dyn Error + Send + Sync>> {
            Ok(texts.iter().map(|text| Encoding::along(text.len() % 5).embedding).collect())
        }
    }

    #[test]
    fn the_sums_of_all_articles_are_those_of_their_evidence() {
        let article = |number: usize| Article {
            id: number.to_string(),
            title: format!("{} at house {number}", ["Bicycles", "Parking"][number / 10]),
            body: format!("{} wait {}", ["Trains", "Vans"][number / 10], "behind the house ".repeat(number)),
            entity: (!number.is_multiple_of(3)).then(|| ["Acorn Lodge", "Old Mill Inn"][number % 2].to_owned()),
            domain: Some(["hotel", "tram"][number % 2].to_owned()),
            asked_as: vec![["Where do I leave my van?", "Is there a bicycle?"][number % 2].to_owned(); number],
            ..Article::default()
        };
        let directory = TempDir::new().unwrap();
        let articles = (0..12).map(article).collect();
        let update = Update { source: "file:test".to_owned(), articles, completeness: Completeness::Full };
        build(directory.path(), update, &ByLength, &()).unwrap();
        let turn = |speaker, text: &str, axis: usize| {
            // Near an article, but not so near that nothing is left to what was said before.
            let mut encoding = Encoding::along(axis);
            (encoding.embedding[axis], encoding.embedding[axis + 10]) = (0.6, 0.8);
            HeardTurn { speaker, text: text.into(), encoding: Some(Arc::new(encoding)) }
        };
        let turns = [
            turn(Customer, "I booked the Old Mill Inn", 0),
            turn(Agent, "Do you come by van?", 2),
            turn(Customer, "Yes, what about parking my vans at the hotel?", 3),
        ];
        let call = Call::of(Arc::new(Index::open(directory.path(), None).unwrap()), &turns);
        let looks = Looks::of(&call);
        let apart: Vec<f32> = (0..call.index.len()).map(|article| looks.evidence(article, &call).sum()).collect();
        let sums = looks.sums(&call);
        assert!(sums.iter().zip(&apart).all(|(sum, apart)| (sum - apart).abs() < 1e-4), "{sums:?}\n{apart:?}");
        let parts: [fn(&Evidence) -> f32; 10] = [
            |evidence| evidence.phrased_cosine,
            |evidence| evidence.phrased_call,
            |evidence| evidence.phrased_words,
            |evidence| evidence.unphrased,
            |evidence| evidence.named,
            |evidence| evidence.domain,
            |evidence| evidence.group_agent,
            |evidence| evidence.newest_words,
            |evidence| evidence.call_words,
            |evidence| evidence.heading_words,
        ];
        let is_told = |part: fn(&Evidence) -> f32| (0..12).any(|article| part(&looks.evidence(article, &call)) != 0.0);
        assert_eq!(parts.map(is_told), [true; 10]);
    }
}

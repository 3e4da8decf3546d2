//! Which keywords of the graph a question means.
//!
//! Input are the keywords of a graph and an encoder; then a question with its key phrases and its embedding. Output are
//! keywords, each with the way in which it matched, the surest first. Only building can fail, when the encoder does; the
//! cache of embeddings is a help and never a need.

mod normal;
mod phrases;
mod vectors;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::encoder::TextEncoder;
use crate::error::IndexError;
use crate::graph::keywords::normal::normalised;
use crate::graph::keywords::phrases::Runs;
use crate::graph::keywords::vectors::KeywordVectors;

/// Contract 002 tries the nearest keywords last, and each costs a lookup.
const NEAREST: usize = 3;

/// Longest phrases first, so that what is cut is the least telling; each costs a lookup.
const MOST_PHRASES: usize = 10;

/// How a question led to a keyword, the surest way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MatchedBy {
    /// The question is the keyword.
    Exact,
    /// It is but for case, punctuation and space.
    Normalised,
    /// The keyword stands in the question, or is one of its key phrases.
    Phrase,
    /// The keyword lies near the question in the vector space.
    Nearest,
}

/// The keywords of a graph, ready to be looked for.
pub struct KeywordCatalog {
    /// Sorted, each once.
    keywords: Vec<String>,
    /// Places of keywords by their normalised form.
    normalised: HashMap<String, Vec<u32>>,
    runs: Runs,
    vectors: KeywordVectors,
}

impl KeywordCatalog {
    /// Embeds every keyword whose vector is not in the file `cache`, where it is kept for the next time. Blocks while
    /// the encoder works. The file belongs to this catalog alone: vectors of other keywords are dropped from it in time.
    /// One that can't be used is done without, with a warning.
    pub fn build(
        keywords: impl IntoIterator<Item = String>,
        encoder: &dyn TextEncoder,
        cache: Option<&Path>,
    ) -> Result<Self, IndexError> {
        let mut keywords: Vec<String> = keywords.into_iter().collect();
        keywords.sort_unstable();
        keywords.dedup();
        let vectors = KeywordVectors::build(&keywords, encoder, cache)?;
        let mut normalised_forms: HashMap<String, Vec<u32>> = HashMap::new();
        for (place, keyword) in (0..).zip(&keywords) {
            let form = normalised(keyword);
            if !form.is_empty() {
                normalised_forms.entry(form).or_default().push(place);
            }
        }
        let runs = Runs::of(normalised_forms.keys().map(String::as_str));
        Ok(Self { keywords, normalised: normalised_forms, runs, vectors })
    }

    /// How many keywords there are.
    pub fn len(&self) -> usize {
        self.keywords.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keywords.is_empty()
    }

    /// The keywords that a question means, each once: the one that it is, those that it is but for case, punctuation and
    /// space, those that stand in it or among its key phrases (the longest first), and of the three nearest to its
    /// unit vector those that reach `min_cosine`.
    pub fn resolve(
        &self,
        query_text: &str,
        key_phrases: &[&str],
        embedding: Option<&[f32]>,
        min_cosine: f32,
    ) -> Vec<(MatchedBy, String)> {
        let form = normalised(query_text);
        let exact = self.keywords.binary_search_by(|keyword| keyword.as_str().cmp(query_text)).ok();
        let exact = exact.map(|place| place as u32).into_iter().map(|place| (MatchedBy::Exact, place));
        let normalised = self.of_form(&form).iter().map(|&place| (MatchedBy::Normalised, place));
        let phrases = self.phrases(&form, key_phrases).into_iter().map(|place| (MatchedBy::Phrase, place));
        let nearest = embedding.map(|vector| self.vectors.nearest(vector, NEAREST, min_cosine)).unwrap_or_default();
        let nearest = nearest.into_iter().map(|place| (MatchedBy::Nearest, place));
        let mut seen = HashSet::new();
        exact
            .chain(normalised)
            .chain(phrases)
            .chain(nearest)
            .filter(|(_, place)| seen.insert(*place))
            .map(|(matched_by, place)| (matched_by, self.keywords[place as usize].clone()))
            .collect()
    }

    fn of_form(&self, form: &str) -> &[u32] {
        self.normalised.get(form).map_or(&[], Vec::as_slice)
    }

    /// Those of most words first; of as many, in the order of the question, key phrases after it.
    fn phrases(&self, form: &str, key_phrases: &[&str]) -> Vec<u32> {
        let key_phrases: Vec<String> = key_phrases.iter().map(|phrase| normalised(phrase)).collect();
        let in_question = self.runs.within(form).filter(|run| *run != form);
        let mut forms: Vec<&str> = in_question.chain(key_phrases.iter().map(String::as_str)).collect();
        forms.retain(|form| self.normalised.contains_key(*form));
        forms.sort_by_key(|form| std::cmp::Reverse(form.split(' ').count()));
        let mut seen = HashSet::new();
        let places = forms.into_iter().filter(|form| seen.insert(*form)).flat_map(|form| self.of_form(form));
        places.copied().take(MOST_PHRASES).collect()
    }
}

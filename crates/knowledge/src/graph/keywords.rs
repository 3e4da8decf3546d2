//! Which keywords of the graph a question means.
//!
//! Input are the keywords of a graph and an encoder; then a question with its key phrases and its embedding. Output are
//! keywords, each with the way in which it matched, the surest first. Only building can fail, when the encoder does; the
//! cache of embeddings is a help and never a need.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::embed::embed;
use crate::encoder::TextEncoder;
use crate::error::IndexError;
use crate::filter::Admitted;
use crate::hashing::ContentHash;
use crate::store::embeddings::Embeddings;
use crate::vectors::matrix::Matrix;
use crate::vectors::{Owner, Segment, VectorTable};

/// Contract 002 tries the nearest keywords last, and each costs a lookup.
const NEAREST: usize = 3;

/// Longest phrases first, so that what is cut is the least telling; each costs a lookup.
const MOST_PHRASES: usize = 10;

/// Of a longer question the end counts; it holds several times what a customer says in one turn.
const MOST_WORDS: usize = 512;

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
    /// One row for each keyword, which is an article of one passage here.
    vectors: VectorTable,
    all: Admitted,
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
        let vectors = vectors(embedded(&keywords, encoder, cache)?);
        let all = Admitted::of(keywords.iter().map(|_| true));
        let mut normalised_forms: HashMap<String, Vec<u32>> = HashMap::new();
        for (place, keyword) in (0..).zip(&keywords) {
            let form = normalised(keyword);
            if !form.is_empty() {
                normalised_forms.entry(form).or_default().push(place);
            }
        }
        let runs = Runs::of(normalised_forms.keys().map(String::as_str));
        Ok(Self { keywords, normalised: normalised_forms, runs, vectors, all })
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
        let nearest = embedding.map(|vector| self.vectors.nearest(vector, NEAREST, &self.all)).unwrap_or_default();
        let nearest = nearest.into_iter().filter(|hit| hit.cosine >= min_cosine);
        let nearest = nearest.map(|hit| (MatchedBy::Nearest, hit.article as u32));
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

/// The vectors of keywords, kept on disk by hash of model and text.
fn embedded(keywords: &[String], encoder: &dyn TextEncoder, cache: Option<&Path>) -> Result<Matrix, IndexError> {
    let mut embeddings = Embeddings::open(cache);
    let key = |keyword: &String| (ContentHash::of_text(encoder.model(), keyword), keyword.clone());
    let texts: Vec<_> = keywords.iter().map(key).collect();
    let used: HashSet<_> = texts.iter().map(|(key, _)| *key).collect();
    let (matrix, _) = embed(texts, encoder, &mut embeddings, &|_, _| {})?;
    embeddings.prune(used.len(), || used);
    Ok(matrix)
}

fn vectors(matrix: Matrix) -> VectorTable {
    let (dimensions, num_keywords) = (matrix.dimensions(), matrix.num_rows());
    let owners = (0..num_keywords as u32).map(|article| Some(Owner { article, chunk: 0 })).collect();
    let delta = Segment::new(Matrix::new(dimensions), None);
    VectorTable::new(Arc::new(Segment::new(matrix, None)), Arc::new(delta), owners, num_keywords)
}

/// Lower-case words with one space between them: compatible characters are one (NFKC), whatever is no letter, digit or
/// mark on one parts words. Every word stays. Empty for a text without words.
fn normalised(text: &str) -> String {
    let mut form = String::with_capacity(text.len());
    // Lower case may bring marks that compose with what stands before, hence the second time.
    for character in text.nfkc().flat_map(char::to_lowercase).nfkc() {
        let is_part_of_word = character.is_alphanumeric() || is_combining_mark(character);
        if is_part_of_word {
            form.push(character);
        } else if !form.ends_with(' ') && !form.is_empty() {
            form.push(' ');
        }
    }
    form.truncate(form.trim_end().len());
    form
}

/// The runs of words of a question that may be keywords: for each word that begins a keyword, how many words the longest
/// such keyword has. So a few runs are looked at for each word of the question instead of all.
#[derive(Debug, Default)]
struct Runs {
    longest: HashMap<String, usize>,
}

impl Runs {
    /// Of the normalised forms of all keywords.
    fn of<'a>(forms: impl Iterator<Item = &'a str>) -> Self {
        let mut longest: HashMap<String, usize> = HashMap::new();
        for form in forms {
            let num_words = form.split(' ').count();
            let first = form.split(' ').next().unwrap_or_default();
            match longest.get_mut(first) {
                Some(longest) => *longest = num_words.max(*longest),
                None => {
                    longest.insert(first.to_owned(), num_words);
                }
            }
        }
        Self { longest }
    }

    /// The runs of a normalised question that begin as a keyword does, in the order of their first words.
    fn within<'a>(&self, question: &'a str) -> impl Iterator<Item = &'a str> {
        let words: Vec<&str> = question.split(' ').collect();
        let words = &words[words.len().saturating_sub(MOST_WORDS)..];
        let mut runs = Vec::new();
        for (first, word) in words.iter().enumerate() {
            let longest = self.longest.get(*word).copied().unwrap_or_default();
            let start = offset(question, word);
            for last in words[first..].iter().take(longest) {
                runs.push(&question[start..offset(question, last) + last.len()]);
            }
        }
        runs.into_iter()
    }
}

/// Where a part of a text starts in it.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_punctuation_space_and_compatible_characters_are_folded() {
        for (text, form) in [
            ("  How do I RESET my password?! ", "how do i reset my password"),
            ("can't  log\tin", "can t log in"),
            ("can’t log in", "can t log in"),
            ("ＷｉＦｉ－Router ﬁxed №5", "wifi router fixed no5"),
            ("Cafe\u{301} MÜNCHEN", "café münchen"),
            ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
            ("パスワード を リセット", "パスワード を リセット"),
            ("हिन्दी में?", "हिन्दी में"),
            ("?!…", ""),
            ("", ""),
        ] {
            assert_eq!(normalised(text), form, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_normalised_text_stays_as_it_is(text in "\\PC{0,40}") {
            let form = normalised(&text);
            prop_assert_eq!(normalised(&form), form.clone());
            prop_assert!(!form.contains("  ") && form.trim() == form);
        }
    }

    #[test]
    fn only_runs_that_begin_as_a_keyword_does_are_looked_at() {
        let runs = Runs::of(["reset password", "reset the router now", "wifi"].into_iter());
        let found = |question| runs.within(question).collect::<Vec<_>>();
        assert_eq!(found("i can t reset the wifi"), ["reset", "reset the", "reset the wifi", "wifi"],);
        assert_eq!(found("password reset"), ["reset"]);
        assert!(found("").is_empty());
    }

    #[test]
    fn of_a_very_long_question_the_end_counts() {
        let runs = Runs::of(["wifi", "router"].into_iter());
        let question = format!("wifi {} router", vec!["word"; MOST_WORDS].join(" "));
        assert_eq!(runs.within(&question).collect::<Vec<_>>(), ["router"]);
    }
}

//! Okapi BM25 over a handful of passages, with the statistics of just these passages.
//!
//! Formula: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with
//! k1 = 1.5 and b = 0.75. A word that stands in more than half of the passages would have a negative weight;
//! it gets a quarter of the average weight instead, as the `rank_bm25` package does, whose users move here.

use std::collections::HashMap;

/// How quickly a repeated word stops adding to the score.
const K1: f64 = 1.5;
/// How strongly a long passage is marked down.
const B: f64 = 0.75;
/// The share of the average weight that a word standing almost everywhere keeps.
const FLOOR: f64 = 0.25;

/// Word statistics of a set of passages.
pub struct Okapi {
    frequencies: Vec<HashMap<String, usize>>,
    lengths: Vec<usize>,
    average_length: f64,
    weights: HashMap<String, f64>,
}

impl Okapi {
    /// Counts the words of each passage.
    pub fn new<'a>(passages: impl IntoIterator<Item = &'a str>) -> Self {
        let mut frequencies = Vec::new();
        let mut lengths = Vec::new();
        for passage in passages {
            let mut counts: HashMap<String, usize> = HashMap::new();
            for word in crate::words(passage) {
                *counts.entry(word).or_default() += 1;
            }
            lengths.push(counts.values().sum());
            frequencies.push(counts);
        }
        let average_length = lengths.iter().sum::<usize>() as f64 / lengths.len().max(1) as f64;
        let weights = weights(&frequencies);
        Self { frequencies, lengths, average_length, weights }
    }

    /// One score per passage for a bag of query words; a word given twice counts twice.
    pub fn scores(&self, query: &[String]) -> Vec<f64> {
        self.frequencies
            .iter()
            .zip(&self.lengths)
            .map(|(counts, length)| query.iter().map(|word| self.word_score(word, counts, *length)).sum())
            .collect()
    }

    fn word_score(&self, word: &str, counts: &HashMap<String, usize>, length: usize) -> f64 {
        let (Some(weight), Some(count)) = (self.weights.get(word), counts.get(word)) else {
            return 0.0;
        };
        let count = *count as f64;
        let norm = K1 * (1.0 - B + B * length as f64 / self.average_length);
        weight * count * (K1 + 1.0) / (count + norm)
    }
}

/// Inverse document frequency of every word, never negative.
fn weights(frequencies: &[HashMap<String, usize>]) -> HashMap<String, f64> {
    let mut containing: HashMap<&str, usize> = HashMap::new();
    for word in frequencies.iter().flat_map(HashMap::keys) {
        *containing.entry(word).or_default() += 1;
    }
    let total = frequencies.len() as f64;
    let raw: HashMap<&str, f64> = containing
        .into_iter()
        .map(|(word, count)| (word, ((total - count as f64 + 0.5) / (count as f64 + 0.5)).ln()))
        .collect();
    let average = raw.values().sum::<f64>() / raw.len().max(1) as f64;
    // With few passages even the average can be negative; a match must never count against a passage.
    let floor = (FLOOR * average).max(0.0);
    raw.into_iter().map(|(word, weight)| (word.to_owned(), if weight < 0.0 { floor } else { weight })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Vec<String> {
        crate::words(text).collect()
    }

    #[test]
    fn agrees_with_the_formula_worked_by_hand() {
        let okapi = Okapi::new(["Refund the card", "card card lost", "open hours", "late fee"]);
        let scores = okapi.scores(&query("card"));
        // "card" stands in 2 of 4 passages: ln(2.5 / 2.5) = 0.
        assert_eq!(scores, vec![0.0; 4]);
        let scores = okapi.scores(&query("REFUND"));
        let weight = (3.5_f64 / 1.5).ln();
        let expected = weight * 2.5 / (1.0 + 1.5 * (0.25 + 0.75 * 3.0 / 2.5));
        assert!((scores[0] - expected).abs() < 1e-12, "{scores:?}");
        assert_eq!(scores[1..], [0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_word_found_everywhere_never_counts_against() {
        let okapi = Okapi::new(["the refund", "the fee", "the card"]);
        assert!(okapi.scores(&query("the")).iter().all(|score| *score >= 0.0));
        let alone = Okapi::new(["only one passage"]);
        assert!(alone.scores(&query("only")).iter().all(|score| *score >= 0.0));
    }

    #[test]
    fn no_passages_and_no_words_are_fine() {
        assert!(Okapi::new([]).scores(&query("refund")).is_empty());
        assert_eq!(Okapi::new([""]).scores(&query("refund")), vec![0.0]);
        assert_eq!(Okapi::new(["a b"]).scores(&[]), vec![0.0]);
    }
}

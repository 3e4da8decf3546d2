//! The snippets that contract 004 is asked to order.
//!
//! Input: articles, a seed. Output: one ranking request after another, the same sequence for the same seed.

use serde_json::{Value, json};

use crate::articles::Article;

/// Snippets in one request.
const NUM_SNIPPETS: usize = 10;

/// Makes ranking requests.
pub(super) struct SnippetMaker {
    ids: Vec<String>,
    state: u64,
}

impl SnippetMaker {
    /// Draws from `articles`, or from ten fixed snippets when there are fewer than that.
    pub(super) fn new(articles: &[Article], seed: u64) -> Self {
        let fixed = || (1..=NUM_SNIPPETS).map(|number| format!("KB-{number:03}")).collect();
        let ids: Vec<String> = articles.iter().map(|article| article.id.clone()).collect();
        Self { ids: if ids.len() < NUM_SNIPPETS { fixed() } else { ids }, state: seed }
    }

    /// Ten different snippets with scores of 0 to 1 and boosts of 0.5 to 1.5.
    pub(super) fn ranking_request(&mut self) -> Value {
        let first = self.next() as usize % self.ids.len();
        let snippets: Vec<Value> = (0..NUM_SNIPPETS).map(|offset| self.snippet(first + offset)).collect();
        json!({"max_result_window": NUM_SNIPPETS, "snippets": snippets})
    }

    fn snippet(&mut self, place: usize) -> Value {
        let score = (self.next() % 10_001) as f64 / 10_000.0;
        let boost = (50 + self.next() % 101) as f64 / 100.0;
        json!({
            "snippet_id": self.ids[place % self.ids.len()],
            "relevance_score": score,
            "boost_factor": boost,
            "metadata": {"source": "cxone-sim"},
        })
    }

    /// `SplitMix64` (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn requests_keep_the_contract_s_rules_and_repeat_with_their_seed() {
        let article =
            |number| Article { id: format!("a{number}"), title: String::new(), body: String::new(), url: None };
        let articles: Vec<_> = (0..25).map(article).collect();
        for articles in [&articles[..], &articles[..3]] {
            let (mut one, mut same) = (SnippetMaker::new(articles, 7), SnippetMaker::new(articles, 7));
            for _ in 0..50 {
                let request = one.ranking_request();
                assert_eq!(request, same.ranking_request());
                let snippets = request["snippets"].as_array().unwrap();
                let ids: HashSet<&str> =
                    snippets.iter().map(|snippet| snippet["snippet_id"].as_str().unwrap()).collect();
                assert_eq!(ids.len(), NUM_SNIPPETS);
                let within = |snippet: &Value| {
                    let (score, boost) = (&snippet["relevance_score"], &snippet["boost_factor"]);
                    (0.0..=1.0).contains(&score.as_f64().unwrap()) && (0.5..=1.5).contains(&boost.as_f64().unwrap())
                };
                assert!(snippets.iter().all(within), "{request}");
            }
        }
        assert_ne!(SnippetMaker::new(&[], 1).ranking_request(), SnippetMaker::new(&[], 2).ranking_request());
    }
}

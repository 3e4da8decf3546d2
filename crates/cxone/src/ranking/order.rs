//! The order of work: from scores and boosts to what the engine takes.
//!
//! Input: a request. Output: a [`RankingSubmission`]. Pure and total; of a request that was not validated, a score that
//! is no number counts as 0.

use super::{MAX_RESULT_WINDOW, RankedSnippet, RankingRequest, RankingSubmission, SnippetToRank};
use crate::rounding::{or_zero, to_four_places};

/// Min-max normalises the scores (if `normalise`), multiplies them by their boosts, sorts by the product, highest first
/// and ties in the caller's order, cuts to the window, clamps to 0 to 1, and rounds to four places, in this order.
pub fn order(request: &RankingRequest, normalise: bool) -> RankingSubmission {
    let window = request.max_result_window.clamp(1, i64::from(MAX_RESULT_WINDOW)) as u32;
    let scale = Scale::of(&request.snippets, normalise);
    let mut by_product: Vec<(f64, &SnippetToRank)> =
        request.snippets.iter().map(|snippet| (product(&scale, snippet), snippet)).collect();
    by_product.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    by_product.truncate(window as usize);
    RankingSubmission {
        max_result_window: window,
        snippets: by_product.into_iter().map(|(score, snippet)| ranked(score, snippet)).collect(),
    }
}

/// Where the lowest and the highest score go.
enum Scale {
    AsGiven,
    /// All scores are the same: none is worse than another, so each counts in full.
    Equal,
    Between {
        lowest: f64,
        highest: f64,
    },
}

impl Scale {
    fn of(snippets: &[SnippetToRank], normalise: bool) -> Self {
        if !normalise {
            return Self::AsGiven;
        }
        let scores = || snippets.iter().map(|snippet| or_zero(snippet.relevance_score));
        let lowest = scores().fold(f64::INFINITY, f64::min);
        let highest = scores().fold(f64::NEG_INFINITY, f64::max);
        if highest > lowest { Self::Between { lowest, highest } } else { Self::Equal }
    }

    fn apply(&self, score: f64) -> f64 {
        match self {
            Self::AsGiven => score,
            Self::Equal => 1.0,
            Self::Between { lowest, highest } => (score - lowest) / (highest - lowest),
        }
    }
}

/// Minus 0 would sort below 0, so it becomes 0.
fn product(scale: &Scale, snippet: &SnippetToRank) -> f64 {
    or_zero(scale.apply(or_zero(snippet.relevance_score)) * or_zero(snippet.boost_factor)) + 0.0
}

fn ranked(score: f64, snippet: &SnippetToRank) -> RankedSnippet {
    RankedSnippet {
        snippet_id: snippet.snippet_id.clone(),
        relevance_score: to_four_places(score.clamp(0.0, 1.0)),
        boost_factor: snippet.boost_factor,
        metadata: snippet.metadata.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn request(window: i64, scores_and_boosts: &[(f64, f64)]) -> RankingRequest {
        let snippet = |(index, &(relevance_score, boost_factor)): (usize, &(f64, f64))| SnippetToRank {
            snippet_id: index.to_string(),
            relevance_score,
            boost_factor,
            metadata: BTreeMap::from([("n".to_owned(), index.to_string())]),
        };
        let snippets = scores_and_boosts.iter().enumerate().map(snippet).collect();
        RankingRequest { max_result_window: window, snippets, callback_url: None, session_id: None }
    }

    /// Ids and scores in their order.
    fn ordered(window: i64, scores_and_boosts: &[(f64, f64)], normalise: bool) -> Vec<(String, f64)> {
        let submission = order(&request(window, scores_and_boosts), normalise);
        submission.snippets.iter().map(|snippet| (snippet.snippet_id.clone(), snippet.relevance_score)).collect()
    }

    fn pairs(expected: &[(&str, f64)]) -> Vec<(String, f64)> {
        expected.iter().map(|&(id, score)| (id.to_owned(), score)).collect()
    }

    /// The figures of the fourth document.
    const DOCUMENT: [(f64, f64); 5] = [(0.92, 1.2), (0.85, 1.0), (0.78, 1.1), (0.65, 0.9), (0.55, 1.0)];

    #[test]
    fn the_documents_example_with_and_without_normalising() {
        let plain = pairs(&[("0", 1.0), ("2", 0.858), ("1", 0.85), ("3", 0.585), ("4", 0.55)]);
        assert_eq!(ordered(15, &DOCUMENT, false), plain);
        let normalised = pairs(&[("0", 1.0), ("1", 0.8108), ("2", 0.6838), ("3", 0.2432), ("4", 0.0)]);
        assert_eq!(ordered(15, &DOCUMENT, true), normalised);
    }

    #[test]
    fn each_step_takes_its_turn() {
        type Case<'a> = (&'a str, i64, &'a [(f64, f64)], bool, &'a [(&'a str, f64)]);
        let table: [Case<'_>; 9] = [
            ("equal scores count in full", 10, &[(0.3, 1.0), (0.3, 0.5)], true, &[("0", 1.0), ("1", 0.5)]),
            ("so does a single one", 10, &[(0.0, 1.0)], true, &[("0", 1.0)]),
            ("a single one as given", 10, &[(0.25, 1.0)], false, &[("0", 0.25)]),
            (
                "ties keep the caller's order",
                10,
                &[(0.5, 1.0), (0.25, 2.0), (0.5, 1.0)],
                false,
                &[("0", 0.5), ("1", 0.5), ("2", 0.5)],
            ),
            ("sorted before it is clamped", 10, &[(0.9, 1.2), (0.9, 1.3)], false, &[("1", 1.0), ("0", 1.0)]),
            ("sorted before it is rounded", 10, &[(0.500_01, 1.0), (0.500_02, 1.0)], false, &[("1", 0.5), ("0", 0.5)]),
            ("cut after sorting", 1, &[(0.1, 1.0), (0.9, 1.0)], false, &[("1", 0.9)]),
            (
                "a boost of 0 goes last",
                10,
                &[(1.0, 0.0), (0.5, 1.0), (0.2, -0.0)],
                false,
                &[("1", 0.5), ("0", 0.0), ("2", 0.0)],
            ),
            ("normalised before it is boosted", 10, &[(0.5, 9.0), (0.6, 0.1)], true, &[("1", 0.1), ("0", 0.0)]),
        ];
        for (what, window, given, normalise, expected) in table {
            assert_eq!(ordered(window, given, normalise), pairs(expected), "{what}");
        }
    }

    #[test]
    fn boost_and_metadata_travel_along_and_the_window_is_kept() {
        let submission = order(&request(2, &DOCUMENT), true);
        assert_eq!((submission.max_result_window, submission.snippets.len()), (2, 2));
        let first = &submission.snippets[0];
        assert_eq!((first.boost_factor, first.metadata["n"].as_str()), (1.2, "0"));
        assert_eq!(order(&request(9999, &DOCUMENT), true).max_result_window, 50);
        assert_eq!(order(&request(-1, &DOCUMENT), true).snippets.len(), 1);
    }

    proptest! {
        #[test]
        fn whatever_comes_the_result_is_one_that_the_engine_takes(
            given in prop::collection::vec((0.0..=1.0_f64, prop_oneof![0.0..3.0_f64, Just(1.0), 0.0..1e308]), 1..70),
            window in 1..=50_i64,
            normalise in any::<bool>(),
        ) {
            let result = ordered(window, &given, normalise);
            prop_assert_eq!(result.len(), given.len().min(window as usize));
            for (_, score) in &result {
                prop_assert!((0.0..=1.0).contains(score));
                prop_assert_eq!(*score, to_four_places(*score));
            }
            prop_assert!(result.windows(2).all(|pair| pair[0].1 >= pair[1].1), "{:?}", result);
            let ids: std::collections::HashSet<_> = result.iter().map(|(id, _)| id).collect();
            prop_assert_eq!(ids.len(), result.len());
        }

        #[test]
        fn ties_keep_the_callers_order(steps in prop::collection::vec(0..4_u8, 1..50), normalise in any::<bool>()) {
            let given: Vec<(f64, f64)> = steps.iter().map(|&step| (f64::from(step) / 4.0, 1.0)).collect();
            let places: Vec<usize> =
                ordered(50, &given, normalise).iter().map(|(id, _)| id.parse().unwrap_or_default()).collect();
            for pair in places.windows(2) {
                let (before, after) = (steps[pair[0]], steps[pair[1]]);
                prop_assert!(before > after || (before == after && pair[0] < pair[1]), "{:?}", places);
            }
        }

        #[test]
        fn no_number_however_odd_breaks_the_order(
            given in prop::collection::vec((any::<f64>(), any::<f64>()), 1..20),
            window in any::<i64>(),
            normalise in any::<bool>(),
        ) {
            let result = ordered(window, &given, normalise);
            prop_assert!(result.iter().all(|(_, score)| (0.0..=1.0).contains(score)));
        }
    }
}

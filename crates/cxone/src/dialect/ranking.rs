//! Contract 004's push.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::{Card, first_of_each};
use crate::interaction_id::InteractionId;
use crate::ranking::{DEFAULT_RESULT_WINDOW, MAX_RESULT_WINDOW, RankedSnippet, RankingSubmission};
use crate::rounding::{or_zero, to_four_places};

#[derive(Clone, PartialEq, Serialize)]
pub struct RankingPush {
    session_id: InteractionId,
    max_result_window: u32,
    snippets: Arc<[RankedSnippet]>,
}

impl RankingPush {
    pub(super) fn new(session: &InteractionId, submission: &RankingSubmission) -> Self {
        Self {
            session_id: session.clone(),
            max_result_window: submission.max_result_window,
            snippets: Arc::clone(&submission.snippets),
        }
    }

    /// The engine takes falling scores only, and never more snippets than it shows.
    pub(super) fn of_cards(session: &InteractionId, cards: &[Card]) -> Self {
        let mut snippets: Vec<RankedSnippet> = first_of_each(cards).map(snippet).collect();
        snippets.sort_by(|left, right| right.relevance_score.total_cmp(&left.relevance_score));
        snippets.truncate(MAX_RESULT_WINDOW as usize);
        let max_result_window = DEFAULT_RESULT_WINDOW.max(snippets.len() as u32);
        Self { session_id: session.clone(), max_result_window, snippets: snippets.into() }
    }

    pub(super) fn num_snippets(&self) -> usize {
        self.snippets.len()
    }
}

fn snippet(card: &Card) -> RankedSnippet {
    RankedSnippet {
        snippet_id: card.article_id.clone(),
        relevance_score: to_four_places(or_zero(card.score).clamp(0.0, 1.0)),
        boost_factor: 1.0,
        metadata: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::Value;

    use super::super::{Dialect, PushContent, PushTarget};
    use super::*;

    fn push(content: &PushContent) -> String {
        let to = PushTarget { interaction: &"s-1".parse().unwrap(), agent_id: "" };
        Dialect::Ranking.body(&to, content).to_json().unwrap()
    }

    fn card(id: &str, score: f64) -> Card {
        Card { article_id: id.into(), score, ..Card::default() }
    }

    #[test]
    fn a_submission_is_written_as_it_is() {
        let snippet = |id: &str, score: f64, boost: f64| RankedSnippet {
            snippet_id: id.into(),
            relevance_score: score,
            boost_factor: boost,
            metadata: BTreeMap::from([("category".to_owned(), "billing".to_owned())]),
        };
        let snippets = vec![snippet("KB-001", 1.0, 1.2), snippet("KB-002", 0.8108, 1.0)];
        let body = push(&PushContent::Ranking(RankingSubmission { max_result_window: 15, snippets: snippets.into() }));
        assert_eq!(
            body,
            concat!(
                r#"{"session_id":"s-1","max_result_window":15,"snippets":["#,
                r#"{"snippet_id":"KB-001","relevance_score":1.0,"boost_factor":1.2,"metadata":{"category":"billing"}},"#,
                r#"{"snippet_id":"KB-002","relevance_score":0.8108,"boost_factor":1.0,"metadata":{"category":"billing"}}"#,
                r#"]}"#,
            )
        );
    }

    #[test]
    fn cards_become_snippets_that_the_engine_takes() {
        let cards = vec![card("a", 12.5), card("b", 0.5), card("c", f64::NAN), card("b", 0.4), card("d", 0.712_34)];
        assert_eq!(
            push(&PushContent::Cards(cards)),
            concat!(
                r#"{"session_id":"s-1","max_result_window":10,"snippets":["#,
                r#"{"snippet_id":"a","relevance_score":1.0,"boost_factor":1.0,"metadata":{}},"#,
                r#"{"snippet_id":"d","relevance_score":0.7123,"boost_factor":1.0,"metadata":{}},"#,
                r#"{"snippet_id":"b","relevance_score":0.5,"boost_factor":1.0,"metadata":{}},"#,
                r#"{"snippet_id":"c","relevance_score":0.0,"boost_factor":1.0,"metadata":{}}]}"#,
            )
        );
    }

    #[test]
    fn the_window_holds_the_cards_up_to_what_the_engine_shows() {
        for (num_cards, window, sent) in [(0, 10, 0), (10, 10, 10), (11, 11, 11), (60, 50, 50)] {
            let cards = (0..num_cards).map(|index| card(&index.to_string(), 0.5)).collect();
            let body: Value = serde_json::from_str(&push(&PushContent::Cards(cards))).unwrap();
            assert_eq!(body["max_result_window"], window, "{num_cards}");
            assert_eq!(body["snippets"].as_array().unwrap().len(), sent, "{num_cards}");
        }
    }
}

//! Contract 003's push.

use std::collections::HashSet;

use serde::Serialize;

use super::Card;
use crate::interaction_id::InteractionId;

pub(super) const PATH: &str = "/api/v2/agentassist/insights";
const SNIPPET_CHARACTERS: usize = 150;

#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InsightsPush {
    insights: Vec<Insight>,
    display_type: &'static str,
    auto_dismiss: bool,
}

#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Insight {
    id: String,
    title: String,
    priority: usize,
    score: f64,
    citation: String,
    snippet: String,
    interaction_id: InteractionId,
}

impl InsightsPush {
    pub(super) fn new(interaction: &InteractionId, cards: &[Card]) -> Self {
        let mut seen = HashSet::new();
        let first_of_each = cards.iter().filter(|card| seen.insert(card.article_id.as_str()));
        let insights =
            first_of_each.zip(1..).map(|(card, priority)| Insight::new(interaction, card, priority)).collect();
        Self { insights, display_type: "CARD", auto_dismiss: true }
    }

    pub(super) fn num_insights(&self) -> usize {
        self.insights.len()
    }
}

impl Insight {
    fn new(interaction: &InteractionId, card: &Card, priority: usize) -> Self {
        Self {
            id: card.article_id.clone(),
            title: card.title.clone(),
            priority,
            // JSON has no word for a score that is no number.
            score: if card.score.is_finite() { card.score } else { 0.0 },
            citation: card.url.clone().unwrap_or_default(),
            snippet: card.body.chars().take(SNIPPET_CHARACTERS).collect(),
            interaction_id: interaction.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::super::{Card, Dialect};

    fn card(id: &str, body: &str, score: f64) -> Card {
        Card { article_id: id.into(), title: format!("About {id}"), url: None, body: body.into(), score }
    }

    fn push(cards: &[Card]) -> String {
        Dialect::Insights.body(&"c-1".parse().unwrap(), cards).to_json().unwrap()
    }

    fn insight(body: &str, index: usize) -> Value {
        serde_json::from_str::<Value>(body).unwrap()["insights"][index].clone()
    }

    #[test]
    fn the_body_is_the_documents_to_the_byte() {
        let refund =
            Card { url: Some("https://kb.example/refund".into()), ..card("refund", "Refunds take 5 days.", 0.75) };
        assert_eq!(
            push(&[refund, card("fees", "No fees.", 0.5)]),
            concat!(
                r#"{"insights":["#,
                r#"{"id":"refund","title":"About refund","priority":1,"score":0.75,"#,
                r#""citation":"https://kb.example/refund","snippet":"Refunds take 5 days.","interactionId":"c-1"},"#,
                r#"{"id":"fees","title":"About fees","priority":2,"score":0.5,"#,
                r#""citation":"","snippet":"No fees.","interactionId":"c-1"}"#,
                r#"],"displayType":"CARD","autoDismiss":true}"#,
            )
        );
    }

    #[test]
    fn each_article_appears_once_at_its_best_place() {
        let body = push(&[card("a", "best", 0.9), card("b", "b", 0.8), card("a", "worse", 0.7), card("c", "c", 0.6)]);
        let places: Vec<Value> = (0..4).map(|index| insight(&body, index)).collect();
        assert_eq!(places[0]["snippet"], "best");
        let order: Vec<_> = places.iter().map(|place| (place["id"].as_str(), place["priority"].as_u64())).collect();
        assert_eq!(order, [(Some("a"), Some(1)), (Some("b"), Some(2)), (Some("c"), Some(3)), (None, None)]);
    }

    #[test]
    fn a_snippet_is_cut_by_characters() {
        for (body, expected) in [
            ("é".repeat(151), "é".repeat(150)),
            ("🙂".repeat(400), "🙂".repeat(150)),
            ("x".repeat(150), "x".repeat(150)),
            (String::new(), String::new()),
        ] {
            assert_eq!(insight(&push(&[card("a", &body, 1.0)]), 0)["snippet"], expected);
        }
    }

    #[test]
    fn odd_text_stays_text_and_odd_scores_become_zero() {
        let odd = "</script><b>\u{0}\u{7}\n\"\\\u{2028}";
        let body = push(&[Card { title: odd.into(), url: Some(odd.into()), ..card(odd, odd, f64::NAN) }]);
        let first = insight(&body, 0);
        for field in ["id", "title", "citation", "snippet"] {
            assert_eq!(first[field], odd, "{field}");
        }
        assert!(!body.bytes().any(|byte| byte < 0x20));
        for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(insight(&push(&[card("a", "a", score)]), 0)["score"], json!(0.0));
        }
    }

    #[test]
    fn without_cards_there_is_nothing_to_push() {
        assert_eq!(Dialect::Insights.body(&"c-1".parse().unwrap(), &[]).num_cards(), 0);
    }

    #[test]
    fn a_returned_id_is_read_where_there_is_one() {
        for (answer, expected) in [
            (r#"{"id":"p-7","status":"delivered"}"#, Some("p-7")),
            (r#"{"id":7}"#, Some("7")),
            (r#"{"id":""}"#, None),
            (r#"{"id":null}"#, None),
            (r#"["id"]"#, None),
            ("{}", None),
            ("accepted", None),
            ("", None),
        ] {
            assert_eq!(Dialect::Insights.returned_id(answer.as_bytes()).as_deref(), expected, "{answer}");
        }
    }

    #[test]
    fn a_refused_push_names_the_scope_and_the_other_client() {
        let reason = Dialect::Insights.forbidden_reason();
        assert!(reason.contains("agentassist:write") && reason.contains("another client"), "{reason}");
    }

    #[test]
    fn debug_shows_ids_and_sizes_only() {
        let cards = [card("refund", "private words", 0.5)];
        let shown = format!("{cards:?} {:?}", Dialect::Insights.body(&"c-1".parse().unwrap(), &cards));
        assert!(shown.contains("refund") && !shown.contains("private"), "{shown}");
    }
}
